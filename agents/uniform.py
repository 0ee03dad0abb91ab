"""Uniform random actions: they seed the store, and are every curve's floor."""

import tensorflow as tf


class Agent:
  """Acts at random and learns nothing."""

  def __init__(self, *, actions):
    self.actions = actions

  def initial(self, batch):
    """Returns the state before the first step; there is none to keep."""
    return {'action': tf.zeros([batch, self.actions])}

  def policy(self, observation, state, explore, seed):
    """Returns actions [B, A], uniform in [-1, 1], and the state."""
    del observation, explore
    action = tf.random.stateless_uniform(
        tf.shape(state['action']), seed, -1.0, 1.0)
    return action, {'action': action}
