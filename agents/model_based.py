"""What every agent with a world model has: it filters, learns and hands over.

Of PlaNet (Hafner et al., 2019) and Dreamer (Hafner et al., 2020) this is what
is the same; how they act is in their own files.
"""

import keras
import tensorflow as tf

from worldmodels import losses
from worldmodels import world_model

from . import optimizer as optimizers


class ModelBased(keras.layers.Layer):
  """A world model and its optimizer.

  Args:
    actions: A.
    discrete: the actions are one-hot vectors.
    model: keyword values of `world_model.WorldModel`.
    optimizer: keyword values of `optimizer.Optimizer`.
    vectors: {key: size} of vectors observed beside the image.
    size: image height and width.
    sample: states are sampled while acting; else the means.
    name: of the agent.
  """

  def __init__(self, *, actions, discrete, model, optimizer, vectors, size,
               sample, name):
    super().__init__(name=name)
    self.actions = actions
    self.discrete = discrete
    self.model = world_model.WorldModel(
        actions=actions, vectors=vectors, size=size, **model)
    self.optimizer = optimizers.Optimizer(
        self.model.trainable_variables, name='optimizer', **optimizer)
    self._sample = sample

  @property
  def learned(self):
    """Pairs of what is trained, a layer, and its optimizer."""
    return [(self.model, self.optimizer)]

  @property
  def averages(self):
    """Whether what is to act is an average, and not what is learned on."""
    return any(optimizer.keeps_average for _, optimizer in self.learned)

  @property
  def state_variables(self):
    """Every variable that a checkpoint has to hold."""
    return [variable for layer, optimizer in self.learned
            for variable in list(layer.variables) + optimizer.slots]

  @property
  def skipped(self):
    """(updates skipped in all, skipped in a row just now)."""
    optimizers = [optimizer for _, optimizer in self.learned]
    return (sum(int(x.skipped) for x in optimizers),
            max(int(x.skipped_run) for x in optimizers))

  def begin(self, images):
    """Sees uint8 images [N, 64, 64, 3] of the seed episodes, once."""
    self.model.encoder.center(images)

  def adopt(self, learner):
    """Takes the parameters with which `learner`, or itself, is to act.

    Args:
      learner: an agent of the same config. Where its optimizers average what
        they learn, that is what is taken.
    """
    for (mine, _), (theirs, optimizer) in zip(
        self.learned, learner.learned, strict=True):
      pairs = list(zip(mine.variables, theirs.variables, strict=True))
      pairs += zip(
          mine.trainable_variables, optimizer.averages, strict=True)
      for variable, value in pairs:
        variable.assign(value)

  def initial(self, batch):
    """Returns the state of `policy` before the first step, [B, ...]."""
    return {'action': tf.zeros([batch, self.actions]),
            **self.model.rssm.initial(batch)}

  def filter(self, observation, state, seed):
    """Takes the new image in: the posterior state [B, ...].

    Args:
      observation: {image uint8 [B, 64, 64, 3], is_first bool [B], vectors}.
      state: of the step before, with the action that was done.
      seed: int32 [2].
    """
    posterior, _ = self.model.rssm.observe_step(
        state, self.model.encoder(observation), state['action'],
        observation['is_first'], seed if self._sample else None)
    return posterior

  def train_model(self, batch, seed):
    """One gradient step of the model on a batch [B, T, ...].

    Returns:
      (metrics {name: scalar}, posterior states [B, T, ...], whether the step
      was finite and so was made).
    """
    with tf.GradientTape() as tape:
      terms, posterior = self.model.loss(batch, seed)
      loss = self.model.total(terms, batch['mask'])
    norm = self.optimizer.minimize(loss, tape)
    metrics = {f'{name}_loss': losses.masked_mean(value, batch['mask'])
               for name, value in terms.items()}
    metrics['divergence'] = metrics.pop('divergence_loss')
    made = tf.equal(self.optimizer.skipped_run.value, 0)
    return dict(metrics, loss=loss, gradient_norm=norm), posterior, made


def explore(action, noise, seed, discrete):
  """Adds exploration to actions [B, A].

  Args:
    action: in [-1, 1], or one-hot.
    noise: standard deviation of Gaussian noise; of discrete actions, the
      probability of a random one.
    seed: int32 [2].
    discrete: the actions are one-hot vectors.

  Returns:
    actions [B, A], in [-1, 1] or one-hot.
  """
  if not discrete:
    return tf.clip_by_value(
        action + noise * tf.random.stateless_normal(tf.shape(action), seed),
        -1.0, 1.0)
  batch, size = tf.shape(action)[0], action.shape[1]
  seeds = tf.random.split(seed, 2)
  other = tf.one_hot(tf.random.stateless_uniform(
      [batch], seeds[0], 0, size, tf.int32), size)
  random = tf.random.stateless_uniform([batch, 1], seeds[1]) < noise
  # Exactly: a straight-through draw is one-hot to rounding only.
  action = tf.one_hot(tf.argmax(action, -1), size)
  return tf.where(random, other, action)
