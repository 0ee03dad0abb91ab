"""Actor and critic learned on imagined rollouts (Dreamer, algorithm 1).

Dreamer (Hafner et al., 2020) follows the gradient of lambda-returns through
the dynamics; what DreamerV2 (2021) and DreamerV3 (2023) do instead or besides
are values of the config, each for itself.
"""

import keras
import tensorflow as tf

from worldmodels import heads
from worldmodels import imagination
from worldmodels import losses

from . import actor as actors
from . import optimizer as optimizers

GRADIENTS = ('pathwise', 'reinforce', 'mixed')
SLOW = ('none', 'target', 'regularizer')


class ActorCritic(keras.layers.Layer):
  """Behaviour learned inside a world model.

  Args:
    features: F of the model.
    actions: A.
    discrete: the actions are one-hot.
    actor: {optimizer, and keyword values of `actor.Actor`}.
    critic: {kind, optimizer, slow, slow_every, slow_share, and keyword values
      of the head}. `slow` is what a slowly following copy of the critic is
      for: none, target (its values make the returns; DreamerV2) or regularizer
      (the critic stays near it; DreamerV3). Every `slow_every` updates it
      moves by `slow_share` of the way.
    horizon: H, imagined steps.
    gamma: discount per agent_step.
    lambda_: of the lambda-returns.
    starts: how many of the batch's states, chosen at random, rollouts start
      from; 0 for all.
    gradient: of the actor, one of GRADIENTS.
    mix: share of `reinforce` in `mixed`.
    entropy: weight of the actor's entropy, in nats.
    normalize: divide the actor's returns by their spread, or a number above
      it: the 5th to the 95th percentile, averaged over updates (DreamerV3).
    normalize_decay: of that average.
  """

  def __init__(self, *, features, actions, discrete, actor, critic, horizon,
               gamma, lambda_, starts, gradient, mix, entropy, normalize,
               normalize_decay):
    super().__init__(name='actor_critic')
    if gradient not in GRADIENTS:
      raise ValueError(f'behaviour.gradient is {gradient!r}; it is one of '
                       f'{", ".join(GRADIENTS)}')
    actor, critic = dict(actor), dict(critic)
    actor_optimizer = actor.pop('optimizer')
    critic_optimizer = critic.pop('optimizer')
    self._slow, self._slow_every, self._slow_share = (
        critic.pop(key) for key in ('slow', 'slow_every', 'slow_share'))
    if self._slow not in SLOW:
      raise ValueError(f'critic.slow is {self._slow!r}; it is one of '
                       f'{", ".join(SLOW)}')
    kind = critic.pop('kind')
    # The scopes give every variable a path of its own.
    with keras.name_scope('actor'):
      self.actor = actors.Actor(
          features, actions=actions, discrete=discrete, name='actor', **actor)
      self.actor_optimizer = optimizers.Optimizer(
          self.actor.trainable_variables, name='optimizer', **actor_optimizer)
    with keras.name_scope('critic'):
      self.critic = heads.load(kind, features, name='critic', **critic)
      self.critic_optimizer = optimizers.Optimizer(
          self.critic.trainable_variables, name='optimizer',
          **critic_optimizer)
    self.slow_critic = None
    if self._slow != 'none':
      with keras.name_scope('slow_critic'):
        self.slow_critic = heads.load(
            kind, features, name='critic', **critic)
      self.slow_critic.trainable = False
      for mine, learned in zip(
          self.slow_critic.variables, self.critic.variables, strict=True):
        mine.assign(learned)
    self._horizon, self._starts = horizon, starts
    self.gamma, self._lambda = gamma, lambda_
    self._mix = {'pathwise': 0.0, 'reinforce': 1.0, 'mixed': mix}[gradient]
    self._entropy = entropy
    self._normalize = normalize
    self._decay = normalize_decay
    # The 5th and the 95th percentile of the returns, and the updates.
    self._range = self.add_weight(
        shape=(2,), initializer='zeros', trainable=False, name='range')
    self._updates = self.add_weight(
        shape=(), dtype='int32', initializer='zeros', trainable=False,
        name='updates')
    self.built = True

  @property
  def learned(self):
    """Pairs of what is trained, a layer, and its optimizer."""
    return [(self.actor, self.actor_optimizer),
            (self.critic, self.critic_optimizer)]

  @property
  def counters(self):
    """Variables of its own that a checkpoint has to hold."""
    slow = [] if self.slow_critic is None else self.slow_critic.variables
    return [self._range, self._updates, *slow]

  def draw(self, features, seed):
    """A policy for `imagination.rollout`.

    The actor's own input has no gradient: the dynamics carry it (Dreamer's
    code).

    Args:
      features: [N, F].
      seed: int32 [2].

    Returns:
      (actions [N, A], the actor's outputs).
    """
    outputs = self.actor(tf.stop_gradient(features))
    return self.actor.made_of(outputs).sample(seed), outputs

  def mode(self, features, seed):
    """The policy without exploring; otherwise as `draw`."""
    outputs = self.actor(tf.stop_gradient(features))
    return self.actor.made_of(outputs).mode(seed), outputs

  @property
  def _target(self):
    """The critic that returns and baselines are made with."""
    return self.slow_critic if self._slow == 'target' else self.critic

  def value(self, model, state):
    """Returns the critic's value of each state, [...]."""
    return self.critic.mean(model.rssm.features(state))

  def choose(self, batch, state, seed):
    """Where rollouts start: `imagination.starts` of as many as are wanted."""
    return imagination.starts(batch, state, self._starts, seed)

  def imagine(self, model, start, seed, nudge=None, horizon=None,
              explore=True):
    """Follows the actor for H steps from states [N, ...], and appraises it.

    Args:
      model: a WorldModel.
      start: states [N, ...].
      seed: int32 [2].
      nudge: [N, H, A] added to the actions, to take gradients by.
      horizon: H, if it is another than that of learning.
      explore: actions are drawn; else their mode is done.

    Returns:
      dict of action, the actor's outputs and the states they lead to
      [N, H, ...], features [N, H + 1, F], the first of which are of `start`,
      reward and discount [N, H], weight [N, H]: the probability that the
      rollout gets to the step, times gamma for each step on the way; and what
      `appraise` adds.
    """
    return self.appraise(
        self._dream(model, start, seed, nudge, horizon, explore))

  def _dream(self, model, start, seed, nudge=None, horizon=None, explore=True):
    """The part of `imagine` that the critic has no part in."""
    states, action, outputs = imagination.rollout(
        model, self.draw if explore else self.mode, start,
        horizon or self._horizon, seed, nudge)
    discount = self.gamma * model.discount(states)
    weight = tf.math.cumprod(discount, 1, exclusive=True)
    features = tf.concat([
        model.rssm.features(start)[:, None], model.rssm.features(states)], 1)
    return dict(
        states=states, features=features, action=action, outputs=outputs,
        reward=model.reward(states), discount=discount,
        weight=tf.stop_gradient(weight))

  def appraise(self, dream):
    """The dream with the critic's values of its states, and its returns.

    Returns:
      `dream` with the target critic's outputs [N, H + 1, ...], as `critic`,
      the values before and after each step, `base` and `value` [N, H], and the
      lambda-returns [N, H].
    """
    outputs = self._target(dream['features'])
    values = self._target.made_of(outputs).mean()
    base, value = values[:, :-1], values[:, 1:]
    returns = losses.lambda_return(
        dream['reward'], dream['discount'], value, self._lambda)
    return dict(
        dream, critic=outputs, base=base, value=value, returns=returns)

  def update(self, model, start, weight, seed, allow=True):
    """One gradient step of actor and critic; the model is not touched.

    Args:
      model: a WorldModel.
      start: states [N, ...].
      weight: [N], of each start.
      seed: int32 [2].
      allow: bool scalar; where false nothing is changed.

    Returns:
      {name: scalar}.
    """
    seeds = tf.random.split(seed, 2)
    # Or gradients of the model's weights are computed as well, inside the
    # loop, and thrown away.
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch([x.value for x in self.actor.trainable_variables])
      dream = self._dream(model, start, seeds[0])
      dream['weight'] *= weight[:, None]
      # The critic learns from the pass that makes the returns. Its tape has
      # not seen the rollout, so the gradient stops at the features.
      with tf.GradientTape(watch_accessed_variables=False) as critic_tape:
        critic_tape.watch([x.value for x in self.critic.trainable_variables])
        dream = self.appraise(dream)
        critic_loss = self.critic_loss(dream)
      loss, metrics = self.actor_loss(dream, self._spread(dream, allow),
                                      seeds[1])
    norm = self.actor_optimizer.minimize(loss, tape, allow)
    critic_norm = self.critic_optimizer.minimize(
        critic_loss, critic_tape, allow)
    self._follow(allow)
    return dict(
        metrics, actor_gradient_norm=norm, critic_gradient_norm=critic_norm,
        critic_loss=critic_loss)

  def actor_loss(self, dream, spread, seed):
    """The loss of the actor: (scalar, {name: scalar}).

    Args:
      dream: as `imagine` makes it.
      spread: what returns are divided by, scalar.
      seed: int32 [2], of the entropy.
    """
    distribution = self.actor.made_of(dream['outputs'])
    objective = tf.zeros_like(dream['returns'])
    if self._mix < 1.0:
      objective += (1.0 - self._mix) * dream['returns'] / spread
    if self._mix > 0.0:
      advantage = tf.stop_gradient(
          (dream['returns'] - dream['base']) / spread)
      objective += self._mix * advantage * distribution.log_prob(
          tf.stop_gradient(dream['action']))
    entropy = distribution.entropy(seed)
    objective += self._entropy * entropy
    loss = -losses.masked_mean(objective, dream['weight'])
    return loss, dict(
        actor_loss=loss,
        actor_entropy=losses.masked_mean(entropy, dream['weight']),
        imagined_return=losses.masked_mean(
            dream['returns'], dream['weight']),
        imagined_reward=losses.masked_mean(dream['reward'], dream['weight']),
        return_spread=spread)

  def critic_loss(self, dream):
    """The loss of the critic, scalar; of `dream` as `imagine` makes it."""
    features = tf.stop_gradient(dream['features'][:, :-1])
    if self._target is self.critic:
      outputs = dream['critic'][:, :-1]
    else:
      outputs = self.critic(features)
    distribution = self.critic.made_of(outputs)
    loss = self.critic.peak - distribution.log_prob(
        tf.stop_gradient(dream['returns']))
    if self._slow == 'regularizer':
      near = tf.stop_gradient(self.slow_critic.mean(features))
      loss += self.critic.peak - distribution.log_prob(near)
    return losses.masked_mean(loss, dream['weight'])

  def _spread(self, dream, allow):
    """What the actor's returns are divided by; 1 if they are not."""
    if not self._normalize:
      return tf.constant(1.0)
    now = losses.percentiles(
        tf.stop_gradient(dream['returns']), dream['weight'], [0.05, 0.95])
    unset = tf.reduce_all(tf.equal(self._range.value, 0.0))
    moved = tf.where(
        unset, now, self._decay * self._range.value + (1.0 - self._decay) * now)
    self._range.assign(tf.where(
        allow & tf.reduce_all(tf.math.is_finite(now)), moved,
        self._range.value))
    spread = self._range.value[1] - self._range.value[0]
    return tf.maximum(spread, self._normalize)

  def _follow(self, allow):
    """Counts the update and moves the slow critic, if it is time to."""
    self._updates.assign_add(tf.cast(allow, tf.int32))
    if self.slow_critic is None:
      return
    due = allow & tf.equal(self._updates.value % self._slow_every, 0)
    share = self._slow_share * tf.cast(due, tf.float32)
    for mine, learned in zip(
        self.slow_critic.variables, self.critic.variables, strict=True):
      mine.assign_add(share * (learned.value - mine.value))
