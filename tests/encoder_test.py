import keras
import numpy as np
import pytest
import tensorflow as tf
from encoders_test import KINDS
from encoders_test import OPTIONS
from encoders_test import images

from worldmodels import cores
from worldmodels import encoder
from worldmodels import errors
from worldmodels.spec import Spec


def make(kind='spatial_softmax', image=(64, 64, 3), vectors=(), **options):
  spec = Spec(actions=1, image=image, vectors=dict(vectors))
  options = dict(OPTIONS.get(kind, {})) | options
  keras.utils.set_random_seed(0)
  return encoder.Encoder(spec=spec, kind=kind, **options)


# ----------------------------------------------------------------- pixels ----


def test_pixels_of_eight_bits():
  found = encoder.pixels(np.array([0, 51, 255], np.uint8))
  np.testing.assert_allclose(found, [-0.5, -0.3, 0.5], atol=1e-6)
  assert found.dtype == tf.float32


def test_pixels_of_five_bits_are_planets():
  image = np.arange(256, dtype=np.uint8)
  found = encoder.pixels(image, 5).numpy()
  np.testing.assert_array_equal(found, image // 8 / 32 - 0.5)
  assert found[[0, 7, 8, 255]].tolist() == [-0.5, -0.5, -0.46875, 0.46875]


def test_noise_of_dequantization_stays_in_its_bin():
  image = np.tile(np.arange(256, dtype=np.uint8), 40)
  plain = encoder.pixels(image, 5)
  noisy = encoder.dequantize(plain, [1, 2], 5).numpy()
  noise = (noisy - plain.numpy()) * 32
  assert noise.min() >= -1e-5 and noise.max() < 1 + 1e-5
  assert noise.mean() == pytest.approx(0.5, abs=0.02)
  assert noise.std() == pytest.approx(np.sqrt(1 / 12), abs=0.01)
  again = encoder.dequantize(plain, [1, 2], 5)
  np.testing.assert_array_equal(noisy, again)
  other = encoder.dequantize(plain, [1, 3], 5)
  assert np.mean(noisy != other.numpy()) > 0.99


@pytest.mark.parametrize('bits', [8, 5, 1])
def test_a_drawing_is_the_inverse_of_pixels(bits):
  image = np.arange(256, dtype=np.uint8).reshape(4, 4, 4, 4)
  drawn = encoder.drawing(encoder.pixels(image, bits), bits)
  assert drawn.dtype == tf.uint8
  # Of the colors that are kept.
  np.testing.assert_array_equal(
    drawn, image // 2 ** (8 - bits) * 2 ** (8 - bits)
  )


def test_the_drawing_of_a_mean_is_that_of_the_nearest_colors():
  # Of 8 bits one color is a pixel, of 5 a bin of 8; the mean of the noise of
  # dequantization is the middle of the bin.
  floats = tf.constant([-0.5, 0.0, 0.5])
  np.testing.assert_array_equal(encoder.drawing(floats), [0, 128, 255])
  bins = encoder.pixels(np.array([0, 8, 248], np.uint8), 5) + 0.5 / 32
  np.testing.assert_array_equal(encoder.drawing(bins, 5), [4, 12, 252])


def test_a_drawing_out_of_range_is_cut():
  for bits in (8, 5):
    found = encoder.drawing(tf.constant([-9.0, 9.0]), bits)
    np.testing.assert_array_equal(found, [0, 255])


# ------------------------------------------------------- all the encoders ----


def test_a_kind_that_is_not_there_is_named():
  with pytest.raises(
    errors.OptionError, match="^kind is 'conv'; it is one of "
  ):
    make('conv')


@pytest.mark.parametrize('kind', KINDS)
def test_any_leading_axes_and_every_image_for_itself(kind):
  made = make(kind)
  batch = images(2, 3)
  embed = made({'image': batch})
  assert embed.shape == [2, 3, made.embed] and embed.dtype == tf.float32
  for b, t in np.ndindex(2, 3):
    alone = made({'image': batch[b, t][None]})
    np.testing.assert_allclose(embed[b, t], alone[0], atol=1e-5)
  assert np.ptp(embed, (0, 1)).max() > 1e-3  # Unlike images, unlike codes.


@pytest.mark.parametrize('kind', KINDS)
def test_every_variable_gets_a_gradient(kind):
  made = make(kind, activation='elu', vectors={'speed': 2})
  observation = {'image': images(4), 'speed': np.float32([[1, 2]] * 4)}
  variables = made.trainable_variables
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(tf.square(made(observation)))
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


def test_the_encoder_of_the_paper():
  assert encoder.Encoder(spec=Spec(actions=1)).embed == 1024


# ------------------------------------------------- centering and whitening ----


def test_center_takes_the_mean_image_away():
  plain, centered = make(), make(center=True)
  for mine, its in zip(centered.variables, plain.variables, strict=True):
    mine.assign(its)
  batch = images(5)
  centered.fit_statistics(batch)
  mean = (batch / 255.0 - 0.5).mean(0)
  np.testing.assert_allclose(centered.mean_image, mean, atol=1e-5)
  np.testing.assert_array_equal(centered.spread_image, np.ones([64, 64, 1]))
  # What the one sees is what the other would see of the rest.
  found = centered({'image': batch})
  assert np.abs(found - plain({'image': batch})).max() > 1e-3
  rest = plain._image((batch / 255.0 - 0.5 - mean).astype(np.float32))
  np.testing.assert_allclose(found, rest, atol=1e-5)


def test_without_center_nothing_is_taken_away():
  made = make()
  made.fit_statistics(images(5))
  assert not np.any(made.mean_image)


@pytest.mark.parametrize('bits', [8, 5])
def test_whitening_tames_the_places_that_change_most(bits):
  batch = np.full([50, 64, 64, 3], 128, np.uint8)
  random = np.random.default_rng(0)
  batch[:, 10, 20] = random.integers(0, 256, [50, 3])  # All over the range.
  batch[:, 30, 40] = random.integers(112, 144, [50, 3])
  made = make(center=True, whiten=0.5, bits=bits)
  made.fit_statistics(batch)
  mean = made.mean_image.numpy()
  spread = made.spread_image.numpy()
  pixels = encoder.pixels(batch, bits).numpy()
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


@pytest.mark.parametrize('whiten', [0.0, 0.5])
@pytest.mark.parametrize('amplitude', [4, 100])
def test_the_mean_image_costs_as_many_nats_as_are_told(amplitude, whiten):
  random = np.random.default_rng(0)
  batch = 128 + random.integers(-amplitude, amplitude, [9, 64, 64, 3])
  made = make(center=True, nats=40.0, whiten=whiten)
  made.fit_statistics(batch.astype(np.uint8))
  target = made.target(batch.astype(np.uint8)).numpy()
  assert 0.5 * np.square(target).sum((1, 2, 3)).mean() == pytest.approx(
    40.0, rel=1e-3
  )
  if not whiten:  # One number for all pixels.
    assert np.ptp(made.spread_image) == 0.0


def test_an_image_that_only_flickers_is_not_blown_up():
  batch = np.full([9, 64, 64, 3], 77, np.uint8)
  batch[::2, 5, 5] += 1
  made = make(center=True, nats=40.0)
  made.fit_statistics(batch)
  np.testing.assert_allclose(made.spread_image, 1 / encoder.MOST, rtol=1e-6)


@pytest.mark.parametrize('kind', KINDS)
def test_the_encoder_sees_whitened_pixels(kind):
  batch = images(6)
  made, plain = make(kind, center=True, whiten=0.1), make(kind)
  for mine, its in zip(made.variables, plain.variables, strict=True):
    mine.assign(its)
  made.fit_statistics(batch)
  whitened = (batch / 255.0 - 0.5 - made.mean_image) / made.spread_image
  seen = plain._image(tf.cast(whitened, tf.float32))
  np.testing.assert_allclose(made({'image': batch}), seen, atol=1e-4)


# ---------------------------------------------------------------- vectors ----


def test_vectors_are_encoded_beside_the_image():
  made = make(vectors={'speed': 1, 'height': 2}, vector_units=6)
  plain = make()
  assert made.embed == plain.embed + 6
  observation = {
    'image': images(2, 3),
    'height': np.zeros([2, 3, 2], np.float32),
    'speed': np.zeros([2, 3, 1], np.float32),
  }
  before = made(observation).numpy()
  assert before.shape == (2, 3, made.embed)
  for key in ('speed', 'height'):
    changed = {**observation, key: observation[key].copy()}
    changed[key][1, 2] += 1
    difference = np.abs(made(changed) - before)
    assert difference[1, 2, plain.embed :].max() > 1e-3
    difference[1, 2, plain.embed :] = 0
    assert difference.max() < 1e-6
  with pytest.raises(KeyError, match='height'):
    made({'image': observation['image'], 'speed': observation['speed']})


def test_images_that_are_all_the_same_have_nothing_to_whiten():
  batch = np.full([3, 64, 64, 3], 77, np.uint8)
  made = make(center=True, whiten=0.5)
  made.fit_statistics(batch)
  np.testing.assert_array_equal(made.spread_image, np.ones([64, 64, 1]))
  assert np.all(np.isfinite(made({'image': batch}).numpy()))


@pytest.mark.parametrize('count', [64, 77])
def test_many_images_are_encoded_in_blocks_as_few_are(count):
  made = make()
  batch = images(count)
  assert count >= 2 * cores.BLOCK
  whole = made({'image': batch}).numpy()
  assert whole.shape == (count, made.embed)
  for start in (0, 31, count - 5):
    few = made({'image': batch[start : start + 5]})
    np.testing.assert_allclose(whole[start : start + 5], few, atol=1e-5)


# -------------------------------------------- what is drawn, and back ----


@pytest.mark.parametrize('bits', [8, 5])
@pytest.mark.parametrize(
  'options', [{}, {'center': True}, {'whiten': 0.5}, {'nats': 40.0}]
)
def test_targets_are_normalized_pixels_and_go_back(bits, options):
  if options:
    options = options | {'center': True}
  made, batch = make(bits=bits, **options), images(6)
  made.fit_statistics(batch)
  target = made.target(batch)
  truth = encoder.pixels(batch, bits)
  np.testing.assert_allclose(target, made.normalize(truth), atol=1e-6)
  np.testing.assert_allclose(made.denormalize(target), truth, atol=1e-5)
  if options:
    np.testing.assert_allclose(np.mean(target, 0), 0, atol=1e-4)
  else:
    np.testing.assert_array_equal(target, truth)


def test_targets_are_noisy_with_a_seed_and_few_bits_alone():
  batch, seed = images(3), tf.constant([1, 2])
  full, few = make(center=True), make(center=True, bits=5)
  np.testing.assert_array_equal(full.target(batch, seed), full.target(batch))
  found = few.target(batch, seed)
  golden = encoder.dequantize(encoder.pixels(batch, 5), seed, 5)
  np.testing.assert_allclose(found, few.normalize(golden), atol=1e-6)
  assert np.abs(found - few.target(batch)).max() > 0.01


# ------------------------------------------------- tasks of other kinds ----


def test_a_task_without_an_image_is_encoded_by_its_vectors():
  made = make(
    image=None,
    vectors={'speed': 2, 'height': 1},
    vector_units=6,
    center=True,
  )
  made.fit_statistics(images(2))  # There is nothing to center.
  assert made.embed == 6
  assert made.mean_image is None
  random = np.random.default_rng(0)
  observation = {
    'speed': random.normal(size=[2, 3, 2]).astype(np.float32),
    'height': random.normal(size=[2, 3, 1]).astype(np.float32),
  }
  embed = made(observation)
  assert embed.shape == [2, 3, 6]
  assert np.ptp(embed, (0, 1)).max() > 1e-3


@pytest.mark.parametrize('kind', KINDS)
def test_images_of_other_shapes(kind):
  made = make(kind, image=(64, 48, 1))
  batch = images(2, 3)[..., :48, :1]
  assert made({'image': batch}).shape == [2, 3, made.embed]
  assert made.mean_image.shape == (64, 48, 1)
  assert made.spread_image.shape == (64, 48, 1)
