"""Soft actor-critic on what an encoder sees, from real transitions.

Haarnoja et al. (2018), Soft Actor-Critic Algorithms and Applications, with the
learned temperature of section 5. Where actions are discrete, expectations over
them are exact (Christodoulou, 2019).
"""

import math
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from worldmodels import errors
from worldmodels import losses
from worldmodels.agents import actor
from worldmodels.agents import slow_copies
from worldmodels.agents import twin_critics
from worldmodels.agents.action_distribution import ActionDistribution
from worldmodels.agents.optimizers import Optimizer
from worldmodels.spec import Spec
from worldmodels.states import Tensor


class Actor(actor.Actor):
  """An actor behind a narrow layer of its own.

  Args:
    embed: E, of what is seen.
    features: units of the narrow layer.
    **options: of the actor.
  """

  def __init__(self, embed: int, *, features: int, **options: Any):
    super().__init__(features, name='actor', **options)
    self._trunk = twin_critics.trunk(embed, features)

  def call(self, embed: Tensor) -> Tensor:
    """Maps [..., E] -> the distribution's parameters."""
    return super().call(self._trunk(embed))


class Temperature(keras.layers.Layer):
  """What a nat of entropy is worth; learned, so that there are enough of them.

  Args:
    start: at first.
    target: entropy of actions that is held to, in nats.
  """

  def __init__(self, start: float, target: float):
    super().__init__(name='temperature')
    self._target = target
    self._log = self.add_weight(
      shape=(),
      initializer=keras.initializers.Constant(math.log(start)),
      name='log_temperature',
    )
    self.built = True

  @property
  def value(self) -> Tensor:
    """The temperature, scalar."""
    return tf.exp(self._log.value)

  def loss(self, entropy: Tensor, weight: Tensor) -> Tensor:
    """Returns the loss, which falls where the entropy [N] is too high."""
    excess = (
      tf.stop_gradient(losses.masked_mean(entropy, weight)) - self._target
    )
    return self.value * excess


class Step(NamedTuple):
  """What is learned from, as an encoder sees it.

  Attributes:
    embed: of what is seen, [N, E].
    action: that is then taken, [N, A].
    returns: of the next steps, [N].
    discount: of what comes after them, [N].
    after: embed of what is seen then, [N, E].
    weight: [N].
  """

  embed: Tensor
  action: Tensor
  returns: Tensor
  discount: Tensor
  after: Tensor
  weight: Tensor


class SoftActorCritic(keras.layers.Layer):
  """Actor, twin critics with a slow copy, and temperature.

  The critics have no optimizer here: what is seen is learned with them.

  Attributes:
    actor: an Actor.
    critics: TwinCritics.
    gamma: discount per agent_step.
    steps: n of the returns that are learned from.

  Args:
    embed: E, of what is seen.
    spec: of the task.
    actor: {optimizer, and keyword values of `Actor`}.
    critic: of both critics: slow_share, of the way that the slow copy moves at
      each update, and keyword values of their head, `kind` among them.
    features: units of the narrow layers.
    gamma: discount per agent_step.
    steps: n of the returns.
    target_entropy: that is held to, nats for each number of an action.
    choice_entropy: the same of discrete actions, as a share of the largest.
    temperature: at first.
    temperature_rate: learning rate of it.
  """

  def __init__(
    self,
    *,
    embed: int,
    spec: Spec,
    actor: dict[str, Any],
    critic: dict[str, Any],
    features: int,
    gamma: float,
    steps: int,
    target_entropy: float,
    choice_entropy: float,
    temperature: float,
    temperature_rate: float,
  ):
    super().__init__(name='soft_actor_critic')
    self.gamma, self.steps = gamma, steps
    self._spec = spec
    with errors.group('critic'):
      critic = dict(critic)
      self._slow_share = critic.pop('slow_share')
      self.critics, self._slow = (
        twin_critics.TwinCritics(
          embed, spec.actions, features=features, name=name, **critic
        )
        for name in ('critics', 'slow_critics')
      )
    slow_copies.begin(self._slow, self.critics)
    actor = dict(actor)
    actor_optimizer = actor.pop('optimizer')
    with keras.name_scope('actor'), errors.group('actor'):
      self.actor = Actor(embed, features=features, spec=spec, **actor)
      with errors.group('optimizer'):
        self._actor_optimizer = Optimizer(
          self.actor.trainable_variables, name='optimizer', **actor_optimizer
        )
    target = target_entropy * spec.actions
    if spec.discrete:
      target = choice_entropy * math.log(spec.actions)
    with keras.name_scope('temperature'):
      self._temperature = Temperature(temperature, target)
      self._temperature_optimizer = Optimizer(
        self._temperature.trainable_variables,
        rate=temperature_rate,
        epsilon=1e-8,
        clip=1e9,
        name='optimizer',
      )
    self.built = True

  @property
  def optimized(self) -> list[tuple[keras.layers.Layer, Optimizer]]:
    """Pairs of a layer that is trained here and its optimizer."""
    return [
      (self.actor, self._actor_optimizer),
      (self._temperature, self._temperature_optimizer),
    ]

  @property
  def extra_variables(self) -> list[keras.Variable]:
    """Variables beside the trained ones: the slow copy."""
    return list(self._slow.variables)

  def critic_loss(self, step: Step, seed: Tensor) -> Tensor:
    """Returns the loss of both critics, whose gradient goes on to `embed`."""
    return self.critics.loss(
      step.embed, step.action, self.returns(step, seed), step.weight
    )

  def returns(self, step: Step, seed: Tensor) -> Tensor:
    """Returns what the critics should say, [N]: rewards, and the rest."""
    value, entropy = self._value(
      self._slow, step.after, self._distribution(step.after), seed
    )
    rest = value + self._temperature.value * entropy
    return tf.stop_gradient(step.returns + step.discount * rest)

  def learn(
    self, step: Step, seed: Tensor, enabled: Tensor | bool
  ) -> dict[str, Tensor]:
    """Does a step of actor and temperature, and moves the slow copy.

    Args:
      step: its `embed` has no gradient here.
      seed: int32 [2].
      enabled: bool scalar; where false nothing is changed.

    Returns:
      {name: scalar}.
    """
    embed = tf.stop_gradient(step.embed)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch([x.value for x in self.actor.trainable_variables])
      value, entropy = self._value(
        self.critics, embed, self._distribution(embed), seed
      )
      worth = value + self._temperature.value * entropy
      loss = -losses.masked_mean(worth, step.weight)
    norm = self._actor_optimizer.minimize(loss, tape, enabled)
    with tf.GradientTape() as tape:
      temperature_loss = self._temperature.loss(entropy, step.weight)
    self._temperature_optimizer.minimize(temperature_loss, tape, enabled)
    slow_copies.follow(self._slow, self.critics, self._slow_share, enabled)
    return {
      'actor_loss': loss,
      'actor_gradient_norm': norm,
      'temperature': self._temperature.value,
      **losses.masked_means(
        {'actor_entropy': entropy, 'value': value}, step.weight
      ),
    }

  def _distribution(self, embed: Tensor) -> ActionDistribution:
    return self.actor.distribution(self.actor(embed))

  def _value(
    self,
    critics: twin_critics.TwinCritics,
    embed: Tensor,
    distribution: ActionDistribution,
    seed: Tensor,
  ) -> tuple[Tensor, Tensor]:
    """Returns what critics expect of an actor, and its entropy: [N] each.

    Of one draw, or exactly where actions are discrete.
    """
    # Of the same draw, where there is no formula.
    entropy = distribution.entropy(seed)
    if not self._spec.discrete:
      return critics.lower(embed, distribution.sample(seed)), entropy
    shares = tf.exp(distribution.prior())  # [N, A]
    return tf.reduce_sum(shares * critics.choices(embed), -1), entropy
