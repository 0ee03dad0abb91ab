"""Base of agents with a world model: filtering, the model update, copying.

What PlaNet (Hafner et al., 2019) and Dreamer (Hafner et al., 2020) share; how
they act is in their own files.
"""

from typing import Any

import keras
import tensorflow as tf

from worldmodels import errors
from worldmodels import losses
from worldmodels.agents.optimizers import Optimizer
from worldmodels.agents.planner import Planner
from worldmodels.problem import Plan
from worldmodels.spec import Spec
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import Batch
from worldmodels.world_model import Options
from worldmodels.world_model import WorldModel

Optimized = list[tuple[keras.layers.Layer, Optimizer]]


class WorldModelAgent(keras.layers.Layer):
  """A world model and its optimizer.

  An agent owns no environment, no store and no step of a run.

  Attributes:
    planner: a Planner; None if the agent does not plan.

  Args:
    spec: of the task.
    model: keyword values of `WorldModel`.
    optimizer: keyword values of `Optimizer`.
    sample_states: states are drawn while acting; else the means.
    name: of the agent.
  """

  planner: Planner | None = None

  def __init__(
    self,
    *,
    spec: Spec,
    model: Options,
    optimizer: Options,
    sample_states: bool,
    name: str,
  ):
    super().__init__(name=name)
    self.spec = spec
    self.model = WorldModel(spec=spec, **model)
    with errors.group('optimizer'):
      self.optimizer = Optimizer(
        self.model.trainable_variables, name='optimizer', **optimizer
      )
    self._sample_states = sample_states

  @property
  def optimized(self) -> Optimized:
    """Pairs of a trained layer and its optimizer."""
    return [(self.model, self.optimizer)]

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

  def make_planner(self, **options: Any) -> Planner:
    """Makes a planner for this agent from the options of its group."""
    return Planner(self.spec, **options)

  def plan(
    self, state: State, seeds: Tensor, start: Tensor | None = None
  ) -> Plan:
    """Plans from states of the model [B, ...]; seeds int32 [2, 2].

    Args:
      state: of the model.
      seeds: of the imagined states and of the planner.
      start: actions [B, H, A] to start from; None for zeros.
    """
    return self.planner.plan(self.model, state, seeds, start=start)

  def fit_statistics(self, image: Tensor) -> None:
    """Sets statistics from images of the seed episodes, uint8 [N, h, w, c]."""
    self.model.fit_statistics(image)

  def copy_from(self, agent: 'WorldModelAgent') -> None:
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

  def use_averages(self) -> None:
    """Replaces the trained weights by their averages, to act and to show."""
    self.copy_from(self)

  def initial(self, count: int | Tensor) -> State:
    """Returns the state of `policy` before the first step, [count, ...]."""
    return {
      'action': tf.zeros([count, self.spec.actions]),
      'model': self.model.initial(count),
    }

  def policy(
    self, observation: Batch, state: State, explore: Tensor, seed: Tensor
  ) -> tuple[Tensor, State]:
    """Filters an observation, then acts.

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

  def filter(self, observation: Batch, state: State, seed: Tensor) -> State:
    """Filters the new observation; returns the posterior, [B, ...].

    Args:
      observation: {image uint8 [B, h, w, c], is_first bool [B], vectors}.
      state: of `policy`, of the step before.
      seed: int32 [2].
    """
    return self.model.observe_step(
      state['model'],
      observation,
      state['action'],
      seed if self._sample_states else None,
    )

  def train_model(
    self, batch: Batch, seed: Tensor
  ) -> tuple[dict[str, Tensor], State, Tensor]:
    """Does one gradient step of the model on a batch [B, T, ...].

    Returns:
      (metrics {name: scalar}, posterior states [B, T, ...], whether the step
      was finite and so was made).
    """
    with tf.GradientTape() as tape:
      terms, posterior = self.model.loss(batch, seed)
      loss = self.model.total(terms, batch['mask'])
    norm = self.optimizer.minimize(loss, tape)
    metrics = {
      f'{name}_loss': losses.masked_mean(value, batch['mask'])
      for name, value in terms.items()
    }
    metrics['divergence'] = metrics.pop('divergence_loss')
    made = tf.equal(self.optimizer.skipped_run.value, 0)
    return dict(metrics, loss=loss, gradient_norm=norm), posterior, made
