"""Finds environments of Gymnasium by their IDs.

Gymnasium is imported only where there is such a task: it is an extra.
"""

import difflib
import types
from collections.abc import Callable, Mapping

from worldmodels import kinds
from worldmodels.data import gymnasium_spaces
from worldmodels.data import gymnasium_tasks
from worldmodels.data.gymnasium_tasks import Env
from worldmodels.data.gymnasium_tasks import GymnasiumError

PREFIX = 'gymnasium'

# Packages whose environments are there once they are imported, by how the IDs
# begin: module, distribution.
_PACKAGES = {
  'ALE/': ('ale_py', 'ale-py'),
  'BabyAI-': ('minigrid', 'minigrid'),
  'MiniGrid-': ('minigrid', 'minigrid'),
  'gym_pusht/': ('gym_pusht', 'gym-pusht'),
}


def find(task: str, name: str) -> tuple[Callable[[int], Env], int]:
  """Finds an environment by its ID.

  Args:
    task: as it was asked for.
    name: the ID, `Pendulum-v1`, or `MODULE:ID` of a module to import first.

  Returns:
    (function of a seed that makes it, its limit in steps; 0 for none).

  Raises:
    GymnasiumError: there is none.
  """
  try:
    import gymnasium
  except ModuleNotFoundError as error:
    raise GymnasiumError(
      f'task {task!r}: {error.name} is not installed; the extra gymnasium '
      "brings it: pip install 'worldmodels-tf[gymnasium]'"
    ) from error
  module, _, name = name.rpartition(':')
  remedy = ''
  for begin, (known, distribution) in _PACKAGES.items():
    if not module and name.startswith(begin):
      module, remedy = known, f'; pip install {distribution} brings it'
  if module:
    try:
      kinds.import_users(module)
    except kinds.ModuleError as error:
      raise GymnasiumError(f'task {task!r}: {error}{remedy}') from error
  if name not in gymnasium.registry:
    raise GymnasiumError(_unknown(task, name, gymnasium.registry))
  limit = gymnasium.registry[name].max_episode_steps or 0
  return lambda seed: _make(gymnasium, task, name), limit


def _make(gymnasium: types.ModuleType, task: str, name: str) -> Env:
  """Makes an environment, one that renders where it can.

  Its limit is kept by us: that wrapper hides what a step returns.
  """
  options = dict(disable_env_checker=True, max_episode_steps=-1)
  try:
    made = gymnasium.make(name, **options)
    if 'rgb_array' in made.metadata.get('render_modes', ()):
      made.close()
      made = gymnasium.make(name, render_mode='rgb_array', **options)
  except gymnasium.error.Error as error:
    raise GymnasiumError(
      f'task {task!r}: {gymnasium_spaces.quote(error)}'
    ) from error
  except ImportError as error:
    raise GymnasiumError(
      f'task {task!r}: a package that it needs is missing: '
      f'{gymnasium_spaces.quote(error)}'
    ) from error
  except TypeError as error:
    if 'must inherit from' not in str(error):
      raise
    raise GymnasiumError(
      f'task {task!r}: no gymnasium.Env, {gymnasium_tasks.OLD}'
    ) from error
  return made


def _unknown(task: str, name: str, registry: Mapping[str, object]) -> str:
  """Returns the message for an ID that is not registered."""
  near = difflib.get_close_matches(name, registry, n=3, cutoff=0.6)
  hint = (
    f'did you mean {" or ".join(f"{PREFIX}:{known}" for known in near)}?'
    if near
    else f'{PREFIX}:MODULE:{name or "ID"} imports a module that registers it'
  )
  return f'unknown task {task!r}: Gymnasium has no {name!r}; {hint}'
