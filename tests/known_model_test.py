"""Problems made of a step of the user's own."""

import numpy as np
import pytest
import tensorflow as tf

from worldmodels import errors
from worldmodels import states
from worldmodels.agents.planners import cem
from worldmodels.agents.planners import gradient
from worldmodels.known_model import KnownModel
from worldmodels.known_model import StepError
from worldmodels.problem import Problem

SEED = tf.constant([1, 2])
START = tf.constant([-0.5, 0.0, 0.5])
# In one step as near to 0 as may be, and then to stay.
ONE = dict(actions=1, horizon=3)


def move(place, action):
  """A place on a line; what is beyond 1 is the end."""
  place += 0.5 * action[:, 0]
  return place, -tf.square(place), tf.cast(tf.abs(place) < 1, tf.float32)


def test_a_score_is_that_of_the_steps():
  actions = tf.constant([[[[1.0], [-1.0], [0.5]]]] * 3)
  found = Problem.of_step(move, START, gamma=0.5, **ONE).score(actions)
  golden = []
  for place in START.numpy():
    total, alive = 0.0, 1.0
    for action in (1.0, -1.0, 0.5):
      place += 0.5 * action
      total += alive * -(place**2)
      alive *= 0.5 * (abs(place) < 1)
    golden.append([total])
  np.testing.assert_allclose(found, golden, atol=1e-6)


def test_single_steps_are_those_of_the_user():
  problem = Problem.of_step(move, START, gamma=0.5, **ONE)
  state, reward, discount = problem.step(problem.state, tf.ones([3, 1]))
  np.testing.assert_allclose(reward, [0.0, -0.25, -1.0])
  np.testing.assert_allclose(discount, [0.5, 0.5, 0.0])
  state, reward, _ = problem.step(state, -tf.ones([3, 1]))
  np.testing.assert_allclose(reward, [-0.25, 0.0, -0.25])
  assert problem.horizon == 3 and not problem.discrete


def test_value_prior_and_objective_are_of_the_users_states():
  problem = Problem.of_step(
    move,
    START,
    value=lambda place: 10.0 * place,
    prior=lambda place: place[:, None],
    objective=lambda place: 0.0 * place + 1.0,
    **ONE,
  )
  np.testing.assert_allclose(problem.value(problem.state), [-5, 0, 5])
  np.testing.assert_allclose(problem.prior(problem.state)[:, 0], START)
  found = problem.score(tf.zeros([3, 1, 3, 1]))
  np.testing.assert_allclose(found[:, 0], [3 - 5, 3, 3 + 5])


@pytest.mark.parametrize('planner', [cem, gradient])
def test_plans_go_where_it_is_best(planner):
  options = dict(iterations=20, candidates=40)
  if planner is cem:
    options['elites'] = 8
  problem = Problem.of_step(move, START, **ONE)
  found = planner.plan(problem, SEED, **options).actions
  # A mean of what is cut off at 1 is less.
  np.testing.assert_allclose(found[:, 0, 0], [1.0, 0.0, -1.0], atol=0.25)
  assert problem.discrete is False


def test_a_nested_state_of_any_dtype_and_a_step_of_numpy():
  def step(state, action):
    # NumPy's numbers are float64; a reward and a discount may be one number.
    place = np.asarray(state['place']) + np.asarray(action, np.float64)
    return {'place': place, 'times': (state['times'][0] + 1,)}, 2, 1.0

  start = {'place': np.zeros([3, 2], np.float32), 'times': (np.arange(3),)}
  problem = Problem.of_step(step, start, actions=2, horizon=4)
  found = problem.score(tf.ones([3, 2, 4, 2]))
  np.testing.assert_allclose(found, np.full([3, 2], 8.0))
  model = KnownModel(step, actions=2)
  after = model.imagine(model.start(start), tf.ones([3, 4, 2]))['state']
  np.testing.assert_allclose(after['place'][:, -1], np.full([3, 2], 4.0))
  np.testing.assert_array_equal(after['times'][0][:, -1], [4, 5, 6])
  found = cem.plan(problem, SEED, iterations=2, candidates=4, elites=2)
  assert found.actions.shape == [3, 4, 2]


def test_members_are_never_mixed_in_a_graph_of_unknown_batch():
  @tf.function(input_signature=[tf.TensorSpec([None])])
  def run(place):
    return Problem.of_step(move, place, **ONE).score(
      tf.zeros([tf.shape(place)[0], 1, 3, 1])
    )

  np.testing.assert_allclose(run(START)[:, 0], [-0.75, 0.0, -0.75])
  np.testing.assert_allclose(run(START[1:])[:, 0], [0.0, -0.75])


@pytest.mark.parametrize(
  'returns,says',
  [
    (lambda place: place, 'returned .*Tensor; it returns .state, reward'),
    (lambda place: (place, place), 'returned tuple; it returns'),
    (lambda place: ((place, place), place, 1.0), 'state of another structure'),
    (lambda place: (place[:, None], place, 1.0), r'shape \(3, 1\) for one of'),
    (lambda place: (place, place[:, None], 1.0), r'reward of shape \(3, 1\)'),
    (lambda place: (place, place[:1], 1.0), r'reward of shape \(1,\); it is'),
    (lambda place: (place, 0.0, place[1:]), r'discount of shape \(2,\)'),
  ],
)
def test_what_a_step_returns_wrongly_is_one_line(returns, says):
  problem = Problem.of_step(lambda place, _: returns(place), START, **ONE)
  with pytest.raises(StepError, match=says) as found:
    problem.step(problem.state, tf.zeros([3, 1]))
  assert '\n' not in str(found.value)
  assert isinstance(found.value, errors.UserError)
  with pytest.raises(StepError):
    problem.score(tf.zeros([3, 1, 3, 1]))


@pytest.mark.parametrize(
  'state,says',
  [
    (0.5, 'nest of tensors'),
    ({}, 'nest of tensors'),
    (
      {'a': np.zeros([2]), 'b': np.zeros([3, 2])},
      r'\(2,\), \(3, 2\) as shapes',
    ),
  ],
)
def test_a_start_is_of_states_side_by_side(state, says):
  with pytest.raises(StepError, match=says):
    Problem.of_step(move, state, **ONE)


def test_its_states_are_like_all_others():
  model = KnownModel(move, actions=1)
  state = states.repeat(model.start(START), 2)
  assert states.size(state) == 6
  np.testing.assert_array_equal(model.reward(state), np.zeros(6))
  np.testing.assert_array_equal(model.discount(state), np.ones(6))
