"""Two critics of actions, of which the lower is believed.

The larger of two estimates is more often too large than too small, and an actor
finds out where (TD3: Fujimoto et al., 2018; soft actor-critic: Haarnoja et al.,
2018).
"""

from typing import Any

import keras
import tensorflow as tf

from worldmodels import head
from worldmodels import losses
from worldmodels import nets
from worldmodels.states import Tensor


class TwinCritics(keras.layers.Layer):
  """Two heads on what is seen and done, behind one narrow layer.

  Args:
    embed: E, of what is seen.
    actions: A.
    features: units of the narrow layer, normalized and squashed (SAC+AE: Yarats
      et al., 2021).
    name: a scope for its variables.
    **options: of the heads, `kind` among them.
  """

  def __init__(
    self, embed: int, actions: int, *, features: int, name: str, **options: Any
  ):
    super().__init__(name=name)
    self._actions = actions
    self.heads = []
    with keras.name_scope(name):
      self._trunk = trunk(embed, features)
      for index in range(2):
        with keras.name_scope(f'critic{index}'):
          self.heads.append(
            head.load(options, features + actions, (), f'critic{index}')
          )
    self.built = True

  def call(self, embed: Tensor, action: Tensor) -> Tensor:
    """Maps embed [..., E] and actions [..., A] -> values of both [2, ...]."""
    return tf.stack([x.mean(self._inputs(embed, action)) for x in self.heads])

  def lower(self, embed: Tensor, action: Tensor) -> Tensor:
    """Returns the lower of the two values, [...]."""
    return tf.reduce_min(self(embed, action), 0)

  def choices(self, embed: Tensor) -> Tensor:
    """Returns the lower value of each discrete action: [N, E] -> [N, A]."""
    seen, size = self._trunk(embed), self._actions
    lead = [tf.shape(seen)[0], size]
    inputs = tf.concat(
      [
        tf.broadcast_to(seen[:, None], [*lead, seen.shape[-1]]),
        tf.broadcast_to(tf.eye(size), [*lead, size]),
      ],
      -1,
    )
    return tf.reduce_min(tf.stack([x.mean(inputs) for x in self.heads]), 0)

  def loss(
    self, embed: Tensor, action: Tensor, returns: Tensor, weight: Tensor
  ) -> Tensor:
    """Returns the loss of both, scalar.

    Args:
      embed: [N, E].
      action: [N, A].
      returns: what is to be predicted, [N]; without gradient.
      weight: [N].
    """
    inputs = self._inputs(embed, action)
    returns = tf.stop_gradient(returns)
    return tf.add_n(
      [losses.masked_mean(x.loss(inputs, returns), weight) for x in self.heads]
    )

  def _inputs(self, embed: Tensor, action: Tensor) -> Tensor:
    return tf.concat([self._trunk(embed), action], -1)


def trunk(embed: int, features: int) -> nets.MLP:
  """Makes the narrow layer [..., embed] -> [..., features]."""
  return nets.MLP(
    embed,
    units=features,
    layers=1,
    activation='tanh',
    normalization='layer',
    name='trunk',
  )
