"""Other planners and objectives for the agent of a run that is loaded.

The agent is as it was trained. Another planner takes the place of its own while
a graph of that planner is built, and each choice has a graph of its own.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ml_collections
import numpy as np
import tensorflow as tf

from worldmodels import errors
from worldmodels.agents import objectives
from worldmodels.agents.agent import WorldModelAgent
from worldmodels.agents.objectives import Objective
from worldmodels.agents.planner import Planner
from worldmodels.agents.runs import inputs
from worldmodels.agents.runs import overrides
from worldmodels.agents.runs.build import ConfigError
from worldmodels.problem import Plan
from worldmodels.states import State

# A kind of planner, options of the group `planner`, or a function `plan`.
Choice = str | Mapping[str, Any] | Callable[..., Plan]

# Planners that are kept ready: the first plan of each takes seconds.
_READY = 8


class Planners:
  """Plans and acts for the agent of a run, with planners of the user's choice.

  Args:
    agent: of the run.
    config: of the run.
  """

  def __init__(self, agent: WorldModelAgent, config: ml_collections.ConfigDict):
    self._agent, self._config = agent, config
    self._ready: dict[Any, tuple[Planner, Callable[..., Plan]]] = {}

  def plan(
    self,
    state: State,
    choice: Choice | None,
    objective: Objective | None,
    seed: int,
  ) -> Plan:
    """Plans from states [N, ...]: a Plan of arrays [N, ...]; see Run.plan."""
    _, plan = self._find(choice, objective)
    inputs.check_seed(seed)
    seeds = tf.constant([[seed, 0], [seed, 1]], tf.int32)
    with explained(objective):
      found = plan(state, seeds)
    return Plan(*(None if x is None else np.asarray(x) for x in found))

  def policy(
    self, choice: Choice | None, objective: Objective | None
  ) -> tuple[Callable[..., Any], Callable[..., State]]:
    """Returns the agent's policy with another planner, as a graph.

    Beside it a function of counts, which returns the state that it begins in.
    """
    made, _ = self._find(choice, objective)
    agent = self._agent
    # A function of its own: that of the agent is built with its own planner.
    plain = getattr(agent.policy, 'python_function', agent.policy)

    @tf.function(autograph=False)
    def policy(*arguments: tf.Tensor) -> tuple[tf.Tensor, State]:
      with _acting_by(agent, made):
        return plain(*arguments)

    def initial(*count: int) -> State:
      with _acting_by(agent, made):
        return agent.initial(*count)

    return policy, initial

  def _find(
    self, choice: Choice | None, objective: Objective | None
  ) -> tuple[Planner, Callable[..., Plan]]:
    """Returns a planner, and the graph that plans with it."""
    options = self._options(choice)
    key = (repr(sorted(options.items())), objective)
    if key in self._ready:
      return self._ready[key]
    made, agent = _make(self._agent, options, objective), self._agent

    @tf.function(reduce_retracing=True, autograph=False)
    def plan(state: State, seeds: tf.Tensor) -> Plan:
      with _acting_by(agent, made):
        return agent.plan(state, seeds)

    while len(self._ready) >= _READY:
      del self._ready[next(iter(self._ready))]
    self._ready[key] = made, plan
    return self._ready[key]

  def _options(self, choice: Choice | None) -> dict[str, Any]:
    """Returns the group `planner` of the run, with what is chosen in it."""
    if choice is None:
      chosen = {}
    elif isinstance(choice, str):
      chosen = {'kind': choice}
    elif isinstance(choice, Mapping):
      chosen = dict(choice)
    else:
      chosen = {'kind': inputs.name_of(choice, strict=True)}
    if self._config.get('planner') is None:
      raise ConfigError('the config of this run has no planner')
    values = {f'planner.{name}': value for name, value in chosen.items()}
    spec = self._agent.spec
    return overrides.laid_over(self._config, spec, values).planner.to_dict()


@contextlib.contextmanager
def explained(objective: Objective | None) -> Iterator[None]:
  """Turns the error of an objective that is not finite into one line."""
  if objective is None:
    yield
    return
  with objectives.explained(inputs.name_of(objective)):
    yield


def _make(
  agent: WorldModelAgent, options: dict[str, Any], objective: Objective | None
) -> Planner:
  """Makes a planner that climbs an objective, once it has been tried."""
  try:
    with errors.group('planner'):
      made = agent.make_planner(**options)
  except errors.OptionError as error:
    raise ConfigError(str(error)) from error
  if objective is not None:
    name = inputs.name_of(objective)
    made.objective = objectives.climbed(agent.model, objective, name)
  return made


@contextlib.contextmanager
def _acting_by(agent: WorldModelAgent, planner: Planner) -> Iterator[None]:
  """Lets an agent act by a planner, while a graph of that is built."""
  before = {'planner': agent.planner}
  for name in ('acting', 'exploring'):
    if hasattr(agent, name):  # Who acts is a choice.
      before[name] = getattr(agent, name)
      setattr(agent, name, 'planner')
  agent.planner = planner
  try:
    yield
  finally:
    for key, value in before.items():
      setattr(agent, key, value)
