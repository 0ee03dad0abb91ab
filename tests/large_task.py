"""A task whose episodes take 72 MB each."""

import dm_env
import numpy as np
from dm_env import specs

SIZE, STEPS = 448, 119


class Large(dm_env.Environment):
  """Shows one image all the time, which the seed of the episode decides."""

  step_limit = STEPS
  ends_early = False

  def __init__(self, seed):
    self.reseed(seed)

  def reseed(self, seed):
    self._random = np.random.default_rng(seed)

  def reset(self):
    shape = [SIZE, SIZE, 3]
    self._steps, self._image = 0, self._random.integers(256, size=shape)
    return dm_env.restart(self._observe())

  def step(self, action):
    self._steps += 1
    made = dm_env.transition
    if self._steps == STEPS:
      made = dm_env.truncation
    return made(float(action[0]), self._observe())

  def action_spec(self):
    return specs.BoundedArray((1,), np.float32, -1, 1, 'push')

  def observation_spec(self):
    image = specs.BoundedArray((SIZE, SIZE, 3), np.uint8, 0, 255)
    return {'image': image}

  def _observe(self):
    return {'image': self._image.astype(np.uint8)}


load = Large
