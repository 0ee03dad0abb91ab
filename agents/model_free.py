"""Actor and critic from pixels without a world model: what one has to beat.

Soft actor-critic (Haarnoja et al., 2018) on stacks of images under random
shifts (RAD: Laskin et al., 2020; DrQ: Kostrikov et al., 2021), with returns of
several steps and an encoder that the critics alone teach (DrQ-v2: Yarats et
al., 2022).
"""

import keras
import tensorflow as tf

from worldmodels import errors
from worldmodels import replicas
from worldmodels.agents import learning_agent
from worldmodels.agents import stacks
from worldmodels.agents import transitions
from worldmodels.agents.optimizers import Optimizer
from worldmodels.agents.soft_actor_critic import SoftActorCritic
from worldmodels.agents.soft_actor_critic import Step
from worldmodels.agents.twin_critics import TwinCritics
from worldmodels.encoder import Encoder
from worldmodels.spec import Spec
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import Batch
from worldmodels.world_model import Options


class Perception(keras.layers.Layer):
  """What the loss of the critics trains: they, and the encoder.

  Args:
    encoder: of stacks.
    critics: of actions.
  """

  def __init__(self, encoder: Encoder, critics: TwinCritics):
    super().__init__(name='perception')
    self.encoder, self.critics = encoder, critics
    self.built = True


class Agent(learning_agent.LearningAgent):
  """Learns from transitions of the store; acts by what it saw last.

  Args:
    spec: of the task.
    encoder: keyword values of `Encoder`.
    optimizer: of encoder and critics, keyword values of `Optimizer`.
    learner: keyword values of `SoftActorCritic`.
    frames: of a stack.
    shift: pixels that images are moved by at most, in learning.
  """

  def __init__(
    self,
    *,
    spec: Spec,
    encoder: Options,
    optimizer: Options,
    learner: Options,
    frames: int,
    shift: int,
  ):
    super().__init__(spec=spec, name='model_free')
    self._frames, self._shift = frames, shift
    # The scopes give every variable a path of its own: checkpoints go by it.
    with keras.name_scope('encoder'), errors.group('encoder'):
      self.encoder = Encoder(spec=stacks.stacked_spec(spec, frames), **encoder)
    with keras.name_scope('learner'), errors.group('learner'):
      self.learner = SoftActorCritic(
        embed=self.encoder.embed, spec=spec, **learner
      )
    self._perception = Perception(self.encoder, self.learner.critics)
    with errors.group('optimizer'):
      self._optimizer = Optimizer(
        self._perception.trainable_variables, name='optimizer', **optimizer
      )
    self.built = True

  @property
  def optimized(self) -> learning_agent.Optimized:
    """Pairs of a trained layer and its optimizer."""
    return [(self._perception, self._optimizer), *self.learner.optimized]

  @property
  def extra_variables(self) -> list[keras.Variable]:
    """Variables beside the optimized ones that a checkpoint has to hold."""
    return self.learner.extra_variables

  def fit_statistics(self, image: Tensor) -> None:
    """Sets statistics from images of the seed episodes, uint8 [N, h, w, c]."""
    self.encoder.fit_statistics(tf.concat([image] * self._frames, -1))

  def initial(self, count: int | Tensor) -> State:
    """Returns the state of `policy` before the first step, [count, ...]."""
    return {
      'action': tf.zeros([count, self.spec.actions]),
      'seen': stacks.initial(self.spec, self._frames, count),
    }

  @tf.function(autograph=False)
  def policy(
    self, observation: Batch, state: State, explore: Tensor, seed: Tensor
  ) -> tuple[Tensor, State]:
    """Puts the new image on the stack, then acts; see the base class."""
    seen = {
      key: stacks.push(stack, observation[key], observation['is_first'])
      for key, stack in state['seen'].items()
    }
    embed, actor = self.encoder(seen), self.learner.actor
    seeds = tf.random.split(seed, 2)
    drawn, _ = actor.sample(embed, seeds[0])
    action = tf.where(explore, drawn, actor.mode(embed, seeds[1]))
    if self.spec.discrete:  # A draw is one-hot to rounding only.
      action = tf.one_hot(tf.argmax(action, -1), self.spec.actions)
    return action, {'action': action, 'seen': seen}

  @tf.function(autograph=False)
  def train(self, batch: Batch, seed: Tensor) -> dict[str, Tensor]:
    """Does one update on a batch [B, T, ...]: {name: scalar}."""
    seeds = tf.random.split(seed, 5)
    drawn = transitions.draw(
      batch, self._frames, self.learner.steps, self.learner.gamma, seeds[0]
    )
    # Critics, and through them the encoder.
    after = self.encoder(self._seen(batch, drawn.after, seeds[1]))
    with tf.GradientTape() as tape:
      step = Step(
        embed=self.encoder(self._seen(batch, drawn.rows, seeds[2])),
        action=drawn.action,
        returns=drawn.returns,
        discount=drawn.discount,
        after=after,
        weight=drawn.weight,
      )
      loss = self.learner.critic_loss(step, seeds[3])
      # Of a batch that is damaged anywhere nothing is learned.
      loss = tf.where(replicas.every(_finite(batch)), loss, float('nan'))
    norm = self._optimizer.minimize(loss, tape)
    made = tf.equal(self._optimizer.skipped_run.value, 0)
    # The actor, for what the critics now say.
    metrics = self.learner.learn(step, seeds[4], enabled=made)
    return dict(metrics, critic_loss=loss, gradient_norm=norm)

  def _seen(self, batch: Batch, rows: Tensor, seed: Tensor) -> Batch:
    """Returns stacks of rows [B, frames] of chunks, under random shifts."""
    shift = None
    if self._shift:
      shift = stacks.shifts(tf.shape(rows)[0], self._shift, seed)
    return stacks.gather(batch, self.spec, rows, shift)


def _finite(batch: Batch) -> Tensor:
  """Tells whether all rewards and actions of a batch are, bool scalar."""
  return tf.reduce_all(tf.math.is_finite(batch['reward'])) & tf.reduce_all(
    tf.math.is_finite(batch['action'])
  )
