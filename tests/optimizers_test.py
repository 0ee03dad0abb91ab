import keras
import numpy as np
import pytest
import tensorflow as tf

from worldmodels import errors
from worldmodels.agents import optimizers

COUNTS = ('skipped', 'skipped_run')
OPTIONS = dict(rate=0.1, epsilon=1e-8, clip=1e6, name='optimizer')


def variables(*values):
  return [
    keras.Variable(np.float32(value), name=f'v{index}')
    for index, value in enumerate(values)
  ]


def minimize(optimizer, targets, function):
  """One update of the loss that `function` is of the targets."""
  with tf.GradientTape() as tape:
    loss = tf.convert_to_tensor(function(*(x.value for x in targets)))
  return float(optimizer.minimize(loss, tape))


def everything(optimizer, targets):
  parts = [*targets, *optimizer.slots]
  return {variable.path: variable.numpy() for variable in parts}


def test_it_finds_a_minimum():
  targets = variables([3.0, -2.0], 5.0)
  optimizer = optimizers.Optimizer(targets, **OPTIONS)

  @tf.function
  def update():
    with tf.GradientTape() as tape:
      a, b = (x.value for x in targets)
      loss = tf.reduce_sum(tf.square(a - 1.0)) + tf.square(b + 1.0)
    return optimizer.minimize(loss, tape)

  for _ in range(200):
    update()
  np.testing.assert_allclose(targets[0].numpy(), [1, 1], atol=0.05)
  np.testing.assert_allclose(targets[1].numpy(), -1, atol=0.05)


def test_two_updates_of_adam_by_hand():
  # Gradients of 3 and then 5 * 0.5, of a parabola with its foot at 0.
  (target,) = targets = variables(3.0)
  optimizer = optimizers.Optimizer(targets, **OPTIONS | dict(epsilon=1e-4))
  assert minimize(optimizer, targets, lambda a: 3.0 * a) == pytest.approx(3)
  first, second = 0.1 * 3.0, 0.001 * 9.0
  rate = 0.1 * np.sqrt(1 - 0.999) / (1 - 0.9)
  golden = 3.0 - rate * first / (np.sqrt(second) + 1e-4)
  assert float(target) == pytest.approx(golden, abs=1e-6)
  minimize(optimizer, targets, lambda a: -2.0 * a)
  first = 0.9 * first + 0.1 * -2.0
  second = 0.999 * second + 0.001 * 4.0
  rate = 0.1 * np.sqrt(1 - 0.999**2) / (1 - 0.9**2)
  golden -= rate * first / (np.sqrt(second) + 1e-4)
  assert float(target) == pytest.approx(golden, abs=1e-6)


@pytest.mark.parametrize('warmup', [0, 3])
def test_steps_are_those_of_keras(warmup):
  """To the bit, so that runs are what they were."""
  noise = np.random.default_rng(0).normal(size=(6, 5, 7)).astype('float32')
  mine, its = variables(noise[0]), variables(noise[0])
  optimizer = optimizers.Optimizer(mine, **OPTIONS | dict(warmup=warmup))
  rate = OPTIONS['rate']
  if warmup:
    rate = keras.optimizers.schedules.PolynomialDecay(rate / 3, 3, rate)
  other = keras.optimizers.Adam(rate, epsilon=OPTIONS['epsilon'])

  def update(factors):
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(factors * mine[0].value)
    optimizer.minimize(loss, tape)
    other.apply([factors], its)

  update = tf.function(update)
  for factors in noise[1:]:
    update(factors)
    np.testing.assert_array_equal(mine[0].numpy(), its[0].numpy())
  assert (mine[0].numpy() != noise[0]).all()


def test_a_long_gradient_is_shortened_and_its_length_told():
  targets = variables([0.0, 0.0], 0.0)
  optimizer = optimizers.Optimizer(targets, **OPTIONS | dict(clip=1.0))
  norm = minimize(
    optimizer, targets, lambda a, b: 2.0 * a[0] + 4.0 * a[1] + 4.0 * b
  )
  assert norm == pytest.approx(6)  # sqrt(4 + 16 + 16)
  slots = {x.path: x.numpy() for x in optimizer.slots}
  np.testing.assert_allclose(
    slots['adam/v0_momentum'], [0.1 * 2 / 6, 0.1 * 4 / 6], rtol=1e-5
  )
  golden = 1e-3 * (4 / 6) ** 2
  assert slots['adam/v1_velocity'] == pytest.approx(golden, rel=1e-5)
  # And a short one is left as it is.
  norm = minimize(optimizer, targets, lambda a, b: 0.5 * b)
  assert norm == pytest.approx(0.5)
  slots = {x.path: x.numpy() for x in optimizer.slots}
  golden = 0.9 * 0.1 * 4 / 6 + 0.1 * 0.5
  assert slots['adam/v1_momentum'] == pytest.approx(golden, rel=1e-5)


@pytest.mark.parametrize(
  'function',
  [
    lambda a, b: tf.reduce_sum(a) * np.nan + b,
    lambda a, b: tf.reduce_sum(tf.sqrt(a - a)) + b,  # 0, of infinite slope.
    lambda a, b: tf.reduce_sum(a) + b + np.inf,  # Infinite, of finite slope.
    lambda a, b: tf.reduce_sum(a * 1e30) + b,  # The norm overflows.
  ],
)
def test_what_is_not_finite_changes_nothing_and_is_counted(function):
  targets = variables([1.0, 2.0], 3.0)
  optimizer = optimizers.Optimizer(targets, **OPTIONS)
  minimize(optimizer, targets, lambda a, b: tf.reduce_sum(a) + b)
  before = everything(optimizer, targets)
  assert before['adam/iteration'] == 1
  for count in (1, 2):
    minimize(optimizer, targets, function)
    after = everything(optimizer, targets)
    skipped = [after.pop(f'optimizer/{x}') for x in COUNTS]
    assert skipped == [count, count]
    for path, value in after.items():
      np.testing.assert_array_equal(value, before[path], err_msg=path)
  minimize(optimizer, targets, lambda a, b: tf.reduce_sum(a) + b)
  after = everything(optimizer, targets)
  assert [after[f'optimizer/{x}'] for x in COUNTS] == [2, 0]
  assert after['adam/iteration'] == 2
  assert (after['v0'] < before['v0']).all() and after['v1'] < before['v1']


@pytest.mark.parametrize('factor', [1.0, np.nan])
def test_what_is_not_enabled_changes_nothing_and_is_not_counted(factor):
  targets = variables([1.0, 2.0])
  optimizer = optimizers.Optimizer(targets, **OPTIONS | dict(average=0.5))
  minimize(optimizer, targets, tf.reduce_sum)
  before = everything(optimizer, targets)
  with tf.GradientTape() as tape:
    loss = factor * tf.reduce_sum(targets[0].value)
  optimizer.minimize(loss, tape, enabled=tf.constant(False))
  for path, value in everything(optimizer, targets).items():
    np.testing.assert_array_equal(value, before[path], err_msg=path)


def test_warmup_rises_to_the_rate_and_stays():
  (target,) = targets = variables(0.0)
  optimizer = optimizers.Optimizer(targets, **OPTIONS | dict(warmup=4))
  steps = []
  for _ in range(7):
    before = float(target)
    minimize(optimizer, targets, lambda a: 2.0 * a)
    steps.append(before - float(target))
  # A gradient that is always the same makes steps as long as the rate.
  golden = [0.025, 0.04375, 0.0625, 0.08125, 0.1, 0.1, 0.1]
  np.testing.assert_allclose(steps, golden, rtol=1e-3)


@pytest.mark.parametrize('warmup', [0, 4])
def test_slots_are_all_that_it_remembers(warmup):
  """Two that are given the same slots go on alike."""
  first, second = variables([1.0, -1.0]), variables([1.0, -1.0])
  mine = optimizers.Optimizer(first, **OPTIONS | dict(warmup=warmup))
  its = optimizers.Optimizer(second, **OPTIONS | dict(warmup=warmup))
  assert len({x.path for x in mine.slots}) == len(mine.slots)

  def bowl(a):
    return tf.reduce_sum(tf.square(a - 3.0))

  for _ in range(3):
    minimize(mine, first, bowl)
  second[0].assign(first[0])
  for old, new in zip(its.slots, mine.slots, strict=True):
    assert old.path == new.path
    old.assign(new)
  for _ in range(3):
    minimize(mine, first, bowl)
    minimize(its, second, bowl)
  np.testing.assert_array_equal(first[0].numpy(), second[0].numpy())


def test_the_average_follows_fast_at_first_and_slowly_later():
  (target,) = targets = variables([3.0, -1.0])
  optimizer = optimizers.Optimizer(targets, **OPTIONS | dict(average=0.3))
  (mean,) = optimizer.averages
  golden = target.numpy()
  # After n updates the decay is (1 + n) / (10 + n), and 0.3 from there on.
  for decay in (2 / 11, 3 / 12, 0.3, 0.3):
    minimize(optimizer, targets, lambda a: tf.reduce_sum(a * a))
    golden = decay * golden + (1 - decay) * target.numpy()
    np.testing.assert_allclose(mean.numpy(), golden, atol=1e-6)
    assert np.abs(mean.numpy() - target.numpy()).min() > 1e-3


def test_without_an_average_the_variables_stand_for_it():
  targets = variables([3.0, -1.0])
  optimizer = optimizers.Optimizer(targets, **OPTIONS)
  assert [id(x) for x in optimizer.averages] == [id(x) for x in targets]


@pytest.mark.parametrize('average', [-0.1, 1.0])
def test_an_average_that_never_forgets_is_refused(average):
  with pytest.raises(errors.OptionError, match=rf'^average is {average};'):
    optimizers.Optimizer(variables(1.0), **OPTIONS | dict(average=average))
