"""Finds the function that loads a task by the name of the task.

The kinds of names, tried in this order:
  `my_lab.reacher:load`   a function of a module that Python can import from
                          the current directory
  `gymnasium:ID`          an environment of Gymnasium, see gymnasium_tasks.py
  `hill`                  the file data/tasks/hill.py, with `load(seed)`
  `manipulation/NAME`     dm_control.manipulation
  `locomotion/NAME`       a function of dm_control.locomotion.examples
  `cartpole_swingup`      domain and task of dm_control.suite
Action repeats are those of PlaNet (Hafner et al. 2019, Appendix A), cameras of
the suite those of DreamerV3's dm_control environment.
"""

import contextlib
import ctypes
import dataclasses
import difflib
import functools
import importlib
import importlib.metadata
import inspect
import os
import pathlib
import pkgutil
import re
import sys
import types
from collections.abc import Callable

import dm_env

from worldmodels import errors
from worldmodels import kinds
from worldmodels.data import composer
from worldmodels.data import graphics
from worldmodels.data import gymnasium_ids
from worldmodels.data import limits

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
# From behind: it shows the walker and what lies ahead of it.
WALKER_CAMERAS = {'cmu_humanoid': 'walker/side', 'rodent': 'walker/back'}
RANDOM_MODELS = ('lqr',)

Loader = Callable[[int], dm_env.Environment]  # from a seed

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
    camera: index or name of the camera, where the task is rendered; None for
      the first, if there is one.
    step_limit: env_steps after which an episode is cut if the task itself sets
      no limit; 0 for never.
    ends_early: whether episodes may end before their time, if the task itself
      does not say.
    random_model: whether the seed decides about more than the episodes, so that
      another seed needs another environment.
  """

  load: Loader
  action_repeat: int = 1
  camera: int | str | None = None
  step_limit: int = 0
  ends_early: bool = True
  random_model: bool = False


def own_tasks() -> list[str]:
  """Lists the names of the files in data/tasks."""
  return sorted(
    path.stem for path in _TASKS.glob('*.py') if path.stem != '__init__'
  )


def suite_tasks() -> dict[str, tuple[str, str]]:
  """Maps the name of each dm_control.suite task to its domain and task."""
  return {'_'.join(pair): pair for pair in _import_part('suite').ALL_TASKS}


def manipulation_tasks() -> dict[str, Loader]:
  """Maps the name of each task of dm_control.manipulation to its loader."""
  part = _import_part('manipulation')
  return {name: functools.partial(part.load, name) for name in part.ALL}


def locomotion_tasks() -> dict[str, Loader]:
  """Maps the name of each task of dm_control.locomotion to its loader.

  They are the functions of its examples that take a random state.
  """
  folder = _import_part('locomotion.examples')
  modules = [
    _import_part(f'locomotion.examples.{file.name}')
    for file in pkgutil.iter_modules(folder.__path__)
    if file.name != 'explore' and not file.name.endswith('_test')
  ]
  return {
    name: function
    for module in modules
    for name, function in inspect.getmembers(module, inspect.isfunction)
    if function.__module__ == module.__name__
    and 'random_state' in inspect.signature(function).parameters
  }


COLLECTIONS = {
  'locomotion': locomotion_tasks,
  'manipulation': manipulation_tasks,
}


def resolve(task: str) -> Source:
  """Finds a task by name.

  Raises:
    TaskError: no such task; the message names the nearest ones.
    GraphicsError: a dm_control task, and no OpenGL that renders.
  """
  if ':' in task:
    module, _, function = task.partition(':')
    if module == gymnasium_ids.PREFIX:
      load, limit = gymnasium_ids.find(task, function)
      return Source(load, step_limit=limit)
    return _from_module(task, module, function)
  if task in own_tasks():
    return _from_module(task, f'{_PACKAGE}.{task}', 'load')
  collection, _, name = task.partition('/')
  if collection in COLLECTIONS:
    return _from_collection(task, collection, name)
  pairs = suite_tasks()
  if task not in pairs:
    raise TaskError(_unknown(task, [*own_tasks(), *pairs, *_collected()]))
  domain, name = pairs[task]
  return Source(
    lambda seed: _import_part('suite').load(domain, name, {'random': seed}),
    ACTION_REPEATS.get(domain, OTHER_ACTION_REPEAT),
    CAMERAS.get(domain, 0),
    limits.UNNAMED,  # of the suite's tasks without an end (lqr)
    ends_early=False,
    random_model=domain in RANDOM_MODELS,
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


def _from_collection(task: str, collection: str, name: str) -> Source:
  """Finds a task of dm_control.locomotion or dm_control.manipulation."""
  try:
    loaders = COLLECTIONS[collection]()
  except ModuleNotFoundError as error:
    raise TaskError(f'task {task!r}: {_missing(error.name)}') from error
  if name not in loaders:
    names = [f'{collection}/{known}' for known in loaders]
    raise TaskError(_unknown(task, names, f'there are {", ".join(names)}'))

  def load(seed: int) -> dm_env.Environment:
    try:
      environment = loaders[name](seed)
    except OSError as error:  # Motion capture is downloaded where it is needed.
      raise TaskError(
        f'task {task!r}: dm_control cannot fetch data that it needs: {error}'
      ) from error
    composer.hide_cameras(environment)
    return environment

  walkers = [walker for walker in WALKER_CAMERAS if name.startswith(walker)]
  camera = WALKER_CAMERAS[walkers[0]] if walkers else None
  return Source(load, OTHER_ACTION_REPEAT, camera)


def _collected() -> list[str]:
  """Lists the names of all collections that can be imported, for a hint."""
  names = []
  for collection, tasks in COLLECTIONS.items():
    with contextlib.suppress(ImportError):
      names += [f'{collection}/{name}' for name in tasks()]
  return names


def _unknown(task: str, names: list[str], otherwise: str = '') -> str:
  """Returns the message for a name that no task has."""
  # The collection may be missing, and makes all its names alike.
  known = {name.rpartition('/')[2]: name for name in names}
  meant = task.rpartition('/')[2]
  close = difflib.get_close_matches(meant, known, n=3, cutoff=0.5)
  nearest = [known[name] for name in close]
  hint = (
    f'did you mean {" or ".join(nearest)}?'
    if nearest
    else otherwise
    or (
      'a task is a file in data/tasks, a dm_control.suite task such as '
      'cartpole_swingup, locomotion/NAME, manipulation/NAME, gymnasium:ID, or '
      'module.path:function'
    )
  )
  return f'unknown task {task!r}: {hint}'


def _import_part(name: str) -> types.ModuleType:
  """Imports a part of dm_control, which opens the OpenGL library."""
  if 'dm_control' not in sys.modules:
    check_versions()
    if not os.environ.get('MUJOCO_GL'):
      os.environ['MUJOCO_GL'] = graphics.backend()
  try:
    return importlib.import_module(f'dm_control.{name}')
  except (AttributeError, ImportError, RuntimeError, ctypes.ArgumentError):
    graphics.backend()  # Raises with what to install if OpenGL is to blame.
    raise


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
    raise TaskError(_missing(error.name)) from error
  requirements = importlib.metadata.requires('dm_control') or []
  bounds = (re.fullmatch(r'mujoco\s*>=\s*([\d.]+)', r) for r in requirements)
  needed = next((bound[1] for bound in bounds if bound), mujoco)
  if needed.split('.')[:2] != mujoco.split('.')[:2]:
    raise TaskError(
      f'mujoco {mujoco} is installed; dm_control {control} needs mujoco '
      f'{needed}: pip install mujoco=={needed}'
    )


def _missing(name: str) -> str:
  """Returns the message for a package of dm_control that is not there."""
  if sys.version_info >= (3, 13):  # The extra is empty there.
    remedy = (
      'tasks of dm_control need Python 3.11 or 3.12, because labmaze, which '
      'dm_control needs, has no wheel for later ones'
    )
  else:
    remedy = "the extra dmc brings it: pip install 'worldmodels-tf[dmc]'"
  return f'{name} is not installed; {remedy}'
