"""The cross-entropy method over sequences of choices, for discrete actions.

Rubinstein (1999), The Cross-Entropy Method for Combinatorial and Continuous
Optimization: a probability for every choice at every step, refitted to how
often the elites made it. cem.py is the same with Gaussians, and has the same
numbers.
"""

import tensorflow as tf

from worldmodels import errors
from worldmodels.problem import Plan
from worldmodels.problem import Problem
from worldmodels.states import Tensor

DISCRETE = True  # Plans and candidates are one-hot.


def plan(
  problem: Problem,
  seed: Tensor,
  *,
  iterations: int = 10,
  candidates: int = 1000,
  elites: int = 100,
  min_probability: float = 0.01,
) -> Plan:
  """Plans by refitting the odds of each choice to the best of its samples.

  Right for any batch: the sequences of one member never meet another's.

  Args:
    problem: its start is added to even odds at first and is not negative. Zeros
      leave them even; a one-hot step, such as that of an earlier plan, has half
      of the candidates follow it and half choose evenly.
    seed: int32 [2].
    iterations: refits.
    candidates: N.
    elites: K, how many of the best are fitted.
    min_probability: floor of the probability of each choice between refits: at
      0 what no elite does is never tried again.

  Returns:
    a plan of the likeliest choice of each step, one-hot.

  Raises:
    OptionError: elites are not between 1 and candidates, or A choices cannot
      all have the least probability.
    tf.errors.InvalidArgumentError: a score is not finite, or the start is
      negative.
  """
  start = problem.start
  batch, horizon, size = tf.shape(start)[0], start.shape[1], start.shape[2]
  if not 1 <= elites <= candidates:
    raise errors.OptionError(
      'elites', f'is {elites}; it is 1 to candidates ({candidates})'
    )
  if not 0 <= min_probability * size <= 1:
    raise errors.OptionError(
      'min_probability',
      f'is {min_probability}; of {size} choices it is 0 to {1 / size:.3g}',
    )
  seeds = tf.random.experimental.stateless_split(seed, iterations)

  def refit(index: Tensor, odds: Tensor) -> tuple:
    even = min_probability * size  # The share of steps that are chosen evenly.
    shown = even / size + (1.0 - even) * odds
    drawn = tf.random.stateless_uniform(
      [batch, candidates, horizon, 1], seeds[index]
    )
    passed = drawn >= tf.cumsum(shown, -1)[:, None, :, :-1]
    actions = tf.one_hot(
      tf.reduce_sum(tf.cast(passed, tf.int32), -1), size
    )  # [B, N, H, A]
    scores = tf.debugging.check_numerics(
      problem.score(actions, index), 'the score of a plan'
    )
    best = tf.math.top_k(scores, elites, sorted=False).indices
    chosen = tf.gather(actions, best, batch_dims=1)  # [B, K, H, A]
    return index + 1, tf.ensure_shape(tf.reduce_mean(chosen, 1), start.shape)

  tf.debugging.assert_non_negative(start, 'the start of a plan is negative')
  odds = (1.0 / size + start) / (1.0 + tf.reduce_sum(start, -1, keepdims=True))
  _, odds = tf.while_loop(
    lambda index, *_: index < iterations,
    refit,
    (0, odds),
    maximum_iterations=iterations,
  )
  return Plan(tf.one_hot(tf.argmax(odds, -1), size))
