"""Balance a ball on a hilltop: a small task, and the example to copy.

The action pushes a ball to the left or right; between two valleys lies a hill,
and the reward is for being on top of it, where no ball stays by itself. One
image shows where the ball is but not how fast, so an agent has to remember and
to look ahead. Everything is drawn with NumPy, without OpenGL.

A file in this folder is a task of the same name. It has to define
  load(seed) -> dm_env.Environment
with an observation {'image': uint8 [64, 64, 3], ...}, one array of floats as
action (or a choice, as in juggle.py), and finite rewards. The last timestep of
an episode has discount 0 if the task has ended and 1 if only the time was up.
It may define
  ACTION_REPEAT        steps for which an action is held (1)
and the environment may have
  reseed(seed)         so that it need not be loaded again for another seed
  step_limit           after how many of its steps an episode is cut; without
                       one, and unless a config has another, after 1000
  ends_early           False where no episode ends before that
  physics.render(...)  instead of an image, if it is made with dm_control
`worldmodels check --task=hill` says whether a task is sound.

Over 50 steps a random agent collects about 10, planning with the true dynamics
48.
"""

import dm_env
import numpy as np
from dm_env import specs

ACTION_REPEAT = 1

_STEPS = 50  # per episode
_PUSH = 0.15  # largest change of velocity by an action, per step
_SLOPE = 0.06  # largest change of velocity by the hill, per step
_DRAG = 0.95  # share of the velocity that a step leaves
_VALLEY = 0.7  # where the hill ends; the walls are at -1 and 1
_TOP = 0.25  # width of the hilltop (standard deviation of the reward)
_START = 0.9

_SIZE = 64  # pixels
_RADIUS = 7.0
_SKY = (40, 60, 110)
_GROUND = (60, 150, 70)
_SUMMIT = (200, 200, 90)
_BALL = (255, 120, 40)


def load(seed: int) -> dm_env.Environment:
  """Loads the task; `seed` decides where episodes start."""
  return Hill(seed)


class Hill(dm_env.Environment):
  """The task, see the top of the file."""

  step_limit = _STEPS
  ends_early = False

  def __init__(self, seed: int):
    self.reseed(seed)
    self._step = _STEPS  # As after an episode: a step begins one.
    self._background = _draw_background()

  def reseed(self, seed: int) -> None:
    """Makes the episodes from the next reset on a pure function of `seed`."""
    self._random = np.random.default_rng(seed)

  def reset(self) -> dm_env.TimeStep:
    self._position = self._random.uniform(-_START, _START)
    self._velocity = 0.0
    self._step = 0
    return dm_env.restart(self._observe())

  def step(self, action: np.ndarray) -> dm_env.TimeStep:
    if self._step == _STEPS:
      return self.reset()
    slope = _SLOPE * np.sin(np.pi * self._position / _VALLEY)
    self._velocity = _DRAG * (self._velocity + _PUSH * action[0] + slope)
    self._position += self._velocity
    if abs(self._position) > 1:
      self._position = np.clip(self._position, -1, 1)
      self._velocity = 0.0
    self._step += 1
    reward = np.exp(-0.5 * (self._position / _TOP) ** 2)
    if self._step == _STEPS:
      return dm_env.truncation(reward, self._observe())
    return dm_env.transition(reward, self._observe())

  def action_spec(self) -> specs.BoundedArray:
    return specs.BoundedArray((1,), np.float32, -1, 1, 'push')

  def observation_spec(self) -> dict[str, specs.Array]:
    return {
      'image': specs.BoundedArray((_SIZE, _SIZE, 3), np.uint8, 0, 255),
      'position': specs.Array((1,), np.float32),
      'velocity': specs.Array((1,), np.float32),
    }

  def _observe(self) -> dict[str, np.ndarray]:
    return {
      'image': _draw_ball(self._background, self._position),
      'position': np.array([self._position], np.float32),
      'velocity': np.array([self._velocity], np.float32),
    }


def _column(position: float) -> float:
  """Converts a position in [-1, 1] to pixels from the left."""
  return (_SIZE - 1) / 2 + position * (_SIZE / 2 - _RADIUS - 1)


def _surface(position: float | np.ndarray) -> float | np.ndarray:
  """Returns the height of the hill at a position, in pixels from the top."""
  return 42 - 10 * np.cos(np.pi * position / _VALLEY)


def _draw_background() -> np.ndarray:
  rows, columns = np.mgrid[:_SIZE, :_SIZE]
  positions = (columns - _column(0)) / (_column(1) - _column(0))
  ground = rows >= _surface(positions)
  image = np.full((_SIZE, _SIZE, 3), _SKY, np.uint8)
  image[ground] = _GROUND
  image[ground & (np.abs(positions) < _TOP)] = _SUMMIT
  return image


def _draw_ball(background: np.ndarray, position: float) -> np.ndarray:
  """Draws the image uint8 [64, 64, 3], the edge of the ball blended."""
  rows, columns = np.ogrid[:_SIZE, :_SIZE]
  row = _surface(position) - _RADIUS
  distance = np.hypot(rows - row, columns - _column(position))
  share = np.clip(_RADIUS + 0.5 - distance, 0, 1)[..., None]
  image = background + share * (np.array(_BALL) - background.astype(float))
  return np.round(image).astype(np.uint8)
