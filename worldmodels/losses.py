"""Losses of a world model: pure functions of tensors, in nats.

PlaNet (Hafner et al., 2019, equation 3 and section 4), Dreamer (Hafner et
al., 2020), DreamerV2 (2021, section 2.1, KL balancing).
"""

import math
from collections.abc import Callable

import tensorflow as tf

from worldmodels import errors
from worldmodels import replicas
from worldmodels import states
from worldmodels.states import State
from worldmodels.states import Tensor

FREE_FORMS = ('step', 'mean', 'side')


def gaussian_kl(
  mean_a: Tensor, std_a: Tensor, mean_b: Tensor, std_b: Tensor
) -> Tensor:
  """Returns KL(a || b) of diagonal Gaussians [..., S], summed over S: [...]."""
  ratio = tf.square(std_a / std_b)
  distance = tf.square((mean_a - mean_b) / std_b)
  return 0.5 * tf.reduce_sum(ratio + distance - 1.0 - tf.math.log(ratio), -1)


def categorical_kl(logits_a: Tensor, logits_b: Tensor) -> Tensor:
  """Returns KL(a || b) of log probabilities [..., S, C], summed: [...]."""
  return tf.reduce_sum(tf.exp(logits_a) * (logits_a - logits_b), [-2, -1])


def kl_loss(
  divergence: Callable[[State, State], Tensor],
  posterior: State,
  prior: State,
  *,
  free_nats: float = 3.0,
  free: str = 'step',
  prior_scale: float = 1.0,
  posterior_scale: float = 1.0,
  mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
  """Returns the KL with free nats and balance.

  The published forms of free nats differ, and so do their gradients:
    step: max(KL - free, 0) at each step (PlaNet's code; the gradient of the
      paper's max(free, KL));
    mean: max(mean over batch and time, free) (Dreamer's code);
    side: each side of the balance clipped below at each step (DreamerV3).

  Balance: prior_scale trains the prior towards the posterior, and
  posterior_scale the posterior towards the prior. With 1 and 1 and `step` the
  gradient is that of the plain KL. The value of
  the first two is the KL times the larger scale.

  Args:
    divergence: KL(posterior || prior) of two states, in nats.
    posterior: states [B, T, ...].
    prior: states [B, T, ...].
    free_nats: nats that cost nothing.
    free: one of FREE_FORMS.
    prior_scale: weight of KL(stop(posterior) || prior).
    posterior_scale: weight of KL(posterior || stop(prior)).
    mask: float32 [B, T], 0 for the steps that `mean` leaves out.

  Returns:
    (loss [B, T], kl [B, T]), the second plain.
  """
  errors.choose('free', free, FREE_FORMS)
  kl = divergence(posterior, prior)
  to_prior = divergence(states.stop(posterior), prior)
  to_posterior = divergence(posterior, states.stop(prior))
  if free == 'side':
    loss = prior_scale * tf.maximum(
      to_prior, free_nats
    ) + posterior_scale * tf.maximum(to_posterior, free_nats)
    return loss, kl
  loss = prior_scale * to_prior + posterior_scale * to_posterior
  if free == 'step':
    active = tf.cast(kl > free_nats, kl.dtype)
    value = max(prior_scale, posterior_scale) * tf.maximum(kl - free_nats, 0.0)
  else:
    mean = masked_mean(kl, tf.ones_like(kl) if mask is None else mask)
    active = tf.cast(mean > free_nats, kl.dtype)
    value = max(prior_scale, posterior_scale) * tf.broadcast_to(
      tf.maximum(mean, free_nats), tf.shape(kl)
    )
  loss *= active
  # The gradient is the balanced one; the value shown is the KL's.
  return tf.stop_gradient(value - loss) + loss, kl


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
  """Averages values [B, T] over the steps with mask 1: scalar."""
  (mean,) = masked_means({'': values}, mask).values()
  return mean


def masked_means(values: dict[str, Tensor], mask: Tensor) -> dict[str, Tensor]:
  """Averages values {name: [B, T]} over the steps with mask 1: scalars."""
  sums = [tf.reduce_sum(value * mask) for value in values.values()]
  *sums, steps = replicas.total(*sums, tf.reduce_sum(mask))
  steps = tf.maximum(steps, 1.0)
  return {name: value / steps for name, value in zip(values, sums)}


def of_some(
  loss: Callable[[Tensor, Tensor], Tensor],
  features: Tensor,
  values: Tensor,
  share: float,
  seed: Tensor,
) -> Tensor:
  """Returns the loss of a random share of all steps, 0 for the others.

  Scaled so that the mean over all steps stays the same.

  Args:
    loss: function of features [M, F] and values [M, ...] -> [M].
    features: [B, T, F].
    values: [B, T, ...].
    share: of the B T steps, above 0; from 1 on all are taken as they are.
    seed: int32 [2], of the choice.

  Returns:
    [B, T].
  """
  if share >= 1.0:
    return loss(features, values)
  lead = tf.shape(features)[:2]
  features, values = states.flatten(features), states.flatten(values)
  # How many: sizes that are known let a head work in blocks.
  number = values.shape[0]
  if number is not None:
    count = number * replicas.count()
    some = count_of(count, share)
  else:
    number = tf.shape(values)[0]
    count = number * replicas.count()
    some = tf.math.ceil(tf.cast(count, tf.float32) * share - 1e-4)
    some = tf.cast(some, tf.int32)
  # Which, and their loss.
  chosen = tf.argsort(tf.random.stateless_uniform([count], seed))[:some]
  with replicas.of_chosen(chosen, number) as chosen:
    found = loss(tf.gather(features, chosen), tf.gather(values, chosen))
  found *= tf.cast(count, tf.float32) / tf.cast(some, tf.float32)
  return tf.reshape(tf.scatter_nd(chosen[:, None], found, [number]), lead)


def count_of(count: int, share: float) -> int:
  """Returns a share of `count` as a whole number, rounded up.

  Less 1e-4: a product that rounding puts just above a whole number is not
  rounded up.
  """
  return math.ceil(count * share - 1e-4)
