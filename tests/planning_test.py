import numpy as np
import pytest
import tensorflow as tf

from agents import planning

B, A, H = 3, 2, 4
OPTIONS = dict(horizon=H, sample=False, iterations=8, candidates=200, elites=20)
SEEDS = tf.constant([[1, 2], [3, 4]])


class World:
  """A world where reward is had by being near the member's own place."""

  actions = A
  place = tf.constant([-0.6, 0.1, 0.7])

  @property
  def rssm(self):
    return self

  def imagine(self, state, action, seed=None):
    deter = tf.repeat(state['deter'][:, None], H, axis=1)
    return {'deter': deter, 'action': action}

  def reward(self, state):
    distance = state['action'] - state['deter']
    return -tf.reduce_sum(tf.square(distance), -1)

  def discount(self, state):
    return tf.ones(tf.shape(state['deter'])[:-1])


STATE = {'deter': World.place[:, None]}


def test_it_plans_for_every_member():
  made = planning.Planning(False, name='cem', **OPTIONS)
  plan = made.plan(World(), STATE, SEEDS)
  assert plan.shape == [B, H, A]
  golden = np.broadcast_to(World.place[:, None, None], [B, H, A])
  np.testing.assert_allclose(plan, golden, atol=0.2)


def test_a_value_counts_after_the_last_step():
  made = planning.Planning(False, name='cem', value=True, **OPTIONS)
  assert made.value
  plan = made.plan(
    World(), STATE, SEEDS,
    value=lambda state: 100 * state['action'][:, 0],
  )
  assert (plan[:, -1, 0] > 0.9).numpy().all()
  np.testing.assert_allclose(plan[:, 0, 0], World.place, atol=0.25)


def test_proposals_are_among_the_candidates():
  options = OPTIONS | dict(iterations=1, elites=1, candidates=5, spread=1e-3)
  made = planning.Planning(False, name='cem', proposals=2, **options)
  best = tf.broadcast_to(World.place[:, None, None, None], [B, 1, H, A])
  proposals = tf.concat([-best, best], 1)
  plan = made.plan(World(), STATE, SEEDS, proposals=proposals)
  np.testing.assert_allclose(plan, best[:, 0], atol=1e-5)
  plain = made.plan(World(), STATE, SEEDS)
  assert np.abs(plain).max() < 0.1


@pytest.mark.parametrize(
  'discrete,options,message',
  [
    (False, dict(name='random'), "planner.name is 'random'; it is one of"),
    (True, dict(name='cem'), "'cem', which does not plan .* discrete actions"),
    (
      False,
      dict(name='categorical_cem'),
      'does not plan the task\'s continuous actions',
    ),
    (
      True,
      dict(name='categorical_cem', proposals=3),
      "planner.proposals is 3; 'categorical_cem' takes none",
    ),
  ],
)
def test_what_does_not_fit_is_named(discrete, options, message):
  with pytest.raises(ValueError, match=message):
    planning.Planning(discrete, **OPTIONS | options)


def test_a_planner_is_given_the_options_that_it_names():
  made = planning.Planning(
    True, name='categorical_cem', spread=1.0, min_std=0.0, **OPTIONS
  )
  plan = made.plan(World(), STATE, SEEDS)
  np.testing.assert_allclose(tf.reduce_sum(plan, -1), 1)
