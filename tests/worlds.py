"""Worlds that are known by hand, in the place of a learned model.

Each offers of `WorldModel` what planners, learners and imagination call, and
nothing else: spec, step, imagine, features, reward, discount, and observe where
something is observed.
"""

import numpy as np
import tensorflow as tf

from worldmodels.problem import Problem
from worldmodels.spec import Spec


class World:
  """Base of worlds: never ends, imagines step by step."""

  spec = Spec(actions=1, image=None)

  def step(self, state, action, seed=None):
    raise NotImplementedError

  def imagine(self, state, action, seed=None):
    found = []
    for time in range(action.shape[1]):
      drawn = None
      if seed is not None:
        drawn = tf.random.experimental.stateless_fold_in(seed, time)
      state = self.step(state, action[:, time], drawn)
      found.append(state)
    return tf.nest.map_structure(lambda *steps: tf.stack(steps, 1), *found)

  def reward(self, state):
    raise NotImplementedError

  def discount(self, state):
    return tf.ones_like(self.reward(state))


class Line(World):
  """A place on a line, moved by actions and noise; reward is -place^2.

  Its posterior is where the batch says that it is.

  Args:
    sigma: standard deviation of the noise.
    going: the discount of every step.
  """

  def __init__(self, sigma=0.0, going=1.0):
    self._sigma, self._going = sigma, going

  def observe(self, batch):
    return {'place': batch['place'][..., None]}, None

  def step(self, state, action, seed=None):
    place = state['place'] + action
    if seed is not None:
      noise = tf.random.stateless_normal(tf.shape(action), seed)
      place += self._sigma * noise
    return {'place': place}

  def features(self, state):
    return state['place']

  def reward(self, state):
    return -tf.square(state['place'][..., 0])

  def discount(self, state):
    return tf.fill(tf.shape(state['place'])[:-1], self._going)


class Goals(World):
  """Every step of every member has a goal that its action is judged by.

  So each sequence of actions has the sum of what its steps are worth as score.

  Args:
    worth: function of (action [..., A], goal [..., A]) -> reward [...].
    goals: of each member and step, [B, H, A].
    discrete: whether actions are one-hot.
  """

  def __init__(self, worth, goals, discrete=False):
    self._worth = worth
    self._goals = tf.convert_to_tensor(goals, tf.float32)
    self.spec = Spec(self._goals.shape[-1], discrete, image=None)

  def start(self):
    return {'goals': self._goals, 'action': tf.zeros_like(self._goals[:, 0])}

  def step(self, state, action, seed=None):
    del seed
    # The goal of the step that was taken is the last of them.
    return {'goals': tf.roll(state['goals'], -1, 1), 'action': action}

  def features(self, state):
    return state['action']

  def reward(self, state):
    return self._worth(state['action'], state['goals'][..., -1, :])

  def problem(self, **options):
    """Makes a problem of this world that keeps what it is asked about."""
    horizon = self._goals.shape[1]
    return Recorder(self, self.start(), horizon=horizon, **options)


class Recorder(Problem):
  """A problem that keeps the candidates it is asked about.

  Arrays [B, N, H, A], of single steps [N, 1, 1, A]; in a graph none.
  """

  def __init__(self, model, state, **options):
    super().__init__(model, state, **options)
    self.asked = []

  def score(self, actions, draw=None):
    if tf.executing_eagerly():
      self.asked.append(actions.numpy())
    return super().score(actions, draw)

  def step(self, state, action, seed=None):
    if tf.executing_eagerly():
      self.asked.append(np.reshape(action, [-1, 1, 1, action.shape[-1]]))
    return super().step(state, action, seed)


def distance(action, goal):
  """Returns as worth minus the squared distance of an action to its goal."""
  return -tf.reduce_sum(tf.square(action - goal), -1)


def product(action, goal):
  """Returns as worth the product of an action and its goal."""
  return tf.reduce_sum(action * goal, -1)


def nothing(action, goal):
  """Returns 0 as worth of every action."""
  del goal
  return 0.0 * tf.reduce_sum(action, -1)
