import keras
import numpy as np
import pytest
import tensorflow as tf

from worldmodels.agents import slow_copies


def layers():
  keras.utils.set_random_seed(0)
  pair = [keras.layers.Dense(2, name=name) for name in ('layer', 'copy')]
  for layer in pair:
    layer.build([None, 3])
  return pair


def values(layer):
  return [x.numpy() for x in layer.variables]


def test_a_copy_begins_as_the_layer_and_is_not_trained():
  layer, copy = layers()
  slow_copies.begin(copy, layer)
  for mine, theirs in zip(values(copy), values(layer), strict=True):
    np.testing.assert_array_equal(mine, theirs)
  assert not copy.trainable_variables and layer.trainable_variables


@pytest.mark.parametrize('due', [True, False, tf.constant(True)])
def test_it_moves_a_share_of_the_way(due):
  layer, copy = layers()
  before, theirs = values(copy), values(layer)
  slow_copies.follow(copy, layer, 0.25, due)
  for old, end, now in zip(before, theirs, values(copy), strict=True):
    golden = 0.75 * old + 0.25 * end if due else old
    np.testing.assert_allclose(now, golden, rtol=1e-6)
  for old, now in zip(theirs, values(layer), strict=True):
    np.testing.assert_array_equal(old, now)
