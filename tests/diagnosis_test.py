"""On a world that adds its actions up, everything can be said by hand."""

import numpy as np
import pytest
import tensorflow as tf
import worlds

from worldmodels.agents import diagnosis
from worldmodels.agents.learners import actor_critic
from worldmodels.spec import Spec

GAMMA, STEP = 0.9, 0.1
B, CONTEXT, H = 3, 2, 4
PLACES = np.array([0.5, -0.25, 1.0], np.float32)
OPTIMIZER = dict(rate=1e-3, epsilon=1e-8, clip=1e6)


def learner():
  """An actor that always moves by STEP, a critic that says twice the place."""
  made = actor_critic.Learner(
    features_size=1,
    spec=Spec(actions=1),
    actor=dict(
      kind='bounded_normal',
      distributions=dict(bounded_normal=dict(min_std=0.0, max_std=0.0)),
      layers=0,
      optimizer=OPTIMIZER,
    ),
    critic=dict(kind='normal', layers=0, optimizer=OPTIMIZER),
    **dict(horizon=9, gamma=GAMMA, lambda_=0.95, starts=0, mix=0.0),
    **dict(entropy=0.0, normalize=0.0, normalize_decay=0.9),
    gradient='pathwise',
  )
  kernel, bias = made.actor.variables
  kernel.assign(tf.zeros_like(kernel))
  bias.assign([np.arctanh(STEP), 0.0])
  kernel, bias = made.critic.head.variables
  kernel.assign([[2.0]])
  bias.assign([0.0])
  return made


def batch():
  """In the world itself the steps are twice as long."""
  steps = np.arange(CONTEXT + H) - (CONTEXT - 1)
  place = PLACES[:, None] + 2 * STEP * steps
  return {
    'place': tf.constant(place, tf.float32),
    'action': tf.fill([B, CONTEXT + H, 1], 2 * STEP),
    'reward': tf.constant(-np.square(place), tf.float32),
    'discount': tf.ones([B, CONTEXT + H]),
  }


@pytest.fixture(scope='module')
def found():
  figures, states = diagnosis.diagnose(
    worlds.Line(), learner(), batch(), CONTEXT, tf.constant([1, 2])
  )
  return {key: value.numpy() for key, value in figures.items()}, states


def imagined_places():
  return PLACES[:, None] + STEP * np.arange(1, H + 1)


def test_imagined_and_real_rewards_by_step(found):
  figures, states = found
  np.testing.assert_allclose(
    states['place'][..., 0], imagined_places(), rtol=1e-5
  )
  imagined, real = -np.square(imagined_places()), batch()['reward'][:, CONTEXT:]
  np.testing.assert_allclose(
    figures['imagined_reward'], imagined.mean(0), rtol=1e-5
  )
  np.testing.assert_allclose(
    figures['real_reward'], np.mean(real, 0), rtol=1e-5
  )
  weight = GAMMA ** np.arange(H)
  for name, reward in (('imagined', imagined), ('real', real)):
    golden = np.mean(np.sum(weight * reward, 1))
    assert figures[f'{name}_return'] == pytest.approx(golden, rel=1e-5)
  assert abs(figures['imagined_return'] - figures['real_return']) > 0.1


def test_values_against_what_came(found):
  figures, _ = found
  data = {key: value.numpy() for key, value in batch().items()}
  value = 2 * data['place']
  came = np.zeros([B, H])
  for start in range(H):
    total = value[:, -1] * GAMMA ** (H - start)
    for step in range(start, H):
      reward = data['reward'][:, CONTEXT + step]
      total = total + GAMMA ** (step - start) * reward
    came[:, start] = total
  before = value[:, CONTEXT - 1 : -1]
  assert figures['value_mean'] == pytest.approx(before.mean(), rel=1e-5)
  assert figures['value_real'] == pytest.approx(came.mean(), rel=1e-4)
  error = np.sqrt(np.mean(np.square(before - came)))
  assert figures['value_error'] == pytest.approx(error, rel=1e-4)
  golden = np.corrcoef(before.ravel(), came.ravel())[0, 1]
  assert figures['value_correlation'] == pytest.approx(golden, rel=1e-4)


def test_the_gradient_of_each_action(found):
  figures, _ = found
  slope = -2 * imagined_places() * GAMMA ** np.arange(H)  # Of each reward.
  # An action moves every place after it.
  by_action = np.cumsum(slope[:, ::-1], 1)[:, ::-1] / B
  golden = np.sqrt(np.sum(np.square(by_action), 0))
  np.testing.assert_allclose(figures['action_gradient'], golden, rtol=1e-4)


def test_the_correlation_of_a_constant_is_0():
  assert float(diagnosis._correlation(tf.ones([4]), tf.range(4.0))) == 0
