"""Every file of worldmodels/encoders is under these tests."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from worldmodels import errors
from worldmodels import kinds
from worldmodels.encoders import convolutional
from worldmodels.encoders import spatial_softmax

# Small forms; a kind that is not here is tried as it comes.
OPTIONS = {
  'convolutional': dict(channels=(2, 3, 4, 5)),
  'spatial_softmax': dict(channels=(2, 3), points=4),
  'spatial_softmax and more': dict(channels=(2,), points=4, further=(3, 2)),
}
KINDS = kinds.names('worldmodels.encoders', 'ImageEncoder')
FORMS = sorted({*KINDS, *OPTIONS})


def images(*lead, size=64, seed=0):
  random = np.random.default_rng(seed)
  return random.integers(0, 256, [*lead, size, size, 3], np.uint8)


def floats(*lead, seed=0):
  """Pixels as an encoder is given them."""
  return tf.constant(images(*lead, seed=seed) / 255.0 - 0.5, tf.float32)


def make(kind, shape=(64, 64, 3), **options):
  options = dict(OPTIONS.get(kind, {})) | options
  keras.utils.set_random_seed(0)
  return kinds.make(
    'worldmodels.encoders',
    'ImageEncoder',
    dict(kind=kind.split()[0], **options),
    shape=shape,
  )


def own_path(variable):
  """Its path without the number that Keras gives the encoder."""
  return re.sub(r'^image_encoder(_\d+)?/', '', variable.path)


@pytest.mark.parametrize('kind', FORMS)
def test_every_image_is_encoded_for_itself(kind):
  made, x = make(kind), floats(5)
  embed = made(x)
  assert embed.shape == [5, made.embed] and embed.dtype == tf.float32
  for index in range(5):
    alone = made(x[index : index + 1])
    np.testing.assert_allclose(embed[index], alone[0], atol=1e-5)
  assert np.ptp(embed, 0).max() > 1e-3  # Unlike images, unlike codes.


@pytest.mark.parametrize('kind', FORMS)
def test_any_number_of_images(kind):
  made, x = make(kind), floats(5)
  run = tf.function(made, input_signature=[tf.TensorSpec([None, 64, 64, 3])])
  for count in (1, 5):
    np.testing.assert_allclose(run(x[:count]), made(x[:count]), atol=1e-5)


@pytest.mark.parametrize('kind', FORMS)
@pytest.mark.parametrize('shape', [(64, 48, 1), (64, 64, 4)])
def test_images_of_other_shapes(kind, shape):
  made = make(kind, shape)
  x = tf.random.stateless_uniform([2, *shape], [0, 1], -0.5, 0.5)
  embed = made(x)
  assert embed.shape == [2, made.embed]
  assert np.ptp(embed, 0).max() > 1e-4


@pytest.mark.parametrize('kind', FORMS)
def test_every_variable_gets_a_gradient(kind):
  made, x = make(kind, activation='elu'), floats(4)
  variables = made.trainable_variables
  assert variables and len(variables) == len(made.variables)
  paths = [variable.path for variable in variables]
  assert len(set(paths)) == len(paths)
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(tf.square(made(x)))
  by = tape.gradient(loss, [variable.value for variable in variables])
  for path, gradient in zip(paths, by, strict=True):
    assert gradient is not None and np.abs(gradient).max() > 0, path
  # All there is was made by the constructor.
  assert [variable.path for variable in made.variables] == paths


@pytest.mark.parametrize('kind', FORMS)
def test_the_gradient_reaches_the_pixels_of_its_own_image(kind):
  made, x = make(kind, activation='elu'), floats(3)
  with tf.GradientTape() as tape:
    tape.watch(x)
    loss = tf.reduce_sum(tf.square(made(x)[1]))
  by = np.abs(tape.gradient(loss, x)).max((1, 2, 3))
  assert by[1] > 0 and by[0] == by[2] == 0


@pytest.mark.parametrize('kind', FORMS)
def test_half_precision_keeps_float32_outside(kind):
  # A kind that names no precision makes two that are the same.
  full, half = make(kind), make(kind, precision='mixed_bfloat16')
  for mine, its in zip(half.variables, full.variables, strict=True):
    assert mine.dtype == 'float32'
    mine.assign(its)
  embed = half(floats(2))
  assert embed.dtype == tf.float32
  np.testing.assert_allclose(embed, full(floats(2)), atol=0.05)
  if kind in OPTIONS:
    assert np.abs(embed - full(floats(2))).max() > 1e-6


# ----------------------------------------------------------- convolutions ----


def test_the_convolutions_of_the_paper():
  made = convolutional.ImageEncoder()
  assert made.embed == 1024
  kernels = [x.shape for x in made.trainable_variables if len(x.shape) == 4]
  assert kernels == [
    (4, 4, 3, 32),
    (4, 4, 32, 64),
    (4, 4, 64, 128),
    (4, 4, 128, 256),
  ]
  assert make('convolutional', padding='same').embed == 4 * 4 * 5


def test_normalization_is_before_every_activation():
  made = make('convolutional', normalization='layer')
  norms = [x.path for x in made.variables if 'norm' in x.path]
  assert len(norms) == 8 and norms[0] == 'norm0/scale'
  # A larger first kernel makes no larger code, once it is large.
  found = []
  for _ in range(2):
    made.variables[0].assign(100.0 * made.variables[0])
    found.append(made(floats(3)).numpy())
  np.testing.assert_allclose(*found, rtol=1e-2, atol=1e-3)
  assert np.ptp(found[0], 0).max() > 0.1


# -------------------------------------------------------- spatial softmax ----


def reader(**options):
  """An encoder of one map, which is as high as the pixel is bright."""
  made = spatial_softmax.ImageEncoder(channels=(), points=1, **options)
  kernel, bias = made.trainable_variables[1:]
  assert kernel.shape[:2] == (3, 3)
  values = np.zeros(kernel.shape, np.float32)
  values[1, 1, :3] = 20.0
  kernel.assign(values)
  bias.assign([1.0])
  return made


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
  made = reader(standardize=True)
  np.testing.assert_allclose(made(image), made(0.1 * image), atol=1e-3)
  made = reader()
  assert np.abs(made(image) - made(0.1 * image)).max() > 0.01


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


def test_further_convolutions_are_embedded_beside_the_places():
  plain = make('spatial_softmax', channels=(2,))
  made = make('spatial_softmax and more')
  assert made.embed == plain.embed + 8 * 8 * 2
  theirs = [x for x in made.variables if 'further' not in x.path]
  for mine, its in zip(plain.variables, theirs, strict=True):
    mine.assign(its)
  x = floats(3)
  embed, places = made(x).numpy(), plain(x).numpy()
  # Of a layer over both the places, which are few, start with half the say.
  weight = np.sqrt(8 * 8 * 2 / plain.embed)
  np.testing.assert_allclose(
    embed[:, : plain.embed], weight * places, rtol=1e-5
  )
  assert np.ptp(embed[:, plain.embed :], 0).max() > 1e-3
  # Each alone.
  for embeds, part in (
    ('places', places),
    ('maps', embed[:, plain.embed :]),
  ):
    alone = make('spatial_softmax and more', embeds=embeds)
    whole = {own_path(x): x for x in made.variables}
    for variable in alone.variables:
      variable.assign(whole[own_path(variable)])
    assert alone.embed == part.shape[-1]
    np.testing.assert_allclose(alone(x), part, rtol=1e-5)
    assert len(alone.variables) < len(made.variables)


@pytest.mark.parametrize(
  'options,problem',
  [
    (dict(embeds='colors'), "is 'colors'; it is one of places, maps, both"),
    (dict(embeds='maps', further=()), "is 'maps'; `further` is empty"),
  ],
)
def test_a_part_that_is_not_there_is_not_embedded(options, problem):
  with pytest.raises(errors.OptionError, match=f'^embeds {problem}'):
    make('spatial_softmax and more', **options)
