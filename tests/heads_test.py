"""Every file of worldmodels/heads is under these tests."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from worldmodels import errors
from worldmodels import kinds


def features(*lead, size=5, seed=0):
  random = np.random.default_rng(seed)
  return tf.constant(random.normal(size=[*lead, size]), tf.float32)


def fill(layer, scale=0.3):
  """Gives every variable other numbers, always the same."""
  random = np.random.default_rng(1)
  for variable in layer.variables:
    variable.assign(random.normal(scale=scale, size=variable.shape))


SMALL = dict(channels=(4, 3, 2), linear=6, activation='elu')
# Small forms; a kind that is not here is tried as it comes.
OPTIONS = {
  'normal': dict(shape=(3,), units=4, activation='elu'),
  'bernoulli': dict(units=4, activation='elu'),
  'symlog': dict(shape=(3,), units=4, activation='elu'),
  'two_hot': dict(units=4, bins=5, limit=2.0, activation='elu'),
  'convolutional': SMALL,
  'convolutional from 4': SMALL | dict(start=4, linear=0),
  'keypoints': dict(points=3, hidden=4, channels=(2,)),
  'keypoints on a canvas': dict(
    points=3, hidden=4, channels=(2,), canvas=(3, 2, 2)
  ),
}
KINDS = kinds.names('worldmodels.heads', 'Head')
HEADS = sorted({*KINDS, *OPTIONS})
SHAPES = [(), (3,), (64, 64, 3)]


def make(kind, shape=(), size=5, **options):
  """The head that a group of a config names."""
  return kinds.make(
    'worldmodels.heads',
    'Head',
    dict(kind=kind, scale=1.0, **options),
    features_size=size,
    shape=shape,
    name=kind,
  )


def load(name, size=5, **options):
  """The small form of a head, for a shape that it can predict."""
  kind = name.split()[0]
  options = OPTIONS.get(name, {}) | options
  wanted = options.pop('shape', None)
  for shape in SHAPES if wanted is None else [wanted]:
    try:
      return make(kind, shape, size, **options)
    except errors.OptionError as error:
      assert error.option == 'kind'
  raise AssertionError(f'{kind} predicts none of {SHAPES}')


def test_a_kind_that_is_not_there_is_named():
  with pytest.raises(errors.OptionError, match="'norm'; it is one of "):
    make('norm')


@pytest.mark.parametrize('kind', KINDS)
def test_a_shape_that_it_cannot_predict_is_an_error_of_its_kind(kind):
  made = []
  for shape in SHAPES:
    try:
      made.append(make(kind, shape, units=4).mean(features(2)).shape[1:])
    except errors.OptionError as error:
      assert error.option == 'kind'
    else:
      assert made[-1] == shape
  assert made


@pytest.mark.parametrize('name', HEADS)
def test_any_leading_axes_and_every_member_for_itself(name):
  head, x = load(name), features(2, 3)
  fill(head)
  distribution, mean = head.distribution(head(x)), head.mean(x)
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
def test_and_so_in_a_graph_of_unknown_sizes(name):
  head, x = load(name), features(2, 3)
  fill(head)
  target = tf.stop_gradient(head.mean(x) * 0.5)

  @tf.function(
    input_signature=[
      tf.TensorSpec([None, None, 5]),
      tf.TensorSpec([None, None, *target.shape[2:]]),
    ]
  )
  def run(x, target):
    return head.mean(x), head.loss(x, target)

  mean, loss = run(x, target)
  np.testing.assert_allclose(mean, head.mean(x), rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(loss, head.loss(x, target), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('name', HEADS)
def test_the_loss_is_of_each_member_and_least_for_what_is_likeliest(name):
  head, x = load(name), features(2, 3)
  fill(head)
  target = tf.stop_gradient(head.mean(x)) * 0.5
  loss = head.loss(x, target)
  assert loss.shape == [2, 3] and loss.dtype == tf.float32
  np.testing.assert_allclose(
    head.loss_of(head(x), target), loss, rtol=1e-5, atol=1e-4
  )
  # A member's target is its own.
  changed = np.array(target)
  changed[1, 2] += 0.3
  moved = np.abs(head.loss(x, tf.constant(changed)) - loss) > 1e-5
  np.testing.assert_array_equal(moved, [[0, 0, 0], [0, 0, 1]])


@pytest.mark.parametrize('name', HEADS)
def test_every_variable_gets_a_gradient(name):
  head, x = load(name), features(4)
  fill(head)
  variables = head.trainable_variables
  assert variables and len(variables) == len(head.variables)
  paths = [variable.path for variable in variables]
  assert len(set(paths)) == len(paths)
  with tf.GradientTape() as tape:
    target = tf.stop_gradient(head.mean(x) + 0.5)
    loss = tf.reduce_sum(head.loss(x, target))
  by = tape.gradient(loss, [variable.value for variable in variables])
  for path, gradient in zip(paths, by, strict=True):
    assert gradient is not None and np.abs(gradient).max() > 0, path
  # All there is was made by the constructor.
  assert [variable.path for variable in head.variables] == paths
  layers = {path.split('/')[-2] for path in paths}
  if name == 'keypoints':
    assert layers == {'hidden', 'places', 'deconv0', 'deconv1'}
  if 'convolutional' in name:
    assert 'map' in layers and {'linear', 'deconv0', 'deconv1'} & layers
    assert len(paths) == 10


@pytest.mark.parametrize('name', HEADS)
def test_half_precision_keeps_float32_outside(name):
  # A kind that names no precision makes two that are the same.
  full, half = load(name), load(name, precision='mixed_bfloat16')
  fill(full)
  for mine, its in zip(half.variables, full.variables, strict=True):
    assert mine.dtype == 'float32'
    mine.assign(its)
  mean = half.mean(features(2))
  assert mean.dtype == tf.float32
  np.testing.assert_allclose(mean, full.mean(features(2)), atol=0.1)
  if name in OPTIONS:
    assert np.abs(mean - full.mean(features(2))).max() > 1e-6


# ------------------------------------------------------------ one by one ----


@pytest.mark.parametrize('shape', [(), (1,), (3,), (2, 3)])
def test_normal_has_the_shape_of_its_key(shape):
  head = make('normal', shape, units=4, std=0.5)
  assert head.mean(features(2, 7)).shape == [2, 7, *shape]
  # The least possible loss is zero, whatever the event and the std.
  x = features(2)
  distribution = head.distribution(head(x))
  least = head.max_log_prob - distribution.log_prob(head.mean(x))
  np.testing.assert_allclose(least, [0, 0], atol=1e-4)
  # Half a squared distance, in stds, for each number of the event.
  loss = head.max_log_prob - distribution.log_prob(head.mean(x) + 1.0)
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
    found = head.distribution(head(x)).log_prob(tf.fill([2, 3], target))
    np.testing.assert_allclose(found, golden, rtol=1e-4, atol=1e-4)
  with pytest.raises(ValueError, match='predicts one number, not'):
    make('bernoulli', (3,))


def test_a_discount_is_learned():
  # The episode ends where the first feature is positive.
  head = make('bernoulli', size=2, units=8, activation='elu')
  x = features(64, size=2)
  discount = tf.cast(x[:, 0] < 0, tf.float32)
  adam = keras.optimizers.Adam(0.03)
  variables = head.trainable_variables

  @tf.function
  def update():
    with tf.GradientTape() as tape:
      loss = -tf.reduce_mean(head.distribution(head(x)).log_prob(discount))
    adam.apply(tape.gradient(loss, [v.value for v in variables]), variables)

  adam.build(variables)
  for _ in range(60):
    update()
  other = features(200, size=2, seed=1)
  other = tf.boolean_mask(other, tf.abs(other[:, 0]) > 0.5)
  chance = head.mean(other).numpy()
  assert chance[other[:, 0] < 0].min() > 0.8
  assert chance[other[:, 0] > 0].max() < 0.2


def test_symlog_learns_the_symlog_and_says_the_number():
  head = make('symlog', (2,), units=4, activation='elu')
  fill(head)
  x = features(3)
  mean = head.mean(x)
  np.testing.assert_allclose(
    mean, np.sign(head(x)) * np.expm1(np.abs(head(x))), rtol=1e-5
  )
  distribution = head.distribution(head(x))
  least = head.max_log_prob - distribution.log_prob(mean)
  np.testing.assert_allclose(least, [0, 0, 0], atol=1e-4)
  # A million is 13.8 away from 0, and not a million.
  far = head.max_log_prob - distribution.log_prob(tf.fill([3, 2], 1e6))
  golden = 0.5 * np.sum(np.square(np.log1p(1e6) - head(x)), -1)
  np.testing.assert_allclose(far, golden, rtol=1e-4)


def test_two_hot_starts_at_zero_and_learns_numbers_of_any_size():
  keras.utils.set_random_seed(0)
  head = make(
    'two_hot', size=2, units=16, layers=1, limit=12.0, activation='elu'
  )
  x = tf.constant([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]])
  np.testing.assert_allclose(head.mean(x), [0, 0, 0], atol=1e-4)
  target = tf.constant([3e4, -0.25, 7.0])
  adam = keras.optimizers.Adam(0.05)
  variables = head.trainable_variables

  @tf.function
  def update():
    with tf.GradientTape() as tape:
      loss = -tf.reduce_mean(head.distribution(head(x)).log_prob(target))
    adam.apply(tape.gradient(loss, [v.value for v in variables]), variables)

  adam.build(variables)
  for _ in range(150):
    update()
  np.testing.assert_allclose(head.mean(x), target, rtol=0.01, atol=0.05)


@pytest.mark.parametrize(
  'options,message',
  [
    (dict(bins=4), 'bins is 4; it is odd'),
    (dict(shape=(2,)), 'predicts one number, not'),
  ],
)
def test_two_hot_refuses_what_it_cannot_predict(options, message):
  with pytest.raises(ValueError, match=message):
    make('two_hot', **options)
