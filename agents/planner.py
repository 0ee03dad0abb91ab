"""A planner by kind, with its options: it builds the problem and plans.

A kind is a file of agents/planners with a function `plan`, or `module:name` of
the user's:

    plan(problem, seed, *, iterations, candidates, ...) -> Plan

DISCRETE in its module says that it plans one-hot actions, PROPOSALS that it
tries those of a policy.
"""

import dataclasses
import functools
import inspect
import math
import sys
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from worldmodels import errors
from worldmodels import kinds
from worldmodels.agents import suited
from worldmodels.problem import Plan
from worldmodels.problem import Problem
from worldmodels.spec import Spec
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.trajectories import Sampling
from worldmodels.world_model import WorldModel


class Planner:
  """A planner with its options, in the latent space of a model.

  Attributes:
    horizon: H, agent_steps.
    proposals: M, sequences of a policy among the candidates; 0 for none.
    value: whether a value counts after the last step.
    objective: function of states [...] -> reward [...] that plans climb where
      no other is given; None for the reward of the model.
    warm_start: whether plans start from the one before.
    replan: steps that a plan is followed before the next one is made.

  Args:
    spec: of the task.
    kind: of the planner; `auto` for one that suits the actions.
    horizon: H, agent_steps.
    sample: states are drawn in planning; else the means.
    proposals: M; suited.BY_ACTIONS for as many as suit planner and task.
    value: the critic's value counts after the last step (TD-MPC2).
    gamma: discount per step.
    warm_start: a plan starts from the one before, moved on by a step, as in
      TD-MPC (Hansen et al., 2022, section 3); else from nothing (PlaNet).
    replan: 1 plans at every step (model predictive control), horizon follows
      every plan to its end (open loop).
    particles: P, dreams that each sequence is judged by; trajectories.py.
    propagation: how they move through the members of an ensemble.
    common: draws are the same for all candidates.
    risk: what they are worth together.
    risk_weight: of that.
    **options: of planners; each is given those that its `plan` names.
  """

  def __init__(
    self,
    spec: Spec,
    *,
    kind: str,
    horizon: int,
    sample: bool,
    proposals: int = 0,
    value: bool = False,
    gamma: float = 1.0,
    warm_start: bool = False,
    replan: int = 1,
    particles: int = 1,
    propagation: str = 'expectation',
    common: bool = False,
    risk: str = 'mean',
    risk_weight: float = 1.0,
    **options: Any,
  ):
    kind = suited.planner(kind, spec.discrete)
    plan = kinds.find('worldmodels.agents.planners', kind, 'plan')
    module = sys.modules[plan.__module__]
    if spec.discrete != getattr(module, 'DISCRETE', False):
      actions = 'discrete' if spec.discrete else 'continuous'
      raise errors.OptionError(
        'kind', f"is {kind!r}, which does not plan the task's {actions} actions"
      )
    proposals = suited.proposals(proposals, kind, spec, users=True)
    if proposals and not suited.takes_proposals(kind):
      raise errors.OptionError(
        'proposals', f'is {proposals}; {kind!r} takes none'
      )
    self.horizon, self.proposals, self.value = horizon, proposals, value
    self.objective: Callable[[State], Tensor] | None = None
    self.warm_start = warm_start
    if replan > horizon:
      raise errors.OptionError(
        'replan', f'is {replan}; a plan has horizon ({horizon}) steps'
      )
    self.replan = replan
    self._sample, self._gamma = sample, gamma
    self._sampling = Sampling(
      particles, propagation, risk, risk_weight, common=common
    )
    self._shape = [horizon, spec.actions]
    # The problem and the seed, whatever a user's planner calls them.
    given = list(inspect.signature(plan).parameters)[:2]
    options = kinds.complete(plan, {'kind': kind, **options}, given)
    try:
      inspect.signature(plan).bind(None, None, **options)
    except TypeError as error:
      raise errors.OptionError(
        'kind', f'is {kind!r}, which is no plan(problem, seed, *, ...): {error}'
      ) from error
    if options.get('elites', 0) > options.get('candidates', math.inf):
      raise errors.OptionError(
        'elites',
        f'is {options["elites"]}; it is 1 to candidates '
        f'({options["candidates"]})',
      )
    self._plan, self._kind = functools.partial(plan, **options), kind

  def initial(self, count: int | Tensor) -> State:
    """Returns what is kept from plan to plan, before the first of them."""
    if not self.warm_start and self.replan == 1:
      return {}
    kept = {'plan': tf.zeros([count, *self._shape])}
    if self.replan > 1:
      kept['left'] = tf.zeros([count], tf.int32)
    return kept

  def warm(self, state: State, is_first: Tensor) -> dict[str, Tensor]:
    """Returns where the next plan starts, as keyword values of `plan`.

    Args:
      state: that of `initial` or `kept`, among what else an agent keeps.
      is_first: bool [B], of those members that begin anew.

    Returns:
      {start: [B, H, A]}, the plan before without its first step, zeros after a
      reset and as the last step; nothing without warm start.
    """
    if not self.warm_start:
      return {}
    before = moved_on(state['plan'])
    return {'start': tf.where(is_first[:, None, None], 0.0, before)}

  def kept(self, actions: Tensor) -> State:
    """Returns what is kept of a plan [B, H, A] for the next one."""
    if not self.warm_start:
      return {}
    return {'plan': self._whole(actions)}

  def follow(
    self, state: State, is_first: Tensor, make: Callable[..., Tensor]
  ) -> tuple[Tensor, State]:
    """Takes the next action of a plan, and makes one where none is left.

    Args:
      state: that of `initial` or of the step before, among what else an agent
        keeps.
      is_first: bool [B], of those members that begin anew.
      make: function of the keyword values of `warm` -> actions [B, H, A].

    Returns:
      (action [B, A], what is to be kept).
    """
    warm = self.warm(state, is_first)
    if self.replan == 1:
      plan = make(**warm)
      return plan[:, 0], self.kept(plan)
    # As after a warm start: the first step of what is kept has been taken.
    rest = moved_on(state['plan'])
    left = tf.where(is_first, 0, state['left'])
    over = left < 1

    def anew() -> tuple[Tensor, Tensor]:
      made = make(**warm)
      plan = tf.where(over[:, None, None], self._whole(made), rest)
      # A search may plan fewer steps: what is missing is no action.
      return plan, tf.where(over, min(self.replan, made.shape[1]), left)

    plan, left = tf.cond(tf.reduce_any(over), anew, lambda: (rest, left))
    return plan[:, 0], {'plan': plan, 'left': left - 1}

  def _whole(self, actions: Tensor) -> Tensor:
    """Pads a plan: a search may plan fewer steps than it was asked for."""
    missing = self._shape[0] - actions.shape[1]
    return tf.pad(actions, [[0, 0], [0, missing], [0, 0]])

  def plan(
    self,
    model: WorldModel,
    state: State,
    seeds: Tensor,
    *,
    objective: Callable[[State], Tensor] | None = None,
    value: Callable[[State], Tensor] | None = None,
    prior: Callable[[State], Tensor] | None = None,
    proposals: Tensor | None = None,
    start: Tensor | None = None,
  ) -> Plan:
    """Plans from states [B, ...].

    Args:
      model: a WorldModel.
      state: where the plans start.
      seeds: int32 [2, 2], of the imagined states and of the planner.
      objective: function of states [...] -> reward [...]; None for the
        planner's own, else that of the model.
      value: function of states [N, ...] -> [N]; None for none.
      prior: function of states [N, ...] -> [N, A]; None for none.
      proposals: [B, M, H, A]; None for none.
      start: actions [B, H, A] to start from; None for zeros.
    """
    if objective is None and self.objective is not None:
      # What a critic knows is the reward of the task.
      objective, value = self.objective, None
    problem = Problem(
      model,
      state,
      horizon=self.horizon,
      gamma=self._gamma,
      seed=seeds[0] if self._sample else None,
      sampling=dataclasses.replace(self._sampling, seed=seeds[0]),
      objective=objective,
      value=value,
      prior=prior,
      start=start,
      proposals=proposals,
    )
    return self._checked(self._plan(problem, seeds[1]))

  def _checked(self, plan: Plan) -> Plan:
    """Returns a plan whose actions are such.

    Raises:
      OptionError: what the planner returned is none.
    """
    steps, actions = self._shape
    if not isinstance(plan, Plan):
      problem = f'returns a {type(plan).__name__}, not a Plan'
    elif not isinstance(plan.actions, tf.Tensor):
      kind = type(plan.actions).__name__
      problem = f'returns a Plan whose actions are a {kind}, not a tensor'
    elif (
      plan.actions.dtype != tf.float32
      or not plan.actions.shape.is_compatible_with([None, None, actions])
      or (plan.actions.shape[1] or 1) > steps
    ):
      problem = (
        f'returns actions {plan.actions.dtype.name} {plan.actions.shape}; they '
        f'are float32 [B, H, A], here [B, {steps}, {actions}]'
      )
    else:
      return plan
    raise errors.OptionError(
      'planner.kind', f'is {self._kind!r}, which {problem}'
    )


def moved_on(actions: Tensor) -> Tensor:
  """Returns a plan [B, H, A] a step later: without its first, zeros at last."""
  return tf.concat([actions[:, 1:], tf.zeros_like(actions[:, :1])], 1)
