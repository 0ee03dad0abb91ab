"""Model predictive path integral control: candidates count by their scores.

Williams et al. (2017), Information Theoretic MPC for Model-Based Reinforcement
Learning: each candidate weighs the exponential of its score. As in TD-MPC
(Hansen et al., 2022, algorithm 1) only the best of them count, the deviation is
refitted too, and a few such refits make a plan. The numbers are TD-MPC2's
(Hansen et al., 2024).
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
  iterations: int = 6,
  candidates: int = 512,
  elites: int = 64,
  temperature: float = 2.0,
  spread: float = 2.0,
  min_std: float = 0.05,
) -> Plan:
  """Plans by refitting a Gaussian to weighted samples.

  Args:
    problem: its start is the mean of the first Gaussian; its proposals are
      further candidates at every refit.
    seed: int32 [2].
    iterations: refits.
    candidates: N.
    elites: K, how many of the best count; N for all, as Williams et al. do.
    temperature: what scores are divided by before the exponential. (TD-MPC2
      multiplies, by 0.5.)
    spread: standard deviation of the first Gaussian, and the most of later
      ones.
    min_std: the least of later ones.

  Returns:
    a plan whose actions are the mean of the last Gaussian, in [-1, 1].

  Raises:
    OptionError: elites are not between 1 and candidates.
    tf.errors.InvalidArgumentError: a score is not finite.
  """
  sequences.check_elites(elites, candidates)
  start = problem.start
  seeds = tf.random.experimental.stateless_split(seed, iterations)

  def refit(index: Tensor, mean: Tensor, std: Tensor) -> tuple:
    actions = sequences.around(mean, std, candidates, seeds[index])
    actions = sequences.with_proposals(actions, problem)
    scores = sequences.score(problem, actions, index)
    chosen, scores = sequences.best(actions, scores, elites)
    above = (scores - scores[:, :1]) / temperature  # Not above 0.
    weights = tf.nn.softmax(above)[..., None, None]
    mean = tf.reduce_sum(weights * chosen, 1)
    variance = tf.reduce_sum(weights * tf.square(chosen - mean[:, None]), 1)
    std = tf.maximum(tf.minimum(tf.sqrt(variance), spread), min_std)
    return (
      index + 1,
      tf.ensure_shape(mean, start.shape),
      tf.ensure_shape(std, start.shape),
    )

  _, mean, _ = tf.while_loop(
    lambda index, *_: index < iterations,
    refit,
    (0, start, tf.fill(tf.shape(start), float(spread))),
    maximum_iterations=iterations,
  )
  return Plan(tf.clip_by_value(mean, -1.0, 1.0))
