"""Finds the function that loads a task by the name of the task.

Three kinds of names, tried in this order:
  `hill`                  the file data/tasks/hill.py, with `load(seed)`
  `cartpole_swingup`      domain and task of dm_control.suite
  `my_lab.reacher:load`   a function of a module that Python can import from
                          the current directory
Action repeats are those of PlaNet (Hafner et al. 2019, Appendix A), cameras
those of DreamerV3's dm_control environment.
"""

import ctypes
import dataclasses
import difflib
import importlib.metadata
import os
import pathlib
import re
import sys
import types
from collections.abc import Callable

import dm_env

from worldmodels import errors
from worldmodels import kinds
from worldmodels.data import graphics

ACTION_REPEATS = {
  'ball_in_cup': 4,
  'cartpole': 8,
  'cheetah': 4,
  'finger': 2,
  'reacher': 4,
  'walker': 2,
}
OTHER_ACTION_REPEAT = 2
CAMERAS = {'quadruped': 2}
UNBOUNDED_LIMIT = 1000  # env_steps, for the suite's tasks without an end (lqr)
RANDOM_MODELS = ('lqr',)

_PACKAGE = 'worldmodels.data.tasks'
_TASKS = pathlib.Path(__file__).parent / 'tasks'


class TaskError(errors.UserError):
  """The task does not exist or breaks a rule; the message is one line."""


@dataclasses.dataclass(frozen=True)
class Source:
  """Where an environment comes from.

  Attributes:
    load: from a seed to a new environment.
    action_repeat: env_steps per agent_step unless asked otherwise.
    camera: index of the camera, where the task is rendered.
    step_limit: env_steps after which an episode is cut if the task itself sets
      no limit; 0 for never.
    random_model: whether the seed decides about more than the episodes, so that
      another seed needs another environment.
  """

  load: Callable[[int], dm_env.Environment]
  action_repeat: int = 1
  camera: int = 0
  step_limit: int = 0
  random_model: bool = False


def own_tasks() -> list[str]:
  """Lists the names of the files in data/tasks."""
  return sorted(
    path.stem for path in _TASKS.glob('*.py') if path.stem != '__init__'
  )


def suite_tasks() -> dict[str, tuple[str, str]]:
  """Maps the name of each dm_control.suite task to its domain and task."""
  return {'_'.join(pair): pair for pair in _import_suite().ALL_TASKS}


def resolve(task: str) -> Source:
  """Finds a task by name.

  Raises:
    TaskError: no such task; the message names the nearest ones.
    GraphicsError: a dm_control task, and no OpenGL that renders.
  """
  if ':' in task:
    module, _, function = task.partition(':')
    return _from_module(task, module, function)
  if task in own_tasks():
    return _from_module(task, f'{_PACKAGE}.{task}', 'load')
  pairs = suite_tasks()
  if task not in pairs:
    raise TaskError(_unknown(task, [*own_tasks(), *pairs]))
  domain, name = pairs[task]
  return Source(
    lambda seed: _import_suite().load(domain, name, {'random': seed}),
    ACTION_REPEATS.get(domain, OTHER_ACTION_REPEAT),
    CAMERAS.get(domain, 0),
    UNBOUNDED_LIMIT,
    domain in RANDOM_MODELS,
  )


def _from_module(task: str, name: str, function: str) -> Source:
  """Imports a module and finds its function that loads the task."""
  try:
    module = kinds.import_users(name)
  except kinds.ModuleError as error:
    raise TaskError(f'task {task!r}: {error}') from error
  load = getattr(module, function, None)
  if not callable(load):
    raise TaskError(
      f'task {task!r}: module {name} has no function {function!r}'
    )
  return Source(load, int(getattr(module, 'ACTION_REPEAT', 1)))


def _unknown(task: str, names: list[str]) -> str:
  """Returns the message for a name that no task has."""
  nearest = difflib.get_close_matches(task, names, n=3, cutoff=0.5)
  hint = (
    f'did you mean {" or ".join(nearest)}?'
    if nearest
    else (
      'a task is a file in data/tasks, a dm_control.suite task such as '
      'cartpole_swingup, or module.path:function'
    )
  )
  return f'unknown task {task!r}: {hint}'


def _import_suite() -> types.ModuleType:
  """Imports dm_control.suite, which opens the OpenGL library."""
  if 'dm_control.suite' not in sys.modules:
    check_versions()
    if not os.environ.get('MUJOCO_GL'):
      os.environ['MUJOCO_GL'] = graphics.backend()
  try:
    from dm_control import suite
  except (AttributeError, ImportError, RuntimeError, ctypes.ArgumentError):
    graphics.backend()  # Raises with what to install if OpenGL is to blame.
    raise
  return suite


def check_versions() -> None:
  """Checks that the installed MuJoCo is one that dm_control can work with.

  Each dm_control works with the MuJoCo of its release and breaks with later
  ones, but its metadata only has a lower bound.

  Raises:
    TaskError: not installed, or not a pair; the message has the remedy.
  """
  try:
    control = importlib.metadata.version('dm_control')
    mujoco = importlib.metadata.version('mujoco')
  except importlib.metadata.PackageNotFoundError as error:
    raise TaskError(
      f'{error.name} is not installed; the extra dmc brings it: '
      "pip install 'worldmodels-tf[dmc]'"
    ) from error
  requirements = importlib.metadata.requires('dm_control') or []
  bounds = (re.fullmatch(r'mujoco\s*>=\s*([\d.]+)', r) for r in requirements)
  needed = next((bound[1] for bound in bounds if bound), mujoco)
  if needed.split('.')[:2] != mujoco.split('.')[:2]:
    raise TaskError(
      f'mujoco {mujoco} is installed; dm_control {control} needs mujoco '
      f'{needed}: pip install mujoco=={needed}'
    )
