"""Restoring by number; what a checkpoint is has a test of its own."""

import shutil

import numpy as np
import pytest

from agents import checkpoint
from agents.run import restore
from agents.run import run_directory


class Variable:
  """As much of a variable as a checkpoint needs."""

  path = 'model/weight'

  def __init__(self, value):
    self._value = np.float32(value)

  def numpy(self):
    return self._value

  def assign(self, value):
    self._value = value


@pytest.fixture
def directory(tmp_path):
  """A run with checkpoints of 100, 200 and 300 updates."""
  run = run_directory.RunDirectory(tmp_path)
  for updates in (100, 200, 300):
    checkpoint.save(run.checkpoints, [Variable(updates)], dict(updates=updates))
  return run


@pytest.mark.parametrize('wanted,found', [(None, 300), (200, 200), (100, 100)])
def test_restores_the_one_that_is_wanted(directory, wanted, found):
  variable = Variable(0)
  restore.check(directory, wanted)
  counters = checkpoint.restore(
    directory.checkpoints, [variable], updates=wanted
  )
  assert counters == {'updates': found} and variable.numpy() == found


def test_absent_number_names_those_there(directory):
  with pytest.raises(checkpoint.CheckpointError, match='250.*100, 200, 300'):
    restore.check(directory, 250)


def test_damaged_one_is_not_replaced_by_another(directory):
  """Whoever names a checkpoint wants that one or none."""
  path = directory.checkpoints / '00000200' / 'variables.npz'
  path.write_bytes(path.read_bytes()[:50])
  variable, lines = Variable(0), []
  with pytest.raises(checkpoint.CheckpointError, match='can be restored'):
    checkpoint.restore(directory.checkpoints, [variable], lines.append, 200)
  assert variable.numpy() == 0 and len(lines) == 1


def test_run_without_a_checkpoint(tmp_path):
  run = run_directory.RunDirectory(tmp_path)
  for wanted in (None, 100):
    with pytest.raises(run_directory.RunError, match='no checkpoint yet'):
      restore.check(run, wanted)


@pytest.mark.parametrize('name', ['evaluate', 'video'])
def test_programs_say_so_in_one_line(name, debug_run, program, tmp_path):
  """A directory that is no run, and a run that has just begun."""
  arguments = [f'agents.run.{name}', f'--logdir={tmp_path}']
  for what in ('not a run', 'no checkpoint yet'):
    done = program(*arguments)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.count('\n') == 1 and what in done.stderr
    shutil.copy(debug_run / 'config.json', tmp_path)


@pytest.mark.parametrize('name', ['evaluate', 'video'])
def test_help_and_wrong_flags(name, program, tmp_path):
  logdir = f'--logdir={tmp_path}'
  done = program(f'agents.run.{name}', '--help')
  assert '--checkpoint' in done.stdout
  for wrong in (
    [],
    [logdir, 'stray'],
    [logdir, '--episodes=0'],
    ['--logdri=x'],
  ):
    done = program(f'agents.run.{name}', *wrong)
    assert done.returncode and 'Traceback' not in done.stderr
    assert done.stderr.startswith('error: ') and done.stderr.count('\n') == 1
