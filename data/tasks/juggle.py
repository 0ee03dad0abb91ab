"""Keep a bat below a bouncing ball: a small task with discrete actions.

The ball bounces about between the walls, the ceiling and the height of the bat,
which goes left, stays or goes right. The reward is for how nearly it is below
the ball. One image shows where the ball is but not where it is heading, and a
bat that goes there comes late. Everything but the start follows from the rules.
hill.py says what a task has to be.

Over 50 steps random choices collect about 9, steering at where the ball is seen
38, the best choices 45 (means of 100 episodes).
"""

import dm_env
import numpy as np
from dm_env import specs

ACTION_REPEAT = 1

_STEPS = 50  # per episode
_PLACES = 13  # of the bat; a step takes it to the next one
_SLOWEST, _FASTEST = 0.06, 0.14  # of the ball along each axis, per step
_NEAR = 0.15  # width of the reward (its standard deviation)
# The ball is within [-1, 1] along both axes; the bat is from -1 to 1.

_SIZE = 64  # pixels
_RADIUS = 7.0
_BAT = (8, 16)  # height, width
_FLOOR = 2  # height
_SKY = (30, 30, 70)
_EARTH = (90, 90, 110)
_BAT_COLOR = (80, 220, 120)
_BALL_COLOR = (255, 200, 60)


def load(seed: int) -> dm_env.Environment:
  """Loads the task; `seed` decides how episodes start."""
  return Juggle(seed)


class Juggle(dm_env.Environment):
  """The task, see the top of the file."""

  step_limit = _STEPS
  ends_early = False

  def __init__(self, seed: int):
    self.reseed(seed)
    self._step = _STEPS  # As after an episode: a step begins one.

  def reseed(self, seed: int) -> None:
    """Makes the episodes from the next reset on a pure function of `seed`."""
    self._random = np.random.default_rng(seed)

  def reset(self) -> dm_env.TimeStep:
    random = self._random
    self._ball = random.uniform(-1, 1, 2)  # Right and down are positive.
    speed = random.uniform(_SLOWEST, _FASTEST, 2)
    self._velocity = speed * random.choice([-1, 1], 2)
    self._place = random.integers(_PLACES)
    self._step = 0
    return dm_env.restart(self._observe())

  def step(self, action: int | np.integer) -> dm_env.TimeStep:
    if self._step == _STEPS:
      return self.reset()
    self._place = np.clip(self._place + int(action) - 1, 0, _PLACES - 1)
    self._ball = self._ball + self._velocity
    out = np.abs(self._ball) > 1
    self._ball[out] = 2 * np.sign(self._ball[out]) - self._ball[out]
    self._velocity = np.where(out, -self._velocity, self._velocity)
    self._step += 1
    distance = self._ball[0] - self._bat()
    reward = np.exp(-0.5 * (distance / _NEAR) ** 2)
    if self._step == _STEPS:
      return dm_env.truncation(reward, self._observe())
    return dm_env.transition(reward, self._observe())

  def action_spec(self) -> specs.DiscreteArray:
    return specs.DiscreteArray(3, np.int32, 'left, stay, right')

  def observation_spec(self) -> dict[str, specs.Array]:
    return {
      'image': specs.BoundedArray((_SIZE, _SIZE, 3), np.uint8, 0, 255),
      'ball': specs.Array((2,), np.float32),
      'velocity': specs.Array((2,), np.float32),
      'bat': specs.Array((1,), np.float32),
    }

  def _bat(self) -> float:
    return 2 * self._place / (_PLACES - 1) - 1

  def _observe(self) -> dict[str, np.ndarray]:
    return {
      'image': _draw(self._ball, self._place),
      'ball': self._ball.astype(np.float32),
      'velocity': self._velocity.astype(np.float32),
      'bat': np.array([self._bat()], np.float32),
    }


def _draw(ball: np.ndarray, place: int) -> np.ndarray:
  """Draws the image uint8 [64, 64, 3], the edge of the ball blended."""
  height, width = _BAT
  ground = _SIZE - _FLOOR
  image = np.full((_SIZE, _SIZE, 3), _SKY, np.uint8)
  image[ground:] = _EARTH
  left = place * (_SIZE - width) // (_PLACES - 1)
  image[ground - height : ground, left : left + width] = _BAT_COLOR
  # The walls are as far from the middle as the bat can go, and the ball lands
  # on the bat.
  column = (_SIZE - 1) / 2 + ball[0] * (_SIZE - width) / 2
  high, low = _RADIUS, ground - height - 0.5 - _RADIUS
  row = high + (ball[1] + 1) / 2 * (low - high)
  rows, columns = np.ogrid[:_SIZE, :_SIZE]
  distance = np.hypot(rows - row, columns - column)
  share = np.clip(_RADIUS + 0.5 - distance, 0, 1)[..., None]
  image = image + share * (np.array(_BALL_COLOR) - image.astype(float))
  return np.round(image).astype(np.uint8)
