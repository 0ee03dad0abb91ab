"""Path integral control over sequences of choices, for discrete actions.

Williams et al. (2017), Information Theoretic MPC for Model-Based Reinforcement
Learning: the distribution that is nearest to the optimal one has its
expectations. Of a Gaussian those are mppi.py's weighted means; of choices they
are how often each was made, weighed by the exponential of the score.
"""

import tensorflow as tf

from worldmodels import errors
from worldmodels.agents import sequences
from worldmodels.problem import Plan
from worldmodels.problem import Problem
from worldmodels.states import Tensor

DISCRETE = True  # Plans and candidates are one-hot.


def plan(
  problem: Problem,
  seed: Tensor,
  *,
  iterations: int = 6,
  candidates: int = 512,
  elites: int = 64,
  temperature: float = 2.0,
  min_probability: float = 0.01,
) -> Plan:
  """Plans by refitting the odds of each choice to weighted samples.

  Args:
    problem: its start is added to even odds at first, as in categorical_cem.
    seed: int32 [2].
    iterations: refits.
    candidates: N.
    elites: K, how many of the best count.
    temperature: what scores are divided by before the exponential.
    min_probability: floor of the probability of each choice between refits.

  Returns:
    a plan of the likeliest choice of each step, one-hot.

  Raises:
    OptionError: elites are not between 1 and candidates, or A choices cannot
      all have the least probability.
    tf.errors.InvalidArgumentError: a score is not finite, or the start is
      negative.
  """
  sequences.check_elites(elites, candidates)
  start = problem.start
  batch, horizon, size = tf.shape(start)[0], start.shape[1], start.shape[2]
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
    scores = sequences.score(problem, actions, index)
    chosen, scores = sequences.best(actions, scores, elites)
    above = (scores - scores[:, :1]) / temperature  # Not above 0.
    weights = tf.nn.softmax(above)[..., None, None]
    odds = tf.reduce_sum(weights * chosen, 1)
    return index + 1, tf.ensure_shape(odds, start.shape)

  tf.debugging.assert_non_negative(start, 'the start of a plan is negative')
  odds = (1.0 / size + start) / (1.0 + tf.reduce_sum(start, -1, keepdims=True))
  _, odds = tf.while_loop(
    lambda index, *_: index < iterations,
    refit,
    (0, odds),
    maximum_iterations=iterations,
  )
  return Plan(tf.one_hot(tf.argmax(odds, -1), size))
