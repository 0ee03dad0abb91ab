"""Uniform random actions: they seed the store, and are every curve's floor."""

import tensorflow as tf


class Agent:
  """Acts at random and learns nothing.

  Args:
    actions: A.
    discrete: whether actions are one-hot.
  """

  def __init__(self, *, actions, discrete=False):
    self.actions = actions
    self._discrete = discrete

  def initial(self, batch):
    """Returns the state before the first step; there is none to keep."""
    return {'action': tf.zeros([batch, self.actions])}

  def policy(self, observation, state, explore, seed):
    """Returns actions [B, A], uniform in [-1, 1] or one-hot, and the state."""
    del observation, explore
    shape = tf.shape(state['action'])
    if self._discrete:
      index = tf.random.stateless_uniform(
          shape[:1], seed, 0, self.actions, tf.int32)  # [B]
      action = tf.one_hot(index, self.actions)
    else:
      action = tf.random.stateless_uniform(shape, seed, -1.0, 1.0)
    return action, {'action': action}
