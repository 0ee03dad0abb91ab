"""Uniform random actions: they seed the store, and are every curve's floor."""

import tensorflow as tf

from worldmodels.spec import Spec
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import Batch


class Agent:
  """Acts at random and learns nothing.

  Args:
    spec: of the task.
  """

  def __init__(self, *, spec: Spec):
    self.spec = spec

  def initial(self, count: int | Tensor) -> State:
    """Returns the state before the first step; there is none to keep."""
    return {'action': tf.zeros([count, self.spec.actions])}

  def policy(
    self, observation: Batch, state: State, explore: Tensor, seed: Tensor
  ) -> tuple[Tensor, State]:
    """Returns actions [B, A], uniform in [-1, 1] or one-hot, and the state."""
    del observation, explore
    shape = tf.shape(state['action'])
    if self.spec.discrete:
      index = tf.random.stateless_uniform(
        shape[:1], seed, 0, self.spec.actions, tf.int32
      )  # [B]
      action = tf.one_hot(index, self.spec.actions)
    else:
      action = tf.random.stateless_uniform(shape, seed, -1.0, 1.0)
    return action, {'action': action}
