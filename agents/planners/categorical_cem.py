"""The cross-entropy method over sequences of choices, for discrete actions.

Rubinstein (1999), The Cross-Entropy Method for Combinatorial and Continuous
Optimization: a probability for every choice at every step, refitted to how
often the elites made it. cem.py is the same with Gaussians, and has the same
numbers.
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
  sequences.check_elites(elites, candidates)
  sequences.check_floor(min_probability, start.shape[2])
  seeds = tf.random.experimental.stateless_split(seed, iterations)

  def refit(index: Tensor, odds: Tensor) -> tuple:
    actions = sequences.choices(odds, min_probability, candidates, seeds[index])
    scores = sequences.score(problem, actions, index)
    best = tf.math.top_k(scores, elites, sorted=False).indices
    chosen = tf.gather(actions, best, batch_dims=1)  # [B, K, H, A]
    return index + 1, tf.ensure_shape(tf.reduce_mean(chosen, 1), start.shape)

  odds = sequences.first_odds(start)
  _, odds = tf.while_loop(
    lambda index, *_: index < iterations,
    refit,
    (0, odds),
    maximum_iterations=iterations,
  )
  return Plan(tf.one_hot(tf.argmax(odds, -1), start.shape[2]))
