"""The cross-entropy method whose samples climb: CEM and gradients in turn.

Bharadhwaj, Xie and Shkurti (2020), Model-Predictive Control via Cross-Entropy
and Gradient-Based Optimization, algorithm 1. As in their code, whose numbers
these are, each refit is one step up the gradient; the elites stay and go on
climbing, and the others are drawn anew.
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
  candidates: int = 100,
  elites: int = 20,
  spread: float = 1.0,
  rate: float = 0.1,
) -> Plan:
  """Plans by refitting a Gaussian to the best of samples that climb.

  Args:
    problem: its score has a gradient. Its start is the mean of the first
      Gaussian; its proposals are further candidates at first.
    seed: int32 [2].
    iterations: steps and refits.
    candidates: N.
    elites: K, how many of the best are fitted and stay.
    spread: standard deviation of the first Gaussian.
    rate: length of a step, of actions in [-1, 1].

  Returns:
    the best of the last elites and of their mean, with its score as value.

  Raises:
    OptionError: elites are not between 1 and candidates.
    GradientError: the score has no gradient.
    tf.errors.InvalidArgumentError: a score or a gradient is not finite.
  """
  sequences.check_elites(elites, candidates)
  start = problem.start
  seeds = tf.random.experimental.stateless_split(seed, iterations + 1)
  actions = sequences.around(start, spread, candidates, seeds[iterations])
  actions = sequences.with_proposals(actions, problem)
  count = actions.shape[1]

  def refit(
    index: Tensor, actions: Tensor, memory: Tensor, steps: Tensor
  ) -> tuple:
    scores, gradient = sequences.climb(problem, actions, index)
    steps += 1.0
    move, memory = sequences.ascend(gradient, memory, steps, rate)
    climbed = tf.clip_by_value(actions + move, -1.0, 1.0)
    # Those that were the best before the step.
    _, places = tf.math.top_k(scores, elites)
    chosen, memory, steps = (
      tf.gather(values, places, batch_dims=1)
      for values in (climbed, memory, steps)
    )
    mean, variance = tf.nn.moments(chosen, [1])
    drawn = sequences.around(
      tf.ensure_shape(mean, start.shape),
      tf.sqrt(variance),
      count - elites,
      seeds[index],
    )
    return (
      index + 1,
      tf.concat([chosen, drawn], 1),
      tf.concat([memory, tf.zeros_like(drawn)], 1),
      tf.concat([steps, tf.zeros_like(drawn[..., :1, :1])], 1),
    )

  _, actions, _, _ = tf.while_loop(
    lambda index, *_: index < iterations,
    refit,
    (0, actions, tf.zeros_like(actions), tf.zeros_like(actions[..., :1, :1])),
    maximum_iterations=iterations,
  )
  chosen = actions[:, :elites]
  chosen = tf.concat([chosen, tf.reduce_mean(chosen, 1, keepdims=True)], 1)
  scores = sequences.score(problem, chosen, iterations)
  chosen, scores = sequences.best(chosen, scores, 1)
  return Plan(tf.ensure_shape(chosen[:, 0], start.shape), value=scores[:, 0])
