import types

import numpy as np
import pytest
import tensorflow as tf

from worldmodels import encoder
from worldmodels import prediction
from worldmodels import states
from worldmodels.spec import Spec
from worldmodels.world_model import WorldModel

SIZE, B, T, CONTEXT = 8, 3, 7, 3


class Mover:
  """A world that is known: a brightness that the actions change.

  Its model is right, or makes an error that grows with the steps imagined.
  """

  def __init__(self, error=0.0, mean=0.0):
    self._error = error
    self.mean_image = tf.fill([SIZE, SIZE, 3], mean)
    self.observed = []

  def observe(self, batch, state=None, seed=None):
    self.observed.append({key: value.shape for key, value in batch.items()})
    light = tf.cast(batch['image'][..., 0, 0, 0], tf.float32) / 255 - 0.5
    return {'light': light[..., None]}, None

  def imagine(self, state, action, seed=None):
    light = state['light'][:, None] + tf.cumsum(action + self._error, 1)
    return {'light': light}

  def image(self, state):
    shape = [*state['light'].shape[:2], SIZE, SIZE, 3]
    return tf.broadcast_to(state['light'][..., None, None], shape)

  def pixels(self, image):
    return encoder.pixels(image)

  def reward(self, state):
    return 10 * state['light'][..., 0]


def make_batch():
  random = np.random.default_rng(0)
  action = random.integers(-12, 13, [B, T, 1])
  action[:, 0] = 0
  light = np.array([100, 120, 140])[:, None] + np.cumsum(action[..., 0], 1)
  image = light[..., None, None, None].repeat(SIZE, 2).repeat(SIZE, 3)
  batch = {
    'image': image.repeat(3, -1).astype(np.uint8),
    'action': (action / 255).astype(np.float32),
    'reward': (10 * (light / 255 - 0.5)).astype(np.float32),
    'is_first': np.arange(T)[None].repeat(B, 0) == 0,
    'mask': np.ones([B, T], np.float32),
  }
  return {key: tf.constant(value) for key, value in batch.items()}


@pytest.mark.parametrize('center', [False, True])
def test_a_right_model_of_few_bits_makes_no_error(center):
  """It learns the middle of a bin: half of 1/32 is 1.5 nats of an image."""
  model = WorldModel(
    spec=Spec(1, image=(64, 64, 3)),
    encoder=dict(
      kind='convolutional', channels=(4, 4, 4, 4), bits=5, center=center
    ),
    dynamics=dict(kind='rssm', deter=4, stoch=2, hidden=5),
    heads={'reward': dict(kind='normal', scale=1.0, units=4, layers=1)},
    kl=dict(scale=1.0, free_nats=0.0),
    overshooting=dict(steps=0, kl=0.0, reward=0.0, image=0.0),
  )
  still = np.random.default_rng(0).integers(0, 256, [64, 64, 3], np.uint8)
  model.fit_statistics(still[None].repeat(4, 0))
  # The mean of what the image head is trained on, over the noise.
  targets = [
    model.target({'image': still[None]}, 'image', tf.constant([0, seed]))
    for seed in range(64)
  ]
  learned = model.encoder.denormalize(np.mean(targets, 0))[0]
  model.image = lambda state: tf.broadcast_to(
    learned, [*model.features(state).shape[:-1], 64, 64, 3]
  )
  batch = {
    'image': tf.constant(still[None, None].repeat(2, 0).repeat(T, 1)),
    'action': tf.zeros([2, T, 1]),
    'reward': tf.zeros([2, T]),
    'is_first': tf.constant(np.arange(T)[None].repeat(2, 0) == 0),
    'mask': tf.ones([2, T]),
  }
  found = prediction.errors(model, batch, CONTEXT)
  # What is left is the error of a mean over 64 draws: 0.5 / 64 * 12288 / 32^2
  # / 12 = 0.008.
  assert np.max(found['image']) < 0.02
  np.testing.assert_allclose(found['copy_image'], np.zeros(4), atol=1e-4)
  np.testing.assert_allclose(found['mean_image'], np.zeros(4), atol=1e-4)


def test_a_right_model_makes_no_error_at_any_distance():
  model, batch = Mover(), make_batch()
  errors = prediction.errors(model, batch, CONTEXT)
  assert errors.keys() == {
    *('image', 'copy_image', 'mean_image'),
    *('reward', 'reward_variance', 'copy_reward'),
  }
  for value in errors.values():
    assert value.shape == [T - CONTEXT]
  np.testing.assert_allclose(errors['image'], np.zeros(4), atol=1e-5)
  np.testing.assert_allclose(errors['reward'], np.zeros(4), atol=1e-5)
  # It was shown the context and no more.
  assert {shape[1] for shape in model.observed[0].values()} == {CONTEXT}


def test_errors_are_by_steps_after_the_last_seen_image():
  errors = prediction.errors(Mover(error=0.01), make_batch(), CONTEXT)
  distance = 0.01 * np.arange(1, T - CONTEXT + 1)
  count = SIZE * SIZE * 3
  np.testing.assert_allclose(
    errors['image'], 0.5 * count * distance**2, rtol=1e-3
  )
  np.testing.assert_allclose(
    errors['reward'], (10 * distance) ** 2, rtol=1e-3, atol=1e-6
  )


def test_a_prediction_is_the_mean_of_what_is_dreamed():
  class Unsure(Mover):
    def imagine(self, state, action, seed=None):
      # Dreams 0 to 7 are as much too dark as too bright: right on average.
      error = 0.01 * (tf.cast(seed[1], tf.float32) - 3.5)
      return {'light': state['light'][:, None] + tf.cumsum(action, 1) + error}

  batch = make_batch()
  errors = prediction.errors(Unsure(), batch, CONTEXT, samples=8)
  for key in ('image', 'reward'):
    np.testing.assert_allclose(errors[key], np.zeros(4), atol=1e-5)
  errors = prediction.errors(Unsure(), batch, CONTEXT, samples=1)
  golden = 0.5 * SIZE * SIZE * 3 * 0.035**2
  np.testing.assert_allclose(errors['image'], np.full(4, golden), rtol=1e-3)
  # And always the same dreams.
  again = prediction.errors(Unsure(), batch, CONTEXT, samples=1)
  np.testing.assert_array_equal(errors['image'], again['image'])


def test_baselines_in_numpy():
  batch = make_batch()
  image = batch['image'].numpy() / 255 - 0.5
  reward = batch['reward'].numpy()
  future = image[:, CONTEXT:]

  def nats(guess):
    return 0.5 * np.square(future - guess).sum((2, 3, 4)).mean(0)

  errors = prediction.errors(Mover(), batch, CONTEXT)
  last = image[:, CONTEXT - 1 : CONTEXT]
  np.testing.assert_allclose(errors['copy_image'], nats(last), rtol=1e-4)
  # Without a mean image in the model: that of the batch.
  golden = nats(image.mean((0, 1)))
  np.testing.assert_allclose(errors['mean_image'], golden, rtol=1e-4)
  np.testing.assert_allclose(
    errors['reward_variance'], np.full(4, reward[:, CONTEXT:].var()), rtol=1e-4
  )
  copied = np.square(reward[:, CONTEXT:] - reward[:, CONTEXT - 1, None])
  np.testing.assert_allclose(errors['copy_reward'], copied.mean(0), rtol=1e-4)
  errors = prediction.errors(Mover(mean=0.25), batch, CONTEXT)
  np.testing.assert_allclose(errors['mean_image'], nats(0.25), rtol=1e-4)


def test_padding_does_not_count():
  batch = make_batch()
  mask = np.ones([B, T], np.float32)
  mask[1, 5:] = 0
  batch['mask'] = tf.constant(mask)
  before = prediction.errors(Mover(0.01, 0.1), batch, CONTEXT)
  image, reward = batch['image'].numpy(), batch['reward'].numpy()
  image[1, 5:], reward[1, 5:] = 0, 99
  batch |= {'image': tf.constant(image), 'reward': tf.constant(reward)}
  after = prediction.errors(Mover(0.01, 0.1), batch, CONTEXT)
  for key in before:
    np.testing.assert_allclose(before[key], after[key], rtol=1e-5)
  # Where nothing is left the error is zero, not NaN.
  batch['mask'] = tf.constant(mask * (np.arange(T) < 6))
  assert prediction.errors(Mover(0.01), batch, CONTEXT)['image'][-1] == 0


# ----------------------------------------------------- with a world model ----


@pytest.fixture(scope='module')
def model():
  made = WorldModel(
    spec=Spec(actions=1, image=(SIZE, SIZE, 3)),
    encoder=dict(kind='spatial_softmax', channels=(), points=2),
    dynamics=dict(kind='rssm', deter=5, stoch=3, hidden=6, activation='elu'),
    heads={'reward': dict(kind='normal', scale=1.0, units=4)},
    kl=dict(scale=1.0),
    overshooting=dict(steps=0, kl=0.0, reward=0.0, image=0.0),
  )
  random = np.random.default_rng(0)
  for variable in made.trainable_variables:
    variable.assign(random.normal(size=variable.shape))
  return made


def far(one, other):
  """How far states [B, T, ...] are apart at each step, [T]."""
  each = [
    np.abs(x - y).reshape([B, x.shape[1], -1]).max((0, 2))
    for x, y in zip(tf.nest.flatten(one), tf.nest.flatten(other))
  ]
  return np.max(each, 0)


def test_predict_observes_and_then_imagines(model):
  batch = make_batch()
  found = prediction.predict(model, batch, CONTEXT)
  posterior, prior = model.observe(batch)
  last = states.at(posterior, CONTEXT - 1)
  imagined = model.imagine(last, batch['action'][:, CONTEXT:])
  for value in tf.nest.flatten(found):
    assert value.shape[:2] == [B, T]
  golden = states.join(states.between(posterior, None, CONTEXT), imagined)
  assert far(found, golden).max() < 1e-5
  # One step ahead nothing more is known than the prior knows.
  one = states.between(found, CONTEXT, CONTEXT + 1)
  assert far(one, states.between(prior, CONTEXT, CONTEXT + 1)) < 1e-5
  assert far(one, states.between(posterior, CONTEXT, CONTEXT + 1)) > 1e-3


def test_predict_does_not_look_at_the_images_to_come(model):
  batch = make_batch()
  found = prediction.predict(model, batch, CONTEXT)
  image = batch['image'].numpy()
  image[:, CONTEXT:, :4] = 255
  blind = prediction.predict(model, {**batch, 'image': tf.constant(image)}, 3)
  assert far(found, blind).max() == 0
  image[:, CONTEXT - 1, :4] = 255
  seeing = prediction.predict(model, {**batch, 'image': tf.constant(image)}, 3)
  moved = far(found, seeing)
  assert moved[: CONTEXT - 1].max() == 0 and moved[CONTEXT - 1 :].min() > 1e-6


def test_errors_of_a_model_are_those_of_its_dreams(model):
  """The images are given: this model has no head for them."""
  batch, seen = make_batch(), []

  class Drawing:
    mean_image, pixels = model.mean_image, staticmethod(encoder.pixels)
    observe, imagine, reward = model.observe, model.imagine, model.reward

    def image(self, state):
      seen.append(state)
      return tf.zeros([B, T - CONTEXT, SIZE, SIZE, 3])

  found = prediction.errors(Drawing(), batch, CONTEXT, samples=3)
  truth = encoder.pixels(batch['image'])[:, CONTEXT:]
  golden = 0.5 * np.square(truth).sum((2, 3, 4)).mean(0)
  np.testing.assert_allclose(found['image'], golden, rtol=1e-5)
  # The mean of three dreams of the reward, always the same three.
  posterior, _ = model.observe(states.between(batch, None, CONTEXT))
  last, action = states.at(posterior, -1), batch['action'][:, CONTEXT:]
  dreams = [
    model.reward(model.imagine(last, action, tf.constant([0, number])))
    for number in range(3)
  ]
  error = np.square(np.mean(dreams, 0) - batch['reward'][:, CONTEXT:])
  np.testing.assert_allclose(found['reward'], error.mean(0), rtol=1e-4)
  assert far(seen[0], model.imagine(last, action)).min() > 1e-3


def test_where_there_is_no_image_vectors_are_compared():
  """A model that adds actions up, of two chunks, worked out by hand."""

  class Adder:
    keys = ('reward', 'discount', 'place')

    def observe(self, batch, state=None, seed=None):
      return {'place': batch['place']}, None

    def imagine(self, state, action, seed=None):
      return {'place': state['place'][:, None] + tf.cumsum(action, 1)}

    def features(self, state):
      return state['place']

    def head(self, key):
      assert key == 'place'
      return types.SimpleNamespace(mean=lambda features: features)

    def reward(self, state):
      return state['place'][..., 0]

  place = tf.constant([[[0.0], [1.0], [2.0]], [[4.0], [4.0], [6.0]]])
  batch = {
    'place': place,
    'action': tf.ones([2, 3, 1]),
    'reward': place[..., 0],
    'is_first': tf.zeros([2, 3], tf.bool),
    'mask': tf.ones([2, 3]),
  }
  found = prediction.errors(Adder(), batch, 1)
  assert list(found) == [
    *('place', 'copy_place', 'mean_place', 'reward', 'reward_variance'),
    'copy_reward',
  ]
  # Of the second chunk 5 and 6 are predicted where 4 and 6 come.
  np.testing.assert_allclose(found['place'], [0.25, 0.0])
  np.testing.assert_allclose(found['copy_place'], [0.25, 2.0])
  mean = 17 / 6
  golden = [
    ((1 - mean) ** 2 + (4 - mean) ** 2) / 4,
    ((2 - mean) ** 2 + (6 - mean) ** 2) / 4,
  ]
  np.testing.assert_allclose(found['mean_place'], golden, rtol=1e-5)
  np.testing.assert_allclose(found['reward'], [0.5, 0.0])
