"""Tasks that behave in every way a user's task might; loaded by name.

None needs OpenGL. Where a test needs one in a worker, it asks for
`tests.strange_tasks:FUNCTION`.
"""

import hashlib
import json
import os
import random
import signal
import subprocess
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
      'image': np.full(shape, self.count % 256, self.dtype),
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


def _flood(self):
  block = b'x' * 1_000_000
  for _ in range(300):
    os.write(1, block)
  os.write(1, b'\nlast words\n')


def _fail_at_length(self):
  raise ZeroDivisionError('\x1b[2J' + 'long ' * 4_000_000)


class Unspeakable(Exception):
  """Cannot be put into words."""

  def __str__(self):
    raise RuntimeError


def _fail_without_words(self):
  raise Unspeakable


def _write_to_all(content):
  """Makes a function that writes to every pipe that the process has open."""

  def write(self):
    for descriptor in range(3, 50):
      try:
        os.write(descriptor, content)
      except OSError:
        continue

  return write


def _fail(self):
  raise ZeroDivisionError('the pole broke\nin two')


_CHANCE = random.Random(3)  # Of no seed of the task.

load = Task
punctual = _make('Punctual', ends_early=False)
ends = _make('Ends', steps=3, last_discount=0.0)
limited = _make('Limited', steps=99, step_limit=5)
endless = _make('Endless', steps=-1)
early = _make('Early', steps=9, last_discount=0.0)
long = _make('Long', steps=3000)
limit_of_text = _make('LimitOfText', step_limit='12')
limit_of_method = _make('LimitOfMethod', step_limit=lambda self: 12)
limit_of_nothing = _make('LimitOfNothing', steps=5, step_limit=None)
limit_of_infinity = _make('LimitOfInfinity', steps=5, step_limit=np.inf)
no_seed = _make('NoSeed', seed=lambda self: [7])
number_as_seed = _make('NumberAsSeed', seed=3)
float_image = _make('FloatImage', dtype=np.float32)
large_image = _make('LargeImage', size=84)
lying = _make('Lying', observe=_observing(image=np.zeros((64, 64, 3))))
nan_reward = _make('NanReward', reward=lambda self: float('nan'))
no_reward = _make('NoReward', reward=lambda self: None)
huge_reward = _make('HugeReward', reward=lambda self: -1e39 + self.count)
huge_sum = _make('HugeSum', reward=lambda self: 3e38)
discount_of_2 = _make('DiscountOf2', steps=1, last_discount=2.0)
longer_vector = _make('LongerVector', observe=_observing(taken=[0, 0, 0]))
grows = _make(
  'Grows',
  observe=lambda self: {
    **Task.observe(self),
    'taken': np.zeros(2 + (self.count > 5)),
  },
)
resets_itself = _make(
  'ResetsItself',
  step=lambda self, action: (
    Task.step(self, action) if self.count < 5 else self.reset()
  ),
)
gym_reset = _make('GymReset', reset=lambda self: (Task.reset(self), {}))
gym_step = _make('GymStep', step=lambda self, action: ({}, 1.0, False, {}))
bare_image = _make('BareImage', observe=lambda self: np.zeros((64, 64, 3)))
unit_image = _make(
  'UnitImage',
  observe=lambda self: {
    **Task.observe(self),
    'image': np.random.default_rng(self.seed_used + self.count).integers(
      0, 2, (64, 64, 3), np.uint8
    ),
  },
)
chance = _make(
  'Chance',
  steps=99,
  reset=lambda self: (
    setattr(self, 'steps', _CHANCE.randint(2, 30)) or Task.reset(self)
  ),
)
nan_vector = _make('NanVector', observe=_observing(taken=[np.nan, 0]))
integers = _make(
  'Integers', action_spec=lambda self: specs.BoundedArray((2,), np.int32, 0, 3)
)
scalar = _make(
  'Scalar', action_spec=lambda self: specs.BoundedArray((), float, -2, 6)
)
half_bounded = _make(
  'HalfBounded',
  action_spec=lambda self: specs.BoundedArray((1,), float, 1e30, np.inf),
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
floods = _make('Floods', step=_acting(_flood))
rambles = _make('Rambles', step=_acting(_fail_at_length))
speechless = _make('Speechless', step=_acting(_fail_without_words))
garbles = _make('Garbles', step=_acting(_write_to_all(b'not for you' * 9)))
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


class Drawing(Task):
  """Draws from the random numbers of the process."""

  def reseed(self, seed):
    self.seed_used = seed

  def reset(self):
    self.action = np.array([np.random.uniform(), random.random()])
    self.steps = random.randint(2, 200)
    return super().reset()


drawing = Drawing


class Reseeded(Task):
  """Has a method for another seed."""

  def reseed(self, seed):
    self.seed_used = seed


class Brief(Task):
  """Its episodes have one step; they end, or time is up."""

  longest = 1

  def reset(self):
    random = np.random.default_rng(self.seed_used)
    self.steps = random.integers(1, self.longest + 1)
    self.last_discount = float(random.integers(2))
    return super().reset()


class Chancy(Task):
  """Its rewards are of random numbers that no copy of it has."""

  def reward(self):
    return np.random.uniform()


class Choosing(Task):
  """Offers three choices, counts them and takes nothing else."""

  def step(self, action):
    self.action_spec().validate(action)
    return super().step([action, self.action[1] + 1])

  def action_spec(self):
    return specs.DiscreteArray(3, np.int64)


class Named(Task):
  """Its vectors are called as columns of episodes, and otherwise."""

  names = ('action', 'mask', 'reward', 'discount', 'is_first', 'file', 'a/b')

  def observe(self):
    vectors = {name: np.full(2, self.count, float) for name in self.names}
    return {**super().observe(), **vectors}

  def observation_spec(self):
    vectors = {name: specs.Array((2,), float) for name in self.names}
    return {**super().observation_spec(), **vectors}


class Reusing(Task):
  """Draws into one and the same image."""

  image = np.zeros((64, 64, 3), np.uint8)

  def observe(self):
    self.image[:] = self.count
    return {**super().observe(), 'image': self.image}


class Misusing(Task):
  """Changes every array that it is given and, later, all that it gave."""

  def __init__(self, seed):
    super().__init__(seed)
    self.told = []  # every action, as it was when it came
    self.held = []  # every array that was given away or taken

  def reset(self):
    self.spoil()
    return self.keep(super().reset())

  def step(self, action):
    self.spoil()
    self.told.append(np.array(action))
    timestep = super().step(np.array(action))
    self.held.append(action)
    action[...] = np.nan
    return self.keep(
      timestep._replace(
        reward=np.array(timestep.reward), discount=np.array(timestep.discount)
      )
    )

  def keep(self, timestep):
    self.held += [*timestep.observation.values(), timestep.observation]
    self.held += [timestep.reward, timestep.discount]
    return timestep

  def spoil(self):
    for value in self.held:
      if isinstance(value, dict):
        value.clear()
      elif value is not None:
        value[...] = 0


class Witness(dm_env.Environment):
  """Writes down all that it is told and shows, in the file $WITNESS.

  It draws into one image, shows it in a view that is not contiguous and cannot
  be written to, has bounds of its own for each part of the action, and a limit
  that no action of three steps meets.
  """

  step_limit = 25
  image = np.zeros((64, 64, 3), np.uint8)

  def __init__(self, seed):
    self.random = np.random.default_rng(seed)

  def reset(self):
    self.count, self.end = 0, self.random.integers(4, 60)
    return self.noted(None, dm_env.restart(self.observe()))

  def step(self, action):
    self.count += 1
    reward = 10 * self.random.normal() + action[0]
    if self.count == self.end:
      return self.noted(action, dm_env.termination(reward, self.observe()))
    return self.noted(action, dm_env.transition(reward, self.observe(), 0.9))

  def action_spec(self):
    return specs.BoundedArray((2,), np.float64, [-3, 10], [1, 20])

  def observation_spec(self):
    return {
      'image': specs.Array(self.image.shape, np.uint8),
      'place': specs.Array((2, 2), np.float64),
    }

  def observe(self):
    self.image[:] = self.random.integers(0, 256, self.image.shape)
    view = self.image[:, ::-1]
    view.flags.writeable = False
    return {'image': view, 'place': self.random.normal(size=(2, 2))}

  def noted(self, action, timestep):
    seen = timestep.observation
    fields = dict(
      action=None if action is None else action.tolist(),
      reward=timestep.reward,
      discount=timestep.discount,
      ended=timestep.last(),
      image=hashlib.sha256(seen['image'].tobytes()).hexdigest(),
      place=seen['place'].ravel().tolist(),
    )
    with open(os.environ['WITNESS'], 'a') as file:
      file.write(json.dumps(fields) + '\n')
    return timestep


class Simulated(Task):
  """Has a physics to render instead of an image."""

  physics = types.SimpleNamespace(render=None, free=lambda: None)

  def observe(self):
    return {'taken': self.action}

  def observation_spec(self):
    return {'taken': specs.Array((2,), np.float64)}


class BriefOfMany(Brief):
  """Its episodes have one to four steps."""

  longest = 4


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


class Simulating(Task):
  """Starts simulators in every way that there is, and forgets about them.

  In the group of the worker, in a session of their own, and without a parent;
  with that, some that do not end when they are asked to.
  """

  def __init__(self, seed):
    super().__init__(seed)
    deaf = "trap '' TERM; echo simulator $$; while :; do sleep 0.1; done"
    plain = 'echo simulator $$; exec sleep 600'
    for code in (deaf, plain, f'({plain.replace("$$", "$BASHPID")}) &'):
      for own_session in (False, True):
        subprocess.Popen(['bash', '-c', code], start_new_session=own_session)

  def step(self, action):
    if self.count == 1:
      _hang()
    return super().step(action)
