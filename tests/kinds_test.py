import pathlib
import re
import sys
import textwrap

import pytest

from worldmodels import errors
from worldmodels import kinds

ROOT = pathlib.Path(__file__).parent.parent
DYNAMICS = 'worldmodels.dynamics'
# Every folder of kinds of the house, and what each of its files defines.
FOLDERS = {
  ('worldmodels.dynamics', 'Dynamics'): 'worldmodels/dynamics',
  ('worldmodels.heads', 'Head'): 'worldmodels/heads',
  ('worldmodels.encoders', 'ImageEncoder'): 'worldmodels/encoders',
  ('worldmodels.agents.planners', 'plan'): 'agents/planners',
  ('worldmodels.agents.learners', 'Learner'): 'agents/learners',
  (
    'worldmodels.agents.action_distributions',
    'Distribution',
  ): 'agents/action_distributions',
}


@pytest.fixture
def project(tmp_path, monkeypatch):
  """Writes files of a user's project; the names of its modules begin my_."""
  before = set(sys.modules)
  monkeypatch.syspath_prepend(tmp_path)

  def write(name, text):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))

  yield write
  for name in set(sys.modules) - before:
    if name.startswith('my_'):
      del sys.modules[name]


# ------------------------------------------------------------------ ours ----


@pytest.mark.parametrize('place', FOLDERS, ids=FOLDERS.values())
def test_the_files_of_a_folder_are_its_kinds(place):
  package, member = place
  files = {path.stem for path in (ROOT / FOLDERS[place]).glob('[!_]*.py')}
  found = kinds.names(package, member)
  assert found == sorted(found)
  # None is left out by a name that is not quite the member's.
  assert set(found) == files
  for kind in found:
    made = kinds.find(package, kind, member)
    assert made.__name__ == member
    assert made.__module__ == f'{package}.{kind}'


def test_agents_are_kinds_among_other_files():
  found = kinds.names('worldmodels.agents', 'Agent')
  assert {'planet', 'dreamer', 'uniform'} <= set(found)
  # `agent` has the base class WorldModelAgent, whose name only begins so.
  assert not {'agent', 'planner', 'returns'} & set(found)


def test_an_unknown_kind_is_named_with_those_that_are_known():
  with pytest.raises(errors.OptionError) as caught:
    kinds.find(DYNAMICS, 'rsm', 'Dynamics')
  listed = ', '.join(kinds.names(DYNAMICS, 'Dynamics'))
  assert str(caught.value) == (
    f"kind is 'rsm'; it is one of {listed}, or module:name"
  )


# ----------------------------------------------------------- of the user's ----


def test_a_kind_of_the_users_is_named_in_full(project):
  project('my_lab/motion.py', 'class Linear: pass')
  found = kinds.find(DYNAMICS, 'my_lab.motion:Linear', 'Dynamics')
  assert found.__name__ == 'Linear'
  assert found.__module__ == 'my_lab.motion'


def test_functions_are_kinds_too(project):
  project('my_plan.py', 'def search(problem, seed, *, depth=3): return depth')
  found = kinds.make(
    'worldmodels.agents.planners',
    'plan',
    {'kind': 'my_plan:search', 'depth': 5, 'candidates': 9},
    problem=None,
    seed=None,
  )
  assert found == 5


@pytest.mark.parametrize(
  'kind,problem',
  [
    ('nowhere:Linear', "no module 'nowhere', looked for from "),
    ('my_lab.nowhere:Linear', "no module 'my_lab.nowhere', looked for from "),
    ('nowhere.deep.down:Linear', "no module 'nowhere', looked for from "),
    (
      'my_lab.needs:Linear',
      "my_lab.needs imports 'not_a_module_at_all', which is not installed",
    ),
    (
      'my_lab.motion:Cubic',
      "module my_lab.motion has no class or function 'Cubic'",
    ),
    ('my_lab.motion:', "module my_lab.motion has no class or function ''"),
    # A number is neither.
    ('my_lab.motion:SPEED', 'has no class or function'),
  ],
)
def test_what_is_wrong_with_a_users_kind_is_said(project, kind, problem):
  project('my_lab/__init__.py', '')
  project('my_lab/motion.py', 'SPEED = 3\nclass Linear: pass')
  project('my_lab/needs.py', 'import not_a_module_at_all')
  with pytest.raises(errors.OptionError) as caught:
    kinds.find(DYNAMICS, kind, 'Dynamics')
  assert str(caught.value).startswith(f'kind is {kind!r}: ')
  assert problem in str(caught.value)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  'text,says',
  [
    ('x = 1\n1 / 0', 'raises ZeroDivisionError: division by zero (%s, line 2)'),
    ('x = 1\nx ==', 'raises SyntaxError: invalid syntax (%s, line 2)'),
    ('raise SystemExit', 'raises SystemExit (%s, line 1)'),
    (
      'from worldmodels import gone',
      "raises ImportError: cannot import name 'gone' from 'worldmodels'",
    ),
  ],
)
def test_a_fault_in_a_users_module_is_said_with_its_line(project, text, says):
  project('my_fault.py', text)
  with pytest.raises(errors.OptionError) as caught:
    kinds.find(DYNAMICS, 'my_fault:Linear', 'Dynamics')
  found = str(caught.value)
  assert found.startswith("kind is 'my_fault:Linear': module my_fault raises ")
  assert '\n' not in found and found.count('my_fault.py') <= 1
  file = re.search(r'[\w/.-]*my_fault\.py', found)
  assert (says % file[0] if '%' in says else says) in found
  # Who wants the trace has it.
  assert caught.value.__cause__ is not None


def test_a_constructor_that_raises_is_said_with_its_line(project):
  project(
    'my_early.py',
    """
    class Early:
      size = 0.5
      def __init__(self, *, fault=True):
        if fault:
          raise ValueError('two\\nlines')
    """,
  )
  options = {'kind': 'my_early:Early'}
  with pytest.raises(errors.OptionError) as caught:
    kinds.make(DYNAMICS, 'Dynamics', options)
  assert str(caught.value).startswith(
    "kind is 'my_early:Early', which raises ValueError: two lines ("
  )
  assert str(caught.value).endswith('my_early.py, line 6)')
  # What it lacks is said as well.
  options['fault'] = False
  for name, value in (('size', 0.5), ('units', None)):
    with pytest.raises(errors.OptionError) as caught:
      kinds.make(DYNAMICS, 'Dynamics', options, (name,))
    assert str(caught.value) == (
      f"kind is 'my_early:Early', whose attribute {name!r} is {value}; it is a "
      'whole number above 0'
    )


# ----------------------------------------------------------------- options ----

CLASSES = """
class Base:
  def __init__(self, size, *, width=1, depth=2, **kwargs):
    self.known = dict(size=size, width=width, depth=depth, **kwargs)

class Plain(Base):
  pass

class Own(Base):
  def __init__(self, *, speed, width=7, **kwargs):
    super().__init__(3, width=width, **kwargs)
    self.known['speed'] = speed

class Shut(Base):
  def __init__(self, *, speed=4):
    super().__init__(3)
    self.known['speed'] = speed

class Needy(Base):
  def __init__(self, *, width, **kwargs):
    super().__init__(3, width=width, **kwargs)

class Deep(Own):
  def __init__(self, **kwargs):
    super().__init__(speed=8, **kwargs)
"""


@pytest.fixture
def make(project):
  project('my_classes.py', CLASSES)

  def make(name, given=(), **options):
    kind = f'my_classes:{name}'
    made = kinds.make(
      DYNAMICS, 'Dynamics', dict(kind=kind, **options), **dict(given)
    )
    return made.known

  return make


def test_named_options_are_handed_on_and_others_left_aside(make):
  options = dict(depth=5, latent='gaussian', cell='gru')
  assert make('Base', dict(size=9), **options) == dict(size=9, width=1, depth=5)


def test_an_option_that_is_missing_is_named(make):
  with pytest.raises(errors.OptionError) as caught:
    make('Base', depth=5)
  assert str(caught.value) == "size is missing; 'my_classes:Base' needs it"
  with pytest.raises(errors.OptionError, match='^speed is missing'):
    make('Own')


def test_a_class_without_a_constructor_takes_what_its_base_takes(make):
  assert make('Plain', dict(size=9), width=3)['width'] == 3
  with pytest.raises(errors.OptionError, match='^size is missing'):
    make('Plain')


def test_a_constructor_that_hands_kwargs_on_takes_those_of_its_bases(make):
  found = make('Own', speed=6, depth=5, nothing=1)
  assert found == dict(size=3, width=7, depth=5, speed=6)
  # The default is that of the constructor nearest to the class.
  assert make('Own', speed=6, width=2)['width'] == 2
  # And what it does need is needed, whatever the base would do.
  with pytest.raises(errors.OptionError, match='^width is missing'):
    make('Needy', depth=5)
  # The constructor itself gives its base the speed.
  assert make('Deep', depth=5) == dict(size=3, width=7, depth=5, speed=8)


def test_a_constructor_that_hands_nothing_on_takes_its_own_alone(make):
  found = make('Shut', speed=6, depth=5)
  assert found == dict(size=3, width=1, depth=2, speed=6)


def test_values_that_are_given_win_and_are_all_handed_on(make):
  found = make('Base', dict(size=9, depth=1, name='a'), depth=5)
  assert found == dict(size=9, width=1, depth=1, name='a')


def test_kind_is_no_option():
  def function(kind=0, depth=0):
    return kind, depth

  assert kinds.named(function, {'kind': 'x', 'depth': 2}) == {'depth': 2}


def test_what_a_kind_does_not_take_is_named(project):
  project('my_agents.py', 'class Agent:\n  def __init__(self, *, spec): pass')
  with pytest.raises(errors.OptionError) as caught:
    kinds.make(
      'worldmodels.agents',
      'Agent',
      {'kind': 'my_agents:Agent'},
      spec=None,
      model={},
    )
  assert (
    str(caught.value) == "kind is 'my_agents:Agent', which takes no 'model'"
  )


def test_the_keywords_of_a_kind_are_read_and_not_imported():
  package = 'worldmodels.agents.planners'
  assert kinds.keywords(package, 'random_shooting', 'plan') == {'candidates'}
  assert 'members' in kinds.keywords(DYNAMICS, 'ensemble', 'Dynamics')
  assert 'embed' in kinds.keywords(DYNAMICS, 'rssm', 'Dynamics')
  assert 'elites' in kinds.keywords(package, 'cem', 'plan')
