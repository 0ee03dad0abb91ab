"""The world model: encoder, latent dynamics and heads, and their loss.

The evidence lower bound of PlaNet (Hafner et al., 2019, equation 3), with
latent overshooting (section 4) of KL, reward and image as an option.
"""

import math

import keras
import tensorflow as tf

from worldmodels import encoder as encoders
from worldmodels import heads as head_kinds
from worldmodels import losses
from worldmodels import rssm as dynamics


class WorldModel(keras.layers.Layer):
  """Encoder, RSSM and heads.

  Attributes:
    share: {key of a head: share of the steps that it predicts at an update}.

  Args:
    actions: A.
    vectors: {key: size} of the vectors that are observed beside the image.
    size: image height and width.
    encoder: keyword values of `encoder.Encoder`.
    rssm: keyword values of `rssm.RSSM`.
    heads: {key of the batch: {kind, scale, and keyword values of the head}};
      the kind `none` leaves a head out;
      `share` of the image head is the share of frames that are reconstructed
      at each update (a random quarter teaches as much as all).
    kl: keyword values of `losses.kl_loss`, and `scale`.
    overshooting: {steps, kl, reward, image}: distance, and the weights; 0
      steps leave it out.
  """

  def __init__(self, *, actions, encoder, rssm, heads, kl, overshooting,
               vectors=None, size=64):
    super().__init__(name='world_model')
    vectors = dict(vectors or {})
    # The scopes give every variable a path of its own: checkpoints go by it.
    with keras.name_scope('encoder'):
      self.encoder = encoders.Encoder(size=size, vectors=vectors, **encoder)
    with keras.name_scope('rssm'):
      self.rssm = dynamics.RSSM(
          embed=self.encoder.embed, actions=actions, **rssm)
    self._kl = dict(kl)
    self._kl_scale = self._kl.pop('scale')
    self._overshooting = dict(overshooting)
    self._scales, self.share = {}, {}
    self._heads = {}
    for key, options in heads.items():
      options = dict(options)
      if options['kind'] == 'none':
        continue
      self._scales[key] = options.pop('scale')
      self.share[key] = options.pop('share', 1.0)
      shape = {'image': (size, size, 3)}.get(
          key, (vectors[key],) if key in vectors else ())
      with keras.name_scope(key):
        head = head_kinds.load(
            options.pop('kind'), self.rssm.size, shape=shape, name=key,
            **options)
      # An attribute each: Keras follows those, not the values of a dict.
      setattr(self, f'{key}_head', head)
      self._heads[key] = f'{key}_head'
    self.built = True

  @property
  def keys(self):
    """The keys of the batch that have a head."""
    return tuple(self._heads)

  def head(self, key):
    """Returns the head of `key`."""
    return getattr(self, self._heads[key])

  def observe(self, batch, state=None, seed=None):
    """Filters a batch (image, action, is_first) -> (posterior, prior)."""
    return self.rssm.observe(
        self.encoder(batch), batch['action'], batch['is_first'], state, seed)

  def imagine(self, state, action, seed=None):
    """Predicts states [B, H, ...] of actions [B, H, A] from state [B, ...]."""
    return self.rssm.imagine(state, action, seed)

  def reward(self, state):
    """Returns the expected reward of each state, [...]."""
    return self.head('reward').mean(self.rssm.features(state))

  def discount(self, state):
    """Returns the expected discount of each state, [...]; 1 without a head."""
    if 'discount' not in self._heads:
      return tf.ones(tf.shape(state['deter'])[:-1])
    return self.head('discount').mean(self.rssm.features(state))

  def image(self, state):
    """Returns the mean image of each state as pixels [..., 64, 64, 3]."""
    drawn = self.head('image').mean(self.rssm.features(state))
    return drawn * self.encoder.spread_image + self.encoder.mean_image

  def target(self, batch, key, seed=None):
    """What the head of `key` is to predict, float32 [B, T, ...]."""
    if key != 'image':
      return tf.cast(batch[key], tf.float32)
    image = encoders.pixels(batch['image'], self.encoder.bits)
    if seed is not None and self.encoder.bits < 8:
      image = encoders.dequantize(image, seed, self.encoder.bits)
    return self.encoder.normalize(image)

  def loss(self, batch, seed):
    """The loss, term by term and unscaled, and the posterior it is of.

    Args:
      batch: {image, action, reward, is_first, mask, ...}, [B, T, ...].
      seed: int32 [2].

    Returns:
      ({name: [B, T]} in nats, posterior state [B, T, ...]). `kl` holds the
      free nats and the balance; `divergence` is the plain KL and has scale 0.
      Overshooting adds `overshoot_kl`, `overshoot_reward` and, if it has a
      weight, `overshoot_image`.
    """
    seeds = tf.random.split(seed, 4)
    posterior, prior = self.observe(batch, seed=seeds[0])
    features = self.rssm.features(posterior)
    terms = {}
    for key in self._heads:
      terms[key] = self._head_loss(key, features, batch, seeds[1], seeds[2])
    terms['kl'], terms['divergence'] = losses.kl_loss(
        posterior, prior, mask=batch['mask'], **self._kl)
    if self._overshooting['steps']:
      terms.update(self.overshoot(batch, posterior, seeds[3]))
    return terms, posterior

  def total(self, terms, mask):
    """The scalar that is minimized: the scaled sum of masked means."""
    scales = dict(self._scales, kl=self._kl_scale, divergence=0.0,
                  **{f'overshoot_{key}': self._overshooting[key]
                     for key in ('kl', 'reward', 'image')})
    return sum(scales[name] * losses.masked_mean(value, mask)
               for name, value in terms.items() if scales[name])

  def _head_loss(self, key, features, batch, noise_seed, share_seed):
    """Negative log likelihood above its least value, [B, T]."""
    head, share = self.head(key), self.share[key]
    if share >= 1.0:
      target = self.target(batch, key, noise_seed)
      return head.peak - head.distribution(features).log_prob(target)
    shape = tf.shape(features)[:2]
    return self._some_loss(
        key, flatten(features), flatten(batch[key]), share, shape, noise_seed,
        share_seed)

  def _some_loss(self, key, features, values, share, shape, noise_seed,
                 share_seed):
    """The loss of a random share of flat features; zero for the others."""
    head, count = self.head(key), values.shape[0]
    if count is None:
      count = tf.shape(values)[0]
      chosen = tf.cast(
          tf.math.ceil(tf.cast(count, tf.float32) * share - 1e-4), tf.int32)
    else:  # Sizes that are known let the head work in blocks.
      chosen = count_of(count, share)
    order = tf.argsort(
        tf.random.stateless_uniform([count], share_seed))[:chosen]
    target = self.target({key: tf.gather(values, order)}, key, noise_seed)
    loss = head.peak - head.distribution(
        tf.gather(features, order)).log_prob(target)
    # Scaled so that the mean over all stays the same.
    loss *= tf.cast(count, tf.float32) / tf.cast(chosen, tf.float32)
    return tf.reshape(tf.scatter_nd(order[:, None], loss, [count]), shape)

  def overshoot(self, batch, posterior, seed):
    """Predicts `steps` ahead from every state; means over the distances.

    KL(stop(posterior) || prediction), and the reward's likelihood. PlaNet
    (section 4) predicts the states of all distances from all steps; here the
    last `steps` states, from which not all distances exist, start nothing.
    """
    seed, share_seed = tf.unstack(tf.random.split(seed, 2))
    steps = self._overshooting['steps']
    size, length = batch['action'].shape[0], batch['action'].shape[1]
    starts = length - steps

    def windows(value):
      """[B, T, ...] -> [B * starts, steps, ...]: the steps after each."""
      parts = [value[:, d:d + starts] for d in range(1, steps + 1)]
      return tf.reshape(
          tf.stack(parts, 2), [size * starts, steps] + value.shape[2:])

    start = {key: flatten(value[:, :starts])
             for key, value in posterior.items()}
    imagined = self.rssm.imagine(start, windows(batch['action']), seed)
    valid = windows(batch['mask']) * tf.math.cumprod(
        1.0 - tf.cast(windows(batch['is_first']), tf.float32), 1)
    truth = {key: windows(value)
             for key, value in losses.stop(posterior).items()}
    divergence = losses.state_kl(truth, imagined)
    head = self.head('reward')
    reward = head.peak - head.distribution(
        self.rssm.features(imagined)).log_prob(windows(batch['reward']))

    def spread(value):
      """[B * starts, steps] -> [B, T], mean over the distances."""
      value = tf.reduce_mean(value * valid, 1) * (length / starts)
      return tf.pad(tf.reshape(value, [size, starts]), [[0, 0], [0, steps]])

    terms = {'overshoot_kl': spread(divergence),
             'overshoot_reward': spread(reward)}
    if self._overshooting['image']:
      shape = tf.shape(divergence)
      image = self._some_loss(
          'image', flatten(self.rssm.features(imagined)),
          flatten(windows(batch['image'])), self.share['image'] / steps,
          shape, None, share_seed)
      terms['overshoot_image'] = spread(image)
    return terms


def count_of(count, share):
  """How many of `count` steps a share is: rounded up."""
  return math.ceil(count * share - 1e-4)  # But not for a rounding error.


def flatten(value):
  """[B, T, ...] -> [B * T, ...]."""
  return tf.reshape(value, tf.concat([[-1], tf.shape(value)[2:]], 0))
