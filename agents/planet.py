"""PlaNet: a world model, and a planner that replans at every step.

Hafner et al. (2019), Learning Latent Dynamics for Planning from Pixels,
algorithms 1 and 2.
"""

import tensorflow as tf

from . import model_based
from . import planning


class Agent(model_based.ModelBased):
  """Learns from batches and acts by planning in latent space.

  Args:
    actions: A.
    discrete: the actions are one-hot vectors.
    model: keyword values of `world_model.WorldModel`.
    optimizer: keyword values of `optimizer.Optimizer`.
    planner: keyword values of `planning.Planning`.
    exploration: as `model_based.explore` has it.
    vectors: {key: size} of vectors observed beside the image.
    size: image height and width.
  """

  def __init__(self, *, actions, model, optimizer, planner, exploration,
               discrete=False, vectors=None, size=64):
    super().__init__(
        actions=actions, discrete=discrete, model=model, optimizer=optimizer,
        vectors=vectors, size=size, sample=planner['sample'], name='planet')
    self.planning = planning.Planning(discrete, **planner)
    self.exploration = exploration
    self.built = True

  def plan(self, state, seeds):
    """Plans actions [B, H, A] from states [B, ...]; seeds int32 [2, 2]."""
    return self.planning.plan(self.model, state, seeds)

  @tf.function
  def policy(self, observation, state, explore, seed):
    """Filters the new image, then plans from there.

    Args:
      observation: {image uint8 [B, 64, 64, 3], is_first bool [B], vectors}.
      state: of the step before.
      explore: bool scalar tensor, adds noise.
      seed: int32 [2].

    Returns:
      (action [B, A] in [-1, 1], state).
    """
    seeds = tf.random.split(seed, 4)
    posterior = self.filter(observation, state, seeds[0])
    action = self.plan(posterior, seeds[1:3])[:, 0]
    noisy = model_based.explore(
        action, self.exploration, seeds[3], self.discrete)
    action = tf.where(explore, noisy, action)
    return action, {'action': action, **posterior}

  @tf.function
  def train(self, batch, seed):
    """One gradient step on a batch [B, T, ...]: {name: scalar}."""
    metrics, _, _ = self.train_model(batch, seed)
    return metrics
