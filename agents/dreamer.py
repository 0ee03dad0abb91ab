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
    acting: policy or planner: who acts. The planner does so with the actor's
      proposals and the critic's value, if its group says so.
    exploring: policy or planner: who acts where episodes are collected.
    planner: keyword values of `planning.Planning`, without gamma.
    exploration: as `model_based.explore` has it.
    vectors: {key: size} of vectors observed beside the image.
    size: image height and width.
  """

  def __init__(self, *, actions, model, optimizer, actor, critic, behaviour,
               acting, planner, exploration, exploring='policy',
               discrete=False, vectors=None, size=64):
    super().__init__(
        actions=actions, discrete=discrete, model=model, optimizer=optimizer,
        vectors=vectors, size=size, sample=planner['sample'], name='dreamer')
    for key, value in dict(acting=acting, exploring=exploring).items():
      if value not in ACTING:
        raise ValueError(
            f'{key} is {value!r}; it is one of {", ".join(ACTING)}')
    self.behaviour = actor_critic.ActorCritic(
        features=self.model.rssm.size, actions=actions, discrete=discrete,
        actor=actor, critic=critic, **behaviour)
    self._planning = None
    if 'planner' in (acting, exploring):
      self._planning = planning.Planning(
          discrete, gamma=behaviour['gamma'], **planner)
    if acting == 'planner':
      # What it lives through is then not what its actor would do.
      self.diagnose = None
    self._acting, self._exploring = acting, exploring
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
    """Filters the new image, then acts: with noise to explore, else without.

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

    def explored():
      if self._exploring == 'planner':
        action = self.plan(posterior, seeds[1:3])[:, 0]
      else:
        action = self._actor(posterior).sample(seeds[2])
      return model_based.explore(
          action, self._exploration, seeds[3], self.discrete)

    def done():
      if self._acting == 'planner':
        return self.plan(posterior, seeds[1:3])[:, 0]
      return self._actor(posterior).mode(seeds[1])

    action = tf.cond(explore, explored, done)
    return action, {'action': action, **posterior}

  def _actor(self, state):
    """The actor's distribution over actions in states [B, ...]."""
    return self.behaviour.actor.distribution(self.model.rssm.features(state))

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
