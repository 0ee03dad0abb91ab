"""Tasks that behave in every way a user's task might; loaded by name.

None needs OpenGL. Where a test needs one in a worker, it asks for
`tests.strange_tasks:FUNCTION`.
"""

import os
import signal
import sys
import time
import types

import dm_env
import numpy as np
from dm_env import specs

ACTION_REPEAT = 2


class Task(dm_env.Environment):
  """Counts its steps: the image is as bright as the count, the reward is it."""

  size = 64
  dtype = np.uint8
  steps = 10
  last_discount = 1.0

  def __init__(self, seed):
    self.seed_used = seed
    self.action = np.zeros(2)

  def reset(self):
    self.count = 0
    return dm_env.restart(self.observe())

  def step(self, action):
    self.action = action
    self.count += 1
    over = self.count == self.steps
    kind = dm_env.StepType.LAST if over else dm_env.StepType.MID
    discount = self.last_discount if over else 1.0
    return dm_env.TimeStep(kind, self.reward(), discount, self.observe())

  def reward(self):
    return float(self.count)

  def observe(self):
    shape = (self.size, self.size, 3)
    return {
      'image': np.full(shape, self.count, self.dtype),
      'taken': np.array(self.action, np.float64),
      'seed': np.array(self.seed_used),
    }

  def action_spec(self):
    return specs.BoundedArray((2,), np.float64, [-2, 0], [6, 1])

  def observation_spec(self):
    return {
      'image': specs.Array((self.size, self.size, 3), self.dtype),
      'taken': specs.Array((2,), np.float64),
      'seed': specs.Array((), np.int64),
    }


def _make(name, **members):
  return type(name, (Task,), members)


def _observing(**values):
  return lambda self: {**Task.observe(self), **values}


def _acting(function):
  def step(self, action):
    function(self)
    return Task.step(self, action)

  return step


def _hang(self=None):
  time.sleep(600)


def _print(self):
  print('stray words')
  os.write(1, b'stray bytes\n')
  assert sys.stdin.read() == ''


def _chatter(self):
  print('x' * 1_000_000)


def _fail(self):
  raise ZeroDivisionError('the pole broke\nin two')


load = Task
ends = _make('Ends', steps=3, last_discount=0.0)
limited = _make('Limited', steps=99, step_limit=5)
endless = _make('Endless', steps=-1)
float_image = _make('FloatImage', dtype=np.float32)
large_image = _make('LargeImage', size=84)
lying = _make('Lying', observe=_observing(image=np.zeros((64, 64, 3))))
nan_reward = _make('NanReward', reward=lambda self: float('nan'))
no_reward = _make('NoReward', reward=lambda self: None)
nan_vector = _make('NanVector', observe=_observing(taken=[np.nan, 0]))
integers = _make(
  'Integers', action_spec=lambda self: specs.BoundedArray((2,), np.int32, 0, 3)
)
unbounded = _make('Unbounded', action_spec=lambda s: specs.Array((2,), float))
array = _make(
  'Array', observation_spec=lambda self: specs.Array((64, 64, 3), np.uint8)
)
blind = _make(
  'Blind', observation_spec=lambda self: {'taken': specs.Array((2,), float)}
)
vanishing = _make('Vanishing', observe=lambda self: {'taken': self.action})
raises = _make('Raises', step=_acting(_fail))
asks = _make('Asks', step=_acting(lambda self: input('Really?')))
hangs = _make('Hangs', step=_acting(_hang))
hangs_at_load = _make('HangsAtLoad', __init__=lambda self, seed: _hang())
prints = _make('Prints', step=_acting(_print))
chatters = _make('Chatters', step=_acting(_chatter))
exits = _make('Exits', step=_acting(lambda self: os._exit(3)))
crashes = _make(
  'Crashes',
  step=_acting(lambda self: os.kill(os.getpid(), signal.SIGSEGV)),
)
random_pixels = _make(
  'RandomPixels',
  observe=lambda self: {
    **Task.observe(self),
    'image': np.random.default_rng().integers(0, 255, (64, 64, 3), np.uint8),
  },
)


class Reseeded(Task):
  """Has a method for another seed."""

  def reseed(self, seed):
    self.seed_used = seed


class Choosing(Task):
  """Offers three choices, counts them and takes nothing else."""

  def step(self, action):
    self.action_spec().validate(action)
    return super().step([action, self.action[1] + 1])

  def action_spec(self):
    return specs.DiscreteArray(3, np.int64)


class Reusing(Task):
  """Draws into one and the same image."""

  image = np.zeros((64, 64, 3), np.uint8)

  def observe(self):
    self.image[:] = self.count
    return {**super().observe(), 'image': self.image}


class Simulated(Task):
  """Has a physics to render instead of an image."""

  physics = types.SimpleNamespace(render=None, free=lambda: None)

  def observe(self):
    return {'taken': self.action}

  def observation_spec(self):
    return {'taken': specs.Array((2,), np.float64)}


def slow(seed):
  """A task whose steps take 0.5 s."""
  return _make('Slow', step=_acting(lambda self: time.sleep(0.5)))(seed)


def not_an_environment(seed):
  return {'seed': seed}


def brings_tensorflow(seed):
  sys.modules['tensorflow'] = types.ModuleType('tensorflow')
  return Task(seed)


def knows_modules(seed):
  """A task whose vector says whether TensorFlow is loaded."""
  loaded = 'tensorflow' in sys.modules
  return _make('Knows', observe=_observing(taken=[loaded, loaded]))(seed)
