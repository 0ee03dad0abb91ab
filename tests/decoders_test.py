"""Decoders, and the two kinds of heads that draw with them."""

import numpy as np
import pytest
import tensorflow as tf
from heads_test import features
from heads_test import fill

from worldmodels import decoders
from worldmodels import errors
from worldmodels import head
from worldmodels.heads import convolutional
from worldmodels.heads import keypoints

SMALL = dict(channels=(4, 3, 2), linear=6, activation='elu')
HEADS = {
  'convolutional': (convolutional.Head, SMALL),
  'convolutional from 4': (convolutional.Head, SMALL | dict(start=4, linear=0)),
  'keypoints': (
    keypoints.Head,
    dict(points=3, hidden=4, channels=(2,)),
  ),
  'canvas': (
    keypoints.Head,
    dict(points=3, hidden=4, channels=(2,), canvas=(3, 2, 2)),
  ),
  'normalized': (convolutional.Head, SMALL | dict(normalization='layer')),
}


def load(name, size=5, **more):
  kind, options = HEADS[name]
  return kind(size, **options, **more)


def test_image_from_1_is_a_transposed_convolution_of_a_1x1_map():
  made, x = load('convolutional'), features(2, 3)
  fill(made)
  w = {variable.path: variable.numpy() for variable in made.variables}
  # One bias for each channel, as a convolution has it.
  bias = w['map/bias'][:4]
  made.variables[3].assign(np.tile(bias, 25))
  assert made.variables[3].path == 'map/bias'
  y = tf.reshape(x, [6, 5]) @ w['linear/kernel'] + w['linear/bias']
  y = tf.reshape(y, [6, 1, 1, 6])  # No activation: PlaNet's is linear.
  # [6, 5 * 5 * 4] -> [height 5, width 5, out 4, in 6]
  first = w['map/kernel'].reshape([6, 5, 5, 4]).transpose([1, 2, 3, 0])
  biases = [bias] + [w[f'deconv{i}/bias'] for i in range(3)]
  kernels = [first] + [w[f'deconv{i}/kernel'] for i in range(3)]
  assert [x.shape[0] for x in kernels] == [5, 5, 6, 6]
  sides = [5, 13, 30, 64]
  for index, (kernel, side) in enumerate(zip(kernels, sides)):
    shape = [6, side, side, kernel.shape[2]]
    y = tf.nn.conv2d_transpose(y, kernel, shape, 2, 'VALID') + biases[index]
    y = tf.nn.elu(y) if index < 3 else y
  np.testing.assert_allclose(
    made.mean(x), tf.reshape(y, [2, 3, 64, 64, 3]), rtol=1e-4, atol=1e-4
  )


def test_image_from_4_doubles_four_times():
  made = load('convolutional from 4')
  kernels = [x.shape for x in made.variables if len(x.shape) == 4]
  assert kernels == [(4, 4, 4, 4), (4, 4, 3, 4), (4, 4, 2, 3), (4, 4, 3, 2)]
  assert made.mean(features(2)).shape == [2, 64, 64, 3]
  assert len(convolutional.Head(5, **SMALL | dict(linear=0)).variables) == 8


def test_the_first_layer_from_1_starts_as_a_transposed_convolution():
  """Of kernel 5 from 1024 channels to 128: 3,200 inputs and 25,600 outputs."""
  made = convolutional.Head(5)
  kernel = next(x for x in made.variables if 'map/kernel' in x.path)
  assert kernel.shape == (1024, 3200)
  assert np.std(kernel) == pytest.approx((2 / 28800) ** 0.5, rel=0.02)


def test_the_first_layer_from_4_is_linear():
  made = convolutional.Head(
    5, **SMALL | dict(start=4, linear=0, normalization='layer')
  )
  norms = {x.path.split('/')[-2] for x in made.variables if 'scale' in x.path}
  assert norms == {'norm0', 'norm1', 'norm2'}
  seen = []
  made._decoder = lambda maps: seen.append(maps) or tf.zeros([2, 64, 64, 3])
  x = features(2)
  made.mean(x)
  linear = tf.reshape(made._map(tf.reshape(x, [-1, 5])), seen[0].shape)
  np.testing.assert_allclose(seen[0], linear, atol=1e-6)
  assert np.min(seen[0]) < -0.1


def test_image_loss_is_half_the_squared_error():
  made, x = load('convolutional from 4'), features(2)
  mean = made.mean(x)
  target = mean + tf.random.stateless_normal(mean.shape, [0, 1])
  loss = made.loss(x, target)
  golden = 0.5 * np.square(target - mean).sum((1, 2, 3))
  np.testing.assert_allclose(loss, golden, rtol=1e-5)


def test_half_precision_keeps_float32_outside():
  full = load('convolutional')
  half = convolutional.Head(5, **SMALL, precision='mixed_bfloat16')
  fill(full)
  for mine, its in zip(half.variables, full.variables, strict=True):
    assert mine.dtype == 'float32'
    mine.assign(its)
  image = half.mean(features(2))
  assert image.dtype == tf.float32
  np.testing.assert_allclose(image, full.mean(features(2)), atol=0.1)


@pytest.mark.parametrize(
  'options,message',
  [
    (dict(start=2), 'start is 2; it is 1 or 4'),
    (dict(channels=(4, 3, 2, 1)), 'has 4 entries; a decoder from a 1x1'),
    (dict(shape=(32, 32, 3)), 'draws 64x64x3; the images are'),
  ],
)
def test_an_impossible_decoder_is_refused(options, message):
  with pytest.raises(ValueError, match=message):
    convolutional.Head(5, **SMALL | options)


def test_points_draw_a_blob_where_the_features_say():
  made = keypoints.Head(
    2, points=1, side=16, width=0.1, hidden=0, channels=(1,)
  )
  weights = np.zeros((2, 3), np.float32)
  weights[0, 0] = weights[1, 1] = 1.0  # features are (across, down)
  kernel, bias = made._places.kernel, made._places.bias
  kernel.assign(weights)
  bias.assign([0.0, 0.0, 1.0])
  for layer in made._decoder._convolutions:
    layer.kernel.assign(np.ones(layer.kernel.shape, np.float32))
  places = np.array([[-0.5, 0.5], [0.5, -0.5], [0.0, 0.0]], np.float32)
  image = made.mean(tf.constant(places)).numpy().sum(-1)  # [3, 64, 64]
  line = np.linspace(-1, 1, 64)
  for drawn, (across, down) in zip(image, places, strict=True):
    share = drawn / drawn.sum()
    assert abs((share.sum(0) * line).sum() - across) < 0.05
    assert abs((share.sum(1) * line).sum() - down) < 0.05


def test_points_start_within_sight():
  made = keypoints.Head(20, points=32, width=0.12)
  features = tf.random.stateless_normal([64, 20], [0, 1])
  places = made._places(made._activation(made._hidden(features)))[
    :, :64
  ].numpy()
  assert (np.abs(places) < 1.1).mean() > 0.95


def test_points_refuse_images_of_another_size():
  with pytest.raises(ValueError, match='draws 32x32'):
    keypoints.Head(4, channels=(), side=16)


def test_a_canvas_draws_where_no_blob_is():
  made, plain = load('canvas'), load('keypoints')
  x = features(3)
  for head_ in (made, plain):
    fill(head_)
    head_._places.kernel.assign(tf.zeros_like(head_._places.kernel))
    head_._places.bias.assign([9.0] * 9)  # Far out of sight.
  assert np.ptp(plain.mean(x), 0).max() < 1e-6
  assert np.ptp(made.mean(x), 0).min() > 1e-6  # At every pixel.


def test_blobs_are_drawn_without_their_canvas():
  made, plain = load('canvas', draws='blobs'), load('keypoints')
  assert [x.shape for x in made.variables] == [x.shape for x in plain.variables]
  with pytest.raises(errors.OptionError, match="^draws is 'maps'; it is one"):
    load('canvas', draws='maps')


@pytest.mark.parametrize('canvas,grown', [((3, 2), 8), ((3,) * 5, 64)])
def test_a_canvas_of_another_size_is_refused(canvas, grown):
  with pytest.raises(
    errors.OptionError,
    match=f'{grown} x {grown}; the blobs are on one of 16 x 16',
  ):
    keypoints.Head(5, canvas=canvas)


@pytest.mark.parametrize('shape', [(), (3,), (64, 64)])
@pytest.mark.parametrize('kind', [convolutional.Head, keypoints.Head])
def test_what_is_no_image_is_refused(kind, shape):
  with pytest.raises(
    errors.OptionError, match='^kind is one that draws images'
  ):
    kind(5, shape=shape)


# ------------------------------------------------------------ what they share


def decoder(**options):
  options = dict(padding='same', activation=tf.nn.elu) | options
  return decoders.Decoder(
    (4, 4, 5), (16, 16, 2), (4, 4), (3, 2), initializer='he_normal', **options
  )


def test_a_decoder_draws_every_map_for_itself_in_float32():
  for precision in ('float32', 'mixed_bfloat16'):
    made = decoder(precision=precision)
    maps = tf.random.stateless_normal([3, 4, 4, 5], [0, 1])
    drawn = made(tf.cast(maps, made._convolutions[0].compute_dtype))
    assert drawn.shape == [3, 16, 16, 2] and drawn.dtype == tf.float32
    alone = made(tf.cast(maps[1:2], made._convolutions[0].compute_dtype))
    np.testing.assert_allclose(drawn[1], alone[0], atol=1e-2)


def test_the_last_layer_of_a_decoder_has_no_activation_and_no_norm():
  made = decoder(activation=tf.nn.relu, normalization='layer')
  maps = tf.random.stateless_normal([3, 4, 4, 5], [0, 1])
  assert np.min(made(maps)) < -0.1
  norms = [x.path for x in made.variables if 'norm' in x.path]
  assert norms == ['norm0/scale', 'norm0/offset']


def test_the_shape_of_a_decoder_is_checked():
  with pytest.raises(ValueError, match='draws 16x16x2; the images are .15, 16'):
    decoders.Decoder(
      (4, 4, 5),
      (15, 16, 2),
      (4, 4),
      (3, 2),
      padding='same',
      activation=tf.nn.elu,
      initializer='he_normal',
    )


def test_an_image_head_is_a_gaussian_of_pixels():
  class Brightness(decoders.ImageHead):
    def call(self, features):
      return tf.tile(features[..., None, None, :1], [1, 1, 4, 5, 3])

  made, x = Brightness((4, 5, 3), name='image'), features(2, 3)
  assert made.name == 'image'
  assert made.max_log_prob == head.gaussian_peak((4, 5, 3))
  np.testing.assert_array_equal(made.mean(x)[1, 2, 3, 4], [x[1, 2, 0]] * 3)
  distribution = made.distribution(made(x))
  assert distribution.event_shape == [4, 5, 3]
  np.testing.assert_allclose(
    made.loss(x, made.mean(x) + 1.0), np.full([2, 3], 0.5 * 60), atol=1e-3
  )


@pytest.mark.parametrize(
  'name', ['convolutional', 'convolutional from 4', 'keypoints', 'canvas']
)
def test_many_images_are_drawn_in_blocks_as_few_are(name):
  made, x = load(name), features(77)
  fill(made)
  whole = made.mean(x).numpy()
  assert whole.shape == (77, 64, 64, 3)
  for start in (0, 36, 72):
    few = made.mean(x[start : start + 5])
    np.testing.assert_allclose(whole[start : start + 5], few, atol=1e-5)


def test_normalization_is_before_every_activation_but_the_last():
  made, x = load('normalized'), features(3)
  paths = [variable.path for variable in made.variables]
  norms = {path.split('/')[-2] for path in paths if 'scale' in path}
  assert norms == {'map_norm', 'norm0', 'norm1'}
  # Over channels: a larger map makes no larger image.
  layer = [x for x in made.variables if '/map/' in f'/{x.path}']
  found = []
  for _ in range(2):
    for variable in layer:
      variable.assign(100.0 * variable)
    found.append(made.mean(x).numpy())
  assert len(layer) == 2
  np.testing.assert_allclose(*found, rtol=1e-2, atol=1e-3)
