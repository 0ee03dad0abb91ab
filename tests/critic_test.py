"""The critic as a line, value = 0.5 feature - 1: all can be said by hand."""

import numpy as np
import pytest
import tensorflow as tf

from worldmodels import errors
from worldmodels.agents import critic

OPTIMIZER = dict(rate=0.1, epsilon=1e-8, clip=1e6)
FEATURES = tf.constant([[[1.0], [2.0]], [[-1.0], [4.0]]])  # [N, H, F]
VALUES = np.array([[-0.5, 0.0], [-1.5, 1.0]])
RETURNS = tf.constant([[1.0, 0.5], [0.0, 1.0]])
WEIGHT = tf.constant([[1.0, 0.5], [1.0, 0.0]])
KINDS = ('normal', 'symlog', 'two_hot')


def make(slow='none', **options):
  made = critic.Critic(
    1, kind='normal', layers=0, optimizer=OPTIMIZER, slow=slow, **options
  )
  assign(made.head, 0.5, -1.0)
  if made.slow_head is not None:
    assign(made.slow_head, 0.0, 3.0)
  return made


def assign(head, slope, offset):
  kernel, bias = head.variables
  kernel.assign([[slope]])
  bias.assign([offset])


def loss_of(made):
  return made.loss(FEATURES, made.target(FEATURES), RETURNS, WEIGHT)


def values_of(variables):
  return {x.path: x.numpy() for x in variables}


def mean(errors_):
  return np.sum(np.square(errors_) / 2 * WEIGHT) / np.sum(WEIGHT)


@pytest.mark.parametrize(
  'slow,more',
  [
    ('none', 0.0),
    ('target', 0.0),  # It makes the returns, and that is all.
    ('regularizer', mean(VALUES - 3.0)),
  ],
)
def test_the_loss_is_half_the_squared_error_of_what_counts(slow, more):
  golden = mean(VALUES - RETURNS.numpy()) + more
  assert float(loss_of(make(slow))) == pytest.approx(golden, rel=1e-5)


@pytest.mark.parametrize('slow', critic.SLOW)
def test_the_target_is_the_slow_copy_only_if_that_is_what_it_is_for(slow):
  made = make(slow)
  found = made.target.mean(FEATURES)
  golden = np.full([2, 2], 3.0) if slow == 'target' else VALUES
  np.testing.assert_allclose(found, golden, rtol=1e-6)


def test_what_its_target_has_computed_is_not_computed_again():
  made = make()
  outputs = made.target(FEATURES) + 1.0
  found = made.loss(FEATURES, outputs, RETURNS, WEIGHT)
  golden = mean(VALUES + 1.0 - RETURNS.numpy())
  assert float(found) == pytest.approx(golden, rel=1e-5)


@pytest.mark.parametrize('slow', critic.SLOW)
def test_only_the_critic_itself_has_a_gradient(slow):
  made = make(slow)
  features, returns = tf.Variable(FEATURES), tf.Variable(RETURNS)
  with tf.GradientTape(persistent=True) as tape:
    values = [x.value for x in (made.slow_head or made.head).variables]
    tape.watch(values)
    outputs = made.target(tf.stop_gradient(features))
    found = made.loss(features, outputs, returns, WEIGHT)
  for source in (features, returns):
    assert tape.gradient(found, source) is None
  if slow == 'none':
    by = tape.gradient(found, made.head.variables[1].value)
    golden = np.sum((VALUES - RETURNS) * WEIGHT) / np.sum(WEIGHT)
    np.testing.assert_allclose(by, [golden], rtol=1e-5)
  else:
    assert tape.gradient(found, values) == [None, None]


@pytest.mark.parametrize('slow', ['target', 'regularizer'])
def test_the_slow_copy_follows_at_every_second_update(slow):
  made = make(slow, slow_every=2, slow_share=0.25)
  for number in (1, 2, 3, 4):
    before = made.slow_head.variables[1].numpy()
    made.update_slow(True)
    golden = 0.75 * before + 0.25 * -1.0 if number % 2 == 0 else before
    np.testing.assert_allclose(made.slow_head.variables[1], golden)


@pytest.mark.parametrize('slow', critic.SLOW)
def test_an_update_that_is_not_enabled_is_not_counted(slow):
  made = make(slow, slow_every=2)
  made.update_slow(True)
  before = values_of(made.extra_variables)
  made.update_slow(tf.constant(False))
  for path, value in values_of(made.extra_variables).items():
    np.testing.assert_array_equal(value, before[path], err_msg=path)
  assert before['critic/updates'] == 1


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('slow', critic.SLOW)
def test_the_copy_starts_as_the_critic_and_is_never_trained(slow, kind):
  made = critic.Critic(
    3, kind=kind, optimizer=OPTIMIZER, slow=slow, units=4, layers=1
  )
  extra = values_of(made.extra_variables)
  assert extra.pop('critic/updates') == 0
  assert bool(extra) == (slow != 'none')
  trained = values_of(made.head.variables)
  for path, value in extra.items():
    twin = path.replace('slow_critic/', '', 1)
    assert path.startswith('slow_critic/')
    np.testing.assert_array_equal(value, trained[f'critic/{twin}'])
  assert {id(x) for x in made.trainable_variables} == {
    id(x) for x in made.head.trainable_variables
  }
  # All that there is, each under a name of its own.
  held = [*made.head.variables, *made.optimizer.slots, *made.extra_variables]
  assert len({x.path for x in held}) == len({id(x) for x in held}) == len(held)
  assert {id(x) for x in made.variables} <= {id(x) for x in held}


def test_it_learns_the_line_that_fits_the_returns_best():
  made = make('target')

  @tf.function
  def update():
    with tf.GradientTape() as tape:
      loss = loss_of(made)
    made.optimizer.minimize(loss, tape)

  for _ in range(300):
    update()
  golden = np.polyfit(
    np.ravel(FEATURES), np.ravel(RETURNS), 1, w=np.sqrt(np.ravel(WEIGHT))
  )
  found = np.concatenate([np.ravel(x) for x in made.head.variables])
  np.testing.assert_allclose(found, golden, atol=1e-3)
  np.testing.assert_array_equal(made.slow_head.variables[1], [3.0])


@pytest.mark.parametrize(
  'options,message',
  [
    (dict(slow='fast'), "^slow is 'fast'; it is one of none, target"),
    (dict(kind='norm'), "^kind is 'norm'; it is one of"),
    (dict(kind='two_hot', bins=4), '^bins is 4'),
    (
      dict(optimizer=OPTIMIZER | dict(average=2.0)),
      '^optimizer.average is 2.0',
    ),
  ],
)
def test_what_there_is_not_is_named(options, message):
  options = dict(kind='normal', optimizer=OPTIMIZER) | options
  with pytest.raises(errors.OptionError, match=message):
    critic.Critic(3, **options)
