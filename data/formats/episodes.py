"""Episodes of our own: the store of a run, one .npz file for each.

As in npz.py, but not compressed, numbered, and with the metadata of store.py
beside them.
"""

import pathlib

from worldmodels.data import episode_files
from worldmodels.data import metadata
from worldmodels.data.formats import npz
from worldmodels.data.recorded import Recorded
from worldmodels.data.recordings import Recordings


def recognizes(path: pathlib.Path) -> bool:
  """Returns False: these are recognized as npz, which they are."""
  del path
  return False


def read(path: pathlib.Path, image: str | None = None) -> Recordings:
  """Finds the episodes in a directory, a run or a file, see npz.py."""
  return npz.read(path, image)


def write(folder: pathlib.Path, recorded: Recorded) -> None:
  """Writes episodes as a store of a run has them."""
  metadata.match_metadata(folder, recorded.facts)
  for number, episode in enumerate(recorded):
    name = episode_files.new_name(number, len(episode['reward']))
    episode_files.write(folder / name, episode)
