"""PlaNet: a world model, and a planner that replans, at every step by default.

Hafner et al. (2019), Learning Latent Dynamics for Planning from Pixels,
algorithms 1 and 2.
"""

import tensorflow as tf

from worldmodels import errors
from worldmodels.agents import agent
from worldmodels.agents.exploration import Noise
from worldmodels.spec import Spec
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import Batch
from worldmodels.world_model import Options


class Agent(agent.WorldModelAgent):
  """Learns from batches and acts by planning in latent space.

  Attributes:
    noise: on actions, where episodes are collected.

  Args:
    spec: of the task.
    model: keyword values of `WorldModel`.
    optimizer: keyword values of `Optimizer`.
    planner: keyword values of `Planner`.
    exploration: deviation of `exploration.Noise`.
    exploration_color: of it.
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
    exploration_color: str = 'white',
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
    self.noise = Noise(exploration, exploration_color, spec)
    self.built = True

  def initial(self, count: int | Tensor) -> State:
    """Returns the state of `policy` before the first step, [count, ...]."""
    kept = self.planner.initial(count) | self.noise.initial(count)
    return super().initial(count) | kept

  @tf.function(autograph=False)
  def policy(
    self, observation: Batch, state: State, explore: Tensor, seed: Tensor
  ) -> tuple[Tensor, State]:
    """Filters the new image, then plans from there; see the base class."""
    seeds = tf.random.split(seed, 4)
    posterior = self.filter(observation, state, seeds[0])
    action, kept = self.planner.follow(
      state,
      observation['is_first'],
      lambda **warm: self.choose(posterior, seeds[1:3], explore, **warm),
    )
    noisy, noise = self.noise.add(
      action, state, observation['is_first'], seeds[3]
    )
    action = tf.where(explore, noisy, action)
    state = {'action': action, 'model': posterior}
    return action, state | kept | noise

  def choose(
    self, state: State, seeds: Tensor, explore: Tensor, **warm: Tensor
  ) -> Tensor:
    """Plans the actions to take from states [B, ...]: [B, H, A].

    Args:
      state: of the model.
      seeds: int32 [2, 2], of the imagined states and of the planner.
      explore: bool scalar: whether an episode is collected.
      **warm: where the plan starts.
    """
    del explore  # Noise is all that differs.
    return self.plan(state, seeds, **warm).actions

  @tf.function(autograph=False)
  def train(self, batch: Batch, seed: Tensor) -> dict[str, Tensor]:
    """Does one gradient step on a batch [B, T, ...]: {name: scalar}."""
    metrics, _, _ = self.train_model(batch, seed)
    return metrics
