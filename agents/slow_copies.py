"""Copies of a network that follow it slowly: targets that hardly move.

Mnih et al. (2015) replace the copy now and then, Lillicrap et al. (2016, DDPG)
move it a little at each update.
"""

import keras
import tensorflow as tf

from worldmodels.states import Tensor


def begin(copy: keras.layers.Layer, layer: keras.layers.Layer) -> None:
  """Makes a copy, which is not trained, the same as the layer."""
  copy.trainable = False
  for mine, theirs in zip(copy.variables, layer.variables, strict=True):
    mine.assign(theirs)


def follow(
  copy: keras.layers.Layer,
  layer: keras.layers.Layer,
  share: float,
  due: Tensor | bool = True,
) -> None:
  """Moves a copy towards the layer.

  Args:
    copy: of the layer.
    layer: that is trained.
    share: of the way that it moves, 0 to 1.
    due: bool scalar; where false it stays.
  """
  share = share * tf.cast(due, tf.float32)
  for mine, theirs in zip(copy.variables, layer.variables, strict=True):
    mine.assign_add(share * (theirs.value - mine.value))
