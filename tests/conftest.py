"""What several tests share."""

import atexit
import fcntl
import functools
import gc
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest
import reading_sources
import warm
import wheel_environment
from absl import flags

ROOT = pathlib.Path(__file__).parent.parent
# Files that take ten seconds or more, the longest first.
SLOW = (
  'cluster_collecting_test',
  'learns_test',
  'loop_test',
  'users_kinds_test',
  'benchmark_test',
  'foreign_project_test',
  'resume_test',
  'workers_test',
  'several_learners_test',
  'bad_input_test',
  'probe_tasks_test',
  'dreamer_run_test',
  'agents_test',
  'composer_test',
  'dreamer_test',
  'gymnasium_tasks_test',
  'dynamics_test',
  'model_free_test',
  'report_test',
  'launch_test',
  'fit_test',
  'scenes_test',
  'sweep_program_test',
  'learners_test',
  'environments_test',
  'vectors_test',
  'evaluate_test',
  'wheel_programs_test',
  'planners_page_test',
  'configs_test',
  'play_test',
  'world_model_test',
)
# Files in which TensorFlow rewrites graphs before it computes them, as it does
# in programs: their numbers are those of programs, or they compute for long.
REWRITTEN = (
  'convolutions_test',
  'decoders_test',
  'encoder_test',
  'golden_test',
  'learns_test',
)
# Programs that import TensorFlow where nothing is found to be wrong before.
HEAVY = (
  *('compare', 'evaluate', 'export', 'fit', 'play', 'probe', 'report'),
  *('train', 'video'),
)
# A Ray until standard input ends.
CLUSTER = """
import sys
from worldmodels.agents.cluster import engine
with engine.Engine(slots=8, store_mb=128) as ray:
  print(ray.address, flush=True)
  sys.stdin.read()
"""


def pytest_addoption(parser):
  """Adds an option for what is too long for each time."""
  parser.addoption(
    '--all-programs',
    action='store_true',
    help='in wheel_programs_test.py start those too that take long',
  )


def pytest_configure(config):
  """Sets up a process of tests."""
  _hear_ctrl_c()
  _take_cores()
  if 'PYTEST_XDIST_WORKER' in os.environ:
    # It has told all. To take all its graphs apart would be ten seconds more.
    atexit.register(os._exit, 0)
  if not config.getoption('numprocesses', None):  # Else others do the tests.
    _build_graphs_quickly()


def _build_graphs_quickly():
  """Has no function of a test be translated by AutoGraph.

  As none of ours is; it would be a fifth of what the tests here take.
  """
  import tensorflow as tf

  tf.function = functools.partial(tf.function, autograph=False)


def _take_cores():
  """Gives each of the processes that share the tests cores of its own.

  With all cores for each of them, every operation would wait for the others.
  """
  worker = os.environ.get('PYTEST_XDIST_WORKER')
  if worker:
    count = int(os.environ['PYTEST_XDIST_WORKER_COUNT'])
    cores = sorted(os.sched_getaffinity(0))
    number = int(worker.removeprefix('gw'))
    os.sched_setaffinity(0, cores[number::count] or cores)


def _hear_ctrl_c():
  """Hears Ctrl-C, as programs do that are not started in the background.

  A shell lets its background jobs ignore it, and what they start inherits that.
  """
  if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
  """Puts slow files first, or one process waits for the other at the end."""
  names = list(SLOW)
  items.sort(
    key=lambda item: (
      names.index(item.path.stem) if item.path.stem in names else len(names)
    )
  )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
  """Gives the tests of clusters to one process: they share a Ray."""
  from xdist import scheduler

  class Files(scheduler.LoadFileScheduling):
    def _split_scope(self, nodeid):
      file = super()._split_scope(nodeid)
      return 'cluster' if file.startswith('tests/cluster_') else file

  return Files(config, log) if config.getoption('dist') == 'loadfile' else None


def pytest_collection_finish():
  """Has garbage be looked for seldom, and not among what was imported.

  It is never garbage, and was a twelfth of what tests of graphs take.
  """
  gc.collect()
  gc.freeze()
  gc.set_threshold(100_000, 20, 100)


def pytest_collectstart(collector):
  """Forgets the flags of programs, which elsewhere have a process each.

  Two test files that import two programs would else define a flag twice.
  """
  del collector
  for module, found in flags.FLAGS.flags_by_module_dict().items():
    if module.startswith('worldmodels.agents.programs'):
      for flag in [*found]:  # Which loses what is deleted.
        delattr(flags.FLAGS, flag.name)


def run_program(
  program,
  *flags,
  cwd=ROOT,
  timeout=280,
  limit=None,
  fresh=False,
  command=None,
  **variables,
):
  """Runs a program to its end.

  Args:
    program: its name.
    *flags: of the program.
    cwd: folder to start it in.
    timeout: seconds.
    limit: bytes to which a file may grow, like a disk that is full.
    fresh: started as a user does, else in a process of warm.py.
    command: path of `worldmodels` of an environment, which has no help of this
      process's variables; None for this Python's.
    **variables: of the environment, beside those of this process.

  Returns:
    the finished process, with what it printed.
  """
  python = command.parent / 'python' if command else sys.executable
  args = [str(command or 'worldmodels'), program, *map(str, flags)]
  kept = wheel_environment.variables() if command else os.environ
  env = {**kept, **variables}
  if not fresh:
    # A TensorFlow that cannot be imported must not be there already.
    places = env.get('PYTHONPATH', '').split(os.pathsep)
    there = any(os.path.exists(f'{x}/tensorflow.py') for x in places if x)
    heavy = program in HEAVY and not there
    how = dict(cwd=cwd, env=env, limit=limit, heavy=heavy, python=python)
    return warm.run(args, timeout=timeout, **how)
  return subprocess.run(
    args if command else [python, '-m', *args],
    cwd=cwd,
    env=env,
    capture_output=True,
    text=True,
    timeout=timeout,
    check=False,
  )


@pytest.fixture(scope='module', autouse=True)
def graphs_are_computed_as_they_are_written(request):
  """Except in files of REWRITTEN: to rewrite them is a tenth of most tests."""
  if 'tensorflow' in sys.modules:
    options = {'disable_meta_optimizer': request.path.stem not in REWRITTEN}
    sys.modules['tensorflow'].config.optimizer.set_experimental_options(options)


@pytest.fixture(scope='session', autouse=True)
def every_module_has_one_name():
  """Finds modules of ours that tests have imported under a second name."""
  yield
  assert not reading_sources.other_names(sys.modules)


@pytest.fixture(scope='session')
def program():
  """The function `run_program`."""
  return run_program


def shared(tmp_path_factory, name, make):
  """Returns a folder that the processes which share the tests share.

  Args:
    tmp_path_factory: of pytest.
    name: of the folder.
    make: makes what is in it, given its path; one process does, others wait.
  """
  base = tmp_path_factory.getbasetemp()
  if 'PYTEST_XDIST_WORKER' in os.environ:
    base = base.parent
  folder, whole = base / name, base / f'{name}.whole'
  with open(base / f'{name}.lock', 'w') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not whole.exists():
      shutil.rmtree(folder, ignore_errors=True)  # Making it has failed before.
      folder.mkdir()
      make(folder)
      whole.touch()
  return folder


@pytest.fixture(scope='session')
def debug_run(tmp_path_factory):
  """A finished run of the debug preset on our own task; copy to change it."""

  def train(folder):
    done = run_program(
      'train',
      '--config=planet:debug',
      '--config.task=hill',
      f'--logdir={folder / "run"}',
    )
    assert done.returncode == 0, done.stdout + done.stderr

  return shared(tmp_path_factory, 'debug_run', train) / 'run'


@pytest.fixture(scope='session')
def cluster():
  """The address of a Ray on loopback that all tests of clusters share.

  It is a process's own, which has it for its tests: to start one takes seconds.
  """
  token = {'RAY_AUTH_TOKEN': '0' * 64, 'RAY_AUTH_MODE': 'token'}
  os.environ.update(token)  # For who joins it.
  with subprocess.Popen(
    [sys.executable, '-c', CLUSTER],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
    cwd=ROOT,
  ) as process:
    yield process.stdout.readline().strip()
    process.stdin.close()
    process.wait()
  for key in token:
    os.environ.pop(key, None)


@pytest.fixture(scope='session')
def wheel(tmp_path_factory):
  """The wheel; beside it is an environment that has it, not the checkout."""

  def make(folder):
    wheel_environment.install(wheel_environment.build(folder), folder)

  folder = shared(tmp_path_factory, 'wheel', make)
  (wheel,) = folder.glob('*.whl')
  return wheel


@pytest.fixture(scope='session')
def wheel_program(wheel, tmp_path_factory):
  """The function `run_program` with the wheel, from an empty folder."""
  command = wheel_environment.commands(wheel.parent) / 'worldmodels'
  folder = tmp_path_factory.mktemp('empty')
  return functools.partial(run_program, cwd=folder, command=command)
