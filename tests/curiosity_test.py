"""Disagreement of an ensemble: what it says where data are, and where not."""

import keras
import numpy as np
import tensorflow as tf

from worldmodels.agents import curiosity
from worldmodels.problem import Problem
from worldmodels.spec import Spec

OPTIONS = dict(
  members=4, units=32, layers=2, activation='elu', initializer='he_normal'
)


def make(features=1, actions=1, **options):
  keras.utils.set_random_seed(0)
  return curiosity.Ensemble(features, actions=actions, **(OPTIONS | options))


def test_members_begin_unlike_each_other():
  made = make()
  assert [x.shape[0] for x in made.trainable_variables] == [4] * 6
  kernel = made.trainable_variables[0].numpy()
  assert all(np.ptp(kernel, 0).ravel() > 0)
  found = made(tf.ones([3, 1]), tf.ones([3, 1]))
  assert found.shape == [4, 3, 1]


def test_each_member_is_a_network_of_its_own():
  made = make(members=2, layers=1, features=2)
  features, action = np.float32([[1, -2], [0, 3]]), np.float32([[0.5], [-1]])
  kernel, bias, out, last = (x.numpy() for x in made.trainable_variables)
  inputs = np.concatenate([features, action], -1)
  for member in range(2):
    hidden = inputs @ kernel[member] + bias[member]
    hidden = np.where(hidden > 0, hidden, np.expm1(hidden))
    golden = hidden @ out[member] + last[member]
    np.testing.assert_allclose(made(features, action)[member], golden, 1e-5)
  spread = made(features, action).numpy().var(0).mean(-1)
  np.testing.assert_allclose(made.disagreement(features, action), spread, 1e-5)
  error = 0.5 * np.square(made(features, action) - features).mean(-1).sum(0)
  np.testing.assert_allclose(made.loss(features, action, features), error, 1e-5)


def test_it_falls_where_data_come_and_stays_where_noise_is():
  """Chance on the left, none on the right, and no data beyond 0.5."""
  made = make()
  random = np.random.default_rng(0)
  x = random.uniform(-1, 0.5, [512, 1]).astype(np.float32)
  noise = random.normal(0, 0.5, x.shape) * (x < -0.25)
  after = tf.constant(np.sin(2 * x) + noise, tf.float32)
  action = tf.zeros_like(x)
  adam = keras.optimizers.Adam(3e-3)
  places = tf.constant([[-0.7], [0.1], [1.5]])

  def spread():
    return made.disagreement(places, tf.zeros_like(places)).numpy()

  before = spread()

  @tf.function
  def update():
    with tf.GradientTape() as tape:
      loss = tf.reduce_mean(made.loss(x, action, after))
    variables = made.trainable_variables
    adam.apply_gradients(zip(tape.gradient(loss, variables), variables))

  for _ in range(400):
    update()
  noisy, known, unknown = spread()
  assert noisy < 0.05 * before[0] and known < 0.05 * before[1]
  assert unknown > 10 * max(noisy, known)


# ------------------------------------------------------------ what it plans --


class Line:
  """x' = x + action: a model as far as a problem asks."""

  spec = Spec(actions=1, image=None, vectors={'x': 1})

  def step(self, state, action, seed=None):
    return {'x': state['x'] + action}

  def imagine(self, state, action, seed=None):
    return {'x': state['x'][:, None] + tf.cumsum(action, 1)}

  def discount(self, state):
    return 0.5 + 0.0 * state['x'][..., 0]


def test_the_reward_of_a_step_is_of_the_state_before_it():
  """Disagreement 10 x + action: of steps and of sequences alike."""

  def disagreement(state, action):
    return 10.0 * state['x'][:, 0] + action[:, 0]

  model = curiosity.CuriousModel(Line(), disagreement)
  state = model.start({'x': tf.constant([[1.0], [-2.0]])})
  actions = tf.constant([[[0.5], [1.0]], [[-1.0], [0.0]]])
  imagined = model.imagine(state, actions)
  golden = [[10.5, 16.0], [-21.0, -30.0]]
  np.testing.assert_allclose(model.reward(imagined), golden)
  for index in range(2):
    state = model.step(state, actions[:, index])
    np.testing.assert_allclose(
      model.reward(state), [row[index] for row in golden]
    )
  np.testing.assert_allclose(imagined['model']['x'][:, -1], state['model']['x'])
  # A problem adds them up while the episode goes on.
  start = model.start({'x': tf.constant([[1.0], [-2.0]])})
  problem = Problem(model, start, horizon=2, objective=model.reward)
  score = problem.score(actions[:, None])
  np.testing.assert_allclose(score, [[10.5 + 8.0], [-21.0 - 15.0]])
