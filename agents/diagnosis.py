"""Compares imagined behavior with real: is the policy wrong, or the model?

A learner believes what it imagines. On episodes that its own policy has really
lived through, this compares what it imagined with what came: rewards by step
(model error), values with returns (critic error), and how much of the gradient
of a return is left at each step back (what backpropagation through the model
has to learn from).
"""

import tensorflow as tf

from worldmodels import imagination
from worldmodels import states
from worldmodels.agents.learner import Learner
from worldmodels.agents.returns import lambda_return
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import Batch
from worldmodels.world_model import WorldModel


def diagnose(
  model: WorldModel,
  learner: Learner,
  batch: Batch,
  context: int,
  seed: Tensor,
) -> tuple[dict[str, Tensor], State]:
  """Measures chunks [B, T, ...] of the policy itself, without noise.

  Args:
    model: a WorldModel.
    learner: of behavior in it.
    batch: of whole chunks.
    context: observed steps; the T - context others are imagined.
    seed: int32 [2].

  Returns:
    (dict of
      imagined_reward, real_reward: [T - context], means by step;
      imagined_return, real_return: their discounted sums;
      value_mean, value_real: the learner's value and what came instead, the
        discounted rewards of the chunk and then the value of its last state;
      value_error: root mean square of the difference;
      value_correlation: of the two, over states;
      action_gradient: [T - context], norm of the gradient of the return by the
        action of each step,
     the imagined states [B, T - context, ...]).
  """

  def act(features: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
    action = learner.act(features, seed, explore=False)
    return action, action

  # What the policy imagines of itself, and the gradient by its actions.
  posterior, _ = model.observe(batch)
  start = states.at(posterior, context - 1)
  offset = tf.zeros_like(batch['action'][:, context:])
  with tf.GradientTape() as tape:
    tape.watch(offset)
    rollout = imagination.rollout(
      model, act, start, offset.shape[1], seed, offset
    )
    imagined_reward = model.reward(rollout.states)
    discount = learner.gamma * model.discount(rollout.states)
    weight = tf.stop_gradient(tf.math.cumprod(discount, 1, exclusive=True))
    imagined = tf.reduce_mean(tf.reduce_sum(weight * imagined_reward, 1))
  gradient = tape.gradient(imagined, offset)
  # What came instead, and what the learner expected of it.
  reward = batch['reward'][:, context:]
  discount = learner.gamma * batch['discount'][:, context:]
  weight = tf.math.cumprod(discount, 1, exclusive=True)
  value = learner.value(model.features(posterior))
  before = value[:, context - 1 : -1]
  came = lambda_return(reward, discount, value[:, context:], 1.0)
  figures = dict(
    imagined_reward=tf.reduce_mean(imagined_reward, 0),
    real_reward=tf.reduce_mean(reward, 0),
    imagined_return=imagined,
    real_return=tf.reduce_mean(tf.reduce_sum(weight * reward, 1)),
    value_mean=tf.reduce_mean(before),
    value_real=tf.reduce_mean(came),
    value_error=tf.sqrt(tf.reduce_mean(tf.square(before - came))),
    value_correlation=_correlation(before, came),
    action_gradient=tf.sqrt(tf.reduce_sum(tf.square(gradient), [0, 2])),
  )
  return figures, rollout.states


def _correlation(a: Tensor, b: Tensor) -> Tensor:
  """Returns Pearson's correlation, 0 where `a` or `b` is constant."""
  a, b = a - tf.reduce_mean(a), b - tf.reduce_mean(b)
  scale = tf.sqrt(tf.reduce_sum(tf.square(a)) * tf.reduce_sum(tf.square(b)))
  return tf.math.divide_no_nan(tf.reduce_sum(a * b), scale)
