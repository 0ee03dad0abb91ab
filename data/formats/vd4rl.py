"""V-D4RL (Lu et al., 2022) in HDF5, of 84 pixels, as DrQ+BC reads it.

All episodes of a file end to end, channels first:
  observation uint8 [N, 3, h, w], action, reward, discount, step_type [N]

step_type is 0 at a reset, 2 at the end, else 1. action[t] led to
observation[t], as in rows.py. The files of 64 pixels are npz.py.
"""

import pathlib

import h5py
import numpy as np

from worldmodels.data import hdf5
from worldmodels.data.recorded import Recorded
from worldmodels.data.recordings import Episode
from worldmodels.data.recordings import RecordingError
from worldmodels.data.recordings import Recordings

_ENDINGS = ('.hdf5', '.h5')
_COLUMNS = ('observation', 'action', 'reward', 'discount', 'step_type')
_FIRST, _MIDDLE, _LAST = 0, 1, 2


def recognizes(path: pathlib.Path) -> bool:
  """Returns whether there are HDF5 files, but not those of Minari."""
  return bool(_files(path))


def read(path: pathlib.Path, image: str | None = None) -> Recordings:
  """Finds the episodes in a file, or in all those of a directory.

  Raises:
    RecordingError: a file has another layout, or is damaged.
  """
  image = image or 'observation'
  spans = [
    (file, *span) for file in _files(path) for span in _spans(file, image)
  ]

  def load(position: int, size: int) -> Episode:
    del size
    file, start, stop = spans[position]
    with hdf5.opened(file) as opened:
      columns = {
        key: hdf5.numbers(hdf5.dataset(opened, key), start, stop)
        for key in (image, 'action', 'reward', 'discount')
      }
    images = columns.pop(image)
    if images.ndim == 4 and images.shape[-1] != 3:
      images = images.transpose(0, 2, 3, 1)
    return {'image': images, **columns}

  def actions(position: int) -> np.ndarray:
    file, start, stop = spans[position]
    with hdf5.opened(file) as opened:
      return hdf5.numbers(hdf5.dataset(opened, 'action'), start, stop)

  return Recordings(
    format='vd4rl',
    names=[f'{file.name} from row {start}' for file, start, _ in spans],
    load=load,
    actions=actions,
  )


def write(folder: pathlib.Path, recorded: Recorded) -> None:
  """Writes episodes into one file; vectors are left out, it has none."""
  with h5py.File(folder / 'shard.hdf5', 'w') as file:
    for episode in recorded:
      length = len(episode['reward'])
      kind = np.full(length, _MIDDLE, np.uint8)
      kind[0], kind[-1] = _FIRST, _LAST
      columns = {
        'observation': episode['image'].transpose(0, 3, 1, 2),
        'action': episode['action'],
        'reward': episode['reward'],
        'discount': episode['discount'],
        'step_type': kind,
      }
      for key, value in columns.items():
        _append(file, key, value)


def _append(file: h5py.File, key: str, value: np.ndarray) -> None:
  """Appends rows to a dataset, which the first ones make."""
  if key not in file:
    file.create_dataset(
      key,
      data=value,
      # A chunk has no side of length 0, as actions of size 0 have.
      maxshape=(None, *(side or None for side in value.shape[1:])),
      chunks=(min(64, len(value)), *(side or 1 for side in value.shape[1:])),
      compression='gzip',
    )
    return
  there = len(file[key])
  file[key].resize(there + len(value), 0)
  file[key][there:] = value


def _files(path: pathlib.Path) -> list[pathlib.Path]:
  """Lists the files at a path, in order of their names."""
  found = [path] if path.is_file() else sorted(path.glob('*'))
  return [
    file
    for file in found
    if file.suffix in _ENDINGS and file.name != 'main_data.hdf5'
  ]


def _spans(file: pathlib.Path, image: str) -> list[tuple[int, int]]:
  """Returns first row and end of each episode in a file."""
  with hdf5.opened(file) as opened:
    columns = dict.fromkeys((image, *_COLUMNS[1:]))
    lengths = {
      key: (hdf5.dataset(opened, key).shape or (0,))[0] for key in columns
    }
    if len(set(lengths.values())) > 1:
      listed = ', '.join(f'{key} {count}' for key, count in lengths.items())
      raise RecordingError(f'{file}: its rows do not match: {listed}')
    kind = hdf5.numbers(hdf5.dataset(opened, 'step_type'))
  starts = np.flatnonzero(kind == _FIRST)
  if len(kind) and (not len(starts) or starts[0]):
    raise RecordingError(
      f'{file}: step_type is {kind[0]:g} in row 0, and {_FIRST} where an '
      'episode begins'
    )
  ends = [*starts[1:], len(kind)]
  for start, end in zip(starts, ends):
    early = np.flatnonzero(kind[start : end - 1] == _LAST)
    if len(early):
      raise RecordingError(
        f'{file}: step_type is {_LAST}, the end, in row {start + early[0]}, '
        f'and row {start + early[0] + 1} begins no episode'
      )
  return [(int(start), int(end)) for start, end in zip(starts, ends)]
