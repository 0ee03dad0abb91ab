"""Random actions without TensorFlow, to the bit those of agents/uniform.py.

A collector that acts at random then costs no more than its environment. The
numbers are those of Philox4x32-10 (Salmon et al., 2011, Parallel random
numbers: as easy as 1, 2, 3), with the key and the counter that TensorFlow's
stateless operations make of a seed.
"""

import numpy as np

from worldmodels.agents.runs import rollouts
from worldmodels.spec import Spec

_ROUNDS = 10
_FACTORS = np.array([0xD2511F53, 0xCD9E8D57], np.uint64)
_STEPS = (0x9E3779B9, 0xBB67AE85)  # that the key moves on by in each round
_MASK = np.uint64(0xFFFFFFFF)
# The key under which a seed is scrambled.
_KEY = (0x3EC8F720, 0x02461E29)


def acts(spec: Spec, count: int, explore: bool, seed: int) -> rollouts.Act:
  """Makes the function `act` of random episodes, as `uniform.Agent` acts.

  Args:
    spec: of the task.
    count: B, episodes at a time.
    explore: makes no difference.
    seed: of its random numbers.
  """
  del explore

  def act(
    observation: rollouts.Episode, is_first: np.ndarray, step: int
  ) -> np.ndarray:
    del observation, is_first
    if spec.discrete:
      index = bits((seed, step), count) % np.uint32(spec.actions)
      return np.eye(spec.actions, dtype=np.float32)[index]
    drawn = uniform((seed, step), count * spec.actions)
    drawn = drawn * np.float32(2.0) + np.float32(-1.0)
    return drawn.reshape(count, spec.actions)

  return act


def uniform(seed: tuple[int, int], count: int) -> np.ndarray:
  """Returns float32 [count] in [0, 1), of 23 bits each."""
  mantissa = bits(seed, count) & np.uint32(0x7FFFFF)
  # Between 1 and 2, where the distance of neighbors is the same everywhere.
  return (mantissa | np.uint32(0x3F800000)).view(np.float32) - np.float32(1.0)


def bits(seed: tuple[int, int], count: int) -> np.ndarray:
  """Returns uint32 [count], a pure function of two seeds from 0 to 2**31."""
  first, second = (int(part) & 0xFFFFFFFFFFFFFFFF for part in seed)
  mixed = _philox(
    np.array(
      [[first & 0xFFFFFFFF, first >> 32, second & 0xFFFFFFFF, second >> 32]],
      np.uint64,
    ),
    _KEY,
  )[0]
  blocks = -(-count // 4)
  counter = np.zeros([blocks, 4], np.uint64)
  counter[:, 0] = np.arange(blocks)
  counter[:, 2:] = mixed[2:]
  drawn = _philox(counter, (int(mixed[0]), int(mixed[1])))
  return drawn.reshape(-1)[:count].astype(np.uint32)


def _philox(counter: np.ndarray, key: tuple[int, int]) -> np.ndarray:
  """Encrypts counters [N, 4], 32 bits each in uint64, with a key."""
  a, b, c, d = counter.T
  for number in range(_ROUNDS):
    one, other = (
      np.uint64((part + number * step) & 0xFFFFFFFF)
      for part, step in zip(key, _STEPS)
    )
    first, second = _FACTORS[0] * a, _FACTORS[1] * c
    a, b, c, d = (
      (second >> np.uint64(32)) ^ b ^ one,
      second & _MASK,
      (first >> np.uint64(32)) ^ d ^ other,
      first & _MASK,
    )
  return np.stack([a, b, c, d], axis=1)
