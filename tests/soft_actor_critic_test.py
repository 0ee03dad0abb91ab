"""Soft actor-critic whose critics are lines of the action."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from worldmodels.agents import soft_actor_critic
from worldmodels.agents.soft_actor_critic import Step
from worldmodels.spec import Spec

E, N = 3, 2
SEED = tf.constant([1, 2])
DISTRIBUTIONS = {
  'tanh_normal': dict(init_std=1.0, min_std=1e-3, mode_samples=0),
  'one_hot': dict(unimix=0.0),
}


def make(discrete=False, rate=0.01, **options):
  keras.utils.set_random_seed(0)
  options = (
    dict(
      features=4,
      gamma=0.9,
      steps=2,
      target_entropy=-1.0,
      choice_entropy=0.5,
      temperature=0.1,
      temperature_rate=0.01,
    )
    | options
  )
  return soft_actor_critic.SoftActorCritic(
    embed=E,
    spec=Spec(actions=3 if discrete else 1, discrete=discrete),
    actor=dict(
      kind='auto',
      distributions=DISTRIBUTIONS,
      units=8,
      layers=1,
      optimizer=dict(rate=rate, epsilon=1e-8, clip=100.0),
    ),
    critic=dict(kind='normal', layers=0, slow_share=0.25),
    **options,
  )


def assign(critics, lines):
  """Makes each head a line of the first number of an action."""
  for head, (slope, offset) in zip(critics.heads, lines, strict=True):
    kernel, bias = head.variables
    values = np.zeros(kernel.shape)
    values[4] = slope
    kernel.assign(values)
    bias.assign([offset])


def step(size=1):
  random = np.random.default_rng(0)
  return Step(
    embed=tf.constant(random.normal(size=[N, E]), tf.float32),
    action=tf.constant(random.uniform(-1, 1, [N, size]), tf.float32),
    returns=tf.constant([1.0, -2.0]),
    discount=tf.constant([0.81, 0.0]),
    after=tf.constant(random.normal(size=[N, E]), tf.float32),
    weight=tf.constant([1.0, 0.5]),
  )


def values(variables):
  return [x.numpy() for x in variables]


def test_what_is_learned_is_rewards_and_the_lower_slow_value_and_entropy():
  made, given = make(), step()
  assign(made._slow, [(0.0, 5.0), (0.0, 3.0)])
  assign(made.critics, [(0.0, 70.0), (0.0, 70.0)])  # It is the slow one.
  distribution = made.actor.distribution(made.actor(given.after))
  entropy = distribution.entropy(SEED).numpy()
  golden = [1.0 + 0.81 * (3.0 + 0.1 * entropy[0]), -2.0]
  np.testing.assert_allclose(made.returns(given, SEED), golden, rtol=1e-5)


def test_the_entropy_is_that_of_the_action_that_is_valued():
  """Value and entropy of one draw: minus its log density."""
  made, given = make(), step()
  assign(made._slow, [(1.0, 0.0), (1.0, 0.0)])
  distribution = made.actor.distribution(made.actor(given.after))
  action = distribution.sample(SEED)
  golden = action[:, 0] - 0.1 * distribution.log_prob(action)
  found = (made.returns(given, SEED)[0] - 1.0) / 0.81
  np.testing.assert_allclose(found, golden[0], rtol=1e-4)


def test_of_choices_the_expectation_is_exact():
  made, given = make(discrete=True), step(3)
  for head, worth in zip(made._slow.heads, ([1, 2, 3], [9, 0, 3])):
    kernel, bias = head.variables
    kernel.assign(np.concatenate([np.zeros([4, 1]), np.array(worth)[:, None]]))
    bias.assign([0.0])
  share = tf.nn.softmax(made.actor(given.after)).numpy()
  entropy = -(share * np.log(share)).sum(-1)
  value = share @ [1, 0, 3] + 0.1 * entropy
  golden = given.returns + given.discount * value
  for seed in (SEED, SEED + 1):
    np.testing.assert_allclose(made.returns(given, seed), golden, rtol=1e-5)


@pytest.mark.parametrize('discrete', [False, True])
def test_the_actor_climbs_the_critics(discrete):
  made, given = make(discrete, rate=0.1), step(3 if discrete else 1)
  assign(made.critics, [(4.0, 0.0), (4.0, 1.0)])
  mode = made.actor.mode(given.embed, SEED)[:, 0].numpy()
  for number in range(25):
    found = made.learn(given, tf.constant([0, number]), True)
  assert all(np.isfinite(x) for x in found.values())
  after = made.actor.mode(given.embed, SEED)[:, 0].numpy()
  assert (after > 0.8).all() and (after >= mode).all()


def test_where_critics_see_no_difference_entropy_grows():
  made, given = make(rate=0.1, temperature_rate=1e-9), step()
  assign(made.critics, [(0.0, 0.0), (0.0, 0.0)])
  entropies = [
    float(made.learn(given, tf.constant([0, i]), True)['actor_entropy'])
    for i in range(40)
  ]
  # The most that there is on [-1, 1] is log 2.
  assert np.mean(entropies[-10:]) > np.mean(entropies[:10])
  assert np.mean(entropies[-10:]) < math.log(2) + 0.1


@pytest.mark.parametrize('target,rises', [(5.0, True), (-5.0, False)])
def test_a_nat_is_worth_more_while_there_are_too_few(target, rises):
  made, given = make(target_entropy=target), step()
  before = float(made._temperature.value)
  found = made.learn(given, SEED, True)
  assert before == pytest.approx(0.1)
  assert (float(found['temperature']) > before) == rises


def test_the_target_entropy_of_a_choice_is_a_share_of_the_largest():
  made = make(discrete=True)
  assert made._temperature._target == pytest.approx(0.5 * math.log(3))
  assert make()._temperature._target == -1.0


def test_only_the_actor_learns_from_what_critics_say():
  made, given = make(), step()
  kept = values(made.critics.variables)
  slow = values(made._slow.variables)
  actor = values(made.actor.trainable_variables)
  for variable in made._slow.variables:
    variable.assign(variable + 1.0)
  made.learn(given, SEED, True)
  for before, now in zip(kept, values(made.critics.variables), strict=True):
    np.testing.assert_array_equal(before, now)
  # The copy goes a quarter of the way back to the critics.
  for before, now in zip(slow, values(made._slow.variables), strict=True):
    np.testing.assert_allclose(now, before + 0.75, rtol=1e-5, atol=1e-6)
  moved = [
    np.abs(before - now).max()
    for before, now in zip(actor, values(made.actor.trainable_variables))
  ]
  assert min(moved) > 0


def test_where_it_is_not_enabled_nothing_changes():
  made, given = make(), step()
  everything = [
    *made.extra_variables,
    *(x for layer, _ in made.optimized for x in layer.variables),
    *(x for _, optimizer in made.optimized for x in optimizer.slots),
  ]
  before = values(everything)
  made.learn(given, SEED, tf.constant(False))
  for old, now in zip(before, values(everything), strict=True):
    np.testing.assert_array_equal(old, now)


def test_the_critics_teach_what_is_seen_and_the_actor_does_not():
  made, given = make(), step()
  embed = tf.Variable(given.embed)
  with tf.GradientTape() as tape:
    loss = made.critic_loss(given._replace(embed=tf.identity(embed)), SEED)
  assert np.abs(tape.gradient(loss, embed)).max() > 0
  with tf.GradientTape() as tape:
    found = made.learn(given._replace(embed=tf.identity(embed)), SEED, True)
  assert tape.gradient(found['actor_loss'], embed) is None
