"""Environments of Gymnasium as tasks: `gymnasium:Pendulum-v1`.

Everything follows from the spaces of the environment. The image is what it
observes, if that is a picture, else what it renders (`rgb_array`); other parts
of the observation are vectors. One Box of floats or one Discrete is the action.
Termination is a discount of 0, truncation cuts an episode with discount 1.

Gymnasium is imported only where there is such a task: it is an extra.
"""

import contextlib
import inspect
import sys
from collections.abc import Iterator
from typing import Any

import dm_env
import numpy as np
from dm_env import specs

from worldmodels import errors
from worldmodels.data import frames
from worldmodels.data import gymnasium_spaces
from worldmodels.data.gymnasium_spaces import quote

IMAGES = ('auto', 'observed', 'rendered', 'none')

OLD = (
  'which is the old gym interface: docs/gymnasium.md has an adapter of ten '
  'lines'
)

Env = Any  # gymnasium.Env, which need not be installed


class GymnasiumError(errors.UserError):
  """No task can be made of an environment; the message is one line."""


def is_environment(environment: object) -> bool:
  """Returns whether it is one of Gymnasium, or of the gym before it."""
  if isinstance(environment, dm_env.Environment):
    return False
  bases = type(environment).__mro__
  packages = {base.__module__.partition('.')[0] for base in bases}
  return bool(packages & {'gymnasium', 'gym'})


class Task(dm_env.Environment):
  """An environment of Gymnasium behind the interface of dm_env.

  Its observations are vectors; `image` draws what is to be seen now.

  Attributes:
    has_image: whether there is anything to be seen.
    step_limit: steps after which an episode is cut; 0 if it names none.

  Args:
    task: its name, for messages.
    env: a gymnasium.Env.
    framing: of its pictures.
    image: where the image comes from: `observed`, `rendered`, `none`, or `auto`
      for the first of them that there is.
    seed: of the first reset, which Gymnasium seeds and not the making.

  Raises:
    GymnasiumError: no agent could see it or act in it.
  """

  def __init__(
    self,
    task: str,
    env: Env,
    framing: frames.Framing,
    image: str = 'auto',
    seed: int | None = None,
  ):
    self._task = task
    self._env = env
    self._framing = framing
    self._seed = seed
    self._check_interface()
    self.step_limit = _limit(env)
    self._action_spec, self._first = self._actions(env.action_space)
    parts = gymnasium_spaces.parts(env.observation_space)
    self._paths = {name: path for name, (path, _) in parts.items()}
    self._pictures, self._vectors = (
      {name: space for name, (_, space) in parts.items() if chosen(space)}
      for chosen in (gymnasium_spaces.is_picture, gymnasium_spaces.is_vector)
    )
    self._picture = self._choose(image, parts)
    self.has_image = self._picture is not None
    if not self.has_image and not self._vectors:
      raise self._error(
        f'its observation is {quote(env.observation_space)}, in which there '
        f'is {"no" if self._pictures else "neither a picture nor a"} vector'
      )

  def reseed(self, seed: int) -> None:
    """Makes the episodes from the next reset on a pure function of `seed`."""
    self._seed = seed

  def reset(self) -> dm_env.TimeStep:
    seed, self._seed = self._seed, None
    with self._naming():
      answer = self._env.reset(seed=seed)
    if not (isinstance(answer, tuple) and len(answer) == 2):
      raise self._error(
        f'its reset returned {_count(answer)}, not an observation and a dict, '
        f'{OLD}'
      )
    return dm_env.restart(self._observe(answer[0]))

  def step(self, action: np.ndarray) -> dm_env.TimeStep:
    if self._first is not None:  # A choice.
      action = int(action) + self._first
    with self._naming():
      answer = self._env.step(action)
    if not (isinstance(answer, tuple) and len(answer) == 5):
      old = isinstance(answer, tuple) and len(answer) == 4
      raise self._error(
        f'its step returned {_count(answer)}, expected 5'
        + (f', {OLD}' if old else '')
      )
    observation, reward, terminated, truncated, _ = answer
    observed = self._observe(observation)
    if terminated:
      return dm_env.termination(reward, observed)
    if truncated:
      return dm_env.truncation(reward, observed)
    return dm_env.transition(reward, observed)

  def image(self) -> np.ndarray:
    """Draws what is to be seen now, uint8 [size, size, 3].

    Raises:
      GymnasiumError: that is no picture.
    """
    if self._picture:
      source, shown = 'observation', self._part(self._picture)
    else:
      with self._naming():
        source, shown = 'render', self._env.render()
    is_array = isinstance(shown, np.ndarray)
    if not is_array or not frames.is_picture(shown.shape, shown.dtype):
      what = f'{shown.dtype} {list(shown.shape)}' if is_array else quote(shown)
      raise self._error(f'its {source} gives {what}, expected uint8 [h, w, 3]')
    try:
      return self._framing(shown)
    except ValueError as error:
      raise self._error(str(error)) from error

  def action_spec(self) -> specs.Array:
    return self._action_spec

  def observation_spec(self) -> dict[str, specs.Array]:
    """Makes the specs of the vectors; the image is drawn by `image`."""
    return {
      name: specs.Array((gymnasium_spaces.size(space),), np.float32, name)
      for name, space in self._vectors.items()
    }

  def close(self) -> None:
    self._env.close()

  def _check_interface(self) -> None:
    """Raises GymnasiumError for what is older than Gymnasium, or several."""
    inner = getattr(self._env, 'unwrapped', self._env)
    arguments = inspect.signature(inner.reset).parameters
    # Wrappers hand on both.
    needed = ('seed',) if inner is self._env else ('seed', 'options')
    lacking = [name for name in needed if name not in arguments]
    if lacking and inspect.Parameter.VAR_KEYWORD not in {
      value.kind for value in arguments.values()
    }:
      raise self._error(f'its reset takes no {lacking[0]}, {OLD}')
    if hasattr(self._env, 'num_envs'):
      raise self._error('it is a vector of environments: make a single one')

  def _actions(self, space: object) -> tuple[specs.Array, int | None]:
    """Returns a spec, and of a choice the number of the first one."""
    kind = gymnasium_spaces.kind(space)
    if kind == 'Discrete':
      return specs.DiscreteArray(int(space.n), np.int64), int(
        getattr(space, 'start', 0)
      )
    if kind == 'Box' and np.issubdtype(space.dtype, np.floating):
      bounds = space.low, space.high
      return specs.BoundedArray(space.shape, space.dtype, *bounds), None
    raise self._error(
      f'its action space is {quote(space)}, expected one Box of floats or one '
      'Discrete: a gymnasium.ActionWrapper makes one of it'
    )

  def _choose(
    self, image: str, parts: dict[str, tuple[object, object]]
  ) -> str | None:
    """Chooses a picture: a part that is observed, '' for rendered, or None."""
    modes = list(getattr(self._env, 'metadata', {}).get('render_modes', ()))
    mode = getattr(self._env, 'render_mode', None)
    if image == 'none':
      return None
    if self._pictures and image != 'rendered':
      return (
        'image' if 'image' in self._pictures else next(iter(self._pictures))
      )
    for name, (_, space) in parts.items() if image != 'rendered' else ():
      if hint := gymnasium_spaces.hint(space):
        raise self._error(
          f'its observation {name!r} is {quote(space)}, a picture that is not '
          f'uint8 [h, w, 3]: {hint}; or set environment.image to rendered or '
          'none'
        )
    if image == 'observed':
      raise self._error(
        'environment.image is observed, and there is no picture in its '
        f'observation {quote(self._env.observation_space)}'
      )
    if mode == 'rgb_array':
      return ''
    if image == 'rendered' or 'rgb_array' in modes:
      raise self._error(
        f'it shows no pixels: its render_mode is {mode!r}, of the render modes '
        f"{modes}; make it with render_mode='rgb_array' where it has that, or "
        'set environment.image=none to learn from its vectors alone'
      )
    return None

  def _observe(self, observation: object) -> dict[str, np.ndarray]:
    self._observation = observation
    found = {}
    for name, space in self._vectors.items():
      part = self._part(name)
      try:
        found[name] = gymnasium_spaces.vector(space, part)
      except (TypeError, ValueError, LookupError) as error:
        raise self._error(
          f'its observation {name!r} is {quote(part)}, not of its space '
          f'{quote(space)}'
        ) from error
    return found

  def _part(self, name: str) -> object:
    """Returns a part of the newest observation."""
    found = self._observation
    for key in self._paths[name]:
      try:
        found = found[key]
      except (TypeError, LookupError) as error:
        raise self._error(
          f'its observation has no {name!r}, which its space has'
        ) from error
    return found

  @contextlib.contextmanager
  def _naming(self) -> Iterator[None]:
    """Puts the name of the task before what Gymnasium says."""
    module = sys.modules.get('gymnasium')
    known = (module.error.Error,) if module else ()
    try:
      yield
    except known as error:
      raise self._error(quote(error)) from error

  def _error(self, problem: str) -> GymnasiumError:
    return GymnasiumError(f'task {self._task!r}: {problem}')


def _limit(env: Env) -> int:
  """Returns the limit of a registration, or of a wrapper; 0 for none."""
  found = getattr(getattr(env, 'spec', None), 'max_episode_steps', None)
  while not found and env is not None:
    if type(env).__name__ == 'TimeLimit':
      found = getattr(env, '_max_episode_steps', None)
    env = getattr(env, '__dict__', {}).get('env')
  return found or 0


def _count(answer: object) -> str:
  if isinstance(answer, tuple):
    return f'{len(answer)} values'
  return f'a {type(answer).__name__}'
