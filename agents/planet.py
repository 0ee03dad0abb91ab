"""PlaNet: a world model, and a planner that replans at every step.

Hafner et al. (2019), Learning Latent Dynamics for Planning from Pixels,
algorithms 1 and 2.
"""

import tensorflow as tf

from worldmodels import errors
from worldmodels.agents import agent
from worldmodels.agents.exploration import add_noise
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
      self.planner = self.make_planner(**planner)
    self._exploration = exploration
    self.built = True

  def initial(self, count: int | Tensor) -> State:
    """Returns the state of `policy` before the first step, [count, ...]."""
    return super().initial(count) | self.planner.initial(count)

  @tf.function
  def policy(
    self, observation: Batch, state: State, explore: Tensor, seed: Tensor
  ) -> tuple[Tensor, State]:
    """Filters the new image, then plans from there; see the base class."""
    seeds = tf.random.split(seed, 4)
    posterior = self.filter(observation, state, seeds[0])
    warm = self.planner.warm(state, observation['is_first'])
    plan = self.plan(posterior, seeds[1:3], **warm).actions
    action = plan[:, 0]
    noisy = add_noise(action, self._exploration, seeds[3], self.spec.discrete)
    action = tf.where(explore, noisy, action)
    state = {'action': action, 'model': posterior}
    return action, state | self.planner.kept(plan)

  @tf.function
  def train(self, batch: Batch, seed: Tensor) -> dict[str, Tensor]:
    """Does one gradient step on a batch [B, T, ...]: {name: scalar}."""
    metrics, _, _ = self.train_model(batch, seed)
    return metrics
