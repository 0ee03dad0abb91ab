"""A task that sleeps: its steps take as long on any machine, and no core.

With it a figure of collectors tells what the cluster costs, and not how many
cores there are.
"""

import time

import dm_env
import numpy as np
from dm_env import specs

SECONDS = 0.01  # of a step
_SIZE = 64


def load(seed: int) -> dm_env.Environment:
  """Loads the task, with episodes of 100 steps."""
  return Sleeping(seed, 100)


def load_short(seed: int) -> dm_env.Environment:
  """Loads the task, with episodes of 5 steps."""
  return Sleeping(seed, 5)


class Sleeping(dm_env.Environment):
  """The task, see the top of the file.

  Args:
    seed: of the image of an episode.
    steps: of an episode.
  """

  ends_early = False

  def __init__(self, seed: int, steps: int):
    self.step_limit = steps
    self.reseed(seed)

  def reseed(self, seed: int) -> None:
    """Makes the episodes from the next reset on a pure function of `seed`."""
    self._random = np.random.default_rng(seed)

  def reset(self) -> dm_env.TimeStep:
    """Starts an episode, with an image that compresses as little as a photo."""
    self._taken = 0
    self._image = self._random.integers(0, 256, [_SIZE, _SIZE, 3], np.uint8)
    return dm_env.restart(self._observe())

  def step(self, action: np.ndarray) -> dm_env.TimeStep:
    """Takes its time; the reward is the action."""
    time.sleep(SECONDS)
    self._taken += 1
    reward = float(action[0])
    if self._taken == self.step_limit:
      return dm_env.truncation(reward, self._observe())
    return dm_env.transition(reward, self._observe())

  def action_spec(self) -> specs.BoundedArray:
    """Returns the spec of one action."""
    return specs.BoundedArray((1,), np.float32, -1, 1, 'action')

  def observation_spec(self) -> dict[str, specs.Array]:
    """Returns the spec of an image."""
    shape = (_SIZE, _SIZE, 3)
    return {'image': specs.BoundedArray(shape, np.uint8, 0, 255)}

  def _observe(self) -> dict[str, np.ndarray]:
    return {'image': self._image}
