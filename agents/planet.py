"""PlaNet: a world model, and a planner that replans at every step.

Hafner et al. (2019), Learning Latent Dynamics for Planning from Pixels,
algorithms 1 and 2.
"""

import keras
import tensorflow as tf

from worldmodels import imagination
from worldmodels import losses
from worldmodels import world_model

from . import optimizer as optimizers
from . import planning


class Agent(keras.layers.Layer):
  """Learns from batches and acts by planning in latent space.

  Args:
    actions: A.
    model: keyword values of `world_model.WorldModel`.
    optimizer: keyword values of `optimizer.Optimizer`.
    planner: {name, horizon, sample, and keyword values of its `plan`}.
    exploration: standard deviation of the noise that `explore` adds.
    vectors: {key: size} of vectors observed beside the image.
    size: image height and width.
  """

  def __init__(self, *, actions, model, optimizer, planner, exploration,
               vectors=None, size=64):
    super().__init__(name='planet')
    self.actions = actions
    self.model = world_model.WorldModel(
        actions=actions, vectors=vectors, size=size, **model)
    self.optimizer = optimizers.Optimizer(
        self.model.trainable_variables, name='optimizer', **optimizer)
    options = dict(planner)
    self._planner = planning.load(options.pop('name'))
    self._horizon = options.pop('horizon')
    self._sample = options.pop('sample')
    self._plan_options = options
    self._exploration = exploration
    self.built = True

  @property
  def state_variables(self):
    """Every variable that a checkpoint has to hold."""
    return list(self.model.variables) + self.optimizer.slots

  def begin(self, images):
    """Sees uint8 images [N, 64, 64, 3] of the seed episodes, once."""
    self.model.encoder.center(images)

  def adopt(self, learner):
    """Takes the parameters with which `learner`, or itself, is to act.

    Args:
      learner: an Agent of the same config. Where its optimizer averages what
        it learns, that is what is taken.
    """
    pairs = list(zip(
        self.model.variables, learner.model.variables, strict=True))
    pairs += zip(
        self.model.trainable_variables, learner.optimizer.averages, strict=True)
    for mine, learned in pairs:
      mine.assign(learned)

  def initial(self, batch):
    """Returns the state of `policy` before the first step, [B, ...]."""
    return {'action': tf.zeros([batch, self.actions]),
            **self.model.rssm.initial(batch)}

  def plan(self, state, seeds):
    """Plans actions [B, H, A] from states [B, ...].

    Args:
      state: where the plans start.
      seeds: int32 [2, 2], of the imagined states and of the planner.
    """
    score = imagination.score(
        self.model, state, seeds[0] if self._sample else None)
    start = tf.zeros([tf.shape(state['deter'])[0], self._horizon, self.actions])
    return self._planner.plan(score, start, seeds[1], **self._plan_options)

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
    before = {key: state[key] for key in ('deter', 'stoch', 'mean', 'std')}
    posterior, _ = self.model.rssm.observe_step(
        before, self.model.encoder(observation), state['action'],
        observation['is_first'], seeds[0] if self._sample else None)
    action = self.plan(posterior, seeds[1:3])[:, 0]
    noise = self._exploration * tf.random.stateless_normal(
        tf.shape(action), seeds[3])
    action = tf.where(explore, tf.clip_by_value(action + noise, -1.0, 1.0),
                      action)
    return action, {'action': action, **posterior}

  @tf.function
  def train(self, batch, seed):
    """One gradient step on a batch [B, T, ...]: {name: scalar}."""
    with tf.GradientTape() as tape:
      terms, _ = self.model.loss(batch, seed)
      loss = self.model.total(terms, batch['mask'])
    norm = self.optimizer.minimize(loss, tape)
    metrics = {f'{name}_loss': losses.masked_mean(value, batch['mask'])
               for name, value in terms.items()}
    metrics['divergence'] = metrics.pop('divergence_loss')
    return dict(metrics, loss=loss, gradient_norm=norm)

  @property
  def skipped(self):
    """(updates skipped in all, skipped in a row just now)."""
    return (int(self.optimizer.skipped), int(self.optimizer.skipped_run))
