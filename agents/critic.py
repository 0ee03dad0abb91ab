"""The critic: features become values, with a copy that follows slowly."""

from typing import Any

import keras
import tensorflow as tf

from worldmodels import errors
from worldmodels import head
from worldmodels import losses
from worldmodels.agents import slow_copies
from worldmodels.agents.optimizers import Optimizer
from worldmodels.states import Tensor

SLOW = ('none', 'target', 'regularizer')


class Critic(keras.layers.Layer):
  """A head for values, its optimizer and, if asked for, a slow copy of it.

  Attributes:
    head: the one that is trained.
    slow_head: the slow copy, or None.
    optimizer: of `head`.

  Args:
    features_size: F.
    kind: of the head.
    optimizer: keyword values of `Optimizer`.
    slow: what the copy is for: none, target (its values make the returns;
      DreamerV2) or regularizer (the critic stays near it; DreamerV3).
    slow_every: updates between its moves.
    slow_share: of the way that it moves.
    **options: of the head.
  """

  def __init__(
    self,
    features_size: int,
    *,
    kind: str,
    optimizer: dict[str, Any],
    slow: str = 'none',
    slow_every: int = 1,
    slow_share: float = 1.0,
    **options: Any,
  ):
    super().__init__(name='critic')
    self._slow = errors.choose('slow', slow, SLOW)
    self._slow_every, self._slow_share = slow_every, slow_share
    options = {'kind': kind, **options}
    with keras.name_scope('critic'):
      self.head = head.load(options, features_size, (), 'critic')
      with errors.group('optimizer'):
        self.optimizer = Optimizer(
          self.head.trainable_variables, name='optimizer', **optimizer
        )
    self.slow_head = None
    if slow != 'none':
      with keras.name_scope('slow_critic'):
        self.slow_head = head.load(options, features_size, (), 'critic')
      slow_copies.begin(self.slow_head, self.head)
    self._updates = self.add_weight(
      shape=(),
      dtype='int32',
      initializer='zeros',
      trainable=False,
      name='updates',
    )
    self.built = True

  @property
  def target(self) -> head.Head:
    """The head that makes returns and baselines."""
    return self.slow_head if self._slow == 'target' else self.head

  @property
  def extra_variables(self) -> list[keras.Variable]:
    """Variables beside the trained ones: update count, slow copy."""
    slow = [] if self.slow_head is None else self.slow_head.variables
    return [self._updates, *slow]

  def loss(
    self,
    features: Tensor,
    target_outputs: Tensor,
    returns: Tensor,
    weight: Tensor,
  ) -> Tensor:
    """Returns the loss, scalar.

    Args:
      features: [N, H, F].
      target_outputs: of `target` for them, [N, H, ...]: where that is the
        critic itself, it need not compute them again.
      returns: what is to be predicted, [N, H].
      weight: of each step, [N, H].
    """
    features, returns = tf.stop_gradient(features), tf.stop_gradient(returns)
    outputs = target_outputs
    if self.target is not self.head:
      outputs = self.head(features)
    loss = self.head.loss_of(outputs, returns)
    if self._slow == 'regularizer':
      near = tf.stop_gradient(self.slow_head.mean(features))
      loss += self.head.loss_of(outputs, near)
    return losses.masked_mean(loss, weight)

  def update_slow(self, enabled: Tensor | bool) -> None:
    """Counts an update and moves the slow copy, if it is time to."""
    self._updates.assign_add(tf.cast(enabled, tf.int32))
    if self.slow_head is None:
      return
    due = enabled & tf.equal(self._updates.value % self._slow_every, 0)
    slow_copies.follow(self.slow_head, self.head, self._slow_share, due)
