"""Dreamer: a world model, and an actor and a critic learned inside it.

Hafner et al. (2020), Dream to Control: Learning Behaviors by Latent
Imagination, algorithm 1; with the values of its config, DreamerV2 (2021) and
DreamerV3 (2023).
"""

import functools

import tensorflow as tf

from worldmodels import imagination

from . import actor_critic
from . import diagnosis
from . import model_based
from . import planning

ACTING = ('policy', 'planner')


class Agent(model_based.ModelBased):
  """Learns from batches, and from what it imagines after each of them.

  Args:
    actions: A.
    discrete: the actions are one-hot vectors.
    model: keyword values of `world_model.WorldModel`.
    optimizer: of the model, keyword values of `optimizer.Optimizer`.
    actor, critic: groups of `actor_critic.ActorCritic`.
    behaviour: its other keyword values.
    acting: policy, or planner: the latter with the actor's proposals and the
      critic's value, if the planner's group says so.
    planner: keyword values of `planning.Planning`, without gamma.
    exploration: as `model_based.explore` has it.
    vectors: {key: size} of vectors observed beside the image.
    size: image height and width.
  """

  def __init__(self, *, actions, model, optimizer, actor, critic, behaviour,
               acting, planner, exploration, discrete=False, vectors=None,
               size=64):
    super().__init__(
        actions=actions, discrete=discrete, model=model, optimizer=optimizer,
        vectors=vectors, size=size, sample=planner['sample'], name='dreamer')
    if acting not in ACTING:
      raise ValueError(
          f'acting is {acting!r}; it is one of {", ".join(ACTING)}')
    self.behaviour = actor_critic.ActorCritic(
        features=self.model.rssm.size, actions=actions, discrete=discrete,
        actor=actor, critic=critic, **behaviour)
    self._planning = None
    if acting == 'planner':
      self._planning = planning.Planning(
          discrete, gamma=behaviour['gamma'], **planner)
      # What it lives through is then not what its actor would do.
      self.diagnose = None
    self._exploration = exploration
    self.built = True

  @property
  def learned(self):
    """Pairs of what is trained, a layer, and its optimizer."""
    return [*super().learned, *self.behaviour.learned]

  @property
  def state_variables(self):
    """Every variable that a checkpoint has to hold."""
    return super().state_variables + self.behaviour.counters

  def adopt(self, learner):
    """Takes the parameters with which `learner`, or itself, is to act."""
    super().adopt(learner)
    for mine, theirs in zip(
        self.behaviour.counters, learner.behaviour.counters, strict=True):
      mine.assign(theirs)

  @tf.function
  def train(self, batch, seed):
    """One update on a batch [B, T, ...]: {name: scalar}."""
    seeds = tf.random.split(seed, 3)
    # Dynamics: learn the world model from what was seen.
    metrics, posterior, made = self.train_model(batch, seeds[0])
    # Behaviour: imagine from states of the batch, and learn from that.
    start, weight = self.behaviour.choose(batch, posterior, seeds[1])
    metrics.update(self.behaviour.update(
        self.model, start, weight, seeds[2], allow=made))
    return metrics

  @tf.function
  def policy(self, observation, state, explore, seed):
    """Filters the new image, then acts: a draw to explore, else the mode.

    Args:
      observation: {image uint8 [B, 64, 64, 3], is_first bool [B], vectors}.
      state: of the step before.
      explore: bool scalar tensor.
      seed: int32 [2].

    Returns:
      (action [B, A] in [-1, 1], state).
    """
    seeds = tf.random.split(seed, 4)
    posterior = self.filter(observation, state, seeds[0])
    if self._planning is None:
      actor = self.behaviour.actor.distribution(
          self.model.rssm.features(posterior))
      action, drawn = actor.mode(seeds[1]), actor.sample(seeds[2])
    else:
      action = drawn = self.plan(posterior, seeds[1:3])[:, 0]
    noisy = model_based.explore(
        drawn, self._exploration, seeds[3], self.discrete)
    action = tf.where(explore, noisy, action)
    return action, {'action': action, **posterior}

  def diagnose(self, batch, context, seed):
    """How behaviour and model agree with the world: see `diagnosis`."""
    return diagnosis.diagnose(
        self.model, self.behaviour, batch, context, seed)

  def plan(self, state, seeds):
    """Plans actions [B, H, A] from states [B, ...]; seeds int32 [2, 2]."""
    planner, behaviour = self._planning, self.behaviour
    value = proposals = None
    if planner.value:
      value = functools.partial(behaviour.value, self.model)
    if planner.proposals:
      repeated = {key: tf.repeat(x, planner.proposals, axis=0)
                  for key, x in state.items()}
      _, drawn, _ = imagination.rollout(
          self.model, behaviour.draw, repeated, planner.horizon,
          tf.random.experimental.stateless_fold_in(seeds[0], 1))
      proposals = tf.reshape(drawn, [
          -1, planner.proposals, planner.horizon, self.actions])
    return planner.plan(self.model, state, seeds, value, proposals)
