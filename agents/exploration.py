"""Exploration: noise on actions while episodes are collected."""

import tensorflow as tf

from worldmodels.states import Tensor


def add_noise(
  action: Tensor, noise: float, seed: Tensor, discrete: bool
) -> Tensor:
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
    draw = tf.random.stateless_normal(tf.shape(action), seed)
    return tf.clip_by_value(action + noise * draw, -1.0, 1.0)
  batch, size = tf.shape(action)[0], action.shape[1]
  seeds = tf.random.split(seed, 2)
  index = tf.random.stateless_uniform([batch], seeds[0], 0, size, tf.int32)
  other = tf.one_hot(index, size)
  random = tf.random.stateless_uniform([batch, 1], seeds[1]) < noise
  # Exactly: a straight-through draw is one-hot to rounding only.
  action = tf.one_hot(tf.argmax(action, -1), size)
  return tf.where(random, other, action)
