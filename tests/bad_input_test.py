"""What a user may get wrong: one clear line, a status, no trace, nothing lost.

Most of it has to be found before TensorFlow is imported, which takes seconds:
those programs get a TensorFlow that cannot be imported.
"""

import dataclasses
import functools
import json
import os
import pathlib
import resource
import subprocess
import sys

import numpy as np
import pytest

from worldmodels.agents.runs import checkpoint
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.configs import planet
from worldmodels.spec import Spec

ROOT = pathlib.Path(__file__).parent.parent
DEBUG = '--config=planet:debug'
HILL = '--config.task=hill'
CARTPOLE = '--config.task=cartpole_balance'
STRANGE = 'tests.strange_tasks:{}'
NO_EGL = {'MUJOCO_GL': 'egl', '__EGL_VENDOR_LIBRARY_FILENAMES': os.devnull}

# Some of these train on a machine that may have other things to do.
pytestmark = pytest.mark.timeout(900)


def run(program, *flags, path=(), limit=None, **variables):
  """Runs a program; its PYTHONPATH begins with `path`.

  Args:
    program: its name.
    *flags: of the program.
    path: folders.
    limit: bytes to which a file may grow, like a disk that is full.
    **variables: of the environment.
  """
  search = os.pathsep.join([*map(str, path), os.environ.get('PYTHONPATH', '')])
  bound = functools.partial(
    resource.setrlimit, resource.RLIMIT_FSIZE, (limit, limit)
  )
  return subprocess.run(
    [sys.executable, '-m', 'worldmodels', program, *map(str, flags)],
    cwd=ROOT,
    env={**os.environ, 'PYTHONPATH': search, **variables},
    preexec_fn=None if limit is None else bound,
    capture_output=True,
    text=True,
    timeout=600,
    check=False,
  )


def told(done):
  """The one line that a program that failed ended with."""
  assert done.returncode in (1, 2), done.stdout + done.stderr
  assert 'Traceback' not in done.stderr + done.stdout, done.stderr
  errors = [line for line in done.stderr.splitlines() if 'error:' in line]
  assert len(errors) == 1 and errors[0].startswith('error: '), done.stderr
  assert done.stderr.endswith(errors[0] + '\n')
  return errors[0]


def contents(directory):
  """{path: bytes} of all that is in a directory."""
  return {
    path: path.read_bytes() if path.is_file() else None
    for path in directory.rglob('*')
  }


@pytest.fixture
def no_tensorflow(tmp_path):
  """A folder with a TensorFlow that cannot be imported."""
  folder = tmp_path / 'no_tensorflow'
  folder.mkdir()
  for name in ('tensorflow', 'keras'):
    (folder / f'{name}.py').write_text('raise RuntimeError("too early")\n')
  return folder


@pytest.fixture
def mujoco_4(tmp_path):
  """A folder that pretends that another MuJoCo is installed."""
  folder = tmp_path / 'mujoco_4'
  metadata = folder / 'mujoco-4.0.0.dist-info' / 'METADATA'
  metadata.parent.mkdir(parents=True)
  metadata.write_text('Metadata-Version: 2.1\nName: mujoco\nVersion: 4.0.0\n')
  return folder


def begun(path, checkpoints=(5, 10), **values):
  """A directory as of a run of the debug preset, for what goes no further."""
  config = planet.get_config('debug')
  for key, value in values.items():
    config[key] = value
  path.mkdir()
  (path / 'config.json').write_text(json.dumps(config.to_dict()))
  (path / 'spec.json').write_text(json.dumps(Spec(actions=1).to_dict()))
  for updates in checkpoints:
    checkpoint.save(path / 'checkpoints', [], dict(updates=updates))
  return path


@dataclasses.dataclass(frozen=True)
class Case:
  """Flags, and what the line has to say."""

  flags: tuple
  says: str
  variables: dict = dataclasses.field(default_factory=dict)


def case(*args, **variables):
  *flags, says = args
  return Case(tuple(flags), says, variables)


# ----------------------------------------------- a new run, quickly refused ---

NEW = {
  'unknown task': case(
    '--config.task=cartpol_swingup',
    "unknown task 'cartpol_swingup': did you mean cartpole_swingup",
  ),
  # More of this kind is in config_flag_test.py.
  'misspelt key': case(
    '--config.dynamics.detr=8',
    "'dynamics.detr' in the config; did you mean 'dynamics.deter'?",
  ),
  'wrong type': case(
    '--config.dynamics.deter=many',
    '--config.dynamics.deter=many: invalid literal',
  ),
  'wrong boolean': case(
    '--config.train.overlap=perhaps', '--config.train.overlap=perhaps'
  ),
  'wrong part of a tuple': case(
    '--config.encoder.channels=(8,many)', 'encoder.channels'
  ),
  'no value': case('--config.dynamics.deter', 'Missing value'),
  'missing file of flags': case(
    '--flagfile=absent.flags', 'Unable to open flagfile'
  ),
  'misspelt flag': case('--confg.seed=1', "flag 'confg.seed'"),
  'stray argument': case('hill', "unexpected argument 'hill'"),
  'missing preset': case('--config=planet:huge', "no preset 'huge'"),
  'missing config file': case(
    '--config=configs/plant.py', "no file 'configs/plant.py'"
  ),
  'missing config': case('--config=plant:cpu', 'of the package are'),
  'config file of something else': case(
    '--config=tests/frail_task.py', 'get_config'
  ),
  'seed': case('--config.seed=-1', 'seed is -1; it is 0 to'),
  'contradiction': case(
    '--config.planner.elites=99', 'planner.elites is 99; it is 1 to'
  ),
  'quality': case('--config.environment.quality=good', 'near, fast'),
  'vector': case(
    HILL, '--config.environment.vectors=weight', 'only: position, velocity'
  ),
  'image of the wrong type': case(
    f'--config.task={STRANGE.format("float_image")}',
    'its image is float32 [64, 64, 3], expected uint8 [64, 64, 3]',
  ),
  'action of whole numbers': case(
    f'--config.task={STRANGE.format("integers")}', 'expected one array of'
  ),
  'missing module': case(
    '--config.task=my_lab.reacher:load', "no module 'my_lab'"
  ),
  'missing function': case(
    f'--config.task={STRANGE.format("lod")}', "has no function 'lod'"
  ),
  'missing colon': case(
    '--config.task=tests.strange_tasks', "unknown task 'tests.strange_tasks'"
  ),
  'unknown OpenGL': case(CARTPOLE, 'MUJOCO_GL=vulkan is', MUJOCO_GL='vulkan'),
  'no OpenGL': case(CARTPOLE, 'apt-get install', **NO_EGL),
}


@pytest.mark.parametrize('name', NEW)
def test_a_new_run_is_refused(name, tmp_path, no_tensorflow):
  logdir = tmp_path / 'run'
  flags = NEW[name].flags
  config = (
    [] if any(flag.startswith('--config=') for flag in flags) else [DEBUG]
  )
  done = run(
    'train',
    f'--logdir={logdir}',
    *config,
    *flags,
    path=[no_tensorflow],
    **NEW[name].variables,
  )
  assert NEW[name].says in told(done)
  # What is mended need not be put anywhere else.
  assert not logdir.exists() or not list(logdir.iterdir())


@pytest.mark.parametrize('program', ['train', 'evaluate', 'video'])
def test_no_logdir(program, no_tensorflow):
  assert '--logdir is missing' in told(run(program, path=[no_tensorflow]))


def test_another_mujoco(tmp_path, no_tensorflow, mujoco_4):
  path = [no_tensorflow, mujoco_4]
  existing = begun(tmp_path / 'existing')
  for done in (
    run('train', f'--logdir={tmp_path / "new"}', path=path),
    run('evaluate', f'--logdir={existing}', path=path),
  ):
    assert 'mujoco 4.0.0 is installed; dm_control' in told(done)
    assert 'pip install mujoco==3.' in told(done)


# ------------------------------------------------------ a directory of ours ---

OTHERS = {
  'task': case(HILL, 'task: cartpole_balance here, hill asked'),
  'config': case(
    '--config.dynamics.deter=25', 'dynamics.deter: 24 here, 25 asked'
  ),
  'quality': case(
    '--config.environment.quality=near',
    'environment.quality: fast here, near asked',
  ),
  'preset': case('--config=planet:cpu', 'a run of another config'),
}


@pytest.mark.parametrize('name', OTHERS)
def test_a_run_of_something_else_is_not_continued(
  name, tmp_path, no_tensorflow
):
  logdir = begun(tmp_path / 'run')
  before = contents(logdir)
  done = run(
    'train',
    DEBUG,
    *OTHERS[name].flags,
    f'--logdir={logdir}',
    path=[no_tensorflow],
  )
  assert OTHERS[name].says in told(done)
  assert contents(logdir) == before


def test_two_programs_do_not_train_in_one_directory(tmp_path, no_tensorflow):
  logdir = begun(tmp_path / 'run', task='hill')
  config = RunDirectory(logdir).load()
  mine = RunDirectory(logdir)
  mine.claim(config)
  done = run('train', DEBUG, HILL, f'--logdir={logdir}', path=[no_tensorflow])
  assert 'another program is training' in told(done)


@pytest.mark.parametrize('program', ['train', 'evaluate', 'video'])
def test_a_directory_of_something_else(program, tmp_path, no_tensorflow):
  (tmp_path / 'thesis').mkdir()
  (tmp_path / 'thesis' / 'text').write_text('words')
  before = contents(tmp_path / 'thesis')
  flags = [DEBUG, HILL] if program == 'train' else []
  done = run(
    program, *flags, f'--logdir={tmp_path / "thesis"}', path=[no_tensorflow]
  )
  assert 'not a run' in told(done)
  assert contents(tmp_path / 'thesis') == before


def test_a_directory_that_cannot_be_written(tmp_path, no_tensorflow):
  """As root one may write anywhere, but not below a file."""
  file = tmp_path / 'file'
  file.write_text('words')
  for logdir in (file, file / 'below', '/proc/none/run'):
    done = run('train', DEBUG, HILL, f'--logdir={logdir}', path=[no_tensorflow])
    assert str(logdir).split('/below')[0].split('/run')[0] in told(done)
  assert file.read_text() == 'words'


def test_a_disk_that_is_full_from_the_start(tmp_path, no_tensorflow):
  logdir = tmp_path / 'run'
  done = run(
    'train', DEBUG, HILL, f'--logdir={logdir}', limit=100, path=[no_tensorflow]
  )
  assert f'{logdir / "config.json"}: File too large; what was' in told(done)
  assert not list(logdir.iterdir())


# ------------------------------------------------------- evaluate and video ---

BOTH = ['evaluate', 'video']
EXISTING = {
  'stray argument': case('10', "unexpected argument '10'"),
  'misspelt flag': case('--epsodes=3', 'did you mean episodes'),
  'wrong type': case('--episodes=ten', '--episodes=ten: invalid literal'),
  'none': case('--episodes=0', '--episodes=0'),
  'missing file of flags': case(
    '--flagfile=absent.flags', 'Unable to open flagfile'
  ),
  'absent checkpoint': case(
    '--checkpoint=7', 'no checkpoint of 7 updates; there: 5, 10'
  ),
}


@pytest.mark.parametrize('program', BOTH)
@pytest.mark.parametrize('name', EXISTING)
def test_wrong_flags(program, name, tmp_path, no_tensorflow):
  logdir = begun(tmp_path / 'run')
  before = contents(tmp_path)
  done = run(
    program, f'--logdir={logdir}', *EXISTING[name].flags, path=[no_tensorflow]
  )
  assert EXISTING[name].says in told(done) and not done.stdout
  assert contents(tmp_path) == before


@pytest.mark.parametrize('program', BOTH)
def test_no_run_and_an_empty_one(program, tmp_path, no_tensorflow):
  logdir = tmp_path / 'run'
  flag = f'--logdir={logdir}'
  assert 'not a run' in told(run(program, flag, path=[no_tensorflow]))
  begun(logdir, checkpoints=())
  assert 'no checkpoint yet' in told(run(program, flag, path=[no_tensorflow]))
  (logdir / 'config.json').unlink()
  assert 'not a run' in told(run(program, flag, path=[no_tensorflow]))


@pytest.mark.parametrize('program', ['train', *BOTH])
def test_a_run_of_an_earlier_version(program, tmp_path, no_tensorflow):
  logdir = begun(tmp_path / 'run', task='hill')
  config = json.loads((logdir / 'config.json').read_text())
  config['rssm'] = config.pop('dynamics')
  (logdir / 'config.json').write_text(json.dumps(config))
  before = contents(logdir)
  flags = [DEBUG, HILL] if program == 'train' else []
  done = run(program, f'--logdir={logdir}', *flags, path=[no_tensorflow])
  assert f'{logdir} is a run of an earlier version' in told(done)
  assert contents(logdir) == before


@pytest.mark.parametrize('program', BOTH)
@pytest.mark.parametrize(
  'content, says',
  [
    (None, 'holds no spec.json: not a run'),
    ('{"actions": ', 'spec.json is damaged: '),
    ('{"actions": 0}', 'spec.json is damaged: '),
  ],
)
def test_what_the_task_shows_is_not_known(
  program, content, says, tmp_path, no_tensorflow
):
  logdir = begun(tmp_path / 'run', task='hill')
  (logdir / 'spec.json').unlink()
  if content is not None:
    (logdir / 'spec.json').write_text(content)
  done = run(program, f'--logdir={logdir}', path=[no_tensorflow])
  assert says in told(done) and not done.stdout


def test_evaluate_finds_a_task_that_has_changed(tmp_path, no_tensorflow):
  """The run is of two actions, the task of one."""
  logdir = begun(tmp_path / 'run', task='hill')
  spec = Spec(actions=2).to_dict()
  (logdir / 'spec.json').write_text(json.dumps(spec))
  done = run('evaluate', f'--logdir={logdir}', path=[no_tensorflow])
  assert 'a task with other actions: 2 here, 1 now' in told(done)


EVALUATE = {
  'image of the wrong type': ('float_image', {}, 'its image is float32'),
  'missing function': ('gone', {}, "has no function 'gone'"),
  'missing module': ('my_lab.reacher:load', {}, "no module 'my_lab'"),
  'unknown task': ('hil', {}, 'did you mean hill?'),
  'no OpenGL': ('cartpole_balance', NO_EGL, 'apt-get install'),
}


@pytest.mark.parametrize('name', EVALUATE)
def test_evaluate_needs_the_environment(name, tmp_path, no_tensorflow):
  task, variables, says = EVALUATE[name]
  if name in ('image of the wrong type', 'missing function'):
    task = STRANGE.format(task)
  logdir = begun(tmp_path / 'run', task=task)
  done = run(
    'evaluate', f'--logdir={logdir}', path=[no_tensorflow], **variables
  )
  assert says in told(done) and not done.stdout


@pytest.mark.parametrize(
  'out, says',
  [
    ('dream.avi', '.webm, .mp4, .webp, .gif'),
    ('none/dream.webm', 'there is no none'),
    ('LICENSE/dream.webm', 'there is no LICENSE'),
  ],
)
def test_a_film_that_cannot_be_written(out, says, tmp_path, no_tensorflow):
  logdir = begun(tmp_path / 'run')
  done = run(
    'video', f'--logdir={logdir}', f'--out={out}', path=[no_tensorflow]
  )
  assert says in told(done) and not done.stdout
  assert not (ROOT / out).exists()


@pytest.mark.parametrize('program', ['train', *BOTH])
def test_the_only_checkpoint_is_damaged(program, tmp_path, no_tensorflow):
  """Nothing is begun anew, and what is left is left as it is."""
  logdir = begun(tmp_path / 'run', checkpoints=[10], task='hill')
  file = logdir / 'checkpoints' / '00000010' / 'variables.npz'
  file.write_bytes(file.read_bytes()[:-1])
  before = contents(logdir)
  flags = [DEBUG, HILL] if program == 'train' else []
  done = run(program, f'--logdir={logdir}', *flags, path=[no_tensorflow])
  assert 'can be restored: all 1 are damaged (' in told(done)
  assert contents(logdir) == before


# ---------------------------------------------------------- with TensorFlow ---


def test_a_loss_that_is_not_a_number(tmp_path):
  """20 updates without effect end the run; what there was stays."""
  done = run(
    'train',
    DEBUG,
    HILL,
    '--noconfig.train.overlap',
    '--config.train.updates=30',
    '--config.overshooting.steps=0',
    '--config.heads.image.share=1',
    f'--logdir={tmp_path}',
    '--poison_from=3',
  )
  assert '20 updates in a row were not finite (last update 23)' in told(done)
  assert f'checkpoint is {tmp_path}/checkpoints/00000000' in told(done)
  (path,) = tmp_path.glob('checkpoints/*/variables.npz')
  with np.load(path) as file:
    assert all(np.isfinite(file[key]).all() for key in file.files)
  assert len(list(tmp_path.glob('episodes/*.npz'))) == 2


def test_a_reward_that_is_not_a_number(tmp_path):
  task = STRANGE.format('nan_reward')
  done = run('train', DEBUG, f'--config.task={task}', f'--logdir={tmp_path}')
  assert f'task {task!r}: its reward is nan: expected a finite' in told(done)
  assert not list(tmp_path.glob('episodes/*.npz'))


def test_a_disk_that_fills_up(tmp_path):
  """Episodes have 600 KB: with them it is full, and then there is room."""
  flags = [DEBUG, HILL, f'--logdir={tmp_path}']
  done = run('train', *flags, limit=100_000)
  assert 'File too large; what was written before is whole' in told(done)
  assert f'error: {tmp_path}/episodes/000000-' in told(done)
  assert [path.name for path in (tmp_path / 'episodes').iterdir()] == [
    'metadata.json'
  ]
