import numpy as np
import pytest
import tensorflow as tf

from agents import action_distributions
from agents import actor

OPTIONS = dict(
  distributions={kind: {} for kind in action_distributions.KINDS},
  units=4,
  layers=1,
)
KINDS = [
  (kind, kind == 'one_hot') for kind in sorted(action_distributions.KINDS)
]


def features():
  random = np.random.default_rng(0)
  return tf.constant(random.normal(size=[2, 3, 5]), tf.float32)


@pytest.mark.parametrize('kind,discrete', KINDS)
def test_every_variable_gets_a_gradient_from_draws_and_densities(
  kind, discrete
):
  made = actor.Actor(5, actions=2, discrete=discrete, kind=kind, **OPTIONS)
  x, variables = features(), made.trainable_variables
  with tf.GradientTape(persistent=True) as tape:
    distribution = made.distribution(x)
    draw = distribution.sample([1, 2])
    assert draw.shape == [2, 3, 2]
    ways = {
      'draw': tf.reduce_sum(draw[..., 0]),
      'density': tf.reduce_sum(
        distribution.log_prob(tf.stop_gradient(draw))
      ),
    }
  for name, value in ways.items():
    for variable in variables:
      by = tape.gradient(value, variable.value)
      assert np.abs(by).max() > 0, (name, variable.path)


@pytest.mark.parametrize(
  'kind,discrete,message',
  [
    ('normal', False, "actor.kind is 'normal'; it is one of bounded_normal"),
    ('one_hot', False, 'are not discrete'),
    ('tanh_normal', True, 'are discrete: one_hot'),
  ],
)
def test_what_does_not_fit_is_named(kind, discrete, message):
  with pytest.raises(ValueError, match=message):
    actor.Actor(5, actions=2, discrete=discrete, kind=kind, **OPTIONS)
