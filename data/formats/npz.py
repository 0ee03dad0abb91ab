"""Episodes of PlaNet, Dreamer, DreamerV2 and V-D4RL: an .npz file for each.

  image uint8 [L, h, w, 3], action, reward, discount, is_first, is_last,
  is_terminal, and vectors

PlaNet (Hafner et al., 2019) wrote the first of these and no discount, Dreamer
the discount, DreamerV2 the flags as well; V-D4RL (Lu et al., 2022) has its
images of 64 pixels in the files of DreamerV2. In all of them action[t] led to
image[t], as in rows.py. The length in the name of a file counts rows or
actions, and says nothing here. A store of our own, or a run, is one of these.
"""

import pathlib
import uuid
from typing import BinaryIO

import numpy as np

from worldmodels.data import archive
from worldmodels.data import atomic
from worldmodels.data import episode_files
from worldmodels.data import metadata
from worldmodels.data import recordings
from worldmodels.data import rows
from worldmodels.data.recorded import Recorded
from worldmodels.data.recordings import Episode
from worldmodels.data.recordings import RecordingError
from worldmodels.data.recordings import Recordings

_FACTS = ('task', 'action_repeat', 'camera', 'quality', 'crop', 'gray')


def recognizes(path: pathlib.Path) -> bool:
  """Returns whether there are .npz files, or a run with some."""
  return bool(_files(path))


def read(path: pathlib.Path, image: str | None = None) -> Recordings:
  """Finds the episodes in a directory, a run or a file.

  Raises:
    RecordingError: images are called otherwise, or metadata are damaged.
  """
  if image not in (None, 'image'):
    raise RecordingError(f'{path}: images are called image there, not {image}')
  files = _files(path)
  facts = {}
  if files and episode_files.index_of(files[0]) is not None:  # It is ours.
    try:
      facts = metadata.match_metadata(files[0].parent, {}, write=False)
    except metadata.StoreError as error:
      raise RecordingError(str(error)) from error
  return Recordings(
    format='npz',
    names=[file.name for file in files],
    load=lambda position, size: _load(files[position]),
    actions=lambda position: _load(files[position], ['action'])['action'],
    facts={key: facts[key] for key in _FACTS if key in facts},
  )


def write(folder: pathlib.Path, recorded: Recorded) -> None:
  """Writes episodes as DreamerV2 does, which PlaNet and Dreamer read too."""
  for number, episode in enumerate(recorded):
    # By time in theirs; here by number, which keeps the order.
    name = f'{number:06d}-{uuid.uuid4().hex}-{len(episode["reward"])}.npz'

    def fill(file: BinaryIO, episode: Episode = episode) -> None:
      archive.write(file, episode, compressed=True)

    atomic.write(folder / name, fill, sweep=False)


def _files(path: pathlib.Path) -> list[pathlib.Path]:
  """Lists the files of episodes at a path, in order."""
  if path.is_file():
    return [path] if path.suffix == episode_files.ENDING else []
  for folder in (path, path / 'episodes'):
    found = list(folder.glob(f'*{episode_files.ENDING}'))
    if found:
      return sorted(found, key=lambda file: episode_files.order(file.name))
  return []


def _load(file: pathlib.Path, keys: list[str] | None = None) -> Episode:
  """Reads what can be learned from in a file; `keys` names some of it."""
  # Its sizes come first, from the headers alone.
  found = archive.headers(file, recordings.LARGEST)
  for key, array in found.items():
    if array.dtype.kind not in rows.NUMBERS:
      raise RecordingError(f'{key} holds {array.dtype}, not real numbers')
    size = int(np.prod(array.shape, dtype=np.float64)) * array.dtype.itemsize
    recordings.check_size(key, size)
  try:
    with np.load(file, allow_pickle=False) as arrays:
      return {key: arrays[key] for key in keys or found}
  except archive.DAMAGE as error:
    text = ' '.join(str(error).split()) or type(error).__name__
    raise archive.DamagedError(text) from error
