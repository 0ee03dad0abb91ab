"""What several tests share."""

import pathlib
import signal
import subprocess
import sys

import pytest
from absl import flags

ROOT = pathlib.Path(__file__).parent.parent
# Files with few tests that take minutes.
SLOW = ('learns_test', 'resume_test', 'dreamer_run_test', 'benchmark_test')


def pytest_configure(config):
  """Hears Ctrl-C, as programs do that are not started in the background.

  A shell lets its background jobs ignore it, and what they start inherits that.
  """
  del config
  if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
  """Puts slow files first, or one process waits for the other at the end."""
  names = list(SLOW)
  items.sort(key=lambda item: names.index(item.path.stem)
             if item.path.stem in names else len(names))


def pytest_collectstart(collector):
  """Forgets the flags of programs, which elsewhere have a process each.

  Two test files that import two programs would else define a flag twice.
  """
  del collector
  for module, found in flags.FLAGS.flags_by_module_dict().items():
    if module.startswith(('agents.run', 'data.')):
      for flag in found:
        delattr(flags.FLAGS, flag.name)


def run_program(*arguments, timeout=280):
  """Runs `python -m` with these arguments from the checkout, to its end."""
  return subprocess.run(
    [sys.executable, '-m', *map(str, arguments)],
    cwd=ROOT,
    capture_output=True,
    text=True,
    timeout=timeout,
  )


@pytest.fixture(scope='session')
def program():
  """The function `run_program`."""
  return run_program


@pytest.fixture(scope='session')
def debug_run(tmp_path_factory):
  """A finished run of the debug preset on our own task; copy to change it."""
  logdir = tmp_path_factory.mktemp('debug') / 'run'
  done = run_program(
    'agents.run.train',
    '--config=configs/planet.py:debug',
    '--config.task=hill',
    f'--logdir={logdir}',
  )
  assert done.returncode == 0, done.stdout + done.stderr
  return logdir
