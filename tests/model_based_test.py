import pathlib
import runpy

import numpy as np
import pytest
import tensorflow as tf

from agents import model_based
from agents.run import build

ROOT = pathlib.Path(__file__).parent.parent
SEED = tf.constant([1, 2])


def make(average):
  config = runpy.run_path(str(ROOT / 'configs/dreamer.py'))['get_config'](
    'debug'
  )
  config.optimizer.average = config.actor.optimizer.average = average
  return build.agent_for(config, 2, {})


def shift(variables, by):
  for variable in variables:
    variable.assign(variable.numpy() + by)


@pytest.mark.parametrize('average', [0.0, 0.9])
def test_an_actor_adopts_what_its_learner_learned_or_its_average(average):
  learner, actor = make(average), make(average)
  for layer, _ in learner.learned:
    shift(layer.variables, 1.0)
  for _, optimizer in learner.learned:
    if average:
      shift(optimizer.averages, 5.0)
  actor.adopt(learner)
  for (mine, _), (theirs, optimizer) in zip(actor.learned, learner.learned):
    for variable, value in zip(
      mine.trainable_variables, optimizer.averages, strict=True
    ):
      np.testing.assert_array_equal(variable, value, err_msg=variable.path)
    trained = {id(x) for x in mine.trainable_variables}
    for variable, value in zip(mine.variables, theirs.variables, strict=True):
      if id(variable) not in trained:  # There is no average of it.
        np.testing.assert_array_equal(variable, value, err_msg=variable.path)
  # The learner itself goes on from where it was.
  before = [x.numpy() for x in learner.model.trainable_variables]
  learner.adopt(learner)
  same = [
    np.array_equal(x, y)
    for x, y in zip(learner.model.trainable_variables, before)
  ]
  assert all(same) == (not average)


@pytest.mark.parametrize('average', [0.0, 0.9])
def test_it_is_known_whether_an_average_acts(average):
  assert make(average).averages == bool(average)


def test_noise_on_continuous_actions_is_clipped():
  action = tf.constant([[0.0, 0.95], [-0.5, 0.2]])
  noisy = model_based.explore(
    tf.repeat(action, 5000, axis=0), 0.3, SEED, False
  ).numpy().reshape([2, 5000, 2])
  assert np.abs(noisy).max() == 1.0
  assert noisy[0, :, 0].std() == pytest.approx(0.3, abs=0.02)
  assert noisy[1].mean(0) == pytest.approx([-0.5, 0.2], abs=0.03)
  np.testing.assert_array_equal(
    model_based.explore(action, 0.0, SEED, False), action
  )


def test_noise_on_discrete_actions_is_another_choice():
  action = tf.one_hot([0, 2], 4)
  noisy = model_based.explore(
    tf.repeat(action, 5000, axis=0), 0.4, SEED, True
  ).numpy().reshape([2, 5000, 4])
  np.testing.assert_array_equal(noisy.sum(-1), 1)
  np.testing.assert_allclose(noisy[0].mean(0), [0.7, 0.1, 0.1, 0.1], atol=0.03)
  np.testing.assert_allclose(noisy[1].mean(0), [0.1, 0.1, 0.7, 0.1], atol=0.03)
  np.testing.assert_array_equal(
    model_based.explore(action, 0.0, SEED, True), action
  )
