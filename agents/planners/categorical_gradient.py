"""Gradient ascent on the odds of choices, for discrete actions.

Henaff et al. (2017), Model-Based Planning with Discrete and Continuous
Actions, section 3: what climbs are numbers whose softmax is the action, and the
plan is the largest of them at every step. The model is only asked about choices
that are made: it is given the largest, and the gradient passes as if that were
the softmax (Bengio et al., 2013, straight through).
"""

import tensorflow as tf

from worldmodels.agents import sequences
from worldmodels.problem import Plan
from worldmodels.problem import Problem
from worldmodels.states import Tensor

DISCRETE = True  # Plans and candidates are one-hot.


def plan(
  problem: Problem,
  seed: Tensor,
  *,
  iterations: int = 10,
  candidates: int = 20,
  rate: float = 0.1,
  spread: float = 1.0,
) -> Plan:
  """Plans by climbing from random odds.

  Args:
    problem: its score has a gradient. Its start is added to the logits of the
      candidates: a one-hot step is preferred.
    seed: int32 [2].
    iterations: steps of each candidate.
    candidates: N.
    rate: length of a step of the logits.
    spread: standard deviation of the logits at first.

  Returns:
    the best sequence of choices that was met, one-hot, with its score as value.

  Raises:
    GradientError: the score has no gradient.
    tf.errors.InvalidArgumentError: a score or a gradient is not finite.
  """
  start = problem.start
  batch, horizon, size = tf.shape(start)[0], start.shape[1], start.shape[2]
  logits = start[:, None] + spread * tf.random.stateless_normal(
    [batch, candidates, horizon, size], seed
  )

  def step(
    index: Tensor, logits: Tensor, memory: Tensor, top: Tensor, value: Tensor
  ) -> tuple:
    actions = tf.one_hot(tf.argmax(logits, -1), size)
    scores, by_action = sequences.climb(problem, actions, index)
    # The gradient of a softmax.
    odds = tf.nn.softmax(logits)
    mean = tf.reduce_sum(odds * by_action, -1, keepdims=True)
    gradient = odds * (by_action - mean)
    better = scores > value
    top = tf.where(better[..., None, None], actions, top)
    count = tf.cast(index + 1, tf.float32)
    move, memory = sequences.ascend(gradient, memory, count, rate)
    value = tf.where(better, scores, value)
    return index + 1, logits + move, memory, top, value

  lowest = tf.fill([batch, candidates], logits.dtype.min)
  _, logits, _, top, value = tf.while_loop(
    lambda index, *_: index < iterations,
    step,
    (0, logits, tf.zeros_like(logits), tf.zeros_like(logits), lowest),
    maximum_iterations=iterations,
  )
  actions = tf.one_hot(tf.argmax(logits, -1), size)
  scores = sequences.score(problem, actions, iterations)
  chosen, scores = sequences.best(
    tf.concat([top, actions], 1), tf.concat([value, scores], 1), 1
  )
  return Plan(tf.ensure_shape(chosen[:, 0], start.shape), value=scores[:, 0])
