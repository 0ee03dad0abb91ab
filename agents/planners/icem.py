"""The improved cross-entropy method: few candidates, alike from step to step.

Pinneri et al. (2020), Sample-efficient Cross-Entropy Method for Real-time
Planning, section 3: noise that is correlated over time, fewer candidates at
each refit, some elites of which stay, a mean that moves with inertia and is a
candidate at the end, and the best sequence as the plan. The numbers are those
of their code for 40 sequences a step. Where theirs goes on from the mean and
some elites of the step before, this goes on from the plan (the option
warm_start), which is a candidate at the first refit.
"""

import math

import numpy as np
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
  iterations: int = 3,
  candidates: int = 40,
  elites: int = 10,
  spread: float = 0.5,
  min_std: float = 0.0,
  color: float = 3.0,
  decay: float = 1.25,
  keep: float = 0.3,
  momentum: float = 0.1,
) -> Plan:
  """Plans by refitting a Gaussian to samples of colored noise.

  Args:
    problem: its start is the mean of the first Gaussian, and a candidate; its
      proposals are further candidates at every refit.
    seed: int32 [2].
    iterations: refits.
    candidates: N of the first refit.
    elites: K, how many of the best are fitted.
    spread: standard deviation of the first Gaussian.
    min_std: the least of later ones.
    color: exponent of the noise: its power falls with frequency to this power.
      0 is white, as in cem; the larger, the longer an action is kept up.
    decay: N is divided by it after each refit; it stays at least 2 K.
    keep: share of the elites that are candidates of the next refit as well.
    momentum: share of the Gaussian before in each refitted one.

  Returns:
    the best candidate of the last refit, with its score as value.

  Raises:
    OptionError: elites are not between 1 and candidates.
    tf.errors.InvalidArgumentError: a score is not finite.
  """
  sequences.check_elites(elites, candidates)
  start = problem.start
  shaped = tf.constant(shapes(start.shape[1], color), tf.float32)  # [H, W]
  least, counts = min(candidates, 2 * elites), [candidates]
  while len(counts) < iterations:
    counts.append(max(least, int(counts[-1] / decay)))
  counts = tf.constant(counts)
  kept = int(keep * elites)
  # One more, of sequences in the place of elites before there are any.
  seeds = tf.random.experimental.stateless_split(seed, iterations + 1)

  def draw(
    mean: Tensor, std: Tensor, count: Tensor | int, index: Tensor | int
  ) -> Tensor:
    size = [tf.shape(mean)[0], count, mean.shape[2], shaped.shape[1]]
    noise = tf.einsum(
      'bnaw,hw->bnha', tf.random.stateless_normal(size, seeds[index]), shaped
    )
    ends = tf.equal(index, 0) | tf.equal(index, iterations - 1)
    is_mean = ends & tf.equal(tf.range(count), 0)
    noise = tf.where(is_mean[:, None, None], 0.0, noise)
    return tf.clip_by_value(mean[:, None] + std[:, None] * noise, -1.0, 1.0)

  def refit(
    index: Tensor, mean: Tensor, std: Tensor, stay: Tensor, *_: Tensor
  ) -> tuple:
    actions = tf.concat([draw(mean, std, counts[index], index), stay], 1)
    actions = sequences.with_proposals(actions, problem)
    scores = sequences.score(problem, actions, index)
    chosen, scores = sequences.best(actions, scores, elites)
    chosen = tf.ensure_shape(chosen, [None, elites, *start.shape[1:]])
    fitted, variance = tf.nn.moments(chosen, [1])
    mean = (1.0 - momentum) * fitted + momentum * mean
    std = (1.0 - momentum) * tf.sqrt(variance) + momentum * std
    return (
      index + 1,
      tf.ensure_shape(mean, start.shape),
      tf.ensure_shape(tf.maximum(std, min_std), start.shape),
      tf.ensure_shape(chosen[:, :kept], stay.shape),
      tf.ensure_shape(chosen[:, 0], start.shape),
      scores[:, 0],
    )

  std = tf.fill(tf.shape(start), float(spread))
  stay = draw(start, std, kept, iterations)
  *_, actions, value = tf.while_loop(
    lambda index, *_: index < iterations,
    refit,
    (0, start, std, stay, start, tf.zeros(tf.shape(start)[:1])),
    maximum_iterations=iterations,
  )
  return Plan(actions, value=value)


def shapes(horizon: int, color: float) -> np.ndarray:
  """Returns waves whose random sum is noise of power 1 / frequency^color.

  Timmer and Koenig (1995), On generating power law noise: independent
  amplitudes of sine and cosine at every frequency of the horizon; what does not
  change has the power of the slowest wave.

  Args:
    horizon: H.
    color: 0 for white noise.

  Returns:
    [H, W]; with W independent normal numbers their sum has variance 1 at every
    step.
  """
  times, columns = np.arange(horizon), []
  for number in range(horizon // 2 + 1):
    size = max(number, 1) ** (-color / 2)
    angle = 2 * math.pi * number * times / horizon
    if number in (0, horizon / 2):  # Of these the sine is nothing.
      columns.append(size * np.cos(angle))
    else:
      size *= math.sqrt(2)
      columns += [size * np.cos(angle), size * np.sin(angle)]
  waves = np.stack(columns, 1)
  return waves / np.sqrt(np.square(waves).sum(1, keepdims=True))
