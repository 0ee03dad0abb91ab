"""The world model: encoder, latent dynamics and heads, and their loss.

The evidence lower bound of PlaNet (Hafner et al., 2019, equation 3), with
latent overshooting (section 4) of KL, reward and image as an option.

The only class that agents, planners, learners and programs call. A state is a
dict of tensors that only the dynamics look into. One sentence holds for all of
it: without a seed the mean, with a seed one draw; who wants an expectation
repeats the state and averages.
"""

from typing import Any

import keras
import tensorflow as tf

from worldmodels import errors
from worldmodels import head
from worldmodels import kinds
from worldmodels import latent_overshooting
from worldmodels import losses
from worldmodels.encoder import Encoder
from worldmodels.encoder import drawing
from worldmodels.encoder import pixels
from worldmodels.running_variance import Units
from worldmodels.spec import Spec
from worldmodels.states import State
from worldmodels.states import Tensor

Batch = dict[str, Tensor]
Options = dict[str, Any]


class WorldModel(keras.layers.Layer):
  """Encoder, dynamics and heads.

  Attributes:
    spec: of the task.
    features_size: F.
    stochastic: whether predicted states are distributions, not points.
    keys: the keys of the batch that have a head.
    share: {key of a head: share of the steps that it predicts at an update}.

  Args:
    spec: of the task.
    encoder: keyword values of `encoder.Encoder`.
    dynamics: {kind, and keyword values of that kind}.
    heads: {key of the batch: {kind, scale, and keyword values of the head}};
      the kind `none` leaves a head out; `share` of the image head is that of
      the frames reconstructed at each update (a quarter teaches as much); with
      `relative` not 0 a term is per variance of its key plus that.
    kl: keyword values of `losses.kl_loss`, and `scale`.
    overshooting: {steps, kl, reward, image}: distance, and the weights; 0
      steps leave it out.
  """

  def __init__(
    self,
    *,
    spec: Spec,
    encoder: Options,
    dynamics: Options,
    heads: dict[str, Options],
    kl: Options,
    overshooting: Options,
  ):
    super().__init__(name='world_model')
    self.spec = spec
    # The scopes give every variable a path of its own: checkpoints go by it.
    with keras.name_scope('encoder'), errors.group('encoder'):
      self.encoder = Encoder(spec=spec, **encoder)
    with keras.name_scope('dynamics'), errors.group('dynamics'):
      self.dynamics = kinds.make(
        *('worldmodels.dynamics', 'Dynamics', dynamics, ('features_size',)),
        embed=self.encoder.embed,
        actions=spec.actions,
      )
    self.features_size = self.dynamics.features_size
    self.stochastic = self.dynamics.stochastic
    # Terms of the loss, and their weights.
    self._kl, self._overshooting = dict(kl), dict(overshooting)
    self._scales = {'kl': self._kl.pop('scale'), 'divergence': 0.0}
    for key in ('kl', 'reward', 'image'):
      self._scales[f'overshoot_{key}'] = self._overshooting[key]
    self.keys = tuple(
      key for key, options in heads.items() if options['kind'] != 'none'
    )
    self.share = {key: heads[key].get('share', 1.0) for key in self.keys}
    relative = {key: heads[key].get('relative', 0.0) for key in self.keys}
    self._units = Units(relative, spec)
    for key in self.keys:
      self._scales[key] = heads[key]['scale']
      name = head.scope(key)
      with keras.name_scope(name), errors.group(f'heads.{key}'):
        # An attribute each: Keras follows those, not the values of a dict.
        made = head.load(heads[key], self.features_size, spec.shape(key), name)
        setattr(self, f'{key}_head', made)
    for key in ('reward', 'image'):  # What has no weight has none ahead.
      if not self._scales.get(key):
        self._scales[f'overshoot_{key}'] = 0.0
    self.built = True

  def head(self, key: str) -> head.Head:
    """Returns the head of `key`."""
    return getattr(self, f'{key}_head')

  def initial(self, count: int | Tensor) -> State:
    """Returns the state before anything was seen, [count, ...]."""
    return self.dynamics.initial(count)

  def observe(
    self, batch: Batch, state: State | None = None, seed: Tensor | None = None
  ) -> tuple[State, State]:
    """Filters a batch.

    Args:
      batch: {image, action, is_first, vectors}, [B, T, ...].
      state: the state before, [B, ...]; None for `initial`.
      seed: int32 [2] for draws; None for the means.

    Returns:
      (posterior, prior), states [B, T, ...].
    """
    return self.dynamics.observe(
      self.encoder(batch), batch['action'], batch['is_first'], state, seed
    )

  def observe_step(
    self,
    state: State,
    observation: Batch,
    action: Tensor,
    seed: Tensor | None = None,
  ) -> State:
    """Filters a new observation; returns the posterior, [B, ...].

    Args:
      state: the state before, [B, ...].
      observation: {image uint8 [B, h, w, c], is_first bool [B], vectors}.
      action: that led to it, [B, A].
      seed: int32 [2] for a draw; None for the mean.
    """
    posterior, _ = self.dynamics.observe_step(
      state, self.encoder(observation), action, observation['is_first'], seed
    )
    return posterior

  def step(
    self, state: State, action: Tensor, seed: Tensor | None = None
  ) -> State:
    """Predicts one step: state [N, ...], action [N, A] -> state [N, ...]."""
    return self.dynamics.step(state, action, seed)

  def imagine(
    self, state: State, action: Tensor, seed: Tensor | None = None
  ) -> State:
    """Predicts: state [N, ...], action [N, H, A] -> states [N, H, ...]."""
    return self.dynamics.imagine(state, action, seed)

  def divergence(self, posterior: State, prior: State) -> Tensor:
    """Returns KL(posterior || prior) of states [...] in nats: [...]."""
    return self.dynamics.divergence(posterior, prior)

  def disagreement(self, state: State, action: Tensor) -> Tensor:
    """Returns the members' disagreement about an action [N, A]: [N]."""
    return self.dynamics.disagreement(state, action)

  def spread(self, state: State) -> Tensor:
    """Returns their disagreement about the step to each state: [...]."""
    return self.dynamics.spread(state)

  def particles(
    self, state: State, count: int, seed: Tensor | None = None
  ) -> State:
    """Commits `count` copies of each state to members evenly: [N P, ...]."""
    return self.dynamics.particles(state, count, seed)

  def features(self, state: State) -> Tensor:
    """Returns the features of states [...] for heads and learners: [..., F]."""
    return self.dynamics.features(state)

  def reward(self, state: State) -> Tensor:
    """Returns the expected reward of each state, [...]."""
    return self.head('reward').mean(self.features(state))

  def discount(self, state: State) -> Tensor:
    """Returns the expected discount of each state, [...]; 1 without a head."""
    features = self.features(state)
    if 'discount' not in self.keys:
      return tf.ones(tf.shape(features)[:-1])
    return self.head('discount').mean(features)

  def image(self, state: State) -> Tensor:
    """Returns the mean image of each state as `pixels` [..., h, w, c]."""
    drawn = self.head('image').mean(self.features(state))
    return self.encoder.denormalize(drawn)

  def drawing(self, state: State) -> Tensor:
    """Returns the mean image of each state, uint8 [..., h, w, c]."""
    return drawing(self.image(state), self.encoder.bits)

  def pixels(self, image: Tensor) -> Tensor:
    """Maps uint8 images to floats in [-0.5, 0.5], as `image` gives them."""
    return self.encoder.middle(pixels(image, self.encoder.bits))

  @property
  def mean_image(self) -> Tensor:
    """The mean `pixels` of the seed episodes' images, or zeros: [h, w, c]."""
    mean = self.encoder.mean_image.value
    return tf.where(tf.reduce_any(mean != 0.0), self.encoder.middle(mean), mean)

  def fit_statistics(self, image: Tensor) -> None:
    """Sets statistics from images of the seed episodes, uint8 [N, h, w, c]."""
    self.encoder.fit_statistics(image)

  def update_statistics(self, batch: Batch) -> None:
    """Takes a batch [B, T, ...] into what is known of all: the variances."""
    self._units.update(batch)

  def target(
    self, batch: Batch, key: str, seed: Tensor | None = None
  ) -> Tensor:
    """Returns the target of the head of `key`, float32 [B, T, ...]."""
    if key == 'image':
      return self.encoder.target(batch['image'], seed)
    return tf.cast(batch[key], tf.float32)

  def loss(self, batch: Batch, seed: Tensor) -> tuple[Batch, State]:
    """Returns the loss, term by term and unscaled, and the posterior.

    Args:
      batch: {image, action, reward, is_first, mask, ...}, [B, T, ...].
      seed: int32 [2].

    Returns:
      ({name: [B, T]} in nats, posterior state [B, T, ...]). `kl` holds the
      free nats and the balance; `divergence` is the plain KL and has scale 0.
    """
    seeds = tf.random.split(seed, 4)
    posterior, prior = self.observe(batch, seed=seeds[0])
    features = self.features(posterior)
    terms = {}
    for key in self.keys:
      terms[key] = self.head_loss(
        *(key, features, batch[key]),
        share=self.share[key],
        share_seed=seeds[2],
        noise_seed=seeds[1],
      )
    terms['kl'], terms['divergence'] = losses.kl_loss(
      self.divergence, posterior, prior, mask=batch['mask'], **self._kl
    )
    if self._overshooting['steps']:
      terms.update(self.overshoot(batch, posterior, seeds[3]))
    return terms, posterior

  def total(self, terms: Batch, mask: Tensor) -> Tensor:
    """Returns the scalar to minimize: the scaled sum of masked means."""
    return self.weigh(losses.masked_means(terms, mask))

  def weigh(self, means: Batch) -> Tensor:
    """Returns the scaled sum of the means of the terms: `total`, scalar."""
    used = {name: value for name, value in means.items() if self._scales[name]}
    return sum(self._scales[name] * value for name, value in used.items())

  def overshoot(self, batch: Batch, posterior: State, seed: Tensor) -> Batch:
    """Holds predictions from every state to what came: latent_overshooting."""
    steps, image = self._overshooting['steps'], self._overshooting['image'] > 0
    return latent_overshooting.terms(
      self, batch, posterior, seed, steps=steps, image=image
    )

  def head_loss(
    self,
    key: str,
    features: Tensor,
    values: Tensor,
    *,
    share: float = 1.0,
    share_seed: Tensor | None = None,
    noise_seed: Tensor | None = None,
  ) -> Tensor:
    """Returns a head's loss of a random share of the steps, 0 else: [B, T].

    Args:
      key: of the head.
      features: of the states, [B, T, F].
      values: of the key, as a batch has them, [B, T, ...].
      share: of the steps.
      share_seed: int32 [2], of the choice; needed for less than all.
      noise_seed: int32 [2], of the target's noise; None for none.
    """

    def loss(features: Tensor, values: Tensor) -> Tensor:
      target = self.target({key: values}, key, noise_seed)
      return self.head(key).loss(features, target)

    found = losses.of_some(loss, features, values, share, share_seed)
    return found / self._units.of(key)
