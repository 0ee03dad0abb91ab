"""Floating point operations against counts by hand."""

import keras
import pytest
import tensorflow as tf

from worldmodels.agents.benchmark import flops
from worldmodels.agents.benchmark import model
from worldmodels.agents.benchmark import options
from worldmodels.agents.runs import build
from worldmodels.configs import dreamer
from worldmodels.configs import planet


def both_ways(function, watched, inputs):
  """Runs `function` and its gradient with respect to `watched`, in a graph."""

  @tf.function
  def run(*inputs):
    with tf.GradientTape() as tape:
      tape.watch(inputs)
      loss = tf.reduce_sum(tf.square(function(*inputs)))
    return tape.gradient(loss, watched(*inputs))

  return lambda: run(*inputs)


@pytest.mark.parametrize('lead', [(5,), (2, 5)])
def test_a_product_counts_two_for_each_multiplication(lead):
  a, b = tf.ones([*lead, 3]), tf.ones([*lead[:-1], 3, 7])
  rows = lead[0] if len(lead) == 1 else 2 * 5
  forward = 2 * rows * 3 * 7
  assert flops.count(lambda: tf.linalg.matmul(a, b)) == forward
  twice = both_ways(tf.linalg.matmul, lambda a, b: [a, b], (a, b))
  assert flops.count(twice) == 3 * forward
  turned = tf.linalg.matrix_transpose(a)
  assert (
    flops.count(lambda: tf.linalg.matmul(turned, b, transpose_a=True))
    == forward
  )


def test_a_convolution_counts_the_kernel_at_every_place():
  layer = keras.layers.Conv2D(5, 4, 2)  # 10x10x3 -> 4x4x5
  layer.build((None, 10, 10, 3))
  x = tf.ones([2, 10, 10, 3])
  forward = 2 * (2 * 4 * 4 * 5) * (4 * 4 * 3)
  assert flops.count(lambda: layer(x)) == forward
  kernel = layer.kernel.value
  # The gradient of the images themselves is thrown away, and not counted.
  assert flops.count(both_ways(layer, lambda _: [kernel], (x,))) == 2 * forward
  scaled = both_ways(lambda x: layer(3.0 * x), lambda x: [x, kernel], (x,))
  assert flops.count(scaled) == 3 * forward


def test_a_transposed_convolution_counts_its_small_side():
  layer = keras.layers.Conv2DTranspose(3, 4, 2)  # 4x4x5 -> 10x10x3
  layer.build((None, 4, 4, 5))
  x = tf.ones([2, 4, 4, 5])
  forward = 2 * (2 * 4 * 4 * 5) * (4 * 4 * 3)

  def twice(x):  # What a layer makes of the images has to be used to count.
    return 2.0 * layer(x)

  assert flops.count(lambda: twice(x)) == forward
  both = both_ways(twice, lambda x: [x, layer.kernel.value], (x,))
  assert flops.count(both) == 3 * forward


def test_a_loop_counts_as_often_as_it_goes_round():
  weights = tf.ones([3, 3])

  @tf.function
  def run(x):
    return tf.while_loop(
      lambda i, x: i < 6, lambda i, x: (i + 1, x @ weights), (0, x)
    )[1]

  assert flops.count(lambda: run(tf.ones([2, 3]))) == 6 * 2 * 2 * 3 * 3
  # And functions are graphs again afterwards.
  assert not tf.config.functions_run_eagerly()


def test_the_published_work_has_its_published_size():
  choice = options.Options(
    sizes=options.SIZES['tiny'],
    repeats=1,
    config=planet.paper,
    dreamer=dreamer.paper,
    command=lambda part, preset: [part, preset],
  )
  agent = build.agent(model.published(choice, 'float32'), model.SPEC)
  count = flops.count(model.update(agent, 1, 50))
  # `convolutions.SubpixelConvolution` computes one more row and column on every
  # side, and crops none: 9 products of 32 x 12 at 32 x 32 places, for 36 of
  # 32 x 3 at 30 x 30. Forward and two gradients, of 2,500 images.
  edges = 32**2 * 9 * 32 * 12 - 30**2 * 36 * 32 * 3
  # The gradients of the encoder's biases are products with ones.
  sums = 31**2 * 32 + 14**2 * 64 + 6**2 * 128 + 2**2 * 256
  golden = 586 + 2500 * (3 * 2 * edges + 2 * sums) / 1e9
  assert 50 * count / 1e9 == pytest.approx(golden, abs=0.5)
