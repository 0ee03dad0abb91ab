"""Base of agents with a world model: filtering, and the model update.

What PlaNet (Hafner et al., 2019) and Dreamer (Hafner et al., 2020) share; how
they act is in their own files.
"""

from typing import Any

import tensorflow as tf

from worldmodels import disagreement
from worldmodels import errors
from worldmodels import losses
from worldmodels.agents import learning_agent
from worldmodels.agents import several_members
from worldmodels.agents.optimizers import Optimizer
from worldmodels.agents.planner import Planner
from worldmodels.problem import Plan
from worldmodels.reweighted import Reweighted
from worldmodels.spec import Spec
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import Batch
from worldmodels.world_model import Options
from worldmodels.world_model import WorldModel


class WorldModelAgent(learning_agent.LearningAgent):
  """A world model and its optimizer.

  Args:
    spec: of the task.
    model: keyword values of `WorldModel`.
    optimizer: keyword values of `Optimizer`.
    sample_states: states are drawn while acting; else the means.
    name: of the agent.
  """

  def __init__(
    self,
    *,
    spec: Spec,
    model: Options,
    optimizer: Options,
    sample_states: bool,
    name: str,
  ):
    super().__init__(spec=spec, name=name)
    self.model = WorldModel(spec=spec, **model)
    with errors.group('optimizer'):
      self.optimizer = Optimizer(
        self.model.trainable_variables, name='optimizer', **optimizer
      )
    self._sample_states = sample_states

  @property
  def optimized(self) -> learning_agent.Optimized:
    """Pairs of a trained layer and its optimizer."""
    return [(self.model, self.optimizer)]

  def make_planner(self, **options: Any) -> Planner:
    """Makes a planner for this agent from the options of its group.

    Raises:
      OptionError: there is no such planner, it lacks an option, or what it is
        to do takes other dynamics.
    """
    members = disagreement.members_of(self.model)
    tells = disagreement.is_told_by(self.model)
    for option, problem in several_members.lacking(options, members, tells):
      raise errors.OptionError(option, problem)
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

  def initial(self, count: int | Tensor) -> State:
    """Returns the state of `policy` before the first step, [count, ...]."""
    return {
      'action': tf.zeros([count, self.spec.actions]),
      'model': self.model.initial(count),
    }

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
    self.model.update_statistics(batch)
    with tf.GradientTape() as tape:
      terms, posterior = self.model.loss(batch, seed)
      means = losses.masked_means(terms, batch['mask'])
      loss = self.model.weigh(means)
    norm = self.optimizer.minimize(loss, tape)
    metrics = {f'{name}_loss': value for name, value in means.items()}
    metrics['divergence'] = metrics.pop('divergence_loss')
    made = tf.equal(self.optimizer.skipped_run.value, 0)
    return dict(metrics, loss=loss, gradient_norm=norm), posterior, made

  def averaged(self, batch: Batch, seed: Tensor) -> tuple[Reweighted, State]:
    """Filters a batch with the averages of the weights, which act.

    Returns:
      (the model with those, posterior states [B, T, ...]).
    """
    model = Reweighted(self.model, self.optimizer.averages)
    return model, model.observe(batch, seed=seed)[0]
