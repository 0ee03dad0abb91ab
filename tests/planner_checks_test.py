"""The conformance test of planners finds what is wrong with a planner.

Each fault is planted into one planner that is right, in continuous and, where
that is another matter, in discrete actions.
"""

import functools

import numpy as np
import pytest
import tensorflow as tf

from worldmodels import errors
from worldmodels import states
from worldmodels.agents import planner_checks
from worldmodels.agents.planner_checks import PlannerError
from worldmodels.agents.planners import categorical_cem
from worldmodels.problem import Plan
from worldmodels.problem import Problem

# Few refits: each is one more to be traced.
QUICK = dict(iterations=4, candidates=200, elites=16)
NEAR = 0.3


def fine(problem, seed, *, iterations, candidates, elites, fault=''):
  """The cross-entropy method in the fewest lines, with a fault."""
  mean = problem.start
  std = tf.ones_like(mean)
  if fault == 'numpy':
    mean = mean.numpy()
  for index in range(iterations):
    fold = tf.random.experimental.stateless_fold_in(seed, index)
    shape = [mean.shape[0], candidates, *mean.shape[1:]]
    noise = tf.random.stateless_normal(shape, fold)
    if fault == 'unseeded':
      noise = tf.random.normal(shape)
    actions = mean[:, None] + std[:, None] * noise
    if fault != 'asks out of bounds':
      actions = tf.clip_by_value(actions, -1.0, 1.0)
    scores = score_of(problem, actions, fault)
    if fault == 'hides nan':
      scores = tf.where(tf.math.is_finite(scores), scores, -1e9)
    elif fault != 'unchecked':
      scores = tf.debugging.check_numerics(scores, 'the score of a plan')
    _, best = tf.math.top_k(scores, elites)
    chosen = tf.gather(actions, best, batch_dims=1)
    if fault == 'global elites':
      chosen = tf.reduce_mean(chosen, 0, keepdims=True) + 0.0 * chosen
    mean, variance = tf.nn.moments(chosen, [1])
    if fault == 'shares its spread':
      variance = tf.reduce_mean(variance, 0, keepdims=True) + 0.0 * variance
    std = tf.sqrt(variance)
  return end(mean, scores, fault)


def score_of(problem, actions, fault):
  """Scores of candidates, with what a search could do wrong by itself."""
  if fault == 'one particle' and problem.state['reward'].shape.rank > 1:
    state = states.apply(lambda x: x[:, 0], problem.state)
    one = Problem(problem._model, state, horizon=problem.horizon)
    return one.score(actions)
  if fault == 'no particles':
    tf.ensure_shape(problem.state['reward'], [None])
  if fault == 'ignores objective':
    return tf.reduce_sum(actions, [2, 3])
  if fault == 'climbs down':
    return -problem.score(actions)
  if fault == 'reward of the model':
    plain = Problem(problem._model, problem.state, horizon=problem.horizon)
    plain._gamma, plain._value = problem._gamma, problem._value
    return plain.score(actions)
  if fault not in ('ignores gamma', 'ignores value', 'by steps', 'late'):
    return problem.score(actions)
  # The same by single steps.
  batch, count = actions.shape[:2]
  state = tf.nest.map_structure(
    lambda x: tf.repeat(x, count, axis=0), problem.state
  )
  total, alive = tf.zeros([batch * count]), tf.ones([batch * count])
  for step in range(problem.horizon):
    action = tf.reshape(actions[:, :, step], [batch * count, -1])
    state, reward, discount = problem.step(state, action)
    if fault == 'late':
      alive *= discount
    total += alive * reward
    if fault not in ('ignores gamma', 'late'):
      alive *= discount
  if fault != 'ignores value':
    total += alive * problem.value(state)
  return tf.reshape(total, [batch, count])


def end(mean, scores, fault):
  """The plan, with what could be wrong with its form."""
  value = tf.reduce_max(scores, 1)
  if fault == 'asks out of bounds':
    mean = tf.clip_by_value(mean, -1.0, 1.0)
  elif fault == 'plans out of bounds':
    mean = 1.5 * mean
  elif fault == 'first step only':
    mean = mean[:, 0]
  elif fault == 'one member':
    mean = mean[:1]
  elif fault == 'float64':
    mean = tf.cast(mean, tf.float64)
  elif fault == 'an array':
    return Plan(mean.numpy())
  elif fault == 'no plan':
    return mean
  elif fault == 'nan':
    mean = tf.where(mean > 0.5, np.nan, mean)
  elif fault == 'value of all':
    value = tf.reduce_max(value)
  elif fault == 'shares':
    return Plan(mean, policy=tf.ones_like(mean[:, 0]))
  elif fault == 'always the same':
    mean = 0.0 * mean
  return Plan(mean, value=value)


@pytest.mark.parametrize('fault', ['', 'by steps'])
def test_a_planner_that_is_right_passes(fault):
  made = []

  def count(problem, seed, **options):
    made.append(isinstance(problem, Problem))
    return fine(problem, seed, **options)

  plan = functools.partial(count, fault=fault)
  options = dict(QUICK) | dict(iterations=5)
  planner_checks.check(plan, tolerance=NEAR, **options)
  # Of a planner that takes its time it has few plans made.
  assert all(made) and len(made) < 20


@pytest.mark.parametrize(
  'fault,says',
  [
    ('ignores objective', 'the best plan is known, and that of the planner is'),
    ('climbs down', 'the best plan is known'),
    ('always the same', 'the best plan is known'),
    ('ignores gamma', 'gamma is 0.5 .*: later rewards are not weighed'),
    ('late', 'later rewards are not weighed by them'),
    ('ignores value', 'the value after the last step does not count'),
    ('reward of the model', 'the objective in the place of the reward does no'),
    ('one particle', 'two particles .* the best plan is known'),
    ('no particles', r'several particles, whose states are \[B, P, ...\]: '),
    ('global elites', 'the best plan is known'),
    ('shares its spread', 'only the other members .* they are mixed'),
    ('asks out of bounds', r'the problem is asked .* they are in \[-1, 1\]'),
    (
      'plans out of bounds',
      r'a plan has .* actions of 1\.[45]\d*; they are in',
    ),
    ('unseeded', 'the same seed gives another plan'),
    ('first step only', r'has the shape \(3, 2\); it is \[B, H, A\], here'),
    ('one member', r'a plan of a batch has the shape \(1, 3, 2\)'),
    ('float64', 'are float64; they are a float32 tensor'),
    ('an array', 'are float32; they are a float32 tensor'),
    ('no plan', 'returns EagerTensor; it is a worldmodels.problem.Plan'),
    ('nan', 'actions that are not finite'),
    ('value of all', r'the value of a plan has the shape \(\)'),
    ('shares', 'do not sum to 1'),
    ('hides nan', 'the score of a member is nan and there is no error'),
    ('unchecked', 'the score of a member is .* and there is no error'),
    ('numpy', 'does not work in a tf.function, where agents plan'),
  ],
)
def test_what_is_wrong_is_found(fault, says):
  plan = functools.partial(fine, fault=fault)
  with pytest.raises(PlannerError, match=says) as found:
    planner_checks.check(plan, tolerance=NEAR, **QUICK)
  assert '\n' not in str(found.value)
  assert isinstance(found.value, errors.UserError)


def discrete(problem, seed, *, fault, **options):
  """A planner of choices that is right, but for a fault."""
  actions = categorical_cem.plan(problem, seed, **options).actions
  if fault == 'soft':
    actions = 0.9 * actions + 0.025
  elif fault == 'numbers':
    actions = 2.0 * actions - 1.0
  elif fault == 'others':
    actions = tf.roll(actions, 1, 0)
  elif fault == 'next':
    actions = tf.roll(actions, 1, 2)
  elif fault == 'asks soft':
    problem.score(tf.fill([3, 1, 3, 4], 0.25)[: actions.shape[0]])
  return Plan(actions)


@pytest.mark.parametrize(
  'fault,says',
  [
    ('soft', 'a plan has .* actions that are not one-hot'),
    ('numbers', 'a plan has .* actions that are not one-hot'),
    ('asks soft', 'the problem is asked .* actions that are not one-hot'),
    ('others', '1 of the choices of a member differ'),
    ('next', 'of the choices of a member differ'),
  ],
)
def test_what_is_wrong_with_choices_is_found(fault, says):
  plan = functools.partial(discrete, fault=fault)
  with pytest.raises(PlannerError, match=says):
    planner_checks.check(plan, discrete=True, **QUICK)


def test_the_module_says_whether_actions_are_discrete():
  planner_checks.check(categorical_cem.plan, **QUICK)
  with pytest.raises(PlannerError):
    planner_checks.check(categorical_cem.plan, discrete=False, **QUICK)


def test_a_planner_of_nothing_passes_at_no_tolerance():
  def nothing(problem, seed):
    del seed
    problem.score(problem.start[:, None])
    return Plan(problem.start)

  with pytest.raises(PlannerError):
    planner_checks.check(nothing, tolerance=0.6)
  for tolerance in (0.0, 0.61, float('nan')):
    with pytest.raises(errors.OptionError, match='^tolerance is'):
      planner_checks.check(nothing, tolerance=tolerance)


def test_an_option_that_is_missing_is_named():
  with pytest.raises(errors.OptionError, match='^elites is missing'):
    planner_checks.check(fine, iterations=1, candidates=4)


def test_a_planner_without_chance_is_a_planner():
  """As iLQR is: it need not have another plan for another seed."""

  def climb(problem, seed):
    del seed
    actions = problem.start[:, None]
    for _ in range(10):
      with tf.GradientTape() as tape:
        tape.watch(actions)
        score = tf.debugging.check_numerics(problem.score(actions), 'score')
      actions += 0.4 * tape.gradient(score, actions)
      actions = tf.clip_by_value(actions, -1.0, 1.0)
    return Plan(actions[:, 0])

  planner_checks.check(climb, tolerance=0.05)
