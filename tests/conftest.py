"""What several tests share."""

import fcntl
import os
import pathlib
import signal
import subprocess
import sys

import pytest
import reading_sources
from absl import flags

ROOT = pathlib.Path(__file__).parent.parent
# Files with few tests that take minutes.
SLOW = (
  'learns_test',
  'resume_test',
  'dreamer_run_test',
  'benchmark_test',
  'probe_tasks_test',
)


def pytest_configure(config):
  """Sets up a process of tests."""
  del config
  _hear_ctrl_c()
  _take_cores()


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


def pytest_collectstart(collector):
  """Forgets the flags of programs, which elsewhere have a process each.

  Two test files that import two programs would else define a flag twice.
  """
  del collector
  for module, found in flags.FLAGS.flags_by_module_dict().items():
    if module.startswith('worldmodels.agents.programs'):
      for flag in found:
        delattr(flags.FLAGS, flag.name)


def run_program(program, *flags, cwd=ROOT, timeout=280, **variables):
  """Runs a program to its end.

  Args:
    program: its name.
    *flags: of the program.
    cwd: folder to start it in.
    timeout: seconds.
    **variables: of the environment, beside those of this process.

  Returns:
    the finished process, with what it printed.
  """
  return subprocess.run(
    [sys.executable, '-m', 'worldmodels', program, *map(str, flags)],
    cwd=cwd,
    env={**os.environ, **variables},
    capture_output=True,
    text=True,
    timeout=timeout,
    check=False,
  )


@pytest.fixture(scope='session', autouse=True)
def every_module_has_one_name():
  """Finds modules of ours that tests have imported under a second name."""
  yield
  assert not reading_sources.other_names(sys.modules)


@pytest.fixture(scope='session')
def program():
  """The function `run_program`."""
  return run_program


@pytest.fixture(scope='session')
def debug_run(tmp_path_factory):
  """A finished run of the debug preset on our own task; copy to change it.

  The processes that share the tests share it: one trains, the others wait.
  """
  folder = tmp_path_factory.getbasetemp()
  if 'PYTEST_XDIST_WORKER' in os.environ:
    folder = folder.parent
  logdir = folder / 'debug_run'
  with open(folder / 'debug_run.lock', 'w') as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    if not logdir.exists():
      unfinished = folder / f'debug_run_{os.getpid()}'
      done = run_program(
        'train',
        '--config=planet:debug',
        '--config.task=hill',
        f'--logdir={unfinished}',
      )
      assert done.returncode == 0, done.stdout + done.stderr
      unfinished.rename(logdir)
  return logdir
