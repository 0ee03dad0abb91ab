"""Several members: what each believes, who is asked, and what is learned.

What all dynamics have to do is in dynamics_test.py.
"""

import numpy as np
import pytest
import tensorflow as tf

from worldmodels import errors
from worldmodels import losses
from worldmodels import states
from worldmodels.dynamics import ensemble

K, S, A, E, N = 3, 2, 2, 4, 5
SEED = tf.constant([1, 2])
OPTIONS = dict(embed=E, actions=A, deter=4, stoch=S, hidden=6, activation='elu')


def make(**options):
  made = ensemble.Dynamics(**OPTIONS | dict(members=K) | options)
  random = np.random.default_rng(0)
  for variable in made.variables:
    variable.assign(random.normal(scale=0.5, size=variable.shape))
  return made


def start(made, count=N):
  """Unlike states that were observed."""
  random = np.random.default_rng(1)
  embed, action = (
    tf.constant(random.normal(size=[count, 3, size]), tf.float32)
    for size in (E, A)
  )
  posterior, prior = made.observe(embed, action, tf.zeros([count, 3], bool))
  return states.at(posterior, -1), states.at(prior, -1)


def actions(count=N, steps=4):
  random = np.random.default_rng(2)
  return tf.constant(random.uniform(-1, 1, [count, steps, A]), tf.float32)


def member(made, state, number, count):
  """The particles of one member, of `count` for each state."""
  rows = tf.range(N) * count + number
  return states.take(made.particles(state, count), rows)


def test_a_particle_is_led_by_its_member_alone():
  made = make()
  state, _ = start(made)
  mine = member(made, state, 1, K)
  found = [
    made.features(made.imagine(mine, actions(), x)) for x in (None, SEED)
  ]
  out = made._member_out
  out.bias.assign(out.bias + np.array([2.0, 0.0, -3.0])[:, None, None])
  again = [
    made.features(made.imagine(mine, actions(), x)) for x in (None, SEED)
  ]
  for one, other in zip(found, again):
    np.testing.assert_allclose(one, other, atol=1e-6)
  # Another member's particles are led elsewhere.
  theirs = member(made, state, 2, K)
  far = made.features(made.imagine(theirs, actions())) - again[0]
  assert np.abs(far).max(-1).min() > 0.1


def test_without_a_seed_a_state_of_no_member_goes_to_the_mean_of_all():
  made = make()
  state, _ = start(made)
  action = actions()[:, 0]
  each = [
    made.step(member(made, state, k, K), action)['stoch'] for k in range(K)
  ]
  found = made.step(state, action)
  np.testing.assert_allclose(found['stoch'], np.mean(each, 0), atol=1e-6)
  assert np.std(each, 0).min() > 1e-3


def test_draws_of_no_member_are_those_of_all():
  """Members that are far apart and sure: every draw is next to one of them."""
  made = make(min_std=0.01)
  out = made._member_out
  out.kernel.assign(0.0 * out.kernel)
  bias = np.zeros([K, 1, 2 * S])
  bias[:, 0, :S] = np.array([-4.0, 0.0, 4.0])[:, None]
  bias[..., S:] = -20.0  # Softplus of that is nothing.
  out.bias.assign(bias)
  state = states.repeat(states.take(start(made)[0], [0]), 300)
  steps = tf.zeros([300, 6, A])
  free = made.imagine(state, steps, SEED)['stoch'].numpy()
  near = np.round(free / 4.0)
  assert np.abs(free - 4 * near).max() < 0.1 and {*near.ravel()} == {-1, 0, 1}
  for step in range(6):
    shares = [(near[:, step, 0] == k).mean() for k in (-1, 0, 1)]
    np.testing.assert_allclose(shares, [1 / 3] * 3, atol=0.01)
  assert (np.ptp(near[..., 0], 1) > 0).mean() > 0.95  # Another at each step.
  kept = made.particles(state, 1, SEED)
  near = np.round(made.imagine(kept, steps, SEED)['stoch'].numpy() / 4.0)
  assert np.ptp(near, 1).max() == 0  # The same to the end.
  assert {*near.ravel()} == {-1, 0, 1}


@pytest.mark.parametrize('seed', [None, SEED])
def test_particles_of_a_state_are_dealt_evenly(seed):
  made = make()
  state, _ = start(made)
  found = made.particles(state, 2 * K, seed)
  assert found['stoch'].shape == [N * 2 * K, S]
  dealt = found['member'].numpy().reshape(N, 2 * K)
  np.testing.assert_array_equal(np.sort(dealt, 1), [[0, 0, 1, 1, 2, 2]] * N)
  np.testing.assert_array_equal(
    found['stoch'], np.repeat(state['stoch'], 2 * K, 0)
  )
  if seed is None:
    np.testing.assert_array_equal(dealt, [[0, 1, 2] * 2] * N)
  else:
    assert np.ptp(dealt, 0).max() > 0  # No two in the same order.


def test_observing_commits_to_nobody():
  made = make()
  committed = made.particles(start(made)[0], 1, SEED)
  now = dict(
    embed=tf.ones([N, E]), action=tf.ones([N, A]), is_first=tf.zeros([N], bool)
  )
  for found in made.observe_step(committed, **now):
    np.testing.assert_array_equal(found['member'], [-1] * N)


def test_the_divergence_is_the_mean_of_that_of_each_member():
  made = make()
  posterior, prior = start(made)
  golden = [
    losses.gaussian_kl(
      posterior['mean'][:, 0],
      posterior['std'][:, 0],
      prior['mean'][:, k],
      prior['std'][:, k],
    )
    for k in range(K)
  ]
  assert np.ptp(golden, 0).min() > 1e-3
  np.testing.assert_allclose(
    made.divergence(posterior, prior), np.mean(golden, 0), rtol=1e-5
  )


@pytest.mark.parametrize('latent', ['gaussian', 'categorical'])
def test_the_spread_is_that_of_the_members_about_a_step(latent):
  made = make(latent=latent, classes=3)
  state, prior = start(made)
  np.testing.assert_array_equal(made.spread(state), np.zeros(N))
  action = actions()[:, 0]
  after = made.step(state, action)
  centers = after['mean'] if latent == 'gaussian' else np.exp(after['logits'])
  centers = np.reshape(centers, [N, K, -1])
  golden = np.sqrt(np.var(centers, 1).mean(-1))
  assert golden.min() > 1e-3
  np.testing.assert_allclose(made.spread(after), golden, rtol=1e-4)
  np.testing.assert_allclose(
    made.disagreement(state, action), golden, rtol=1e-4
  )
  assert np.min(made.spread(prior)) > 1e-3
  split = made.uncertainty(after)
  assert np.min(split.epistemic) > 1e-4
  np.testing.assert_allclose(
    split.total, split.aleatoric + split.epistemic, rtol=1e-4
  )
  # What each member believes is where its particles go.
  for k in range(K):
    gone = made.step(member(made, state, k, K), action)
    np.testing.assert_allclose(
      made.features(made.beliefs(after))[:, k], made.features(gone), rtol=1e-5
    )
  # One member agrees with itself, and a gradient does not break on that.
  alone = make(members=1, latent=latent, classes=3)
  begun = alone.initial(N)
  with tf.GradientTape() as tape:
    tape.watch(action)
    found = alone.disagreement(begun, action)
  np.testing.assert_array_equal(found, np.zeros(N))
  assert np.isfinite(tape.gradient(found, action)).all()


@pytest.mark.parametrize('recurrent', [True, False])
def test_members_see_the_sample_only_where_there_is_no_memory(recurrent):
  """From sample to sample there is one way: the cell, where there is one."""
  made = make(recurrent=recurrent)
  memory = tf.ones([N, made.features_size - S])
  one, other = (
    made._predicted(memory, sample, actions()[:, 0], None, None, None)['mean']
    for sample in (tf.zeros([N, S]), tf.ones([N, S]))
  )
  assert (np.abs(one - other).max() == 0.0) == recurrent


def test_deterministic_members_draw_nothing_but_the_member():
  made = make(latent='deterministic')
  assert not made.stochastic and make().stochastic
  with pytest.raises(errors.OptionError, match='points, which have no entropy'):
    made.uncertainty(made.initial(2))
  mine = made.particles(start(made)[0], 1)
  drawn, mean = (
    made.features(made.imagine(mine, actions(), x)) for x in (SEED, None)
  )
  np.testing.assert_allclose(drawn, mean, atol=1e-6)
