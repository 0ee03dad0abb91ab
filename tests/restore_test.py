"""Restoring by number; what a checkpoint is has a test of its own."""

import numpy as np
import pytest

from worldmodels.agents.runs import build
from worldmodels.agents.runs import checkpoint
from worldmodels.agents.runs import restore
from worldmodels.agents.runs import run_directory
from worldmodels.configs import dreamer
from worldmodels.spec import Spec


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


@pytest.mark.parametrize('average', [0.0, 0.9])
def test_an_agent_comes_back_with_the_weights_that_act(average, tmp_path):
  config, spec = dreamer.get_config('debug'), Spec(actions=2)
  config.optimizer.average = config.learner.actor.optimizer.average = average
  trained = build.agent(config, spec)
  run = run_directory.RunDirectory(tmp_path)
  for updates in (5, 10):
    for variable in trained.state_variables:
      variable.assign(variable.numpy() + 1)
    for _, optimizer in trained.optimized:
      for mean in optimizer.averages if average else ():
        mean.assign(mean.numpy() + 0.5)
    checkpoint.save(
      run.checkpoints, trained.state_variables, dict(updates=updates)
    )
    if updates == 5:
      trained.use_averages()  # What is to come back, of all variables.
      acting = [variable.numpy() for variable in trained.state_variables]
  agent, counters = restore.agent(run, config, spec, updates=5)
  assert counters == {'updates': 5}
  for variable, value in zip(agent.state_variables, acting, strict=True):
    np.testing.assert_array_equal(variable, value, err_msg=variable.path)
  assert restore.agent(run, config, spec)[1] == {'updates': 10}


def test_a_checkpoint_of_another_task_is_refused(tmp_path):
  config = dreamer.get_config('debug')
  run = run_directory.RunDirectory(tmp_path)
  agent = build.agent(config, Spec(actions=2))
  checkpoint.save(run.checkpoints, agent.state_variables, dict(updates=5))
  with pytest.raises(checkpoint.CheckpointError, match='does not match'):
    restore.agent(run, config, Spec(actions=3))
