"""Another planner over the config of a run, without the run or TensorFlow."""

import sys
import types

import pytest

from worldmodels import kinds
from worldmodels.agents.programs import run_config
from worldmodels.agents.runs import build
from worldmodels.agents.runs import overrides
from worldmodels.agents.runs.build import ConfigError
from worldmodels.configs import dreamer
from worldmodels.configs import planet
from worldmodels.spec import Spec

SPEC = Spec(actions=1)


def config(agent=planet, spec=SPEC):
  """The config of a run: what was `auto` was chosen when it began."""
  return build.chosen(agent.get_config('debug'), spec)


def changed(values, agent=planet, spec=SPEC):
  before = config(agent, spec)
  after = overrides.laid_over(before, spec, values)
  assert before == config(agent, spec)
  return overrides.differences(before, after)


def test_texts_become_values_of_the_keys_type():
  values = {
    'planner.candidates': '500',
    'planner.spread': '2',
    'planner.sample': 'True',
    'planner.min_std': '1e-2',
  }
  found = changed(values)
  assert found == {
    'planner.candidates': 500,
    'planner.spread': 2.0,
    'planner.sample': True,
    'planner.min_std': 0.01,
  }
  assert type(found['planner.spread']) is float
  assert changed({}) == changed({'planner.kind': 'cem'}) == {}


def test_values_may_be_values():
  found = changed({'planner.kind': 'cem', 'planner.candidates': 24})
  assert found == {'planner.candidates': 24}


def test_an_option_that_the_run_lacks_is_held_to_its_default(monkeypatch):
  """Of another planner: it is set if it is given, else left to that one."""
  source = (
    'def plan(problem, seed, *, candidates: int, warmth: float = 0.5,'
    ' warm: bool = False, name: str = STRANGE): ...'
  )
  real = kinds.source
  monkeypatch.setattr(
    kinds,
    'source',
    lambda package, kind: (
      source if 'planners' in package else real(package, kind)
    ),
  )
  assert 'planner.warmth' not in changed({'planner.candidates': '50'})
  found = changed({'planner.warmth': '2', 'planner.warm': 'true'})
  assert found == {'planner.warmth': 2.0, 'planner.warm': True}
  with pytest.raises(ConfigError, match="warmth is 'hot'; it is a number"):
    changed({'planner.warmth': 'hot'})
  with pytest.raises(ConfigError, match="wramth is no option.*'warmth'"):
    changed({'planner.wramth': '2'})


def test_who_acts_may_be_chosen_where_there_is_a_choice():
  assert changed({'acting': 'planner'}, dreamer) == {'acting': 'planner'}
  with pytest.raises(ConfigError, match='acting is .nobody.; it is one of pol'):
    changed({'acting': 'nobody'}, dreamer)
  with pytest.raises(ConfigError, match="acting is no key.*'planet' has no"):
    changed({'acting': 'planner'})


@pytest.mark.parametrize(
  'values,says',
  [
    ({'train.updates': '5'}, 'train.updates belongs to the run'),
    ({'planer.kind': 'cem'}, "planner.. and acting alone.*mean 'planner'"),
    ({'planner': 'cem'}, 'planner belongs to the run'),
    ({'planner.a.b': '1'}, 'planner.a.b belongs to the run'),
    ({'planner.kind': 'cen'}, "planner.kind is 'cen'; it is one of .*cem"),
    ({'planner.kind': ''}, "planner.kind is ''; it is one of"),
    ({'planner.kind': 'categorical_cem'}, 'the actions of the task are cont'),
    ({'planner.kind': 'gone.lab:plan'}, "planner.kind is .* no module 'gone'"),
    ({'planner.candidates': 'many'}, "candidates is 'many'; it is a whole"),
    ({'planner.candidates': '0'}, 'candidates is 0; it is 1 to'),
    ({'planner.candidates': '2.5'}, 'candidates is 2.5; it is a whole'),
    ({'planner.candidates': '3'}, 'elites is 4; it is 1 to planner.candid'),
    ({'planner.candidats': '30'}, "no option of 'cem'; did you mean 'candid"),
  ],
)
def test_what_cannot_be_is_one_line(values, says):
  with pytest.raises(ConfigError, match=says) as raised:
    changed(values)
  assert '\n' not in str(raised.value)


@pytest.fixture
def mine(monkeypatch):
  """The kind of a planner of the user's that takes no proposals."""
  module = types.ModuleType('my_planner')
  exec('def plan(problem, seed, *, depth=3): ...', vars(module))
  monkeypatch.setitem(sys.modules, 'my_planner', module)
  return 'my_planner:plan'


def test_the_kind_can_be_changed_by_itself(mine):
  """A run of many actions has 16 proposals, which not every planner takes."""
  spec = Spec(actions=6)
  stored = build.chosen(dreamer.get_config('cpu'), spec)
  assert stored.planner.proposals == 16

  def proposals(**values):
    values = {f'planner.{name}': value for name, value in values.items()}
    return overrides.laid_over(stored, spec, values).planner.proposals

  assert proposals(kind=mine) == 0
  assert proposals(kind='mppi') == proposals(candidates='9') == 16
  # What is asked for by name is not taken back; planner_test has its refusal.
  assert proposals(kind=mine, proposals='4') == 4
  stored.planner.proposals = -1  # Of a run that was begun with that planner.
  assert proposals(kind=mine) == -1
  assert build.chosen(stored, spec).planner.proposals == 16


def test_a_run_without_a_planner():
  without = config()
  del without.planner
  without.agent.kind = 'my_lab.mine:Agent'
  with pytest.raises(ConfigError, match='this run has no planner'):
    overrides.laid_over(without, SPEC, {'planner.kind': 'cem'})


def test_auto_is_chosen_by_the_actions():
  found = changed({'planner.kind': 'auto'}, spec=Spec(2, discrete=True))
  assert found == {'planner.kind': 'auto'}


def test_flags_of_the_config_become_one_flag():
  given = ['--logdir=x', '--config.planner.kind=mppi', '--episodes', '3']
  given += ['-config.acting', 'planner', '--config.planner.value']
  given += ['--noconfig.planner.sample', '--config.planner.kind=a:b=c']
  assert run_config.take(given) == [
    *('--logdir=x', '--laid_over=planner.kind=mppi', '--episodes', '3'),
    *('--laid_over=acting=planner', '--laid_over=planner.value=true'),
    *('--laid_over=planner.sample=false', '--laid_over=planner.kind=a:b=c'),
  ]
  for whole in ('--config=planet:cpu', '--config'):
    with pytest.raises(run_config.FlagError, match='that of the run.*acting'):
      run_config.take([whole])
