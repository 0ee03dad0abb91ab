"""Path integral control over sequences of choices, for discrete actions.

Williams et al. (2017), Information Theoretic MPC for Model-Based Reinforcement
Learning: the distribution that is nearest to the optimal one has its
expectations. Of a Gaussian those are mppi.py's weighted means; of choices they
are how often each was made, weighed by the exponential of the score.
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
  start = problem.start
  sequences.check_elites(elites, candidates)
  sequences.check_floor(min_probability, start.shape[2])
  seeds = tf.random.experimental.stateless_split(seed, iterations)

  def refit(index: Tensor, odds: Tensor) -> tuple:
    actions = sequences.choices(odds, min_probability, candidates, seeds[index])
    scores = sequences.score(problem, actions, index)
    chosen, scores = sequences.best(actions, scores, elites)
    above = (scores - scores[:, :1]) / temperature  # Not above 0.
    weights = tf.nn.softmax(above)[..., None, None]
    odds = tf.reduce_sum(weights * chosen, 1)
    return index + 1, tf.ensure_shape(odds, start.shape)

  odds = sequences.first_odds(start)
  _, odds = tf.while_loop(
    lambda index, *_: index < iterations,
    refit,
    (0, odds),
    maximum_iterations=iterations,
  )
  return Plan(tf.one_hot(tf.argmax(odds, -1), start.shape[2]))
