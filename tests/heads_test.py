import keras
import numpy as np
import pytest
import tensorflow as tf

from worldmodels import heads


def features(*lead, size=5, seed=0):
  random = np.random.default_rng(seed)
  return tf.constant(random.normal(size=[*lead, size]), tf.float32)


def fill(layer, scale=0.3):
  """Gives every variable other numbers, always the same."""
  random = np.random.default_rng(1)
  for variable in layer.variables:
    variable.assign(random.normal(scale=scale, size=variable.shape))


def gradients(head, x):
  """The gradient of a loss by each variable of the head, by path."""
  variables = head.trainable_variables
  assert len(variables) == len(head.variables)
  with tf.GradientTape() as tape:
    target = tf.stop_gradient(head.distribution(x).sample(seed=1))
    loss = -tf.reduce_sum(head.distribution(x).log_prob(target))
  by = tape.gradient(loss, [variable.value for variable in variables])
  return {variable.path: x for variable, x in zip(variables, by, strict=True)}


SMALL = dict(channels=(4, 3, 2), linear=6, activation='elu')
HEADS = {
  'normal': dict(shape=(3,), units=4, activation='elu'),
  'bernoulli': dict(units=4, activation='elu'),
  'image': SMALL,
  'image from 4': SMALL | dict(start=4, linear=0),
  'points': dict(points=3, hidden=4, channels=(2,)),
}


def load(name, size=5):
  return heads.load(name.split()[0], size, **HEADS[name])


def test_every_kind_is_here():
  assert {name.split()[0] for name in HEADS} == heads.HEADS.keys()
  with pytest.raises(ValueError, match="'norm'; it is one of bernoulli, image"):
    heads.load('norm', 5)


@pytest.mark.parametrize('name', HEADS)
def test_any_leading_axes_and_every_member_for_itself(name):
  head, x = load(name), features(2, 3)
  fill(head)
  distribution, mean = head.distribution(x), head.mean(x)
  assert distribution.batch_shape == [2, 3]
  assert distribution.event_shape == mean.shape[2:]
  assert distribution.log_prob(mean).shape == [2, 3]
  np.testing.assert_allclose(distribution.mean(), mean, atol=1e-6)
  alone = tf.stack([head.mean(x[b, t][None])[0] for b, t in np.ndindex(2, 3)])
  np.testing.assert_allclose(
    tf.reshape(mean, alone.shape), alone, rtol=1e-4, atol=1e-5
  )
  assert np.ptp(alone, 0).max() > 1e-4


@pytest.mark.parametrize('name', HEADS)
def test_every_variable_gets_a_gradient(name):
  head = load(name)
  fill(head)
  found = gradients(head, features(4))
  for path, by in found.items():
    assert by is not None and np.abs(by).max() > 0, path
  layers = {path.split('/')[-2] for path in found}
  if name == 'points':
    assert layers == {'hidden', 'places', 'deconv0', 'deconv1'}
  if 'image' in name:
    assert 'map' in layers and {'linear', 'deconv0', 'deconv1'} & layers
    assert len(found) == 10


@pytest.mark.parametrize('shape', [(), (1,), (3,), (2, 3)])
def test_normal_has_the_shape_of_its_key(shape):
  head = heads.load('normal', 5, shape=shape, units=4, std=0.5)
  assert head.mean(features(2, 7)).shape == [2, 7, *shape]
  # The least possible loss is zero, whatever the event and the std.
  x = features(2)
  distribution = head.distribution(x)
  least = head.peak - distribution.log_prob(head.mean(x))
  np.testing.assert_allclose(least, [0, 0], atol=1e-4)
  # Half a squared distance, in stds, for each number of the event.
  loss = head.peak - distribution.log_prob(head.mean(x) + 1.0)
  size = np.prod(shape, dtype=int)
  np.testing.assert_allclose(loss, [size * 0.5 * 4] * 2, atol=1e-3)


def test_bernoulli_is_a_probability():
  head, x = load('bernoulli'), features(2, 3)
  fill(head, 2.0)
  chance = head.mean(x).numpy()
  assert chance.min() >= 0 and chance.max() <= 1
  np.testing.assert_allclose(
    chance, 1 / (1 + np.exp(-head(x).numpy())), atol=1e-6
  )
  # A discount between 0 and 1 is a probability too: the cross entropy.
  for target in (0.0, 1.0, 0.3):
    golden = target * np.log(chance) + (1 - target) * np.log(1 - chance)
    found = head.distribution(x).log_prob(tf.fill([2, 3], target))
    np.testing.assert_allclose(found, golden, rtol=1e-4, atol=1e-4)
  with pytest.raises(ValueError, match='predicts one number, not'):
    heads.load('bernoulli', 5, shape=(3,))


def test_a_discount_is_learned():
  # The episode ends where the first feature is positive.
  head = heads.load('bernoulli', 2, units=8, activation='elu')
  x = features(64, size=2)
  discount = tf.cast(x[:, 0] < 0, tf.float32)
  adam = keras.optimizers.Adam(0.03)
  variables = head.trainable_variables

  @tf.function
  def update():
    with tf.GradientTape() as tape:
      loss = -tf.reduce_mean(head.distribution(x).log_prob(discount))
    adam.apply(tape.gradient(loss, [v.value for v in variables]), variables)

  adam.build(variables)
  for _ in range(60):
    update()
  other = features(200, size=2, seed=1)
  other = tf.boolean_mask(other, tf.abs(other[:, 0]) > 0.5)
  chance = head.mean(other).numpy()
  assert chance[other[:, 0] < 0].min() > 0.8
  assert chance[other[:, 0] > 0].max() < 0.2


# ------------------------------------------------------------------ image ----


def test_image_from_1_is_a_transposed_convolution_of_a_1x1_map():
  head, x = load('image'), features(2, 3)
  fill(head)
  w = {variable.path: variable.numpy() for variable in head.variables}
  # One bias for each channel, as a convolution has it.
  bias = w['map/bias'][:4]
  head.variables[3].assign(np.tile(bias, 25))
  assert head.variables[3].path == 'map/bias'
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
    head.mean(x), tf.reshape(y, [2, 3, 64, 64, 3]), rtol=1e-4, atol=1e-4
  )


def test_image_from_4_doubles_four_times():
  head = load('image from 4')
  kernels = [x.shape for x in head.variables if len(x.shape) == 4]
  assert kernels == [(4, 4, 4, 4), (4, 4, 3, 4), (4, 4, 2, 3), (4, 4, 3, 2)]
  assert head.mean(features(2)).shape == [2, 64, 64, 3]
  assert len(heads.load('image', 5, **SMALL | dict(linear=0)).variables) == 8


def test_image_loss_is_half_the_squared_error():
  head, x = load('image from 4'), features(2)
  mean = head.mean(x)
  target = mean + tf.random.stateless_normal(mean.shape, [0, 1])
  loss = head.peak - head.distribution(x).log_prob(target)
  golden = 0.5 * np.square(target - mean).sum((1, 2, 3))
  np.testing.assert_allclose(loss, golden, rtol=1e-5)


def test_half_precision_keeps_float32_outside():
  full = load('image')
  half = heads.load('image', 5, **SMALL, precision='mixed_bfloat16')
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
    heads.load('image', 5, **SMALL | options)


def test_points_draw_a_blob_where_the_features_say():
  head = heads.Points(2, points=1, side=16, width=0.1, hidden=0, channels=(1,))
  weights = np.zeros((2, 3), np.float32)
  weights[0, 0] = weights[1, 1] = 1.0  # features are (across, down)
  kernel, bias = head._places.kernel, head._places.bias
  kernel.assign(weights)
  bias.assign([0.0, 0.0, 1.0])
  for layer in head._deconvolutions:
    layer.kernel.assign(np.ones(layer.kernel.shape, np.float32))
  places = np.array([[-0.5, 0.5], [0.5, -0.5], [0.0, 0.0]], np.float32)
  image = head.mean(tf.constant(places)).numpy().sum(-1)  # [3, 64, 64]
  line = np.linspace(-1, 1, 64)
  for drawn, (across, down) in zip(image, places, strict=True):
    share = drawn / drawn.sum()
    assert abs((share.sum(0) * line).sum() - across) < 0.05
    assert abs((share.sum(1) * line).sum() - down) < 0.05


def test_points_start_within_sight():
  head = heads.Points(20, points=32, width=0.12)
  features = tf.random.stateless_normal([64, 20], [0, 1])
  places = head._places(head._activation(head._hidden(features)))[
    :, :64
  ].numpy()
  assert (np.abs(places) < 1.1).mean() > 0.95


def test_points_refuse_images_of_another_size():
  with pytest.raises(ValueError, match='draws 32x32'):
    heads.Points(4, channels=(), side=16)


@pytest.mark.parametrize('name', ['image', 'image from 4', 'points'])
def test_many_images_are_drawn_in_blocks_as_few_are(name):
  head, x = load(name), features(77)
  fill(head)
  whole = head.mean(x).numpy()
  assert whole.shape == (77, 64, 64, 3)
  for start in (0, 36, 72):
    few = head.mean(x[start : start + 5])
    np.testing.assert_allclose(whole[start : start + 5], few, atol=1e-5)
