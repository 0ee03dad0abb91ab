"""Actor and critic learned on imagined rollouts (Dreamer, algorithm 1).

Dreamer (Hafner et al., 2020) follows the gradient of lambda-returns through
the dynamics; what DreamerV2 (2021) and DreamerV3 (2023) do instead or besides
are values of the config, each for itself.
"""

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from worldmodels import errors
from worldmodels import imagination
from worldmodels import losses
from worldmodels.agents import learner
from worldmodels.agents import returns
from worldmodels.agents.actor import Actor
from worldmodels.agents.critic import Critic
from worldmodels.agents.optimizers import Optimizer
from worldmodels.spec import Spec
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import WorldModel

GRADIENTS = ('pathwise', 'reinforce', 'mixed')


class Dream(NamedTuple):
  """An imagined rollout [N, H, ...], with values and returns.

  Attributes:
    action: [N, H, A].
    outputs: of the actor, [N, H, ...].
    features: of the start and of each step, [N, H + 1, F].
    reward: [N, H].
    discount: of what comes after each step, gamma included, [N, H].
    weight: the probability that the rollout gets to the step, times gamma for
      each step on the way, [N, H]; without gradient.
    critic_outputs: of the critic's target for `features`, [N, H + 1, ...].
    value_before: of the state before each step, [N, H].
    returns: lambda-returns, [N, H].
  """

  action: Tensor
  outputs: Tensor
  features: Tensor
  reward: Tensor
  discount: Tensor
  weight: Tensor
  critic_outputs: Tensor | None = None
  value_before: Tensor | None = None
  returns: Tensor | None = None


class Learner(learner.Learner):
  """An actor and a critic, learned inside a world model.

  Args:
    features_size: F of the model.
    spec: of the task.
    actor: {optimizer, and keyword values of `Actor`}.
    critic: keyword values of `Critic`.
    horizon: H, imagined steps.
    gamma: discount per agent_step.
    lambda_: of the lambda-returns.
    starts: how many of the batch's states, chosen at random, rollouts start
      from; 0 for all.
    gradient: of the actor, one of GRADIENTS.
    mix: share of `reinforce` in `mixed`.
    entropy: weight of the actor's entropy, in nats.
    normalize: divide the actor's returns by their spread, or a number above
      it, see `ReturnScale`; 0 leaves them as they are.
    normalize_decay: of the average of the spread.
  """

  def __init__(
    self,
    *,
    features_size: int,
    spec: Spec,
    actor: dict[str, Any],
    critic: dict[str, Any],
    horizon: int,
    gamma: float,
    lambda_: float,
    starts: int,
    gradient: str,
    mix: float,
    entropy: float,
    normalize: float,
    normalize_decay: float,
  ):
    super().__init__(name='actor_critic')
    errors.choose('gradient', gradient, GRADIENTS)
    actor = dict(actor)
    actor_optimizer = actor.pop('optimizer')
    # The scope gives every variable a path of its own.
    with keras.name_scope('actor'), errors.group('actor'):
      self.actor = Actor(features_size, spec=spec, name='actor', **actor)
      with errors.group('optimizer'):
        self.actor_optimizer = Optimizer(
          self.actor.trainable_variables, name='optimizer', **actor_optimizer
        )
    with errors.group('critic'):
      self.critic = Critic(features_size, **critic)
    self._return_scale = returns.ReturnScale(normalize, normalize_decay)
    self._horizon, self._starts = horizon, starts
    self.gamma, self._lambda = gamma, lambda_
    self._mix = {'pathwise': 0.0, 'reinforce': 1.0, 'mixed': mix}[gradient]
    self._entropy = entropy
    self.built = True

  @property
  def optimized(self) -> list[tuple[keras.layers.Layer, Optimizer]]:
    """Pairs of a trained layer and its optimizer."""
    return [
      (self.actor, self.actor_optimizer),
      (self.critic.head, self.critic.optimizer),
    ]

  @property
  def extra_variables(self) -> list[keras.Variable]:
    """Untrained variables: return range, update count, slow critic."""
    return [*self._return_scale.variables, *self.critic.extra_variables]

  def act(self, features: Tensor, seed: Tensor, explore: bool = True) -> Tensor:
    """Returns actions [N, A] for features [N, F]; drawn, or the mode."""
    if explore:
      return self.actor.sample(features, seed)[0]
    return self.actor.mode(features, seed)

  def value(self, features: Tensor) -> Tensor:
    """Returns the critic's value of features [..., F]: [...]."""
    return self.critic.head.mean(features)

  def prior(self, features: Tensor) -> Tensor:
    """Returns the actor's logits or mean in features [N, F]: [N, A]."""
    return self.actor.distribution(self.actor(features)).prior()

  def update(
    self,
    model: WorldModel,
    batch: dict[str, Tensor],
    posterior: State,
    seed: Tensor,
    enabled: Tensor | bool = True,
  ) -> dict[str, Tensor]:
    """Does one gradient step of actor and critic; see the base class."""
    _, start_seed, seed = tf.unstack(tf.random.split(seed, 3))
    seeds = tf.random.split(seed, 2)
    start, weight = imagination.starts(
      batch, posterior, self._starts, start_seed
    )
    # Watch only the actor; otherwise model gradients are computed and
    # discarded, inside the loop.
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch([x.value for x in self.actor.trainable_variables])
      dream = self.imagine(model, start, seeds[0])
      dream = dream._replace(weight=dream.weight * weight[:, None])
      # The critic learns from the pass that makes the returns. Its tape has
      # not seen the rollout, so the gradient stops at the features.
      with tf.GradientTape(watch_accessed_variables=False) as critic_tape:
        critic_tape.watch(
          [x.value for x in self.critic.head.trainable_variables]
        )
        dream = self.add_returns(dream)
        critic_loss = self.critic.loss(
          dream.features[:, :-1],
          dream.critic_outputs[:, :-1],
          dream.returns,
          dream.weight,
        )
      scale = self._return_scale.update(dream.returns, dream.weight, enabled)
      loss, metrics = self.actor_loss(dream, scale, seeds[1])
    norm = self.actor_optimizer.minimize(loss, tape, enabled)
    critic_norm = self.critic.optimizer.minimize(
      critic_loss, critic_tape, enabled
    )
    self.critic.update_slow(enabled)
    return dict(
      metrics,
      actor_gradient_norm=norm,
      critic_gradient_norm=critic_norm,
      critic_loss=critic_loss,
    )

  def imagine(self, model: WorldModel, start: State, seed: Tensor) -> Dream:
    """Follows the actor for H steps from states [N, ...]."""
    rollout = imagination.rollout(
      model, self.actor.sample, start, self._horizon, seed
    )
    discount = self.gamma * model.discount(rollout.states)
    weight = tf.math.cumprod(discount, 1, exclusive=True)
    features = [model.features(start)[:, None], model.features(rollout.states)]
    return Dream(
      action=rollout.action,
      outputs=rollout.outputs,
      features=tf.concat(features, 1),
      reward=model.reward(rollout.states),
      discount=discount,
      weight=tf.stop_gradient(weight),
    )

  def add_returns(self, dream: Dream) -> Dream:
    """Adds values and lambda-returns to an imagined rollout."""
    target = self.critic.target
    outputs = target(dream.features)
    values = target.distribution(outputs).mean()
    return dream._replace(
      critic_outputs=outputs,
      value_before=values[:, :-1],
      returns=returns.lambda_return(
        dream.reward, dream.discount, values[:, 1:], self._lambda
      ),
    )

  def actor_loss(
    self, dream: Dream, scale: Tensor, seed: Tensor
  ) -> tuple[Tensor, dict[str, Tensor]]:
    """Returns the loss of the actor: (scalar, {name: scalar}).

    Args:
      dream: with returns.
      scale: what returns are divided by, scalar.
      seed: int32 [2], of the entropy.
    """
    distribution = self.actor.distribution(dream.outputs)
    objective = tf.zeros_like(dream.returns)
    if self._mix < 1.0:
      objective += (1.0 - self._mix) * dream.returns / scale
    if self._mix > 0.0:
      advantage = tf.stop_gradient((dream.returns - dream.value_before) / scale)
      objective += (
        self._mix
        * advantage
        * distribution.log_prob(tf.stop_gradient(dream.action))
      )
    entropy = distribution.entropy(seed)
    objective += self._entropy * entropy
    loss = -losses.masked_mean(objective, dream.weight)
    metrics = dict(
      actor_entropy=entropy,
      imagined_return=dream.returns,
      imagined_reward=dream.reward,
    )
    return loss, {
      'actor_loss': loss,
      **losses.masked_means(metrics, dream.weight),
      'return_spread': scale,
    }
