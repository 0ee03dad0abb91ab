import numpy as np
import pytest
import tensorflow as tf

from worldmodels import errors
from worldmodels import kinds
from worldmodels.agents import actor
from worldmodels.spec import Spec

PACKAGE = 'worldmodels.agents.action_distributions'
NAMES = kinds.names(PACKAGE, 'Distribution')
OPTIONS = dict(
  distributions={name: {} for name in NAMES},
  units=4,
  layers=1,
)
KINDS = [
  (name, kinds.find(PACKAGE, name, 'Distribution').discrete) for name in NAMES
]


def make(kind, discrete, **options):
  spec = Spec(actions=2, discrete=discrete)
  return actor.Actor(5, spec=spec, kind=kind, **OPTIONS | options)


def features():
  random = np.random.default_rng(0)
  return tf.constant(random.normal(size=[2, 3, 5]), tf.float32)


@pytest.mark.parametrize('kind,discrete', KINDS)
def test_every_variable_gets_a_gradient_from_draws_and_densities(
  kind, discrete
):
  made = make(kind, discrete)
  x, variables = features(), made.trainable_variables
  with tf.GradientTape(persistent=True) as tape:
    distribution = made.distribution(made(x))
    draw = distribution.sample([1, 2])
    assert draw.shape == [2, 3, 2]
    ways = {
      'draw': tf.reduce_sum(draw[..., 0]),
      'density': tf.reduce_sum(distribution.log_prob(tf.stop_gradient(draw))),
    }
  for name, value in ways.items():
    for variable in variables:
      by = tape.gradient(value, variable.value)
      assert np.abs(by).max() > 0, (name, variable.path)


@pytest.mark.parametrize('kind,discrete', KINDS)
def test_draws_and_modes_are_those_of_its_distribution(kind, discrete):
  made, x, seed = make(kind, discrete), features()[0], tf.constant([1, 2])
  action, outputs = made.sample(x, seed)
  np.testing.assert_array_equal(outputs, made(x))
  distribution = made.distribution(outputs)
  np.testing.assert_array_equal(action, distribution.sample(seed))
  np.testing.assert_array_equal(made.mode(x, seed), distribution.mode(seed))
  # Unlike members are treated unlike.
  assert np.ptp(outputs, 0).min() > 0


@pytest.mark.parametrize('kind,discrete', KINDS)
def test_the_features_that_it_acts_on_get_no_gradient(kind, discrete):
  made, x = make(kind, discrete), features()[0]
  with tf.GradientTape(persistent=True) as tape:
    tape.watch(x)
    action, outputs = made.sample(x, tf.constant([1, 2]))
    found = [action, outputs, made.mode(x, tf.constant([1, 2]))]
  for value in found:
    assert tape.gradient(value, x) is None


def test_the_options_of_its_own_distribution_are_used():
  narrow = dict(min_std=0.01, max_std=0.01)
  wide = dict(min_std=0.8, max_std=0.8)
  entropies = [
    make(
      'bounded_normal',
      False,
      distributions=dict(bounded_normal=options, tanh_normal=dict(wrong=1)),
    )
    .distribution(tf.zeros([3, 4]))
    .entropy(None)
    for options in (narrow, wide)
  ]
  golden = 2 * np.log(0.8 / 0.01)
  np.testing.assert_allclose(entropies[1] - entropies[0], golden, rtol=1e-4)


@pytest.mark.parametrize(
  'kind,discrete,message',
  [
    ('normal', False, "^kind is 'normal'; it is one of bounded_normal"),
    ('one_hot', False, "^kind is 'one_hot', but .* are not discrete"),
    ('tanh_normal', True, "^kind is 'tanh_normal', .* are discrete: one_hot"),
  ],
)
def test_what_does_not_fit_is_named(kind, discrete, message):
  with pytest.raises(errors.OptionError, match=message):
    make(kind, discrete)
