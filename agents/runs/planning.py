"""Other planners and objectives for the agent of a run that is loaded.

The agent is as it was trained. Another planner takes the place of its own while
a graph of that planner is built, and each choice has a graph of its own.
"""

import contextlib
import functools
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, NamedTuple

import ml_collections
import numpy as np
import tensorflow as tf

from worldmodels import errors
from worldmodels import kinds
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

_PLANNERS = 'worldmodels.agents.planners'
# Planners that are kept ready: the first plan of each takes seconds.
_READY = 8


class _Ready(NamedTuple):
  """What plans and acts by a planner, as graphs; built at the first call."""

  plan: Callable[..., Plan]
  policy: Callable[..., tuple[tf.Tensor, State]]
  initial: Callable[..., State]
  kept: object  # by whose identity this is known


class Planners:
  """Plans and acts for the agent of a run, with planners of the user's choice.

  Args:
    agent: of the run.
    config: of the run.
  """

  def __init__(self, agent: WorldModelAgent, config: ml_collections.ConfigDict):
    self._agent, self._config = agent, config
    self._ready: dict[Any, _Ready] = {}
    # Of the agent, whose planner is another one while a graph is built.
    self._lock = threading.RLock()

  @functools.cached_property
  def own(self) -> Callable[..., tuple[tf.Tensor, State]]:
    """The agent's own policy, as a graph."""
    plain = _python(self._agent.policy)

    @tf.function(autograph=False)
    def policy(*arguments: tf.Tensor) -> tuple[tf.Tensor, State]:
      with self._lock:
        return plain(*arguments)

    return policy

  def plan(
    self,
    state: State,
    choice: Choice | None,
    objective: Objective | None,
    seed: int,
  ) -> Plan:
    """Plans from states [N, ...]: a Plan of arrays [N, ...]; see Run.plan."""
    plan = self._find(choice, objective).plan
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
    found = self._find(choice, objective)
    return found.policy, found.initial

  def _find(self, choice: Choice | None, objective: Objective | None) -> _Ready:
    """Returns what plans and acts by a planner for an objective."""
    options = self._options(choice)
    kind = options['kind']
    # A function that was written anew has the name of the one before.
    function = None
    if ':' in kind:
      with errors.group('planner.kind'):
        function = kinds.find(_PLANNERS, kind, 'plan')
    known = isinstance(objective, Hashable)
    key = (
      repr(sorted(options.items())),
      id(function),
      objective if known else id(objective),
    )
    with self._lock:
      if key not in self._ready:
        while len(self._ready) >= _READY:
          del self._ready[next(iter(self._ready))]
        made = _make(self._agent, options, objective)
        self._ready[key] = self._graphs(made, (function, objective))
      return self._ready[key]

  def _graphs(self, made: Planner, kept: object) -> _Ready:
    """Returns what plans and acts by a planner."""
    agent, lock = self._agent, self._lock
    # A function of its own: that of the agent is built with its own planner.
    plain = _python(agent.policy)

    @tf.function(reduce_retracing=True, autograph=False)
    def plan(state: State, seeds: tf.Tensor) -> Plan:
      with lock, _acting_by(agent, made):
        return agent.plan(state, seeds)

    @tf.function(autograph=False)
    def policy(*arguments: tf.Tensor) -> tuple[tf.Tensor, State]:
      with lock, _acting_by(agent, made):
        return plain(*arguments)

    def initial(*count: int) -> State:
      with lock, _acting_by(agent, made):
        return agent.initial(*count)

    return _Ready(plan, policy, initial, kept)

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
    values = {
      f'planner.{name}': value.item()
      if isinstance(value, np.generic)
      else value
      for name, value in chosen.items()
    }
    spec = self._agent.spec
    return overrides.laid_over(self._config, spec, values).planner.to_dict()


def _python(function: Callable[..., Any]) -> Callable[..., Any]:
  """Returns what a graph is built of."""
  return getattr(function, 'python_function', function)


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
