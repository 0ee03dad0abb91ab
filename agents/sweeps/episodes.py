"""The stored episodes of a sweep, with the true states of their task.

The model does not see these states. They are what its features are probed for.
"""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from worldmodels import errors
from worldmodels.agents.runs import true_states
from worldmodels.agents.runs.build import NO_TASK
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.data import atomic
from worldmodels.data import episode_files
from worldmodels.data import metadata
from worldmodels.data import recordings
from worldmodels.data.store import Store


def by_task(
  given: Sequence[pathlib.Path], named: Sequence[str] | None
) -> dict[str, pathlib.Path]:
  """Returns {task: path} of recorded episodes.

  Args:
    given: paths of runs, or of other recorded episodes.
    named: tasks of the user; None for those that the episodes are known to be
      of. Several choose among those; a single one names what is of no known
      task.

  Raises:
    UserError: there are none, or two of one task.
    OSError: they cannot be read.
  """
  if not given:
    raise errors.OptionError('--episodes', 'is empty; it names a run')
  found: dict[str, pathlib.Path] = {}
  for path in given:
    task = recordings.find(path).facts.get('task')
    if not isinstance(task, str) or task == NO_TASK:
      single = named is not None and len(named) == len(given) == 1
      task = named[0] if single else NO_TASK
    if task in found:
      raise errors.OptionError(
        '--episodes', f'has {found[task]} and {path}, both of task {task}'
      )
    found[task] = path
  for task in named or ():
    if task not in found:
      raise errors.OptionError(
        '--tasks',
        f'has {task!r}; the episodes are of {", ".join(found)}',
      )
  return {task: found[task] for task in named or found}


def can_have_states(path: pathlib.Path) -> bool:
  """Returns whether episodes are those of a run that has kept no states."""
  if not (path / 'config.json').is_file() or (path / 'data.json').exists():
    return False
  try:
    store = Store(path / 'episodes', log=_silent, reading=True)
    own = store.episodes > 0 and None not in store.numbers
    return own and not true_states.recorded(store.episode(0))
  except (errors.UserError, OSError):
    return False


def add_states(
  path: pathlib.Path,
  out: pathlib.Path,
  log: Callable[[str], Any],
  **limits: float,
) -> None:
  """Copies the episodes of a run, each with the true states of its task.

  Where these cannot be had a line says why, and the copies are without.

  Args:
    path: of the run.
    out: directory of the copies, complete or absent.
    log: takes a line of text.
    **limits: `timeout` and `start_timeout` of workers.start.

  Raises:
    UserError: the episodes are damaged.
    OSError: they cannot be read or written.
  """
  if out.is_dir():
    return
  store = Store(path / 'episodes', log=log, reading=True)
  replay = None
  try:
    replay = true_states.Replay(RunDirectory(path).load(), **limits)
    log(
      f'states     of {store.episodes} episodes: {", ".join(replay.names)}, '
      'from playing them again'
    )
    states = [
      replay.states(store.episode(place), replay.seed(number, heldout=False))
      for place, number in enumerate(store.numbers)
    ]
  except errors.UserError as error:
    log(f'states     none, so no probes: {error}')
    states = [{}] * store.episodes
  finally:
    if replay is not None:
      replay.close()
  out.parent.mkdir(exist_ok=True)
  with atomic.directory(out) as folder:
    metadata.match_metadata(folder, store.metadata)
    for place, number in enumerate(store.numbers):
      episode = store.episode(place) | states[place]
      name = episode_files.new_name(number, len(episode['reward']))
      episode_files.write(folder / name, episode)


def _silent(line: str) -> None:
  """Drops a line, which is said again by those who read in earnest."""
