"""The simulation lemma: how wrong a value can be that a wrong model predicts.

A policy acts in a world and in a model of it, from the same state. Of one step
the model's expected reward is wrong by at most e, the distribution of its next
state by at most t (total variation: the largest difference of a probability,
from 0 to 1). Rewards lie in an interval of width R. Then the discounted
returns of H steps differ by at most

  classic   sum_{k<H} gamma^k (e + k t R)
  tight     sum_{k<H} gamma^k ((1 - t)^k e + (1 - (1 - t)^k) R)

and those without end by at most

  classic   e / (1 - gamma) + gamma t R / (1 - gamma)^2
  tight     e / (1 - gamma (1 - t))
              + gamma t R / ((1 - gamma) (1 - gamma (1 - t)))

Classic: Kearns and Singh (2002), Near-Optimal Reinforcement Learning in
Polynomial Time, lemma 4; its errors of k steps add up. Tight: Lobel and Parr
(2024), An Optimal Tightness Bound for the Simulation Lemma; no two chains can
have parted with a probability above 1. Both chains can be drawn together so
that they take the same step with probability 1 - t, hence after k steps they
are still one with probability (1 - t)^k, and earn rewards that differ by e;
once they have parted, rewards differ by at most R.
"""

import numpy as np
import numpy.typing as npt

from worldmodels import errors

Array = npt.NDArray[np.float64]


def classic(
  gamma: float,
  transition: float,
  *,
  reward: float = 0.0,
  width: float = 1.0,
) -> float:
  """Returns the classic bound of a return without end.

  Args:
    gamma: discount per step, below 1.
    transition: t, total variation of one step.
    reward: e, of the expected reward of one step.
    width: R, of the interval that rewards lie in.

  Raises:
    OptionError: one of them is no such number.
  """
  _check(gamma, transition, reward, width, endless=True)
  return reward / (1 - gamma) + gamma * transition * width / (1 - gamma) ** 2


def tight(
  gamma: float,
  transition: float,
  *,
  reward: float = 0.0,
  width: float = 1.0,
) -> float:
  """Returns the tight bound of a return without end; see `classic`."""
  _check(gamma, transition, reward, width, endless=True)
  reward = min(reward, width)
  together = 1 / (1 - gamma * (1 - transition))
  parted = gamma * transition / (1 - gamma) * together
  return reward * together + width * parted


def by_horizon(
  horizon: int,
  gamma: float,
  transition: float,
  *,
  reward: float = 0.0,
  width: float = 1.0,
) -> tuple[Array, Array, Array]:
  """Returns bounds of the returns of 1 to H steps.

  Args:
    horizon: H.
    gamma: discount per step, at most 1.
    transition: t, total variation of one step.
    reward: e, of the expected reward of one step.
    width: R, of the interval that rewards lie in.

  Returns:
    (classic, tight, largest), each [H]; the last is the largest difference
    that rewards allow: a bound above it says nothing.

  Raises:
    OptionError: one of them is no such number.
  """
  _check(gamma, transition, reward, width, endless=False)
  step = np.arange(horizon)
  weight = np.power(float(gamma), step)
  together = np.power(1.0 - transition, step)
  apart = [
    reward + step * transition * width,
    together * min(reward, width) + (1.0 - together) * width,
    np.full(horizon, float(width)),
  ]
  return tuple(np.cumsum(weight * each) for each in apart)


def variation(divergence: npt.ArrayLike) -> Array:
  """Bounds the total variation of two distributions by their KL in nats.

  The smaller of Pinsker's bound, sqrt(KL / 2), and that of Bretagnolle and
  Huber (1979), sqrt(1 - exp(-KL)), which stays below 1.

  Args:
    divergence: KL, [...], at least 0.
  """
  nats = np.maximum(np.asarray(divergence, np.float64), 0.0)
  return np.minimum(np.sqrt(nats / 2), np.sqrt(-np.expm1(-nats)))


def _check(
  gamma: float, transition: float, reward: float, width: float, endless: bool
) -> None:
  """Raises OptionError for numbers that the lemma does not hold for."""
  if not 0 <= gamma <= 1 or (endless and gamma == 1):
    end = 'below 1' if endless else 'at most 1'
    raise errors.OptionError('gamma', f'is {gamma}; it is from 0 and {end}')
  if not 0 <= transition <= 1:
    raise errors.OptionError(
      'transition', f'is {transition}; a total variation is from 0 to 1'
    )
  for name, value in (('reward', reward), ('width', width)):
    if not 0 <= value < np.inf:
      raise errors.OptionError(name, f'is {value}; it is finite and at least 0')
