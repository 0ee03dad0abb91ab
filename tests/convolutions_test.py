"""Each layer has the results and gradients of the Keras layer it stands for."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from worldmodels import convolutions
from worldmodels import kinds
from worldmodels import nets

UP, DOWN = keras.layers.Conv2DTranspose, keras.layers.Conv2D
CASES = [
  (convolutions.SubpixelConvolution, UP, 6, 'valid', 5),
  (convolutions.SubpixelConvolution, UP, 4, 'valid', 3),
  (convolutions.SubpixelConvolution, UP, 4, 'same', 4),
  (convolutions.SubpixelConvolution, UP, 6, 'same', 4),
  (convolutions.SubpixelConvolution, UP, 2, 'same', 3),
  (convolutions.TransposedConvolution, UP, 5, 'valid', 5),
  (convolutions.TransposedConvolution, UP, 4, 'same', 4),
  (convolutions.Convolution, DOWN, 4, 'valid', 6),  # To 2 x 2.
  (convolutions.Convolution, DOWN, 4, 'same', 4),
  (convolutions.Convolution, DOWN, 4, 'valid', 14),
]


def normal(shape, seed):
  return tf.random.stateless_normal(shape, [0, seed])


def results(layer, x):
  """What a layer makes of x, and the gradients of a weighted sum of it."""
  with tf.GradientTape() as tape:
    tape.watch(x)
    y = layer(x)
    total = tf.reduce_sum(normal(y.shape, 2) * tf.cast(y, tf.float32))
  variables = [variable.value for variable in layer.trainable_variables]
  return [y, *tape.gradient(total, [x, *variables])]


@pytest.mark.parametrize('mine,theirs,kernel,padding,side', CASES)
def test_a_layer_is_that_of_keras(mine, theirs, kernel, padding, side):
  made = [kind(3, kernel, 2, padding) for kind in (mine, theirs)]
  for layer in made:
    layer.build((None, side, side, 7))
  assert [x.shape for x in made[0].variables] == [
    x.shape for x in made[1].variables
  ]
  for number, pair in enumerate(zip(*(x.variables for x in made))):
    for variable in pair:
      variable.assign(normal(variable.shape, number))
  x = normal([2, side, side, 7], 9)
  for found, golden in zip(*(results(layer, x) for layer in made)):
    np.testing.assert_allclose(found, golden, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
  'mine,theirs',
  [
    (convolutions.SubpixelConvolution, UP),
    (convolutions.TransposedConvolution, UP),
    (convolutions.Convolution, DOWN),
  ],
)
def test_options_and_sides_are_those_of_keras(mine, theirs):
  made = [
    kind(3, 4, 2, 'same', activation='elu', use_bias=False)
    for kind in (mine, theirs)
  ]
  for layer in made:
    layer.build((None, 4, 3, 5))
    layer.kernel.assign(normal(layer.kernel.shape, 1))
  x = normal([2, 4, 3, 5], 9)
  for found, golden in zip(*(results(layer, x) for layer in made)):
    np.testing.assert_allclose(found, golden, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
  'side,options',
  [
    (4, dict(groups=3)),
    (6, dict(dilation_rate=2)),
  ],
)
def test_what_a_convolution_leaves_to_keras(side, options):
  """Groups and dilation, to maps of 2 x 2."""
  made = [kind(3, 3, 1, **options) for kind in (convolutions.Convolution, DOWN)]
  for layer in made:
    layer.build((None, side, side, 6))
    layer.kernel.assign(normal(layer.kernel.shape, 1))
  x = normal([2, side, side, 6], 9)
  for found, golden in zip(*(results(layer, x) for layer in made)):
    np.testing.assert_allclose(found, golden, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('side,taken', [(6, False), (14, True)])
def test_a_small_map_has_a_filter_gradient_of_one_product(side, taken):
  layer = convolutions.Convolution(4, 4, 2)
  layer.build((None, side, side, 3))
  traced = tf.function(lambda x: results(layer, x)).get_concrete_function(
    tf.TensorSpec([2, side, side, 3])
  )
  kinds = {x.type for x in traced.graph.get_operations()}
  assert ('Conv2DBackpropFilter' in kinds) == taken


@pytest.mark.parametrize('kernel,stride', [(5, 2), (4, 1), ((4, 2), 2)])
def test_a_subpixel_convolution_says_what_it_cannot_do(kernel, stride):
  layer = convolutions.SubpixelConvolution(3, kernel, stride)
  with pytest.raises(ValueError, match='has an even square kernel'):
    layer.build((None, 8, 8, 4))


def sums_in_full(layer, x):
  """The gradient of its bias, and what that is by numpy."""

  @tf.function
  def gradient(upstream):
    with tf.GradientTape() as tape:
      total = tf.reduce_sum(upstream * tf.cast(layer(x), tf.float32))
    return tape.gradient(total, layer.bias.value)

  # Numbers of one sign: a sum in bfloat16 stops growing at 256 of them.
  upstream = 0.05 + 0.01 * normal(layer(x).shape, 1)
  golden = np.sum(upstream, tuple(range(len(upstream.shape) - 1)))
  return gradient(upstream), golden


@pytest.mark.parametrize(
  'make',
  [
    lambda: nets.dense(3, 7, dtype='mixed_bfloat16'),
    lambda: convolutions.SubpixelConvolution(
      3, 4, 2, 'same', dtype='mixed_bfloat16'
    ),
    lambda: convolutions.TransposedConvolution(3, 4, 2, dtype='mixed_bfloat16'),
    lambda: convolutions.Convolution(3, 4, 1, dtype='mixed_bfloat16'),
  ],
)
def test_the_gradient_of_a_bias_in_bfloat16_is_summed_in_float32(make):
  layer = make()
  if not layer.built:
    layer.build((None, 16, 16, 7))
  found, golden = sums_in_full(layer, normal([16, 16, 16, 7], 0))
  np.testing.assert_allclose(found, golden, rtol=0.02)


@pytest.mark.parametrize('run', [tf.function, lambda eager: eager])
@pytest.mark.parametrize(
  'kind', kinds.names('worldmodels.encoders', 'ImageEncoder')
)
def test_an_encoders_gradients_in_bfloat16_are_those_in_float32(kind, run):
  image = tf.random.stateless_uniform([16, 64, 64, 3], [0, 1], -0.5, 0.5)
  # ELU: where a ReLU's argument is near 0, its gradient is another one.
  options = dict(channels=(8, 16, 16, 16), activation='elu')
  made = [
    kinds.make(
      'worldmodels.encoders',
      'ImageEncoder',
      dict(kind=kind, precision=precision, **options),
    )
    for precision in ('float32', 'mixed_bfloat16')
  ]
  for full, half in zip(*(x.variables for x in made)):
    half.assign(full)
  weight = 1.0 + normal([made[0].embed], 1)

  def gradients(network):
    with tf.GradientTape() as tape:
      total = tf.reduce_sum(weight * network(image))
    return tape.gradient(total, [x.value for x in network.trainable_variables])

  pairs = [run(gradients)(network) for network in made]
  largest = max(float(tf.norm(full)) for full in pairs[0])
  for variable, full, half in zip(made[0].trainable_variables, *pairs):
    # A softmax does not see the bias of its logits: that gradient is 0.
    error = tf.norm(full - half) / tf.maximum(tf.norm(full), 0.01 * largest)
    assert error < 0.1, (variable.path, float(error))
