"""Base of agents that learn: what a run asks of them, copying, checkpoints.

A world model is not part of it: those with one are `agent.WorldModelAgent`.
"""

import keras

from worldmodels.agents.optimizers import Optimizer
from worldmodels.agents.planner import Planner
from worldmodels.spec import Spec
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import Batch
from worldmodels.world_model import WorldModel

Optimized = list[tuple[keras.layers.Layer, Optimizer]]


class LearningAgent(keras.layers.Layer):
  """Acts, and learns from batches of the store.

  An agent owns no environment, no store and no step of a run.

  Attributes:
    spec: of the task.
    model: a WorldModel; None if the agent has none.
    planner: a Planner; None if the agent does not plan.

  Args:
    spec: of the task.
    name: of the agent.
  """

  model: WorldModel | None = None
  planner: Planner | None = None

  def __init__(self, *, spec: Spec, name: str):
    super().__init__(name=name)
    self.spec = spec

  @property
  def optimized(self) -> Optimized:
    """Pairs of a trained layer and its optimizer."""
    raise NotImplementedError

  @property
  def extra_variables(self) -> list[keras.Variable]:
    """Variables beside the optimized ones that a checkpoint has to hold."""
    return []

  @property
  def state_variables(self) -> list[keras.Variable]:
    """Every variable that a checkpoint has to hold."""
    optimized = [
      variable
      for layer, optimizer in self.optimized
      for variable in list(layer.variables) + optimizer.slots
    ]
    return optimized + self.extra_variables

  @property
  def acting_variables(self) -> list[keras.Variable]:
    """Those of them that acting and looking take, without optimizers."""
    weights = [
      variable for layer, _ in self.optimized for variable in layer.variables
    ]
    return weights + self.extra_variables

  @property
  def acts_on_averages(self) -> bool:
    """Whether averaged weights act instead of the trained ones."""
    return any(optimizer.keeps_average for _, optimizer in self.optimized)

  @property
  def skipped(self) -> tuple[int, int]:
    """(updates skipped in all, skipped in a row just now)."""
    optimizers = [optimizer for _, optimizer in self.optimized]
    return (
      sum(int(x.skipped) for x in optimizers),
      max(int(x.skipped_run) for x in optimizers),
    )

  def fit_statistics(self, image: Tensor) -> None:
    """Sets statistics from images of the seed episodes, uint8 [N, h, w, c]."""
    raise NotImplementedError

  def copy_from(self, agent: 'LearningAgent') -> None:
    """Copies the acting parameters of `agent`: averages where it keeps them.

    Args:
      agent: of the same config; itself to act on its own averages.
    """
    for (mine, _), (theirs, optimizer) in zip(
      self.optimized, agent.optimized, strict=True
    ):
      pairs = list(zip(mine.variables, theirs.variables, strict=True))
      pairs += zip(mine.trainable_variables, optimizer.averages, strict=True)
      for variable, value in pairs:
        variable.assign(value)
    for mine, theirs in zip(
      self.extra_variables, agent.extra_variables, strict=True
    ):
      mine.assign(theirs)

  def begin_averages(self) -> None:
    """Makes the averages what the weights are, which are averages already."""
    for layer, optimizer in self.optimized:
      pairs = zip(optimizer.averages, layer.trainable_variables, strict=True)
      for average, weight in pairs:
        average.assign(weight)

  def use_averages(self) -> None:
    """Replaces the trained weights by their averages, to act and to show."""
    self.copy_from(self)

  def initial(self, count: int | Tensor) -> State:
    """Returns the state of `policy` before the first step, [count, ...]."""
    raise NotImplementedError

  def policy(
    self, observation: Batch, state: State, explore: Tensor, seed: Tensor
  ) -> tuple[Tensor, State]:
    """Takes an observation in, then acts.

    Args:
      observation: {image uint8 [B, h, w, c], is_first bool [B], vectors}.
      state: of the step before.
      explore: bool scalar tensor: act as when episodes are collected.
      seed: int32 [2].

    Returns:
      (action [B, A] in [-1, 1] or one-hot, state).
    """
    raise NotImplementedError

  def train(self, batch: Batch, seed: Tensor) -> dict[str, Tensor]:
    """Does one update on a batch [B, T, ...]: {name: scalar}."""
    raise NotImplementedError

  def diagnose(
    self, batch: Batch, context: int, seed: Tensor
  ) -> tuple[dict[str, Tensor], State | None]:
    """Compares behavior and model with the world; here it measures nothing.

    Args:
      batch: of whole chunks [B, T, ...] of the policy itself, without noise.
      context: observed steps.
      seed: int32 [2].

    Returns:
      (figures {name: [...]}, the states that it imagined of its own policy
      [B, T - context, ...] or None).
    """
    del batch, context, seed
    return {}, None
