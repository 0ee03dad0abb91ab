import keras
import numpy as np
import pytest
import tensorflow as tf

from worldmodels import initializers
from worldmodels import members

K, N, SIZE, U = 3, 4, 5, 2


def test_members_are_layers_of_their_own_in_one_product():
  layer = members.Dense(K, U, SIZE)
  random = np.random.default_rng(0)
  layer.bias.assign(random.normal(size=layer.bias.shape))
  alike = tf.constant(random.normal(size=[N, SIZE]), tf.float32)
  unlike = tf.constant(random.normal(size=[K, N, SIZE]), tf.float32)
  for inputs in (alike, unlike):
    golden = [
      (inputs if inputs.shape.rank == 2 else inputs[k]) @ layer.kernel[k]
      + layer.bias[k]
      for k in range(K)
    ]
    np.testing.assert_allclose(layer(inputs), golden, atol=1e-6)


@pytest.mark.parametrize('count', [2, 9])
def test_there_is_one_product_however_many_members(count):
  layer = members.Dense(count, U, SIZE)
  graph = tf.function(layer).get_concrete_function(tf.zeros([N, SIZE])).graph
  kinds = [x.type for x in graph.get_operations()]
  assert [x for x in kinds if 'MatMul' in x] == ['BatchMatMulV2']


def test_each_starts_for_itself_as_a_layer_does():
  keras.utils.set_random_seed(0)
  kernel = np.asarray(
    members.Dense(4, 200, 300, initializer='he_normal').kernel
  )
  assert kernel.shape == (4, 300, 200)
  for k in range(4):  # By the inputs of one, not of all.
    assert np.std(kernel[k]) == pytest.approx((2 / 300) ** 0.5, rel=0.05)
    assert np.abs(kernel[k] - kernel[k - 1]).min() < np.std(kernel)
    assert (
      abs(np.corrcoef(kernel[k].ravel(), kernel[k - 1].ravel())[0, 1]) < 0.05
    )
  config = initializers.Each('he_normal').get_config()
  assert config == {'initializer': 'he_normal'}


def test_products_in_bfloat16_have_float32_results_and_biases():
  layer = members.Dense(K, U, SIZE, dtype='mixed_bfloat16')
  layer.bias.assign(tf.fill(layer.bias.shape, 1.001))
  found = layer(tf.zeros([N, SIZE]))
  assert found.dtype == tf.float32 and layer.kernel.dtype == 'float32'
  np.testing.assert_allclose(found, np.full([K, N, U], 1.001), rtol=1e-6)
