"""Gradient ascent on action sequences, through the model.

Srinivas et al. (2018), Universal Planning Networks, section 3.1, plans by
gradient descent in a latent space. Several sequences climb side by side and the
best is taken, as in the baseline of Bharadhwaj et al. (2020), whose code has
these numbers and steps of RMSprop.
"""

import tensorflow as tf

from worldmodels.agents import sequences
from worldmodels.problem import Plan
from worldmodels.problem import Problem
from worldmodels.states import Tensor

PROPOSALS = True  # It tries the proposals of a problem.


def plan(
  problem: Problem,
  seed: Tensor,
  *,
  iterations: int = 10,
  candidates: int = 20,
  rate: float = 0.1,
  spread: float = 1.0,
) -> Plan:
  """Plans by climbing from random sequences.

  Args:
    problem: its score has a gradient. The first candidate starts from its
      start, the others around it; its proposals are further ones.
    seed: int32 [2].
    iterations: steps of each candidate.
    candidates: N, few: each costs thrice what its score alone costs.
    rate: length of a step, of actions in [-1, 1].
    spread: standard deviation of where the candidates start.

  Returns:
    the best sequence that was met, with its score as value.

  Raises:
    GradientError: the score has no gradient.
    tf.errors.InvalidArgumentError: a score or a gradient is not finite.
  """
  start = problem.start
  first = tf.clip_by_value(start, -1.0, 1.0)[:, None]
  others = sequences.around(start, spread, candidates - 1, seed)
  actions = tf.concat([first, others], 1)
  actions = sequences.with_proposals(actions, problem)

  def step(
    index: Tensor, actions: Tensor, memory: Tensor, top: Tensor, value: Tensor
  ) -> tuple:
    scores, gradient = sequences.climb(problem, actions, index)
    better = scores > value
    top = tf.where(better[..., None, None], actions, top)
    count = tf.cast(index + 1, tf.float32)
    move, memory = sequences.ascend(gradient, memory, count, rate)
    actions = tf.clip_by_value(actions + move, -1.0, 1.0)
    return index + 1, actions, memory, top, tf.where(better, scores, value)

  lowest = tf.fill(tf.shape(actions)[:2], actions.dtype.min)
  _, actions, _, top, value = tf.while_loop(
    lambda index, *_: index < iterations,
    step,
    (0, actions, tf.zeros_like(actions), actions, lowest),
    maximum_iterations=iterations,
  )
  scores = sequences.score(problem, actions, iterations)
  chosen, scores = sequences.best(
    tf.concat([top, actions], 1), tf.concat([value, scores], 1), 1
  )
  return Plan(tf.ensure_shape(chosen[:, 0], start.shape), value=scores[:, 0])
