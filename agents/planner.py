"""A planner by kind, with its options: it builds the problem and plans.

A kind is a file of agents/planners with a function `plan`, or `module:name` of
the user's:

    plan(problem, seed, *, iterations, candidates, ...) -> Plan

DISCRETE in its module says that it plans one-hot actions.
"""

import functools
import inspect
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

  Args:
    spec: of the task.
    kind: of the planner; `auto` for one that suits the actions.
    horizon: H, agent_steps.
    sample: states are drawn in planning; else the means.
    proposals: M.
    value: the critic's value counts after the last step (TD-MPC2).
    gamma: discount per step.
    warm_start: a plan starts from the one before, moved on by a step, as in
      TD-MPC (Hansen et al., 2022, section 3); else from nothing (PlaNet).
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
    if proposals and not getattr(module, 'PROPOSALS', False):
      raise errors.OptionError(
        'proposals', f'is {proposals}; {kind!r} takes none'
      )
    self.horizon, self.proposals, self.value = horizon, proposals, value
    self.objective: Callable[[State], Tensor] | None = None
    self.warm_start = warm_start
    self._sample, self._gamma = sample, gamma
    self._shape = [horizon, spec.actions]
    # The problem and the seed, whatever a user's planner calls them.
    given = list(inspect.signature(plan).parameters)[:2]
    options = kinds.complete(plan, {'kind': kind, **options}, given)
    self._plan = functools.partial(plan, **options)

  def initial(self, count: int | Tensor) -> State:
    """Returns what is kept from plan to plan, before the first of them."""
    if not self.warm_start:
      return {}
    return {'plan': tf.zeros([count, *self._shape])}

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
    # A search may plan fewer steps than it was asked for.
    missing = self._shape[0] - actions.shape[1]
    return {'plan': tf.pad(actions, [[0, 0], [0, missing], [0, 0]])}

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
      objective=objective,
      value=value,
      prior=prior,
      start=start,
      proposals=proposals,
    )
    return self._plan(problem, seeds[1])


def moved_on(actions: Tensor) -> Tensor:
  """Returns a plan [B, H, A] a step later: without its first, zeros at last."""
  return tf.concat([actions[:, 1:], tf.zeros_like(actions[:, :1])], 1)
