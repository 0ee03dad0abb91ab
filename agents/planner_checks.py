"""The conformance test of planners: `check` one of your own.

    from worldmodels.agents import planner_checks
    planner_checks.check(my_lab.mppi.plan, tolerance=0.1)

It plans in worlds whose best plan is known by hand, for batches of unlike
members, and raises an error of one line for what a planner must not do. Our own
planners are under it: tests/planners_test.py.
"""

import functools
import inspect
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from worldmodels import errors
from worldmodels import kinds
from worldmodels.agents import planner_worlds
from worldmodels.problem import Plan
from worldmodels.problem import Problem
from worldmodels.states import Tensor
from worldmodels.trajectories import Sampling

# A plan of nothing is nearer than that to every optimum.
_MOST_TOLERANCE = 0.6
_SEED = (1, 2)


class PlannerError(errors.UserError, AssertionError):
  """A planner does what it must not do; the message is one line."""


def check(
  plan: Callable[..., Plan],
  *,
  tolerance: float = 0.1,
  discrete: bool | None = None,
  **options: Any,
) -> None:
  """Raises PlannerError unless a planner does what every planner has to do.

  Plans have their shapes, dtypes and bounds, and so has what the problem is
  asked about; each member of a batch gets its own optimum, whatever the others
  are; rewards, discounts, gamma, an objective and the value after the last step
  count; of a model of several members all count; the seed decides; what is not
  finite is an error; and it all works in a graph.

  Args:
    plan: the function `plan` of a planner.
    tolerance: how far actions may be from the best ones, at most 0.6; of
      choices, which share of them may be another one. A planner that is random
      or coarse needs more than 0.1.
    discrete: whether it plans one-hot actions; None for what DISCRETE in its
      module says.
    **options: keyword values of the planner.

  Raises:
    PlannerError: it does not; the message says what it did.
    OptionError: the tolerance is too large to tell anything.
  """
  if not 0 < tolerance <= _MOST_TOLERANCE:
    raise errors.OptionError(
      'tolerance', f'is {tolerance}; it is above 0, at most {_MOST_TOLERANCE}'
    )
  if discrete is None:
    function = plan
    while isinstance(function, functools.partial):
      function = function.func
    module = sys.modules.get(getattr(function, '__module__', ''))
    discrete = bool(getattr(module, 'DISCRETE', False))
  by_place = list(inspect.signature(plan).parameters)[:2]
  kinds.complete(plan, {'kind': 'plan', **options}, by_place)
  checks = _Checks(functools.partial(plan, **options), tolerance, discrete)
  checks.form()
  checks.chance()
  checks.graph()
  checks.members()
  checks.later()
  checks.swapped()
  checks.particles()
  checks.finite()


class _Checks:
  """One planner, and what is asked of it."""

  def __init__(
    self, plan: Callable[..., Plan], tolerance: float, discrete: bool
  ):
    self._plan, self._tolerance, self._discrete = plan, tolerance, discrete
    self._optimum = planner_worlds.optimum(discrete)
    # Traced once: most of what is asked has these shapes.
    self._in_graph = tf.function(
      lambda goals: plan(self._problem(goals), tf.constant(_SEED)).actions,
      autograph=False,
    )

  def form(self) -> None:
    """Checks shapes, dtypes and bounds, of plans and of what is asked."""
    # The best is beyond the bounds, for each member at another end.
    far = 9.0 * tf.constant([1.0, -1.0, 1.0])[:, None, None]
    far *= tf.ones_like(self._optimum)
    start = tf.abs(self._optimum)
    for goals, what, options in (
      (far, 'of a batch', {}),
      (far[:1], 'of a batch of one', {}),
      (far[:, :1], 'of one step', {}),
      (far, 'from a start', {'start': start}),
    ):
      problem = self._problem(goals, **options)
      self._check_plan(self._run(problem), goals, what)
      for asked in problem.asked:
        self._check_actions(asked, f'the problem is asked ({what}) about')

  def chance(self) -> None:
    """Checks that the same seed gives the same plan, where all are as good."""
    first, again = (
      self._run(self._problem(0.0 * self._optimum)).actions for _ in range(2)
    )
    if not np.array_equal(first, again):
      raise PlannerError(
        'the same seed gives another plan: all chance comes from the seed'
      )

  def graph(self) -> None:
    """Checks that it works in a graph, as agents call it."""
    try:
      self._in_graph(self._optimum)
    except (
      *(AttributeError, NotImplementedError, RuntimeError, TypeError),
      *(ValueError, tf.errors.OpError),
    ) as error:
      raise PlannerError(
        'it does not work in a tf.function, where agents plan: '
        f'{str(error).strip().splitlines()[0]}'
      ) from error

  def members(self) -> None:
    """Checks that each gets its own best plan, whatever the others are."""
    goals = self._optimum
    found = self._in_graph(goals)
    self._check_near(found)
    # The member in the middle stays as it is.
    others = tf.stack([goals[2], goals[1], 3.0 * goals[0]])
    if np.abs(found[1] - self._in_graph(others)[1]).max() > 1e-4:
      raise PlannerError(
        'the plan of a member changes when only the other members of its batch '
        'do: they are mixed'
      )

  def later(self) -> None:
    """Checks that what comes later counts by its discount, and not more."""

    @tf.function(autograph=False)
    def side(gamma: Tensor, going: Tensor) -> Tensor:
      world = planner_worlds.Debt(self._discrete, going)
      found = self._plan(world.problem(gamma=gamma), tf.constant(_SEED))
      return world.side(found.actions[:, 0])

    # The first action earns 1 at once and costs 1.5 at the last step.
    for gamma, going, best in (
      (1.0, [1.0, 1.0, 1.0], [-1, -1, -1]),
      (0.5, [1.0, 1.0, 1.0], [1, 1, 1]),
      (1.0, [1.0, 0.5, 0.0], [-1, 1, 1]),
    ):
      _check_sign(
        side(tf.constant(gamma), tf.constant(going)),
        best,
        f'gamma is {gamma:g} and the discounts are {going}: later rewards are '
        'not weighed by them',
      )

  def swapped(self) -> None:
    """Checks that value and objective of the problem count."""
    best = [1, -1, 1]
    world = planner_worlds.Idle(self._discrete, tf.constant(best, tf.float32))
    for option, what in (
      ('value', 'the value after the last step'),
      ('objective', 'the objective in the place of the reward'),
    ):
      found = self._run(world.problem(**{option: world.worth})).actions[:, -1]
      _check_sign(world.side(found), best, f'{what} does not count')

  def particles(self) -> None:
    """Checks that of particles that see other goals the mean counts."""
    sampling = Sampling(particles=2, propagation='tsinf')

    @tf.function(autograph=False)
    def planned() -> Tensor:
      problem = self._problem(self._optimum, sampling=sampling)
      return self._plan(problem, tf.constant(_SEED)).actions

    try:
      found = planned()
    except (LookupError, TypeError, ValueError, tf.errors.OpError) as error:
      raise PlannerError(
        'it does not plan with several particles, whose states are [B, P, ...]'
        f': {str(error).strip().splitlines()[0]}'
      ) from error
    self._check_near(found, 'with two particles that see other goals ')

  def finite(self) -> None:
    """Checks that a score that is not finite is an error."""
    for number in (np.nan, np.inf):
      hit = tf.constant([0.0, number, 0.0])[:, None, None]
      try:
        self._in_graph(hit + self._optimum)
      except (tf.errors.OpError, ValueError, ArithmeticError):
        continue
      raise PlannerError(
        f'the score of a member is {number} and there is no error: a plan of '
        'such scores is a plan of nothing'
      )

  # ----------------------------------------------------------------- parts --

  def _problem(self, goals: Tensor, **options: Any) -> planner_worlds.Recorder:
    world = planner_worlds.Goals(self._discrete, goals)
    return world.problem(goals.shape[1], **options)

  def _run(self, problem: Problem) -> Plan:
    found = self._plan(problem, tf.constant(_SEED))
    if not isinstance(found, Plan):
      raise PlannerError(
        f'it returns {type(found).__name__}; it is a worldmodels.problem.Plan'
      )
    return found

  def _check_near(self, found: Tensor, when: str = '') -> None:
    """Raises PlannerError unless a plan is nearly the best one."""
    best = self._optimum
    if self._discrete:
      other = np.argmax(found, -1) != np.argmax(best, -1)
      off, amount = other.mean(1).max(), 'of the choices of a member differ'
    else:
      off, amount = np.abs(found - best).max(), 'is the largest distance'
    if off > self._tolerance + 1e-6:
      raise PlannerError(
        f'{when}the best plan is known, and that of the planner is another: '
        f'{off:.3g} {amount}; the tolerance is {self._tolerance}'
      )

  def _check_plan(self, found: Plan, goals: Tensor, what: str) -> None:
    shape = tuple(goals.shape)
    actions = found.actions
    if not isinstance(actions, tf.Tensor) or actions.dtype != tf.float32:
      kind = getattr(actions, 'dtype', type(actions).__name__)
      kind = getattr(kind, 'name', kind)
      raise PlannerError(
        f'the actions of a plan are {kind}; they are a float32 tensor'
      )
    if tuple(actions.shape) != shape:
      raise PlannerError(
        f'a plan {what} has the shape {tuple(actions.shape)}; it is [B, H, A], '
        f'here {shape}'
      )
    self._check_actions(actions.numpy(), f'a plan has ({what})')
    for name, expected in (('value', shape[:1]), ('policy', shape[::2])):
      given = getattr(found, name)
      if given is None:
        continue
      if tuple(given.shape) != expected or not np.isfinite(given).all():
        raise PlannerError(
          f'the {name} of a plan has the shape {tuple(given.shape)} or is not '
          f'finite; it is {expected}, or None'
        )
    if found.policy is not None:
      total = np.sum(found.policy, -1)
      if np.abs(total - 1).max() > 1e-3 or np.min(found.policy) < 0:
        raise PlannerError('the shares of a plan in `policy` do not sum to 1')

  def _check_actions(self, actions: np.ndarray, who: str) -> None:
    if not np.isfinite(actions).all():
      raise PlannerError(f'{who} actions that are not finite')
    if not self._discrete and np.abs(actions).max() > 1:
      raise PlannerError(
        f'{who} actions of {np.abs(actions).max():.3g}; they are in [-1, 1]'
      )
    if self._discrete:
      ones = np.isin(actions, (0, 1)).all() and (actions.sum(-1) == 1).all()
      if not ones:
        raise PlannerError(f'{who} actions that are not one-hot')


def _check_sign(found: Tensor, best: list[int], what: str) -> None:
  """Raises PlannerError unless actions [B] go the way that is best."""
  if (found.numpy() * np.array(best) < 0.5).any():
    shown = ', '.join(f'{x:.2g}' for x in found.numpy())
    raise PlannerError(f'{what}: actions {shown} where {best} is best')
