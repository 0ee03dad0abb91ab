"""Losses of a world model: pure functions of tensors, in nats.

PlaNet (Hafner et al., 2019, equation 3 and section 4), Dreamer (Hafner et
al., 2020), DreamerV2 (2021, section 2.1, KL balancing).
"""

import tensorflow as tf

FREE_FORMS = ('step', 'mean', 'side')


def gaussian_kl(mean_a, std_a, mean_b, std_b):
  """KL(a || b) of diagonal Gaussians [..., S], summed over S: [...]."""
  ratio = tf.square(std_a / std_b)
  distance = tf.square((mean_a - mean_b) / std_b)
  return 0.5 * tf.reduce_sum(
      ratio + distance - 1.0 - tf.math.log(ratio), -1)


def categorical_kl(logits_a, logits_b):
  """KL(a || b) of log probabilities [..., S, C], summed over S: [...]."""
  return tf.reduce_sum(
      tf.exp(logits_a) * (logits_a - logits_b), [-2, -1])


def state_kl(posterior, prior):
  """KL(posterior || prior) of two states: [...]; see latents.py."""
  if 'logits' in posterior:
    return categorical_kl(posterior['logits'], prior['logits'])
  return gaussian_kl(
      posterior['mean'], posterior['std'], prior['mean'], prior['std'])


def stop(state):
  """Returns the state with every gradient stopped."""
  return {key: tf.stop_gradient(value) for key, value in state.items()}


def kl_loss(posterior, prior, *, free_nats=3.0, free='step', prior_scale=1.0,
            posterior_scale=1.0, mask=None):
  """KL with free nats and balance.

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
    posterior: state with mean, std [B, T, S].
    prior: the same.
    free_nats: nats that cost nothing.
    free: one of FREE_FORMS.
    prior_scale: weight of KL(stop(posterior) || prior).
    posterior_scale: weight of KL(posterior || stop(prior)).
    mask: float32 [B, T], 0 for the steps that `mean` leaves out.

  Returns:
    (loss [B, T], kl [B, T]), the second plain.
  """
  if free not in FREE_FORMS:
    raise ValueError(f'free nats are {free!r}; one of {", ".join(FREE_FORMS)}')
  kl = state_kl(posterior, prior)
  to_prior = state_kl(stop(posterior), prior)
  to_posterior = state_kl(posterior, stop(prior))
  if free == 'side':
    loss = (prior_scale * tf.maximum(to_prior, free_nats)
            + posterior_scale * tf.maximum(to_posterior, free_nats))
    return loss, kl
  loss = prior_scale * to_prior + posterior_scale * to_posterior
  if free == 'step':
    active = tf.cast(kl > free_nats, kl.dtype)
    value = max(prior_scale, posterior_scale) * tf.maximum(kl - free_nats, 0.0)
  else:
    mean = tf.reduce_mean(kl) if mask is None else masked_mean(kl, mask)
    active = tf.cast(mean > free_nats, kl.dtype)
    value = max(prior_scale, posterior_scale) * tf.broadcast_to(
        tf.maximum(mean, free_nats), tf.shape(kl))
  loss *= active
  # The gradient is the balanced one; the value shown is the KL's.
  return tf.stop_gradient(value - loss) + loss, kl


def masked_mean(values, mask):
  """Mean of [B, T] values over the steps with mask 1: scalar."""
  return tf.reduce_sum(values * mask) / tf.maximum(tf.reduce_sum(mask), 1.0)


def lambda_return(reward, discount, value, lambda_):
  """Returns of imagined steps, a mean over how far they are followed.

      R_h = reward_h + discount_h ((1 - lambda) value_h + lambda R_{h+1})

  and R of the last step bootstraps from its value alone. Lambda 0 looks one
  step ahead, lambda 1 to the end of the horizon (Dreamer, equation 6, in the
  recursive form; Sutton and Barto, 2018, section 12.1).

  Args:
    reward: [N, H], of each step.
    discount: [N, H], of what comes after the step; 0 where the episode ends.
    value: [N, H], of the state that the step led to.
    lambda_: 0 to 1.

  Returns:
    [N, H].
  """
  following, returns = value[:, -1], []
  for step in reversed(range(reward.shape[1])):
    following = reward[:, step] + discount[:, step] * (
        (1.0 - lambda_) * value[:, step] + lambda_ * following)
    returns.append(following)
  return tf.stack(returns[::-1], 1)


def percentiles(values, weight, shares):
  """Of the values of positive weight those at `shares` of their order.

  Args:
    values: [...].
    weight: [...], not positive for what does not count.
    shares: [K], from 0 to 1.

  Returns:
    [K]; NaN where nothing has a weight.
  """
  counted = tf.boolean_mask(values, weight > 0.0)
  nothing = tf.cast(tf.equal(tf.size(counted), 0), tf.int32)
  ordered = tf.sort(tf.concat(
      [counted, tf.fill([nothing], float('nan'))], 0))
  last = tf.cast(tf.size(ordered) - 1, tf.float32)
  return tf.gather(ordered, tf.cast(tf.round(last * shares), tf.int32))
