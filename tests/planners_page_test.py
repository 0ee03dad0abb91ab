"""The examples of docs/planners.md and of planners in docs/extending.md.

Among them is one without a learned model, the exact cartpole.
"""

import importlib

import docs_project
import numpy as np
import pytest
import tensorflow as tf

from worldmodels.agents import planner_checks
from worldmodels.problem import Problem


@pytest.fixture(scope='module')
def my_lab(tmp_path_factory):
  """Imports a module of the project that the pages have a reader write."""
  folder = tmp_path_factory.mktemp('project')
  docs_project.write(folder)
  with pytest.MonkeyPatch.context() as patch:
    patch.syspath_prepend(folder)
    docs_project.forget()
    yield importlib.import_module
    docs_project.forget()


@pytest.mark.usefixtures('my_lab')
def test_a_planner_of_the_page_is_one():
  """By the check that the page has a reader make."""
  exec(docs_project.planner_check('docs/extending.md'), {})


def test_a_planner_that_climbs_by_gradients_is_one(my_lab):
  plan = my_lab('my_lab.slope').plan
  planner_checks.check(plan, tolerance=0.1, iterations=40)


@pytest.mark.parametrize(
  'name,options',
  [
    ('mppi', dict(iterations=3, candidates=8, elites=2)),
    ('slope', dict(iterations=3)),
    ('hill_climber', dict(iterations=3)),
  ],
)
def test_no_two_of_their_scores_share_the_noise_of_the_states(
  my_lab, name, options
):
  problem = Problem.of_step(
    lambda state, action: (state, action[:, 0], 1.0),
    tf.zeros([2, 1]),
    actions=1,
    horizon=2,
  )
  draws, score = [], problem.score

  def record(actions, draw=None):
    draws.append(draw)
    return score(actions, draw)

  problem.score = record
  my_lab(f'my_lab.{name}').plan(problem, tf.constant([1, 2]), **options)
  assert len(draws) >= 3
  assert len(draws) == len({int(draw) for draw in draws if draw is not None})


def test_a_beam_that_drops_what_pays_later_is_told_so(my_lab):
  plan = my_lab('my_lab.beam').plan
  with pytest.raises(
    planner_checks.PlannerError, match='later rewards are not'
  ):
    planner_checks.check(plan, tolerance=0.6, width=64, branches=64)


# Of dm_control's swingup: place, angle and their speeds, before and after
# actions that are held for 8 frames each.
START = (0.017640523459676642, 3.1455942256734652, 0.00978738, 0.022408932)
ACTIONS = (
  *(0.01, 0.54, -0.43, 0.54, -0.23, -0.09),
  *(0.39, -0.11, 0.06, -0.57, 0.3, 0.05),
)
FOUND = (0.309102, 3.114634, 0.315607, -0.606863)
# The same for one action near the top, and the reward of its 8 frames.
NEAR_THE_TOP = (
  ((0.3, 0.4, 0.0, 0.0), 0.6, (0.317705, 0.394018, 0.442690, -0.150919), 6.943),
  (
    (-0.5, -0.8, 0.2, 1.5),
    -0.3,
    (-0.492148, -0.702990, -0.003336, 0.941605),
    5.989,
  ),
)


def test_it_is_the_suites(my_lab):
  cartpole = my_lab('my_lab.cartpole')
  state = tf.constant([START], tf.float32)
  for action in ACTIONS:
    state, _, discount = cartpole.step(
      state, tf.constant([[action]], tf.float32)
    )
  np.testing.assert_allclose(state[0], FOUND, atol=1e-4)
  assert discount == 1.0


@pytest.mark.parametrize('start,action,found,reward', NEAR_THE_TOP)
def test_its_reward_is_the_suites(my_lab, start, action, found, reward):
  step = my_lab('my_lab.cartpole').step
  state, mine, _ = step(tf.constant([start]), tf.constant([[action]]))
  np.testing.assert_allclose(state, [found], atol=1e-5)
  # Summed over the frames, of which it looks at two: within two percent, where
  # leaving the action out makes seven.
  np.testing.assert_allclose(mine, [reward], rtol=0.02)


def test_a_warm_start_and_a_value_are_worth_points(my_lab):
  """The page has 694 cold, 782 warm; with more candidates 841 and 866."""
  cartpole = my_lab('my_lab.cartpole')
  valued = my_lab('my_lab.cartpole_value')
  states = cartpole.hanging(4)
  value = valued.value_of(valued.table(rounds=60))
  few = dict(iterations=2, candidates=60)
  cold, warm, with_value, more = (
    float(tf.reduce_mean(cartpole.returns(states, **options)))
    for options in (
      few,
      dict(few, warm_start=True),
      dict(few, horizon=5, value=value, gamma=valued.GAMMA),
      dict(warm_start=True),
    )
  )
  assert 400 < cold < warm - 30 < 1000
  assert 796 < with_value < 916
  assert 781 < more < 901
