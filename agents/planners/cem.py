"""The cross-entropy method over action sequences (PlaNet, algorithm 2).

Where paper and code differ this follows the code: the spread of the elites is
the root of their variance (the paper prints a mean absolute deviation), and
candidates are clipped to [-1, 1]. The numbers are both's (appendix A).
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
  candidates: int = 1000,
  elites: int = 100,
  spread: float = 1.0,
  min_std: float = 0.0,
) -> Plan:
  """Plans by refitting a Gaussian to the best of its samples.

  Right for any batch: the sequences of one member never meet another's.

  Args:
    problem: its start is the mean of the first Gaussian; its proposals are
      further candidates at every refit, such as those of a policy (TD-MPC2).
    seed: int32 [2].
    iterations: refits.
    candidates: N.
    elites: K, how many of the best are fitted.
    spread: standard deviation of the first Gaussian.
    min_std: floor of the standard deviation between refits.

  Returns:
    a plan whose actions are the mean of the last Gaussian, in [-1, 1].

  Raises:
    OptionError: elites are not between 1 and candidates.
    tf.errors.InvalidArgumentError: a score is not finite.
  """
  sequences.check_elites(elites, candidates)
  start, proposals = problem.start, problem.proposals
  batch, horizon, size = tf.shape(start)[0], start.shape[1], start.shape[2]
  seeds = tf.random.experimental.stateless_split(seed, iterations)

  def refit(index: Tensor, mean: Tensor, std: Tensor) -> tuple:
    noise = tf.random.stateless_normal(
      [batch, candidates, horizon, size], seeds[index]
    )
    actions = tf.clip_by_value(
      mean[:, None] + std[:, None] * noise, -1.0, 1.0
    )  # [B, N, H, A]
    if proposals is not None:
      actions = tf.concat([actions, proposals], 1)  # [B, N + M, H, A]
    scores = tf.debugging.check_numerics(
      problem.score(actions, index), 'the score of a plan'
    )
    best = tf.math.top_k(scores, elites, sorted=False).indices
    chosen = tf.gather(actions, best, batch_dims=1)  # [B, K, H, A]
    mean, variance = tf.nn.moments(chosen, [1])
    std = tf.maximum(tf.sqrt(variance + 1e-6), min_std)
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
