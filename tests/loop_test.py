"""Who acts, and with which parameters; resume_test runs the loop itself."""

import numpy as np
import pytest

from worldmodels.agents.runs import build
from worldmodels.agents.runs import loop
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.configs import dreamer


@pytest.mark.parametrize('key', ['optimizer', 'learner.actor.optimizer'])
@pytest.mark.parametrize('average', [0.0, 0.9])
def test_where_an_average_acts_what_is_learned_goes_on(key, average, tmp_path):
  config = dreamer.get_config('debug')
  config.task = 'hill'
  config.train.overlap = False
  config.optimizer.average = config.learner.actor.optimizer.average = 0.0
  config.update_from_flattened_dict({f'{key}.average': average})
  directory = RunDirectory(tmp_path / 'run')
  directory.claim(config)
  environment = build.environment(config)
  try:
    training = loop.Training(config, directory, environment)
  finally:
    environment.close()
  assert (training.actor is training.agent) == (not average)
  for _, optimizer in training.agent.optimized:
    if optimizer.keeps_average:
      for mean in optimizer.averages:
        mean.assign(mean.numpy() + 1.0)
  before = [x.numpy() for x in training.agent.trainable_variables]
  training.actor.copy_from(training.agent)
  for variable, value in zip(
    training.agent.trainable_variables, before, strict=True
  ):
    np.testing.assert_array_equal(variable, value, err_msg=variable.path)
