import numpy as np
import pytest
import tensorflow as tf

from worldmodels import encoder as encoders
from worldmodels import layers

KINDS = {
  'convolutional': dict(channels=(2, 3, 4, 5)),
  'spatial_softmax': dict(channels=(2, 3), points=4),
}


def images(*lead, size=64, seed=0):
  random = np.random.default_rng(seed)
  return random.integers(0, 256, [*lead, size, size, 3], np.uint8)


def make(kind='spatial_softmax', **options):
  return encoders.Encoder(image=kind, **{**KINDS[kind], **options})


# ----------------------------------------------------------------- pixels ----


def test_pixels_of_eight_bits():
  found = encoders.pixels(np.array([0, 51, 255], np.uint8))
  np.testing.assert_allclose(found, [-0.5, -0.3, 0.5], atol=1e-6)
  assert found.dtype == tf.float32


def test_pixels_of_five_bits_are_planets():
  image = np.arange(256, dtype=np.uint8)
  found = encoders.pixels(image, 5).numpy()
  np.testing.assert_array_equal(found, image // 8 / 32 - 0.5)
  assert found[[0, 7, 8, 255]].tolist() == [-0.5, -0.5, -0.46875, 0.46875]


def test_noise_of_dequantization_stays_in_its_bin():
  image = np.tile(np.arange(256, dtype=np.uint8), 40)
  plain = encoders.pixels(image, 5)
  noisy = encoders.dequantize(plain, [1, 2], 5).numpy()
  noise = (noisy - plain.numpy()) * 32
  assert noise.min() >= -1e-5 and noise.max() < 1 + 1e-5
  assert noise.mean() == pytest.approx(0.5, abs=0.02)
  assert noise.std() == pytest.approx(np.sqrt(1 / 12), abs=0.01)
  again = encoders.dequantize(plain, [1, 2], 5)
  np.testing.assert_array_equal(noisy, again)
  other = encoders.dequantize(plain, [1, 3], 5)
  assert np.mean(noisy != other.numpy()) > 0.99


# ------------------------------------------------------- all the encoders ----


def test_every_encoder_is_here():
  assert KINDS.keys() == encoders.IMAGE_ENCODERS.keys()
  with pytest.raises(
    ValueError, match="'conv'; it is one of convolutional, sp"
  ):
    encoders.Encoder(image='conv')


@pytest.mark.parametrize('kind', KINDS)
def test_any_leading_axes_and_every_image_for_itself(kind):
  encoder = make(kind)
  batch = images(2, 3)
  embed = encoder({'image': batch})
  assert embed.shape == [2, 3, encoder.embed] and embed.dtype == tf.float32
  for b, t in np.ndindex(2, 3):
    alone = encoder({'image': batch[b, t][None]})
    np.testing.assert_allclose(embed[b, t], alone[0], atol=1e-5)
  assert np.ptp(embed, (0, 1)).max() > 1e-3  # Unlike images, unlike codes.


@pytest.mark.parametrize('kind', KINDS)
def test_every_variable_gets_a_gradient(kind):
  encoder = make(kind, activation='elu', vectors={'speed': 2})
  observation = {'image': images(4), 'speed': np.float32([[1, 2]] * 4)}
  variables = encoder.trainable_variables
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(tf.square(encoder(observation)))
  for variable, by in zip(
    variables, tape.gradient(loss, [x.value for x in variables]), strict=True
  ):
    assert by is not None and np.abs(by).max() > 0, variable.path


@pytest.mark.parametrize('kind', KINDS)
def test_half_precision_keeps_float32_outside(kind):
  full, half = make(kind), make(kind, precision='mixed_bfloat16')
  for mine, its in zip(half.variables, full.variables, strict=True):
    assert mine.dtype == 'float32'
    mine.assign(its)
  observation = {'image': images(2)}
  embed = half(observation)
  assert embed.dtype == tf.float32
  np.testing.assert_allclose(embed, full(observation), atol=0.05)


def test_the_convolutions_of_the_paper():
  encoder = encoders.Encoder()
  assert encoder.embed == 1024
  kernels = [x.shape for x in encoder.trainable_variables if len(x.shape) == 4]
  assert kernels == [
    (4, 4, 3, 32),
    (4, 4, 32, 64),
    (4, 4, 64, 128),
    (4, 4, 128, 256),
  ]
  assert make('convolutional', padding='same').embed == 4 * 4 * 5


# -------------------------------------------------------- spatial softmax ----


def reader(**options):
  """An encoder of one map, which is as high as the pixel is bright."""
  encoder = encoders.SpatialSoftmax(channels=(), points=1, **options)
  kernel, bias = encoder.trainable_variables[1:]
  assert kernel.shape[:2] == (3, 3)
  values = np.zeros(kernel.shape, np.float32)
  values[1, 1, :3] = 20.0
  kernel.assign(values)
  bias.assign([1.0])
  return encoder


@pytest.mark.parametrize('row,column', [(0, 0), (10, 50), (63, 5), (32, 31)])
def test_spatial_softmax_finds_a_bright_dot(row, column):
  image = np.full([1, 64, 64, 3], -0.5, np.float32)
  image[0, row, column] = 0.5
  across, down = reader()(image)[0].numpy()
  assert across == pytest.approx(2 * column / 63 - 1, abs=1e-3)
  assert down == pytest.approx(2 * row / 63 - 1, abs=1e-3)


def test_spatial_softmax_of_two_dots_is_between_and_of_none_in_the_middle():
  image = np.full([2, 64, 64, 3], -0.5, np.float32)
  image[0, 10, 5] = image[0, 30, 45] = 0.5
  places = reader()(image).numpy()
  np.testing.assert_allclose(
    places[0], [2 * 25 / 63 - 1, 2 * 20 / 63 - 1], atol=1e-3
  )
  np.testing.assert_allclose(places[1], [0, 0], atol=1e-5)


def test_sharpness_is_a_temperature():
  image = np.full([1, 64, 64, 3], -0.5, np.float32)
  image[0, :, 60:] = -0.4
  soft, sharp = (float(reader(sharpness=x)(image)[0, 0]) for x in (0.1, 10.0))
  assert abs(soft) < 0.2
  assert sharp == pytest.approx(2 * 61.5 / 63 - 1, abs=1e-3)


def test_standardized_places_do_not_depend_on_contrast():
  image = images(3) / np.float32(255) - np.float32(0.5)
  encoder = reader(standardize=True)
  np.testing.assert_allclose(encoder(image), encoder(0.1 * image), atol=1e-3)
  encoder = reader()
  assert np.abs(encoder(image) - encoder(0.1 * image)).max() > 0.01


def test_coordinates_and_presence():
  image = np.full([2, 64, 64, 3], -0.5, np.float32)
  image[1, 20, 20] = 0.5
  plain, told = reader(), reader(presence=True)
  assert (plain.embed, told.embed) == (2, 3)
  embed = told(image)
  np.testing.assert_allclose(embed[:, :2], plain(image), atol=1e-6)
  assert embed[1, 2] > embed[0, 2] + 0.5  # It is there in the second.
  assert np.abs(embed[:, 2]).max() <= 1
  assert reader(coordinates=True)(image).shape == [2, 2]


# ------------------------------------------------- centering and whitening ----


def test_center_takes_the_mean_image_away():
  plain, centered = make(), make(center=True)
  for mine, its in zip(centered.variables, plain.variables, strict=True):
    mine.assign(its)
  batch = images(5)
  centered.center(batch)
  mean = (batch / 255.0 - 0.5).mean(0)
  np.testing.assert_allclose(centered.mean_image, mean, atol=1e-5)
  np.testing.assert_array_equal(centered.spread_image, np.ones([64, 64, 1]))
  # What the one sees is what the other would see of the rest.
  found = centered({'image': batch})
  assert np.abs(found - plain({'image': batch})).max() > 1e-3
  rest = plain._image((batch / 255.0 - 0.5 - mean).astype(np.float32))
  np.testing.assert_allclose(found, rest, atol=1e-5)


def test_without_center_nothing_is_taken_away():
  encoder = make()
  encoder.center(images(5))
  assert not np.any(encoder.mean_image)


@pytest.mark.parametrize('bits', [8, 5])
def test_whitening_tames_the_places_that_change_most(bits):
  batch = np.full([50, 64, 64, 3], 128, np.uint8)
  random = np.random.default_rng(0)
  batch[:, 10, 20] = random.integers(0, 256, [50, 3])  # All over the range.
  batch[:, 30, 40] = random.integers(112, 144, [50, 3])
  encoder = make(center=True, whiten=0.5, bits=bits)
  encoder.center(batch)
  mean = encoder.mean_image.numpy()
  spread = encoder.spread_image.numpy()
  pixels = encoders.pixels(batch, bits).numpy()
  np.testing.assert_allclose(mean, pixels.mean(0), atol=1e-5)
  # The square of the spread is the variance and a floor, up to one factor.
  variance = pixels.var(0).sum(-1, keepdims=True)
  ratio = spread**2 / (variance + 0.5 * variance.mean())
  np.testing.assert_allclose(ratio, ratio[0, 0, 0], rtol=1e-3)
  # Predicting the mean image costs as much as before.
  whitened = (pixels - mean) / spread
  assert whitened.var(0).sum() == pytest.approx(pixels.var(0).sum(), rel=1e-3)
  small, large = (
    np.ptp(x[:, 30, 40], 0).mean() / np.ptp(x[:, 10, 20], 0).mean()
    for x in (pixels, whitened)
  )
  assert large > 5 * small


@pytest.mark.parametrize('kind', KINDS)
def test_the_encoder_sees_whitened_pixels(kind):
  batch = images(6)
  encoder, plain = make(kind, center=True, whiten=0.1), make(kind)
  for mine, its in zip(encoder.variables, plain.variables, strict=True):
    mine.assign(its)
  encoder.center(batch)
  whitened = (batch / 255.0 - 0.5 - encoder.mean_image) / encoder.spread_image
  seen = plain._image(tf.cast(whitened, tf.float32))
  np.testing.assert_allclose(encoder({'image': batch}), seen, atol=1e-4)


# ---------------------------------------------------------------- vectors ----


def test_vectors_are_encoded_beside_the_image():
  encoder = make(vectors={'speed': 1, 'height': 2}, vector_units=6)
  plain = make()
  assert encoder.embed == plain.embed + 6
  observation = {
    'image': images(2, 3),
    'height': np.zeros([2, 3, 2], np.float32),
    'speed': np.zeros([2, 3, 1], np.float32),
  }
  before = encoder(observation).numpy()
  assert before.shape == (2, 3, encoder.embed)
  for key in ('speed', 'height'):
    changed = {**observation, key: observation[key].copy()}
    changed[key][1, 2] += 1
    difference = np.abs(encoder(changed) - before)
    assert difference[1, 2, plain.embed :].max() > 1e-3
    difference[1, 2, plain.embed :] = 0
    assert difference.max() < 1e-6
  with pytest.raises(KeyError, match='height'):
    encoder({'image': observation['image'], 'speed': observation['speed']})


def test_images_that_are_all_the_same_have_nothing_to_whiten():
  batch = np.full([3, 64, 64, 3], 77, np.uint8)
  encoder = make(center=True, whiten=0.5)
  encoder.center(batch)
  np.testing.assert_array_equal(encoder.spread_image, np.ones([64, 64, 1]))
  assert np.all(np.isfinite(encoder({'image': batch}).numpy()))


@pytest.mark.parametrize('count', [64, 77])
def test_many_images_are_encoded_in_blocks_as_few_are(count):
  encoder = make()
  batch = images(count)
  assert count >= 2 * layers.BLOCK
  whole = encoder({'image': batch}).numpy()
  assert whole.shape == (count, encoder.embed)
  for start in (0, 31, count - 5):
    few = encoder({'image': batch[start : start + 5]})
    np.testing.assert_allclose(whole[start : start + 5], few, atol=1e-5)
