"""Path integral control, of actions and of choices."""

import numpy as np
import pytest
import tensorflow as tf
import worlds

from worldmodels import errors
from worldmodels.agents.planners import categorical_mppi
from worldmodels.agents.planners import mppi

SEED = tf.constant([1, 2])
B, H, A = 3, 4, 3
OPTIONS = dict(iterations=1, candidates=30, elites=30)


def goals(discrete=False):
  random = np.random.default_rng(0)
  if discrete:
    return tf.one_hot(random.integers(0, A, [B, H]), A)
  return tf.constant(random.uniform(-0.8, 0.8, [B, H, A]), tf.float32)


def quadratic(**options):
  return worlds.Goals(worlds.distance, goals()).problem(**options)


def softmax(scores, temperature):
  weights = np.exp((scores - scores.max(1, keepdims=True)) / temperature)
  return weights / weights.sum(1, keepdims=True)


@pytest.mark.parametrize('temperature', [0.5, 2.0])
@pytest.mark.parametrize('elites', [5, 30])
def test_candidates_weigh_the_exponential_of_their_scores(temperature, elites):
  problem = quadratic()
  found = mppi.plan(
    problem, SEED, **OPTIONS | dict(elites=elites, temperature=temperature)
  )
  (asked,) = problem.asked
  scores = -np.square(asked - goals()[:, None]).sum((2, 3))
  order = np.argsort(-scores, 1)[:, :elites]
  chosen = np.take_along_axis(asked, order[..., None, None], 1)
  weights = softmax(np.take_along_axis(scores, order, 1), temperature)
  golden = (weights[..., None, None] * chosen).sum(1)
  np.testing.assert_allclose(found.actions, golden, atol=1e-5)


def test_at_no_temperature_it_is_the_best_and_at_any_the_mean():
  problem = quadratic()
  cold = mppi.plan(problem, SEED, **OPTIONS, temperature=1e-30).actions
  hot = mppi.plan(problem, SEED, **OPTIONS, temperature=1e9).actions
  asked = problem.asked[0]
  scores = -np.square(asked - goals()[:, None]).sum((2, 3))
  np.testing.assert_allclose(cold, asked[range(B), scores.argmax(1)], atol=1e-6)
  np.testing.assert_allclose(hot, asked.mean(1), atol=1e-5)


def test_the_deviation_stays_between_its_bounds():
  options = dict(iterations=4, candidates=300, elites=2)
  for least, low, high in ((0.0, 0.0, 0.1), (0.3, 0.2, 0.4)):
    problem = quadratic()
    mppi.plan(problem, SEED, **options, min_std=least, spread=0.5)
    assert problem.asked[0].std(1).mean() == pytest.approx(0.5, abs=0.08)
    assert low <= problem.asked[-1].std(1).mean() < high


def test_proposals_are_candidates_at_every_refit():
  proposals = tf.stack([-goals(), goals()], 1)
  problem = quadratic(proposals=proposals)
  options = OPTIONS | dict(iterations=2, elites=1)
  found = mppi.plan(problem, SEED, **options).actions
  for asked in problem.asked:
    np.testing.assert_array_equal(asked[:, -2:], proposals)
  np.testing.assert_allclose(found, goals(), atol=1e-6)


def test_choices_weigh_the_exponential_of_their_scores_too():
  world = worlds.Goals(worlds.product, goals(True), True)
  problem = world.problem()
  options = OPTIONS | dict(iterations=2, candidates=400, elites=400)
  found = categorical_mppi.plan(
    problem, SEED, **options, temperature=0.5, min_probability=0.0
  ).actions
  first, second = problem.asked
  scores = (first * goals(True).numpy()[:, None]).sum((2, 3))
  odds = (softmax(scores, 0.5)[..., None, None] * first).sum(1)
  np.testing.assert_allclose(second.mean(1), odds, atol=0.1)
  np.testing.assert_array_equal(
    np.argmax(found, -1), np.argmax(goals(True), -1)
  )


@pytest.mark.parametrize('least', [-0.1, 0.34])
def test_impossible_least_odds_are_refused(least):
  world = worlds.Goals(worlds.product, goals(True), True)
  with pytest.raises(
    errors.OptionError, match='^min_probability is .*0 to 0.3'
  ):
    categorical_mppi.plan(
      world.problem(), SEED, **OPTIONS, min_probability=least
    )
