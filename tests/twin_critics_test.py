"""Two critics as lines of the action: all can be said by hand."""

import numpy as np
import pytest
import tensorflow as tf

from worldmodels.agents import twin_critics

EMBED = tf.constant([[0.3, -1.0, 2.0], [1.5, 0.2, -0.4]])
ACTION = tf.constant([[0.5], [-1.0]])


def make(actions=1, kind='normal', **options):
  return twin_critics.TwinCritics(
    3, actions, features=4, name='critics', kind=kind, layers=0, **options
  )


def assign(made, lines):
  """Makes each head slope * first action + offset, whatever is seen."""
  for head, (slope, offset) in zip(made.heads, lines, strict=True):
    kernel, bias = head.variables
    values = np.zeros(kernel.shape)
    values[4] = slope
    kernel.assign(values)
    bias.assign([offset])


def test_the_lower_of_two_values():
  made = make()
  assign(made, [(2.0, 1.0), (-1.0, 0.5)])
  np.testing.assert_allclose(made(EMBED, ACTION), [[2.0, -1.0], [0.0, 1.5]])
  np.testing.assert_allclose(made.lower(EMBED, ACTION), [0.0, -1.0])


def test_the_loss_is_that_of_both():
  made = make()
  assign(made, [(2.0, 1.0), (-1.0, 0.5)])
  returns, weight = tf.constant([1.0, 3.0]), tf.constant([1.0, 0.5])
  found = made.loss(EMBED, ACTION, returns, weight)
  each = np.square([[2.0 - 1, -1.0 - 3], [0.0 - 1, 1.5 - 3]]) / 2
  golden = np.sum(each * weight.numpy()) / 1.5
  assert float(found) == pytest.approx(golden, rel=1e-5)


def test_what_is_not_counted_is_not_in_the_loss():
  made = make()
  weight = tf.constant([1.0, 0.0])
  found = [
    float(made.loss(EMBED, ACTION, tf.constant([1.0, x]), weight))
    for x in (0.0, 50.0)
  ]
  assert found[0] == found[1]


def test_the_gradient_goes_to_what_is_seen_and_done_and_not_to_returns():
  made, inputs = make(), [tf.Variable(EMBED), tf.Variable(ACTION)]
  returns = tf.Variable([1.0, 2.0])
  with tf.GradientTape() as tape:
    loss = made.loss(*inputs, tf.identity(returns), tf.ones([2]))
  *by, by_returns = tape.gradient(loss, [*inputs, returns])
  assert all(np.abs(x).max() > 0 for x in by)
  assert by_returns is None


@pytest.mark.parametrize('kind', ['normal', 'two_hot', 'symlog'])
def test_the_value_of_each_choice_is_that_of_choosing_it(kind):
  made = make(actions=3, kind=kind)
  random = np.random.default_rng(0)
  for head in made.heads:
    for variable in head.variables:
      variable.assign(random.normal(size=variable.shape) * 0.3)
  found = made.choices(EMBED)
  assert found.shape == [2, 3]
  for choice in range(3):
    action = tf.one_hot([choice, choice], 3)
    golden = made.lower(EMBED, action)
    np.testing.assert_allclose(found[:, choice], golden, rtol=1e-4, atol=1e-6)


def test_they_begin_unlike():
  values = make()(EMBED, ACTION).numpy()
  assert np.abs(values[0] - values[1]).max() > 1e-3
