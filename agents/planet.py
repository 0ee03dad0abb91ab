"""PlaNet: a world model, and a planner that replans at every step.

Hafner et al. (2019), Learning Latent Dynamics for Planning from Pixels,
algorithms 1 and 2.
"""

import tensorflow as tf

from worldmodels import errors
from worldmodels.agents import agent
from worldmodels.agents.exploration import add_noise
from worldmodels.agents.planner import Planner
from worldmodels.problem import Plan
from worldmodels.spec import Spec
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import Batch
from worldmodels.world_model import Options


class Agent(agent.WorldModelAgent):
  """Learns from batches and acts by planning in latent space.

  Args:
    spec: of the task.
    model: keyword values of `WorldModel`.
    optimizer: keyword values of `Optimizer`.
    planner: keyword values of `Planner`.
    exploration: as `exploration.add_noise` has it.
    sample_states: states are drawn while acting; else the means.
  """

  def __init__(
    self,
    *,
    spec: Spec,
    model: Options,
    optimizer: Options,
    planner: Options,
    exploration: float,
    sample_states: bool,
  ):
    super().__init__(
      spec=spec,
      model=model,
      optimizer=optimizer,
      sample_states=sample_states,
      name='planet',
    )
    with errors.group('planner'):
      self.planner = Planner(spec, **planner)
    self._exploration = exploration
    self.built = True

  def plan(self, state: State, seeds: Tensor) -> Plan:
    """Plans from states of the model [B, ...]; seeds int32 [2, 2]."""
    return self.planner.plan(self.model, state, seeds)

  @tf.function
  def policy(
    self, observation: Batch, state: State, explore: Tensor, seed: Tensor
  ) -> tuple[Tensor, State]:
    """Filters the new image, then plans from there; see the base class."""
    seeds = tf.random.split(seed, 4)
    posterior = self.filter(observation, state, seeds[0])
    action = self.plan(posterior, seeds[1:3]).actions[:, 0]
    noisy = add_noise(action, self._exploration, seeds[3], self.spec.discrete)
    action = tf.where(explore, noisy, action)
    return action, {'action': action, 'model': posterior}

  @tf.function
  def train(self, batch: Batch, seed: Tensor) -> dict[str, Tensor]:
    """Does one gradient step on a batch [B, T, ...]: {name: scalar}."""
    metrics, _, _ = self.train_model(batch, seed)
    return metrics
