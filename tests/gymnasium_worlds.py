"""Environments of Gymnasium that behave in every way a user's might.

They need Gymnasium alone: nothing here is drawn by another package. Tests name
them `tests.gymnasium_worlds:FUNCTION`, or by ID after an import.
"""

import gymnasium
import numpy as np
from gymnasium import spaces


class World(gymnasium.Env):
  """Counts its steps, which it shows as a bar; rewards are the action."""

  metadata = {'render_modes': ['rgb_array'], 'render_fps': 10}
  observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
  action_space = spaces.Box(-2.0, 2.0, (1,), np.float32)
  steps, shape = 6, (40, 80, 3)

  def __init__(self, render_mode=None):
    self.render_mode = render_mode
    self.drawn = 0
    self.taken = []

  def reset(self, *, seed=None, options=None):
    super().reset(seed=seed)
    self.start = self.np_random.random()
    self.count = 0
    return self.observe(), {}

  def step(self, action):
    self.taken.append(action)
    self.count += 1
    over = self.count == self.steps
    return self.observe(), self.reward(action), over, False, {}

  def reward(self, action):
    return float(np.sum(action))

  def observe(self):
    return np.array([self.start, self.count])

  def picture(self):
    """Black, and white from the top for each step; at the left the start."""
    image = np.zeros(self.shape, np.uint8)
    image[: 5 * self.count] = 255
    image[:, 0] = int(200 * self.start)
    return image

  def render(self):
    self.drawn += 1
    return self.picture()


class Observed(World):
  """Observes the picture, and cannot be rendered."""

  metadata = {'render_modes': []}
  observation_space = spaces.Box(0, 255, World.shape, np.uint8)

  def observe(self):
    return self.picture()


class Parts(Observed):
  """Observes parts: a picture, a choice, nested ones, and a text."""

  observation_space = spaces.Dict(
    {
      'view': Observed.observation_space,
      'way': spaces.Discrete(3, start=-1),
      'arm': spaces.Dict(
        {'joint': spaces.Box(-1, 1, (2, 2)), 'on': spaces.MultiBinary(2)}
      ),
      'told': spaces.Text(5),
    }
  )

  def observe(self):
    arm = {'joint': np.full((2, 2), self.count), 'on': np.array([0, 1])}
    return {'view': self.picture(), 'way': 1, 'arm': arm, 'told': 'go'}


class Choices(World):
  """Two choices, called 3 and 4."""

  action_space = spaces.Discrete(2, start=3)


class Truncated(World):
  def step(self, action):
    observation, reward, over, _, info = super().step(action)
    return observation, reward, False, over, info


class Blind(World):
  """Shows numbers and nothing else."""

  metadata = {'render_modes': []}


class Mapped(Blind):
  """Observes a map that is called an image, as MiniGrid does."""

  observation_space = spaces.Dict(
    {'image': spaces.Box(0, 255, (7, 7, 3), np.uint8)}
  )

  def observe(self):
    return {'image': np.full((7, 7, 3), self.count, np.uint8)}


class Needy(World):
  def __init__(self, render_mode=None):
    import no_such_package  # noqa: F401


class Dark(Blind):
  """Shows nothing that a model could see."""

  observation_space = spaces.Text(5)

  def observe(self):
    return 'what'


class Old(World):
  def step(self, action):
    observation, reward, over, _, info = super().step(action)
    return observation, reward, over, info


class OldReset(World):
  def reset(self, *, seed=None, options=None):
    return super().reset(seed=seed)[0]


class Optionless(World):
  def reset(self, *, seed=None):
    return super().reset(seed=seed)


class Unseeded(World):
  def reset(self):
    return super().reset()


class Several(World):
  action_space = spaces.MultiDiscrete([2, 3])


class Whole(World):
  action_space = spaces.Box(0, 9, (2,), np.int64)


class Undrawn(World):
  def render(self):
    return None


class Lost(World):
  def reward(self, action):
    return np.nan


class Shifty(Parts):
  def observe(self):
    return {**super().observe(), 'way': 7}


class Ancient:
  """Of no class of Gymnasium."""

  observation_space, action_space = World.observation_space, World.action_space


KINDS = (World, Observed, Parts, Choices, Truncated, Blind, Dark, Old, OldReset)
KINDS += (
  Mapped,
  Needy,
  Optionless,
  Unseeded,
  Several,
  Whole,
  Undrawn,
  Lost,
  Shifty,
  Ancient,
)


def load(seed):
  """One of Gymnasium, as a function of the user's returns it."""
  del seed
  return gymnasium.wrappers.TimeLimit(World(render_mode='rgb_array'), 4)


def unrendered(seed):
  del seed
  return World()


def several(seed):
  del seed
  return gymnasium.vector.SyncVectorEnv([World, World])


for kind in KINDS:
  gymnasium.register(f'worlds/{kind.__name__}-v0', kind, max_episode_steps=9)
