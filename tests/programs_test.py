"""What a user sees of `worldmodels` and its programs, whatever they are.

Also under the names that they had before there was one command (evaluate_test
uses one), and for users whose own packages are called data, agents and configs.
"""

import os
import pathlib
import re

import pytest
import warm

from worldmodels.agents.runs import config_checks
from worldmodels.configs import dreamer

ROOT = pathlib.Path(__file__).parent.parent
FOLDER = ROOT / 'agents' / 'programs'
# A file with a `main` is a program, but for the one that starts them all.
PROGRAMS = sorted(
  path.stem
  for path in FOLDER.glob('*.py')
  if path.stem != 'launch' and '\ndef main(' in path.read_text()
)
OLD = {
  'train': 'agents.run.train',
  'evaluate': 'agents.run.evaluate',
  'video': 'agents.run.video',
  'check': 'data.check',
}
# Of a project that has all names which a checkout has at its top.
LEVELS = "SIDE = 20\nOWNER = 'my_lab'\n"
TASK = """
import agents.navigation
import dm_env
import numpy as np
from data import levels
from dm_env import specs


class Ball(dm_env.Environment):
  step_limit = 10

  def __init__(self, seed):
    self._shade = np.random.default_rng(seed)

  def reset(self):
    self._steps = 0
    return dm_env.restart(self._observe())

  def step(self, action):
    self._steps += agents.navigation.SPEED
    return dm_env.transition(1.0, self._observe())

  def action_spec(self):
    return specs.BoundedArray((1,), np.float32, -1, 1)

  def observation_spec(self):
    return {'image': specs.BoundedArray((64, 64, 3), np.uint8, 0, 255)}

  def _observe(self):
    image = self._shade.integers(0, 255, (64, 64, 3), np.uint8)
    image[: levels.SIDE] = 5 * self._steps
    return {'image': image}


load = Ball
"""
CONFIG = """
import configs
from data import levels
from worldmodels.configs import planet


def get_config(preset):
  config = planet.get_config('debug')
  config.task = f'{levels.OWNER}.{configs.TASK}_{preset}:load'
  return config
"""
PROJECT = {
  'my_lab/__init__.py': '',
  'my_lab/ball.py': TASK,
  'data/__init__.py': '',
  'data/levels.py': LEVELS,
  'agents/__init__.py': '',
  'agents/navigation.py': 'SPEED = 1\n',
  'configs/__init__.py': "TASK = 'gone'\n",
  'mine.py': CONFIG,
}


def run(*arguments, cwd=ROOT, path=(), status=0):
  """Runs `python -m` with these arguments; returns what it printed.

  Args:
    *arguments: module, flags.
    cwd: folder.
    path: folders with which PYTHONPATH begins.
    status: as which it has to end.
  """
  search = [*map(str, path), os.environ.get('PYTHONPATH')]
  env = {**os.environ, 'PYTHONPATH': os.pathsep.join(filter(None, search))}
  done = warm.run(arguments, cwd=cwd, env=env, heavy=False, timeout=280)
  assert done.returncode == status, done.stdout + done.stderr
  assert 'Traceback' not in done.stderr
  return done.stderr if status else done.stdout


@pytest.fixture
def no_tensorflow(tmp_path):
  """A folder with a TensorFlow that cannot be imported."""
  folder = tmp_path / 'no_tensorflow'
  folder.mkdir()
  for name in ('tensorflow', 'keras'):
    (folder / f'{name}.py').write_text('raise RuntimeError("too early")\n')
  return folder


@pytest.fixture(scope='module')
def project(tmp_path_factory):
  """The root of a user's project."""
  root = tmp_path_factory.mktemp('project')
  for name, text in PROJECT.items():
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text(text)
  return root


def flags_of(name):
  """The flags of a program: of its file, and of those that define some for it.

  Those of run_config.py are written --config.KEY=VALUE and not listed. What
  played_flags.py has are functions that are called as their flags.
  """
  text = (FOLDER / f'{name}.py').read_text()
  shared = re.findall(r'\b(\w+)\.define\(', text)
  played = re.findall(r'\bplayed_flags\.(\w+)\(', text)
  for module in {*shared} - {'run_config', 'config_flag'}:
    text += (FOLDER / f'{module}.py').read_text()
  return [*re.findall(r"flags\.DEFINE_\w+\(\s*'(\w+)'", text), *played]


# ------------------------------------------------------------------ help ---


def test_help_lists_every_program(no_tensorflow):
  assert {'train', 'evaluate', 'video', 'check'} <= {*PROGRAMS}
  printed = run('worldmodels', '--help', path=[no_tensorflow])
  assert re.findall(r'^  (\w+) +[A-Z]', printed, re.MULTILINE) == PROGRAMS
  assert max(map(len, printed.splitlines())) <= 80
  assert run('worldmodels', 'help') == run('worldmodels', '-h') == printed
  # Without anything to do, that is how it should have been started.
  assert run('worldmodels', status=2) == printed


@pytest.mark.parametrize('name', PROGRAMS)
def test_help_of_a_program_names_its_flags(name, no_tensorflow):
  printed = run('worldmodels', name, '--help', path=[no_tensorflow])
  text = (FOLDER / f'{name}.py').read_text()
  assert printed.startswith(text.split('"""')[1].strip())
  named = re.findall(r'^  --(?:\[no\])?(\w+) ', printed, re.MULTILINE)
  own = ['config'] if 'config_flag.define(' in text else []
  internal = {'train': ['poison_from'], 'benchmark': ['child']}.get(name, [])
  assert named == sorted({*flags_of(name), *own} - {*internal})
  assert max(map(len, printed.splitlines())) <= 80


def test_help_says_what_is_needed_and_what_is_taken(no_tensorflow):
  printed = run('worldmodels', 'evaluate', '--helpshort', path=[no_tensorflow])
  assert '--logdir         Directory of the run. Required.\n' in printed
  assert '--episodes       How many to run. Default: 10.\n' in printed
  assert printed.count('Required.') == 1
  # Also where something else is wrong.
  wrong = ['--nothing', '--help', 'stray']
  assert run('worldmodels', 'evaluate', *wrong, path=[no_tensorflow]) == printed


def test_help_with_a_config_lists_its_keys(no_tensorflow):
  printed = run(
    *('worldmodels', 'train', '--config=dreamer:cpu', '--help'),
    path=[no_tensorflow],
  )
  # Value, range and comment.
  assert re.search(r'\n  train.batch=8 +\[1, 65536\] chunks \[P\]\n', printed)
  assert re.search(r'\n  optimizer.rate=0.0008 +\(0, 1\] learning', printed)
  assert re.search(r'\n  learner.kind=actor_critic +\{actor_critic, m', printed)
  # Every key, a group after the other, and what the letters mean.
  config = config_checks.flatten(dreamer.get_config('cpu').to_dict())
  named = re.findall(r'^  ([a-z]\w*(?:\.\w+)*)=', printed, re.MULTILINE)
  assert sorted(named) == sorted(config)
  groups = [name.partition('.')[0] for name in named]
  changes = [x for x, y in zip(groups, ['', *groups]) if x != y]
  assert len(changes) == len({*groups})
  assert '[P] is the paper' in printed
  assert max(map(len, printed.splitlines())) <= 80


def test_help_of_a_config_that_is_not_there(no_tensorflow):
  told = run(
    *('worldmodels', 'train', '--config=dreamer:cup', '--help'),
    path=[no_tensorflow],
    status=2,
  )
  assert "no preset 'cup' of dreamer" in told and told.count('\n') == 1


@pytest.mark.parametrize(
  'name', ['trian', 'launch', 'config_flag', '--logdir=run', '../train', '']
)
def test_an_unknown_program_is_one_line(name, no_tensorflow):
  told = run('worldmodels', name, path=[no_tensorflow], status=2)
  programs = ', '.join(PROGRAMS)
  assert told == f'error: no program {name!r}; there are {programs}\n'


def test_version(no_tensorflow):
  printed = run('worldmodels', '--version', path=[no_tensorflow])
  assert re.fullmatch(
    r'\d+\.\d+\S*|a checkout that is not installed', printed[:-1]
  )


# ------------------------------------------------------------- old names ---


@pytest.mark.parametrize('name', OLD)
def test_old_commands_have_the_same_help(name, no_tensorflow):
  printed = run(OLD[name], '--help', path=[no_tensorflow])
  assert printed == run('worldmodels', name, '--help', path=[no_tensorflow])


@pytest.mark.parametrize('name', OLD)
def test_old_commands_find_what_is_wrong(name, no_tensorflow):
  told = run(OLD[name], '--no_such_flag=1', path=[no_tensorflow], status=2)
  assert told.startswith("error: Unknown command line flag 'no_such_flag'")
  assert told.count('\n') == 1


# ---------------------------------------------------------- user's project ---

WAYS = {
  # How it is started, where, and what is on PYTHONPATH.
  'old name, checkout': ('data.check', ROOT, lambda project: [project]),
  'checkout': ('worldmodels check', ROOT, lambda project: [project]),
  'project': ('worldmodels check', None, lambda project: [ROOT]),
  'elsewhere': (
    'worldmodels check',
    '/',
    lambda project: [ROOT, project],
  ),
}


@pytest.mark.parametrize('way', WAYS)
def test_a_task_finds_the_users_packages(way, project):
  program, cwd, path = WAYS[way]
  printed = run(
    *program.split(),
    '--task=my_lab.ball:load',
    '--episodes=1',
    cwd=cwd or project,
    path=path(project),
  )
  assert 'length       10 agent steps' in printed
  assert printed.endswith('sound        no problem found\n')


@pytest.mark.parametrize('cwd', ['checkout', 'project'])
def test_a_config_finds_the_users_packages_and_ours(
  cwd, project, no_tensorflow
):
  """The task that it names is not there, so that nothing is trained."""
  told = run(
    'worldmodels',
    'train',
    f'--config={project / "mine.py"}:fast',
    f'--logdir={no_tensorflow.parent / "run"}',
    cwd=ROOT if cwd == 'checkout' else project,
    path=[no_tensorflow, *([project] if cwd == 'checkout' else [ROOT])],
    status=1,
  )
  assert "task 'my_lab.gone_fast:load': no module 'my_lab.gone_fast'" in told
  assert told.count('\n') == 1


def test_a_config_of_the_package_from_any_directory(tmp_path, no_tensorflow):
  told = run(
    'worldmodels',
    'train',
    '--config=planet:debug',
    '--config.task=nohill',
    '--logdir=run',
    cwd=tmp_path,
    path=[no_tensorflow, ROOT],
    status=1,
  )
  assert told == "error: unknown task 'nohill': did you mean hill?\n"
