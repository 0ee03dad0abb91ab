"""Environments as agents see them: they show images and take action vectors.

`make` wraps a task of dm_control.suite, of data/tasks or of a module of one's
own so that all of them observe `image`, repeat actions, sum rewards and refuse
what would otherwise spoil a run in silence. It never imports TensorFlow, and
dm_control only for tasks that need it. Rendering in software crashes in a
process that has TensorFlow: programs start environments with workers.py.
"""

import math
from collections.abc import Mapping, Sequence

import dm_env
import numpy as np
import numpy.typing as npt
from dm_env import specs

from worldmodels import errors
from worldmodels.data import actions
from worldmodels.data import rendering
from worldmodels.data import resolve

TaskError = resolve.TaskError


def make(
  task: str,
  seed: int = 0,
  *,
  size: int = 64,
  action_repeat: int = 0,
  quality: str = 'near',
  vectors: Sequence[str] = (),
) -> 'Environment':
  """Makes an environment with image observations.

  Args:
    task: a file in data/tasks (`hill`), a dm_control.suite task
      (`cartpole_swingup`), or `module.path:function`.
    seed: of the task's random numbers, from 0 to 2**32 - 1.
    size: height and width of the image in pixels.
    action_repeat: env_steps for which an action is held; 0 for the task's own:
      PlaNet's table and 2 elsewhere for the suite, ACTION_REPEAT of the module
      or 1 for other tasks.
    quality: `exact`, `near` or `fast`, see rendering.py; a task that draws
      itself ignores it.
    vectors: names of the task's observations to return beside the image.

  Returns:
    An environment whose observation has `image` uint8 [size, size, 3] and each
    name of `vectors` as float32 [N], and whose action is [A]: in [-1, 1], or
    one-hot where the task offers A choices.

  Raises:
    TaskError: the task does not exist or breaks a rule.
    GraphicsError: no OpenGL to render with.
    OptionError: there is no such quality.
  """
  errors.choose('quality', quality, rendering.QUALITIES)
  if size < 1 or action_repeat < 0:
    raise TaskError(
      f'size {size} or action_repeat {action_repeat} is too small'
    )
  return Environment(
    task,
    resolve.resolve(task),
    seed,
    size=size,
    action_repeat=action_repeat,
    quality=quality,
    vectors=tuple(vectors),
  )


def observation_spec(
  shapes: dict[str, tuple[int, ...]],
) -> dict[str, specs.Array]:
  """Makes specs from the shapes of the image and of each vector."""
  return {
    key: specs.BoundedArray(shape, np.uint8, 0, 255, key)
    if key == 'image'
    else specs.Array(shape, np.float32, key)
    for key, shape in shapes.items()
  }


def reward_spec() -> specs.Array:
  """Makes the spec of a reward, summed over the action repeat."""
  return specs.Array((), np.float64, 'reward')


class Environment(dm_env.Environment):
  """A task as agents see it, see `make`.

  Attributes:
    task: the name it was made from.
    quality: of the rendering.
    action_repeat: env_steps per agent_step.
    action_size: A.
    discrete: whether actions are one-hot.
    step_limit: agent_steps per episode, or None if the task does not say.
  """

  def __init__(
    self,
    task: str,
    source: resolve.Source,
    seed: int,
    *,
    size: int,
    action_repeat: int,
    quality: str,
    vectors: tuple[str, ...],
  ):
    self.task = task
    self.quality = quality
    self.action_repeat = action_repeat or source.action_repeat
    self._source = source
    self._size = size
    self._vectors = vectors
    self._over = True
    self._load(seed)

  def reseed(self, seed: int) -> None:
    """Makes the episodes from the next reset on a pure function of `seed`."""
    self._over = True
    own = getattr(self._env, 'reseed', None) or getattr(self._env, 'seed', None)
    random = getattr(getattr(self._env, 'task', None), 'random', None)
    if callable(own):
      own(seed)
    elif self._source.random_model or not hasattr(random, 'seed'):
      self.close()
      self._load(seed)
    else:
      random.seed(seed)

  def reset(self, seed: int | None = None) -> dm_env.TimeStep:
    """Starts an episode, after `reseed` if there is a seed."""
    if seed is not None:
      self.reseed(seed)
    timestep = self._env.reset()
    self._over = False
    self._env_steps = 0
    return dm_env.restart(self._observe(timestep.observation))

  def step(self, action: npt.ArrayLike) -> dm_env.TimeStep:
    action = self._actions.to_task(action)
    if self._over:
      return self.reset()
    reward, discount = 0.0, 1.0
    for _ in range(self.action_repeat):
      timestep = self._env.step(action)
      reward += self._number('reward', timestep.reward)
      discount *= self._number('discount', timestep.discount)
      self._env_steps += 1
      self._over = timestep.last() or self._env_steps == self._limit
      if self._over:
        break
    kind = dm_env.StepType.LAST if self._over else dm_env.StepType.MID
    observation = self._observe(timestep.observation)
    return dm_env.TimeStep(kind, reward, discount, observation)

  def action_spec(self) -> specs.BoundedArray:
    return actions.spec(self.action_size, self.discrete)

  def observation_spec(self) -> dict[str, specs.Array]:
    return observation_spec(self._shapes)

  def reward_spec(self) -> specs.Array:
    return reward_spec()

  @property
  def step_limit(self) -> int | None:
    return math.ceil(self._limit / self.action_repeat) if self._limit else None

  def close(self) -> None:
    """Closes the task and frees its OpenGL context; may be called twice."""
    env, self._env = self._env, None
    if env is None:
      return
    env.close()
    if self._render:
      env.physics.free()

  def _load(self, seed: int) -> None:
    self._env = self._source.load(seed)
    self._render = None
    for name in ('reset', 'step', 'action_spec', 'observation_spec', 'close'):
      if not callable(getattr(self._env, name, None)):
        raise self._error(
          f'load({seed}) returned a {type(self._env).__name__}, which has no '
          f'method {name!r}: expected a dm_env.Environment'
        )
    self._set_limit()
    self._set_actions()
    self._set_observation()

  def _set_limit(self) -> None:
    """Finds the env_steps of an episode, 0 if the task does not say."""
    # dm_control has the limit of its environments nowhere in public.
    limit = getattr(
      self._env, 'step_limit', getattr(self._env, '_step_limit', 0)
    )
    finite = limit and math.isfinite(limit)
    self._limit = math.ceil(limit) if finite else self._source.step_limit

  def _set_actions(self) -> None:
    spec = self._env.action_spec()
    try:
      self._actions = actions.Actions(spec)
    except ValueError as error:
      raise self._error(str(error)) from error
    self.action_size = self._actions.size
    self.discrete = self._actions.discrete

  def _set_observation(self) -> None:
    available = self._env.observation_spec()
    if not isinstance(available, Mapping):
      raise self._error(
        f"its observation is no dict with the key 'image': {available!r}"
      )
    if 'image' in available:
      spec = available['image']
      self._check_image(spec.shape, spec.dtype)
    elif hasattr(getattr(self._env, 'physics', None), 'render'):
      camera = self._source.camera
      self._render = rendering.Renderer(
        self._env, camera, self._size, self.quality
      )
    else:
      raise self._error(
        "its observation has no 'image' and it has no physics to render"
      )
    self._shapes = {'image': (self._size, self._size, 3)}
    for name in self._vectors:
      if name not in available or name == 'image':
        names = ', '.join(key for key in available if key != 'image')
        raise self._error(f'it has no vector {name!r}, only: {names or "none"}')
      self._shapes[name] = (math.prod(available[name].shape),)

  def _observe(
    self, observation: Mapping[str, npt.ArrayLike]
  ) -> dict[str, np.ndarray]:
    wanted = self._vectors if self._render else ('image', *self._vectors)
    if any(name not in observation for name in wanted):
      raise self._error(
        f'it observes {list(observation)} but promised {list(wanted)}'
      )
    if self._render:
      image = self._render()
    else:
      image = np.asarray(observation['image'])
      self._check_image(image.shape, image.dtype)
    result = {'image': np.array(image)}  # The task may draw into it again.
    for name in self._vectors:
      vector = np.array(observation[name], np.float32).reshape(-1)
      if not np.isfinite(vector).all():
        raise self._error(f'its observation {name!r} is {vector.tolist()}')
      result[name] = vector
    return result

  def _check_image(self, shape: Sequence[int], dtype: npt.DTypeLike) -> None:
    expected = (self._size, self._size, 3)
    if tuple(shape) != expected or dtype != np.uint8:
      square = len(shape) == 3 and shape[0] == shape[1] > self._size
      hint = f'; draw it smaller, or ask for size {shape[0]}' if square else ''
      raise self._error(
        f'its image is {np.dtype(dtype).name} {list(shape)}, expected uint8 '
        f'{list(expected)}{hint}'
      )

  def _number(self, name: str, value: npt.ArrayLike | None) -> float:
    if value is None or np.size(value) != 1 or not np.isfinite(value).all():
      raise self._error(f'its {name} is {value}: expected a finite number')
    return float(np.reshape(value, ()))

  def _error(self, problem: str) -> TaskError:
    return TaskError(f'task {self.task!r}: {problem}')
