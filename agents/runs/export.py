"""Writes a small copy of a run, to be shown and shared and not trained on.

It has the weights that act, without optimizers; config, spec, versions and
metrics; and the last held-out episodes, compressed. All that looks at a run can
look at it.
"""

import pathlib
from typing import TYPE_CHECKING

import numpy as np

from worldmodels import errors
from worldmodels.agents.runs import checkpoint
from worldmodels.agents.runs import checkpoint_list
from worldmodels.agents.runs import paths
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.data import atomic
from worldmodels.data import episode_files
from worldmodels.data import reading
from worldmodels.data.store import Store

if TYPE_CHECKING:
  from worldmodels.agents.learning_agent import LearningAgent

# What is copied as it is; a run may lack the last two.
_FILES = ('config.json', 'spec.json', 'versions.json', 'metrics.jsonl')


def check_out(out: str) -> pathlib.Path:
  """Returns the directory of --out=NAME, if it can be made.

  Raises:
    OptionError: it is empty, is there already, or cannot be made.
  """
  path = paths.expanded('--out', out)
  if path.exists() or path.is_symlink():
    raise errors.OptionError('--out', f'is {out!r}, which is there already')
  if not path.parent.is_dir():
    raise errors.OptionError('--out', f'is {out!r}; there is no {path.parent}')
  return path


def write(
  directory: RunDirectory,
  out: pathlib.Path,
  agent: 'LearningAgent',
  updates: int,
  episodes: int,
) -> None:
  """Writes the copy, whole or not at all.

  Args:
    directory: of the run.
    out: the directory to make.
    agent: restored from the run, with its acting weights.
    updates: of its checkpoint.
    episodes: how many held-out episodes to take along, at most.

  Raises:
    OSError: it cannot be written.
  """
  with atomic.directory(out) as partial:
    for name in _FILES:
      source = directory.path / name
      if source.exists():
        with reading.open_regular(source) as file:
          (partial / name).write_bytes(file.read())
    checkpoint.save(
      partial / 'checkpoints',
      agent.acting_variables,
      {'updates': updates, checkpoint_list.EXPORTED: True},
    )
    if directory.heldout.is_dir():
      _copy_episodes(directory.heldout, partial / 'heldout', episodes)


def _copy_episodes(source: pathlib.Path, out: pathlib.Path, count: int) -> None:
  store = Store(source, reading=True)
  out.mkdir()
  for place in range(max(0, store.episodes - count), store.episodes):
    episode = store.episode(place)
    number = store.numbers[place]
    if number is None:
      name = f'of_others_{place:06d}{episode_files.ENDING}'
    else:
      name = episode_files.new_name(number, len(episode['reward']))
    episode = {key: np.asarray(value) for key, value in episode.items()}
    episode_files.write(out / name, episode, compressed=True)
