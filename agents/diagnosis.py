"""Is the behaviour wrong, or the model that it was learned in?

An actor-critic believes what it imagines. On episodes that its own policy has
really lived through, this compares what it imagined with what came: rewards by
step (model error), values with returns (critic error), and how much of the
gradient of a return is left at each step back (what backpropagation through
the model has to learn from).
"""

import tensorflow as tf

from worldmodels import losses


def diagnose(model, behaviour, batch, context, seed):
  """Figures of chunks [B, T, ...] of the policy itself, without noise.

  Args:
    model: a WorldModel.
    behaviour: an ActorCritic learned in it.
    batch: of whole chunks.
    context: observed steps; the T - context others are imagined.
    seed: int32 [2].

  Returns:
    (dict of
      imagined_reward, real_reward: [T - context], means by step;
      imagined_return, real_return: their discounted sums;
      value_mean, value_real: the critic's value and what came instead, the
        discounted rewards of the chunk and then the value of its last state;
      value_error: root mean square of the difference;
      value_correlation: of the two, over states;
      action_gradient: [T - context], norm of the gradient of the return by the
        action of each step,
     the imagined states [B, T - context, ...]).
  """
  posterior, _ = model.observe(batch)
  start = {key: value[:, context - 1] for key, value in posterior.items()}
  nudge = tf.zeros_like(batch['action'][:, context:])
  with tf.GradientTape() as tape:
    tape.watch(nudge)
    dream = behaviour.imagine(
        model, start, seed, nudge, nudge.shape[1], explore=False)
    imagined = tf.reduce_mean(
        tf.reduce_sum(dream['weight'] * dream['reward'], 1))
  gradient = tape.gradient(imagined, nudge)
  reward = batch['reward'][:, context:]
  discount = behaviour.gamma * batch['discount'][:, context:]
  weight = tf.math.cumprod(discount, 1, exclusive=True)
  value = behaviour.value(model, posterior)
  before = value[:, context - 1:-1]
  came = losses.lambda_return(reward, discount, value[:, context:], 1.0)
  figures = dict(
      imagined_reward=tf.reduce_mean(dream['reward'], 0),
      real_reward=tf.reduce_mean(reward, 0),
      imagined_return=imagined,
      real_return=tf.reduce_mean(tf.reduce_sum(weight * reward, 1)),
      value_mean=tf.reduce_mean(before),
      value_real=tf.reduce_mean(came),
      value_error=tf.sqrt(tf.reduce_mean(tf.square(before - came))),
      value_correlation=_correlation(before, came),
      action_gradient=tf.sqrt(tf.reduce_sum(tf.square(gradient), [0, 2])))
  return figures, dream['states']


def _correlation(a, b):
  """Pearson's, 0 where one of them is constant."""
  a, b = a - tf.reduce_mean(a), b - tf.reduce_mean(b)
  scale = tf.sqrt(tf.reduce_sum(tf.square(a)) * tf.reduce_sum(tf.square(b)))
  return tf.math.divide_no_nan(tf.reduce_sum(a * b), scale)
