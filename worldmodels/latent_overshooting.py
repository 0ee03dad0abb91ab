"""Latent overshooting (PlaNet): predictions from every state.

PlaNet (Hafner et al., 2019, section 4) predicts the states of all distances
from all steps. Here the last `steps` steps, ahead of which not all distances
exist, start nothing; L = T - steps others do. Predictions of one start are
averaged over the distances.
"""

from typing import TYPE_CHECKING

import tensorflow as tf

from worldmodels import states
from worldmodels.states import State
from worldmodels.states import Tensor

if TYPE_CHECKING:
  from worldmodels.world_model import WorldModel

# Which members are dealt says nothing of which steps are chosen.
_DEALING = -1


def terms(
  model: 'WorldModel',
  batch: dict[str, Tensor],
  posterior: State,
  seed: Tensor,
  *,
  steps: int,
  image: bool,
) -> dict[str, Tensor]:
  """Predicts from every state; returns the terms of the loss, {name: [B, T]}.

  Args:
    model: a WorldModel.
    batch: {image, action, reward, is_first, mask, ...}, [B, T, ...].
    posterior: states [B, T, ...].
    seed: int32 [2].
    steps: how far.
    image: whether images count; of those a share of a single step's is drawn.
  """
  seed, share_seed = tf.unstack(tf.random.split(seed, 2))
  last = batch['action'].shape[1] - steps
  start = states.flatten(states.between(posterior, None, last))
  # Each start stays with one member, from whose dream all of them learn.
  dealt = tf.random.experimental.stateless_fold_in(share_seed, _DEALING)
  start = model.particles(start, 1, dealt)
  imagined = model.imagine(start, ahead(batch['action'], steps), seed)
  features = model.features(imagined)
  truth = ahead(states.stop(posterior), steps)
  reward = ahead(batch['reward'], steps)
  found = {
    'overshoot_kl': model.divergence(truth, imagined),
    'overshoot_reward': model.head_loss('reward', features, reward),
  }
  if image:
    found['overshoot_image'] = model.head_loss(
      *('image', features, ahead(batch['image'], steps)),
      share=model.share['image'] / steps,
      share_seed=share_seed,
    )
  return by_start(found, batch['mask'], batch['is_first'])


def ahead(values: State | Tensor, steps: int) -> State | Tensor:
  """Cuts out the steps after each start: [B, T, ...] -> [B L, steps, ...]."""

  def cut(value: Tensor) -> Tensor:
    size, length = value.shape[:2]
    parts = [value[:, d : d + length - steps] for d in range(1, steps + 1)]
    return tf.reshape(
      tf.stack(parts, 2), [size * (length - steps), steps, *value.shape[2:]]
    )

  return states.apply(cut, values)


def reachable(mask: Tensor, is_first: Tensor, steps: int) -> Tensor:
  """Returns 1 for steps with no reset and no padding on the way, else 0.

  Args:
    mask: float32 [B, T].
    is_first: bool [B, T].
    steps: how far.

  Returns:
    float32 [B L, steps].
  """
  resets = tf.cast(ahead(is_first, steps), tf.float32)
  return ahead(mask, steps) * tf.math.cumprod(1.0 - resets, 1)


def by_start(
  terms: dict[str, Tensor], mask: Tensor, is_first: Tensor
) -> dict[str, Tensor]:
  """Averages terms over the distances, and puts them where they start.

  Scaled so that a mean over all T steps is one over the starts.

  Args:
    terms: {name: [B L, steps]}.
    mask: float32 [B, T].
    is_first: bool [B, T].

  Returns:
    {name: [B, T]}, 0 where nothing starts.
  """

  def average(values: Tensor) -> Tensor:
    steps, length = values.shape[1], mask.shape[1]
    starts = length - steps
    weight = reachable(mask, is_first, steps)
    mean = tf.reduce_mean(values * weight, 1) * (length / starts)
    return tf.pad(tf.reshape(mean, [-1, starts]), [[0, 0], [0, steps]])

  return {name: average(values) for name, values in terms.items()}
