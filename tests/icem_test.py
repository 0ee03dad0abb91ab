import numpy as np
import pytest
import tensorflow as tf
import worlds

from worldmodels.agents.planners import icem

SEED = tf.constant([1, 2])
B, H, A = 3, 4, 2
OPTIONS = dict(iterations=3, candidates=40, elites=10)


def optima():
  random = np.random.default_rng(0)
  return tf.constant(random.uniform(-0.8, 0.8, [B, H, A]), tf.float32)


def plan(problem, **options):
  return icem.plan(problem, SEED, **OPTIONS | options)


def quadratic(**options):
  return worlds.Goals(worlds.distance, optima()).problem(**options)


def scores_of(actions):
  return -np.square(actions - optima()[:, None]).sum((2, 3))


def elites_of(actions, count):
  order = np.argsort(-scores_of(actions), 1)[:, :count]
  return np.take_along_axis(actions, order[..., None, None], 1)


@pytest.mark.parametrize('horizon', [1, 2, 7, 16])
@pytest.mark.parametrize('color', [0.0, 1.0, 3.0])
def test_the_noise_has_its_color_and_variance_1(horizon, color):
  waves = icem.shapes(horizon, color)
  shared = waves @ waves.T  # Of steps.
  np.testing.assert_allclose(np.diag(shared), 1.0, rtol=1e-6)
  power = np.fft.rfft(shared[0]).real
  assert (power > 0).all()
  for number in range(2, len(power)):
    ratio = power[1] / power[number]
    assert ratio == pytest.approx(number**color, rel=1e-5)
  if not color:
    np.testing.assert_allclose(shared, np.eye(horizon), atol=1e-6)


def test_an_action_is_kept_up_with_color():
  for color, low, high in ((0.0, -0.1, 0.1), (3.0, 0.6, 1.0)):
    problem = worlds.Goals(worlds.nothing, tf.zeros([B, 12, A])).problem()
    plan(problem, iterations=1, candidates=2000, color=color, spread=0.2)
    asked = problem.asked[0]
    alike = (asked[:, :, 1:] * asked[:, :, :-1]).mean() / np.square(
      asked
    ).mean()
    assert low < alike < high
    # Members, candidates and parts of an action have noise of their own.
    flat = asked.transpose(0, 1, 3, 2).reshape(-1, 12)
    assert len(np.unique(flat, axis=0)) > 0.999 * len(flat)


def test_candidates_become_fewer_and_elites_are_asked_again():
  problem = quadratic()
  plan(problem, decay=1.5, keep=0.3)
  # 40, 26.7 and 17.8, which is less than twice the elites; and 3 that stay.
  assert [x.shape[1] for x in problem.asked] == [40 + 3, 26 + 3, 20 + 3]
  for before, after in zip(problem.asked, problem.asked[1:]):
    np.testing.assert_allclose(after[:, -3:], elites_of(before, 3))
  problem = quadratic()
  plan(problem, keep=0.0, decay=1.0)
  assert [x.shape[1] for x in problem.asked] == [40, 40, 40]


def test_start_and_mean_are_candidates_and_the_mean_has_inertia():
  start = tf.fill([B, H, A], 0.25)
  problem = quadratic(start=start)
  plan(problem, iterations=2, momentum=0.2)
  first, last = problem.asked
  np.testing.assert_allclose(first[:, 0], start)
  fitted = elites_of(first, 10).mean(1)
  np.testing.assert_allclose(last[:, 0], 0.8 * fitted + 0.2 * 0.25, atol=1e-5)


def test_the_plan_is_the_best_of_the_last_candidates():
  problem = quadratic()
  found = plan(problem)
  best = elites_of(problem.asked[-1], 1)[:, 0]
  np.testing.assert_allclose(found.actions, best)
  np.testing.assert_allclose(
    found.value, scores_of(best[:, None])[:, 0], rtol=1e-5
  )


def test_proposals_are_candidates_at_every_refit():
  proposals = tf.stack([-optima(), optima()], 1)
  problem = quadratic(proposals=proposals)
  found = plan(problem)
  for asked in problem.asked:
    np.testing.assert_array_equal(asked[:, -2:], proposals)
  np.testing.assert_allclose(found.actions, optima(), atol=1e-6)


def test_many_refits_are_no_overflow():
  problem = quadratic()
  found = plan(problem, iterations=30, decay=1000.0, min_std=0.2)
  assert problem.asked[-1].shape[1] == 23
  assert problem.asked[-1][:, 1:20].std(1).mean() > 0.1
  np.testing.assert_allclose(found.actions, optima(), atol=0.4)


def test_works_in_a_graph_of_unknown_batch():
  @tf.function(input_signature=[tf.TensorSpec([None, H, A])])
  def graph(goals):
    return plan(worlds.Goals(worlds.distance, goals).problem()).actions

  np.testing.assert_allclose(
    graph(optima()), plan(quadratic()).actions, atol=1e-5
  )
  assert graph(optima()[:1]).shape == [1, H, A]
