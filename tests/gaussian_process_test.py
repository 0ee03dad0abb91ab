"""The head `gaussian_process`; what every head does is in heads_test.py."""

import keras
import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from worldmodels.heads import gaussian_process

tfd = tfp.distributions


def make(size=1, **options):
  keras.utils.set_random_seed(0)
  return gaussian_process.Head(size, name='reward', **options)


def fill(made):
  random = np.random.default_rng(1)
  for variable in made.variables:
    variable.assign(random.normal(scale=0.3, size=variable.shape))


def test_it_is_the_process_of_tensorflow_probability():
  """Mean, variance and evidence, of weights that are anything."""
  made, random = make(3, inducing=6, data=50), np.random.default_rng(0)
  fill(made)
  # Far apart: the two add the jitter in different places of their formulas.
  made._points.assign(random.normal(scale=2.0, size=[6, 3]))
  x = tf.constant(random.normal(size=[7, 3]), tf.float32)
  target = tf.constant(random.normal(size=[7]), tf.float32)
  values = {x.path.split('/')[-1]: tf.constant(x) for x in made.variables}
  amplitude, length, noise = (
    tf.exp(values[key]) for key in ('amplitude', 'length', 'noise')
  )
  kernel = tfp.math.psd_kernels.ExponentiatedQuadratic(amplitude, length)
  prior = kernel.matrix(values['points'], values['points'])
  jitter = 1e-3 * amplitude**2
  chol = tf.linalg.cholesky(prior + jitter * tf.eye(6))
  golden = tfd.VariationalGaussianProcess(
    kernel,
    x,
    values['points'],
    values['center'] + tf.linalg.matvec(chol, values['values']),
    tf.matmul(chol, made._posterior_factor()),
    mean_fn=lambda _: values['center'],
    observation_noise_variance=noise**2,
    predictive_noise_variance=0.0,
    jitter=float(jitter),
  )
  found = made(x)
  np.testing.assert_allclose(found[:, 0], golden.mean(), rtol=2e-3, atol=2e-3)
  np.testing.assert_allclose(
    found[:, 1], golden.variance(), rtol=2e-3, atol=2e-3
  )
  loss = tf.reduce_sum(made.loss(x, target))
  np.testing.assert_allclose(
    loss,
    golden.variational_loss(target, kl_weight=7 / 50),
    rtol=2e-3,
  )


def test_it_learns_a_curve_and_knows_where_it_has_not_been():
  made, random = make(1, inducing=12, data=200), np.random.default_rng(0)
  made._points.assign(np.linspace(-2, 2, 12)[:, None])
  x = tf.constant(random.uniform(-2, 2, [200, 1]), tf.float32)
  noise = 0.2 * random.normal(size=200)
  target = tf.constant(np.sin(2 * x[:, 0]) + noise, tf.float32)
  adam = keras.optimizers.Adam(0.03)
  variables = made.trainable_variables
  adam.build(variables)

  @tf.function
  def update():
    with tf.GradientTape() as tape:
      loss = tf.reduce_mean(made.loss(x, target))
    adam.apply(tape.gradient(loss, [v.value for v in variables]), variables)
    return loss

  first = float(update())
  for _ in range(400):
    last = update()
  assert float(last) < first - 0.5
  places = tf.constant(np.linspace(-1.9, 1.9, 50)[:, None], tf.float32)
  found = made.distribution(made(places))
  error = np.abs(found.mean() - np.sin(2 * places[:, 0]))
  assert error.max() < 0.2
  # The noise is what it was, and more is not known far away.
  np.testing.assert_allclose(found.stddev(), 0.2, atol=0.06)
  far = made.distribution(made(tf.constant([[20.0]])))
  assert far.stddev()[0] > 0.5
  np.testing.assert_allclose(
    far.stddev()[0] ** 2,
    tf.exp(2 * made._amplitude) + tf.exp(2 * made._noise),
    rtol=1e-3,
  )


def test_the_prior_costs_nothing_and_counts_by_the_data():
  made = make(2, inducing=4, data=10)
  np.testing.assert_allclose(made.divergence(), 0.0, atol=1e-5)
  made._values.assign([1.0, -1.0, 2.0, 0.0])
  np.testing.assert_allclose(made.divergence(), 3.0, atol=1e-5)
  x, target = tf.zeros([1, 2]), tf.zeros([1])
  with_prior = made.loss(x, target)
  made._data = 10**9
  np.testing.assert_allclose(with_prior - made.loss(x, target), 0.3, rtol=1e-3)
