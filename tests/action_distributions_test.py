"""Every file in agents/action_distributions is under these tests.

The first ones are asked of all of them, as soon as the file exists.
"""

import inspect

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from worldmodels import kinds
from worldmodels.agents import action_distribution
from worldmodels.agents.action_distributions import one_hot
from worldmodels.agents.action_distributions import tanh_normal

tfd = tfp.distributions
N = 40_000
SEED = tf.constant([3, 4])
PACKAGE = 'worldmodels.agents.action_distributions'
NAMES = kinds.names(PACKAGE, 'Distribution')
# What they are tested with.
OPTIONS = {
  'tanh_normal': dict(init_std=0.7),
  'truncated_normal': dict(init_std=0.4),
  'bounded_normal': dict(min_std=0.05, max_std=0.2),
}


def find(name):
  return kinds.find(PACKAGE, name, 'Distribution')


CONTINUOUS = [name for name in NAMES if not find(name).discrete]


def make(name, outputs, **options):
  kind = find(name)
  assert outputs.shape[-1] % kind.outputs_per_action == 0
  return kind(outputs, **OPTIONS.get(name, {}) | options)


def outputs(name, size=2, seed=0):
  """Of unlike members, [3, outputs]."""
  random = np.random.default_rng(seed)
  count = find(name).outputs_per_action * size
  return tf.constant(random.normal(size=[3, count]), tf.float32)


def test_the_distributions_found_are_the_files_that_are_there():
  assert {'tanh_normal', 'truncated_normal', 'bounded_normal'} <= {*CONTINUOUS}
  assert 'one_hot' in {*NAMES} - {*CONTINUOUS}
  assert OPTIONS.keys() <= {*NAMES}


@pytest.mark.parametrize('name', NAMES)
def test_it_is_made_of_outputs_and_options_that_have_values(name):
  assert issubclass(find(name), action_distribution.ActionDistribution)
  given, *options = inspect.signature(find(name)).parameters.values()
  assert given.name == 'outputs'
  for option in options:
    assert option.kind == option.KEYWORD_ONLY, option
    assert option.default is not option.empty, option


@pytest.mark.parametrize('name', NAMES)
def test_the_prior_of_a_search_is_the_mean_or_logits(name):
  made = make(name, outputs(name))
  prior = made.prior()
  assert prior.shape == [3, 2]
  if name in CONTINUOUS:
    np.testing.assert_allclose(prior, make(name, outputs(name)).mode(SEED))
  else:
    draws = make(name, tf.repeat(outputs(name), N, axis=0)).sample(SEED)
    shares = np.reshape(draws, [3, N, 2]).mean(1)
    np.testing.assert_allclose(tf.nn.softmax(prior), shares, atol=0.02)


@pytest.mark.parametrize('name', NAMES)
def test_shapes_bounds_and_seeds(name):
  made = make(name, outputs(name))
  draw = made.sample(SEED)
  assert draw.shape == made.mode(SEED).shape == [3, 2]
  assert made.log_prob(draw).shape == made.entropy(SEED).shape == [3]
  for action in (draw, made.mode(SEED)):
    assert np.abs(action).max() <= 1
    assert np.ptp(action, 0).max() > 0
  np.testing.assert_array_equal(draw, made.sample(SEED))
  many = make(name, tf.repeat(outputs(name), 50, axis=0))
  assert np.abs(many.sample(SEED) - many.sample(SEED + 1)).max() > 0


@pytest.mark.parametrize('name', ['tanh_normal', 'truncated_normal'])
def test_the_density_is_that_of_the_draws(name):
  made = make(name, tf.constant([[0.3, -0.2], [-0.8, 0.5]]))
  grid = tf.linspace(-0.99995, 0.99995, 20_001)
  density = np.exp(
    make(name, tf.constant([[0.3, -0.2]])).log_prob(grid[:, None])
  )
  step = float(grid[1] - grid[0])
  assert density.sum() * step == pytest.approx(1, abs=5e-3)
  many = make(name, tf.tile([[0.3, -0.2]], [N, 1])).sample(SEED)[:, 0]
  for power in (1, 2):
    golden = (density * grid.numpy() ** power).sum() * step
    found = np.mean(many.numpy() ** power)
    error = float(np.std(many.numpy() ** power)) / N**0.5
    assert found == pytest.approx(float(golden), abs=4 * error)
  assert np.abs(made.log_prob(made.sample(SEED))).max() < 20


@pytest.mark.parametrize('name', NAMES)
def test_entropy_is_minus_the_mean_log_density(name):
  row = outputs(name)[:1]
  many = make(name, tf.tile(row, [N, 1]))
  draws = many.sample(SEED)
  if name == 'bounded_normal':  # That of the Gaussian, whose draws are clipped.
    draws = tf.boolean_mask(draws, tf.reduce_all(tf.abs(draws) < 1, -1))
    many = make(name, tf.tile(row, [draws.shape[0], 1]))
  golden = -np.mean(many.log_prob(draws))
  found = np.mean(many.entropy(SEED + 1))
  assert found == pytest.approx(golden, abs=0.03)


def test_tanh_normal_is_the_transformed_distribution():
  raw = tf.constant([[0.5, -0.3, 0.2, 0.1], [4.0, -1.0, 0.0, -0.5]])
  made = make('tanh_normal', raw, mean_scale=5.0, init_std=1.0, min_std=0.0)
  mean = 5 * np.tanh(raw[:, :2] / 5)
  std = tf.nn.softplus(raw[:, 2:] + np.log(np.expm1(1.0)))
  twin = tfd.Independent(
    tfd.TransformedDistribution(tfd.Normal(mean, std), tfp.bijectors.Tanh()), 1
  )
  action = tf.constant([[0.2, -0.9], [0.99, -0.1]])
  np.testing.assert_allclose(
    made.log_prob(action), twin.log_prob(action), rtol=1e-4
  )


def test_truncated_normal_is_that_of_scipy_by_hand():
  # Mean tanh(0) = 0, std 2 * 0.45 * sigmoid(0) + 0.05 = 0.5.
  made = make('truncated_normal', tf.zeros([2, 2]), init_std=0.45, min_std=0.05)
  # phi(x / 0.5) / 0.5 / (Phi(2) - Phi(-2)), Phi(2) - Phi(-2) = 0.954499736.
  x = np.array([0.0, 0.5])
  golden = np.exp(-2 * x**2) / np.sqrt(2 * np.pi) / 0.5 / 0.954499736
  found = made.log_prob(tf.constant(x[:, None], tf.float32))
  np.testing.assert_allclose(found, np.log(golden), rtol=1e-5)


@pytest.mark.parametrize('name', CONTINUOUS)
def test_the_gradient_of_draws_is_that_of_their_mean(name):
  """d E[a] / d outputs, by the draws and by finite differences of the mean."""
  row = tf.Variable([[0.3, -0.2]])

  def mean(row):
    return tf.reduce_mean(make(name, tf.tile(row, [N, 1])).sample(SEED))

  with tf.GradientTape() as tape:
    value = mean(row)
  found = tape.gradient(value, row).numpy()[0]
  for index in range(2):
    bump = np.zeros([1, 2], np.float32)
    bump[0, index] = 0.05
    golden = (mean(row + bump) - mean(row - bump)) / 0.1
    assert found[index] == pytest.approx(float(golden), abs=5e-3)


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('row', [[0.0, 0.0], [1.5, 0.5], [-2.0, 2.0]])
def test_the_score_of_draws_has_mean_0(name, row):
  """Or reinforce is biased: however much is clipped at the ends."""
  outputs = tf.Variable([row])
  kind = find(name)
  count = 400_000
  with tf.GradientTape() as tape:
    many = kind(tf.repeat(outputs, count, axis=0))
    log_prob = many.log_prob(tf.stop_gradient(many.sample(SEED)))
    mean = tf.reduce_mean(log_prob)
  by = tape.gradient(mean, outputs).numpy()
  np.testing.assert_allclose(by, 0.0, atol=0.01)


def test_one_hot_draws_by_its_probabilities_with_their_gradient():
  logits = tf.constant([[np.log(2), 0, 0], [0, 0, 30]], tf.float32)
  made = one_hot.Distribution(tf.repeat(logits, N, axis=0), unimix=0.1)
  drawn = made.sample(SEED).numpy().reshape([2, N, 3])
  golden = np.array([[0.45, 0.225, 0.225], [0, 0, 0.9]]) + 0.1 / 3
  np.testing.assert_allclose(drawn.mean(1), golden, atol=0.01)
  np.testing.assert_allclose(drawn.max(-1), 1, atol=1e-6)
  small = one_hot.Distribution(logits, unimix=0.1)
  np.testing.assert_allclose(
    small.log_prob(tf.constant([[1.0, 0, 0], [0, 0, 1]])),
    np.log([golden[0, 0], golden[1, 2]]),
    rtol=1e-5,
  )
  np.testing.assert_array_equal(small.mode(SEED), [[1, 0, 0], [0, 0, 1]])
  raw = tf.Variable(logits)
  with tf.GradientTape(persistent=True) as tape:
    draw = tf.reduce_sum(
      one_hot.Distribution(raw).sample(SEED) * [1.0, 2.0, 3.0]
    )
    p = 0.99 * tf.nn.softmax(raw) + 0.01 / 3
    smooth = tf.reduce_sum(p * [1.0, 2.0, 3.0])
  np.testing.assert_allclose(
    tape.gradient(draw, raw), tape.gradient(smooth, raw), atol=1e-6
  )


def test_the_mode_of_tanh_normal_is_the_likeliest_draw():
  raw = tf.constant([[0.5, -3.0], [-1.0, -3.0]])
  made = tanh_normal.Distribution(raw, init_std=1.0, mode_samples=100)
  plain = tanh_normal.Distribution(raw, init_std=1.0)
  chosen = made.mode(SEED)
  assert chosen.shape == [2, 1]
  for index in range(5):
    assert (
      (made.log_prob(chosen) > made.log_prob(made.sample(SEED + index)))
      .numpy()
      .all()
    )
  np.testing.assert_allclose(
    plain.mode(SEED), np.tanh(5 * np.tanh(raw[:, :1] / 5)), rtol=1e-5
  )


@pytest.mark.parametrize('name', CONTINUOUS)
def test_a_nan_comes_out_as_a_nan(name):
  raw = tf.constant([[np.nan, 0.0], [0.1, 0.0]], tf.float32)
  draw = make(name, raw).sample(SEED).numpy()
  assert np.isnan(draw[0, 0]) and np.isfinite(draw[1, 0])


# ------------------------------------------------------------------- base ----


def test_a_draw_beyond_the_ends_is_clipped_and_keeps_its_gradient():
  draw = tf.Variable([-3.0, 0.25, 1.5])
  with tf.GradientTape() as tape:
    found = action_distribution.clip(draw, 1.0)
    total = tf.reduce_sum(found * [1.0, 2.0, 3.0])
  np.testing.assert_array_equal(found, [-1, 0.25, 1])
  np.testing.assert_array_equal(tape.gradient(total, draw), [1, 2, 3])


def test_the_ends_of_clipped_draws_have_the_probability_beyond_them():
  normal = tfd.Normal([0.5, 0.5, 0.5], 0.4)
  found = action_distribution.censored_log_prob(
    normal, tf.constant([-1.0, 0.2, 1.0]), 1.0
  )
  golden = [normal.cdf(-1.0)[0], normal.prob(0.2)[0], 1 - normal.cdf(1.0)[0]]
  np.testing.assert_allclose(np.exp(found), golden, rtol=1e-4)
  # All that there is has probability 1.
  inside = tf.linspace(-0.9999, 0.9999, 20_001)
  density = np.exp(
    action_distribution.censored_log_prob(tfd.Normal(0.5, 0.4), inside, 1.0)
  )
  total = golden[0] + golden[2] + density.sum() * float(inside[1] - inside[0])
  assert float(total) == pytest.approx(1.0, abs=1e-3)


def test_far_beyond_the_ends_the_gradient_is_finite():
  mean = tf.Variable(60.0)
  with tf.GradientTape() as tape:
    normal = tfd.Normal(mean, 0.1)
    found = action_distribution.censored_log_prob(
      normal, tf.constant([1.0]), 1.0
    )
  assert np.isfinite(found).all()
  assert np.isfinite(tape.gradient(found, mean))


def test_choices_that_are_next_to_impossible_are_finite():
  """Also without a share of the uniform distribution, where they are 0."""
  outputs = tf.Variable([[200.0, 0.0, 1.0], [0.0, 87.0, -300.0]])
  action = tf.constant([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
  with tf.GradientTape(persistent=True) as tape:
    made = one_hot.Distribution(outputs, unimix=0.0)
    entropy, log_prob = made.entropy(SEED), made.log_prob(action)
  np.testing.assert_allclose(log_prob, [-200.0, 0.0], atol=1e-3)
  np.testing.assert_allclose(entropy, [0.0, 0.0], atol=1e-6)
  assert np.isfinite(made.prior()).all()
  for found in (entropy, log_prob):
    assert np.isfinite(tape.gradient(found, outputs)).all()
