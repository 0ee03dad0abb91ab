"""The flag --config: which config it names, and what may be set in it."""

import os
import pathlib
import sys

import ml_collections
import pytest
from absl import flags

from worldmodels import errors
from worldmodels.agents.programs import config_flag

ROOT = pathlib.Path(__file__).parent.parent
MINE = """
from worldmodels.configs import planet

def get_config(preset):
  config = planet.get_config('debug')
  config.task = f'of_{preset}'
  return config
"""


@pytest.fixture(autouse=True)
def forgotten():
  """Defines --config, and forgets it and all that parsing defined."""
  config_flag.define('A config.')
  yield
  for name in [*flags.FLAGS]:
    if name.split('.')[0] == 'config':
      delattr(flags.FLAGS, name)
  sys.modules.pop('config_config', None)  # A file is loaded into it.


@pytest.fixture
def parse(monkeypatch):
  """A function from flags to the config that they make."""

  def parsed(*arguments, default='planet:debug'):
    argv = ['program', *arguments]
    monkeypatch.setattr(sys, 'argv', argv)
    rest = config_flag.parse(default, argv)
    assert rest == ['program'], rest
    return flags.FLAGS['config'].value

  return parsed


@pytest.fixture
def mine(tmp_path, monkeypatch):
  """The current directory, with a config of the user's in it."""
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'mine.py').write_text(MINE)
  return tmp_path


def test_a_config_of_the_package_is_found_anywhere(mine):
  path = config_flag.path_of('planet:cpu')
  assert path == f'{ROOT / "configs" / "planet.py"}:cpu'
  assert config_flag.path_of('dreamer') == str(ROOT / 'configs' / 'dreamer.py')
  assert config_flag.load('dreamer:debug').agent.kind == 'dreamer'


def test_a_file_is_taken_where_there_is_one(mine):
  assert config_flag.path_of('mine.py:fast') == 'mine.py:fast'
  assert config_flag.load('mine.py:fast').task == 'of_fast'
  assert config_flag.load(f'{mine}/mine.py:fast').task == 'of_fast'
  (mine / 'planet').write_text(MINE)
  assert config_flag.path_of('planet:cpu') == 'planet:cpu'


@pytest.mark.parametrize(
  'value', ['plant:cpu', 'plant.py', '', ':cpu', '.:cpu']
)
def test_what_is_neither_names_what_there_is(value):
  with pytest.raises(config_flag.FlagError) as caught:
    config_flag.path_of(value)
  assert str(caught.value).startswith(f'--config={value}: there is no file ')
  assert f'in {os.getcwd()}' in str(caught.value)
  names = sorted(path.stem for path in (ROOT / 'configs').glob('[!_]*.py'))
  assert str(caught.value).endswith(f'are {", ".join(names)}')


@pytest.mark.parametrize(
  'text, says',
  [
    ('def get_config(preset):\n  raise ValueError("no\\nway")', 'way'),
    ('def get_config(preset): return {}[preset]', "KeyError: 'fast'"),
    ('def get_config(preset) return 1', "expected ':' (bad.py, line 1)"),
    ('def get_config(): return 1', 'takes 0 positional arguments but 1'),
    ('def get_config(preset): pass', 'returns a NoneType, not a ConfigDict'),
    ('import lab_of_nobody', "No module named 'lab_of_nobody'"),
    ('LEARNING_RATE = 1', "has no attribute 'get_config'"),
    ('raise NameError', 'NameError'),
    ('x = 1\n1 / 0', 'ZeroDivisionError: division by zero (bad.py, line 2)'),
    ('import sys\nsys.exit(0)', 'it ends the program'),
  ],
)
def test_a_file_that_makes_none(text, says, mine):
  (mine / 'bad.py').write_text(text)
  with pytest.raises(config_flag.FlagError) as caught:
    config_flag.load('bad.py:fast')
  assert str(caught.value).startswith('--config=bad.py:fast: ')
  assert says in str(caught.value) and '\n' not in str(caught.value)


def test_a_preset_that_is_not_there():
  with pytest.raises(config_flag.FlagError, match="no preset 'huge' of planet"):
    config_flag.load('planet:huge')


def test_keys_are_set(parse, mine):
  config = parse(
    '--config=mine.py:fast',
    *('--config.dynamics.deter=8', '--config.planner.spread', '2'),
    *('--noconfig.train.overlap', '--config.encoder.channels=(3, 5)'),
  )
  assert isinstance(config, ml_collections.ConfigDict)
  assert config.task == 'of_fast' and config.planner.spread == 2.0
  assert config.dynamics.deter == 8 and config.encoder.channels == (3, 5)
  assert config.train.overlap is False


def test_the_default_is_changed_as_well(parse):
  config = parse('--config.task=hill')
  assert config.task == 'hill' and config.preset == 'debug'


@pytest.mark.parametrize(
  'arguments',
  [
    ['--config=planet:small'],
    ['--config', 'planet:small'],
    ['-config=planet:small'],
    ['--config=planet:cpu', '--config=planet:small'],  # The last one counts.
  ],
)
def test_the_config_is_chosen(parse, arguments):
  config = parse(*arguments, '--config.seed=3')
  assert config.preset == 'small' and config.seed == 3


def test_files_of_flags_may_have_it(parse, mine):
  """The program has read them; --flagfile is still in sys.argv."""
  (mine / 'some.flags').write_text('--config=mine.py:fast\n--config.seed=5\n')
  argv = flags.FLAGS.read_flags_from_files(
    ['program', '--flagfile=some.flags'], force_gnu=False
  )
  config = parse(*argv[1:])
  assert config.task == 'of_fast' and config.seed == 5


def test_what_is_no_flag_is_handed_back(monkeypatch):
  argv = ['program', '--config=planet:debug', 'stray']
  monkeypatch.setattr(sys, 'argv', argv)
  assert config_flag.parse('planet:cpu', argv) == ['program', 'stray']


@pytest.mark.parametrize(
  'flag, says',
  [
    (
      '--config.dynamics.detr=8',
      "'dynamics.detr' in the config; did you mean 'dynamics.deter'?",
    ),
    ('--config.trian.batch=8', "did you mean 'train.batch'?"),
    ('--config.deter=8', "did you mean 'dynamics.deter'?"),
    ('--config.rssm.deter=8', "did you mean 'dynamics.deter'?"),
    ('--config.seed.x=8', "no key 'seed.x'"),
    ('--config.planner.name=cem', "did you mean 'planner.kind'?"),
    ('--config.behaviour.gamma=1', "no key 'behaviour.gamma'"),
    ('--config.eval.hor=8', "did you mean 'evaluate.horizon'?"),
    ('--noconfig.overlap', "did you mean 'train.overlap'?"),
    (
      '--config.dynamics=8',
      'dynamics is a group of keys; set one of them, as in --config.dynamics.',
    ),
    ('--config.encoder.channels=(8,9.5)', 'encoder.channels: 9.5 is no int'),
    ('--config.encoder.channels=(8,many)', 'encoder.channels: '),
  ],
)
def test_a_wrong_key_is_answered_with_the_nearest(flag, says, parse):
  with pytest.raises(config_flag.FlagError) as caught:
    parse(flag)
  assert says in str(caught.value)


@pytest.mark.parametrize(
  'written, meant',
  [
    # As Python writes numbers.
    ('seed=1_000', 1000),
    ('seed=0x10', 16),
    ('exploration=.3', 0.3),
    # A tuple in any brackets or none; of one part, or of none.
    ('encoder.channels=[8,16]', (8, 16)),
    ('encoder.channels=8,16', (8, 16)),
    ('encoder.channels=16', (16,)),
    ('encoder.channels=()', ()),
    ("environment.vectors=('position')", ('position',)),
    ("environment.vectors=['position']", ('position',)),
    ('environment.vectors=position', ('position',)),
    ('train.overlap=0', False),
    ('train.overlap=1', True),
    ('train.overlap', True),
  ],
)
def test_odd_ways_to_write_a_value(written, meant, parse):
  """What is refused instead is in bad_input_test."""
  value = parse(f'--config.{written}')
  for part in written.partition('=')[0].split('.'):
    value = value[part]
  assert value == meant and type(value) is type(meant)


@pytest.mark.parametrize(
  'flag', ['--config.learning_speed=1', '--config.foo.bar=1', '--config.a=1']
)
def test_a_key_like_no_other_gets_no_hint(flag, parse):
  with pytest.raises(config_flag.FlagError) as caught:
    parse(flag)
  assert 'did you mean' not in str(caught.value)
  assert str(caught.value).endswith(
    '; --config=planet:debug --help lists its keys'
  )


@pytest.mark.parametrize(
  'flag,says',
  [
    ('--config.optimizer.rate=-1', 'optimizer.rate is -1.0; it is above 0'),
    ('--config.train.length=2', 'train.length is 2; it is more than overshoo'),
  ],
)
def test_values_are_checked(flag, says, parse):
  """All of those are in bad_input_test."""
  with pytest.raises(errors.UserError) as caught:
    parse(flag)
  assert says in str(caught.value)


@pytest.mark.parametrize('value', [5, 6])
def test_the_comments_of_a_users_file_count(value, parse, mine):
  text = MINE.replace(
    '  return', '  config.planner.width = 3  # [1, 5] nodes\n  return'
  )
  (mine / 'wide.py').write_text(text)
  shown = config_flag.describe('wide.py:a')
  assert 'planner.width=3' in shown and '[1, 5] nodes' in shown
  arguments = ('--config=wide.py:a', f'--config.planner.width={value}')
  if value == 5:
    assert parse(*arguments).planner.width == 5
    return
  with pytest.raises(errors.UserError, match='width is 6; it is 1 to 5'):
    parse(*arguments)


@pytest.mark.parametrize(
  'flag',
  [
    '--config.dynamics.deter=many',
    '--config.dynamics.deter=8.5',
    '--config.train.overlap=perhaps',
    '--config.dynamics.deter',
  ],
)
def test_a_wrong_value_is_refused(flag, parse):
  with pytest.raises((flags.Error, ValueError)) as caught:
    parse(flag)
  assert flag.removeprefix('--').split('=')[0] in str(caught.value)


def test_a_file_of_flags_that_is_not_there(monkeypatch):
  """Defining the flag reads such files, before anything is parsed."""
  delattr(flags.FLAGS, 'config')
  monkeypatch.setattr(sys, 'argv', ['program', '--flagfile=absent.flags'])
  with pytest.raises(config_flag.FlagError, match='Unable to open flagfile'):
    config_flag.define('A config.')
  monkeypatch.setattr(sys, 'argv', ['program'])
  config_flag.define('A config.')
