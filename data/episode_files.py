"""One finished episode in one .npz file, in the row convention of PlaNet.

Row t holds what came of action t: `action[t]` led to `image[t]`, `reward[t]`
and `discount[t]`. Row 0 is the reset, its action and reward are zero. PlaNet's
and Dreamer's episodes have the same rows and can be read, and their loaders
read ours. Files are plain zip archives without compression, so rows can be read
from the middle of one; foreign files with compression are read whole.
"""

import collections
import dataclasses
import fcntl
import os
import pathlib
import struct
import threading
import zipfile
import zlib
from collections.abc import Callable
from typing import BinaryIO

import numpy as np

FLAGS = ('is_first', 'is_last', 'is_terminal')
REQUIRED = ('image', 'action', 'reward')

# All that reading a damaged archive has been seen to raise.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    KeyError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)
_TEMPORARY = '.tmp'
_LOCAL_HEADER = 30  # bytes before the name of a member


def stack(timesteps: list, actions: list) -> dict[str, np.ndarray]:
  """Builds an episode from what an environment returned.

  Args:
    timesteps: L timesteps from reset to the last one.
    actions: the L - 1 actions [A] between them.

  Returns:
    {key: [L, ...]} in the row convention.
  """
  action = np.asarray(actions, np.float32)  # [L - 1, A]
  last = timesteps[-1]
  episode = {
      'action': np.concatenate([np.zeros_like(action[:1]), action]),
      'reward': np.array([t.reward or 0 for t in timesteps], np.float32),
      'discount': np.array(
          [1 if t.discount is None else t.discount for t in timesteps],
          np.float32,
      ),
      'is_first': np.arange(len(timesteps)) == 0,
      'is_last': np.array([t.last() for t in timesteps]),
      'is_terminal': np.array([t.last() and not t.discount for t in timesteps]),
  }
  for key in last.observation:
    episode[key] = np.stack([t.observation[key] for t in timesteps])
  return episode


def complete(episode: dict) -> dict[str, np.ndarray]:
  """Returns the episode with the dtypes of the store and no key missing.

  Raises:
    ValueError: a key, shape or value breaks the row convention.
  """
  episode = {key: np.asarray(value) for key, value in episode.items()}
  length = _check_shapes({k: (v.dtype, v.shape) for k, v in episode.items()})
  result = {k: v.astype(_dtype(k), copy=False) for k, v in episode.items()}
  for key in ('action', 'reward', 'discount'):
    if key in result and not np.isfinite(result[key]).all():
      raise ValueError(f'{key} is not finite')
  if result['action'][0].any() or result['reward'][0]:
    raise ValueError('row 0 is the reset: its action and reward must be zero')
  return _derive(result, 0, length, length)


def write_atomically(path: pathlib.Path, fill: Callable[[BinaryIO], None]):
  """Writes a file that is there as a whole or, after a crash, not at all.

  Raises:
    OSError: the disk is full or cannot be written; nothing is left behind.
  """
  temporary = path.with_name(path.name + _TEMPORARY)
  with open(temporary, 'wb') as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX)  # Says that someone is writing.
      fill(file)
      file.flush()
      os.fsync(file.fileno())
      os.replace(temporary, path)
    except BaseException:
      temporary.unlink(missing_ok=True)
      raise
  directory = os.open(path.parent, os.O_RDONLY)
  try:
    os.fsync(directory)
  finally:
    os.close(directory)


def write(path: pathlib.Path, episode: dict[str, np.ndarray]) -> None:
  """Writes an episode as `complete` returns it.

  Raises:
    OSError: the disk is full or cannot be written; nothing is left behind.
  """
  write_atomically(path, lambda file: np.savez(file, **episode))


def remove_leftovers(directory: pathlib.Path) -> None:
  """Removes the temporary files of programs that were killed."""
  for path in directory.glob(f'*{_TEMPORARY}'):
    with open(path, 'rb') as file:
      try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError:
        continue  # Someone is writing it.
      path.unlink(missing_ok=True)


@dataclasses.dataclass(frozen=True)
class _Member:
  """Where the rows of one array lie in a file; offset -1 if compressed."""

  offset: int
  dtype: np.dtype
  shape: tuple[int, ...]


class EpisodeFile:
  """A verified episode on disk.

  Attributes:
    path: of the file.
    length: L, rows.
    total_reward: sum of the rewards.
    nbytes: of the file.
    shapes: for each key the shape of one row.

  Raises:
    one of DAMAGE: the file is damaged or no episode.
  """

  def __init__(self, path: pathlib.Path, cache: 'Cache'):
    self.path = path
    self._cache = cache
    self._members = _index(path)
    self.length = _check_shapes(
        {k: (m.dtype, m.shape) for k, m in self._members.items()}
    )
    self.nbytes = path.stat().st_size
    keys = dict.fromkeys([*self._members, 'discount', *FLAGS])
    self.shapes = {
        key: self._members[key].shape[1:] if key in self._members else ()
        for key in keys
    }
    reward = self.read(0, self.length, ['reward'])['reward']
    self.total_reward = float(reward.sum(dtype=np.float64))

  def read(self, start: int, stop: int, keys=None) -> dict[str, np.ndarray]:
    """Reads rows from start to stop of the given keys, or of all.

    Returns:
      {key: [stop - start, ...]}: uint8 images, bool flags, float32 otherwise.
    """
    wanted = list(self.shapes) if keys is None else list(keys)
    stored = [key for key in wanted if key in self._members]
    if not set(wanted) <= set(stored):  # What they are derived from.
      sources = ('discount', 'is_last', 'is_terminal')
      stored += [k for k in sources if k in self._members and k not in stored]
    if all(self._members[key].offset >= 0 for key in stored):
      rows = self._read_rows(stored, start, stop)
    else:
      episode = self._cache.load(self.path, stored)
      rows = {key: episode[key][start:stop] for key in stored}
    rows = {k: v.astype(_dtype(k), copy=False) for k, v in rows.items()}
    rows = _derive(rows, start, stop, self.length)
    return {key: rows[key] for key in wanted}

  def _read_rows(self, keys, start: int, stop: int) -> dict[str, np.ndarray]:
    rows = {}
    with open(self.path, 'rb', buffering=0) as file:
      for key in keys:
        member = self._members[key]
        rows[key] = np.empty((stop - start, *member.shape[1:]), member.dtype)
        stride = rows[key].nbytes // max(1, stop - start)
        view = memoryview(rows[key].reshape(-1).view(np.uint8))
        place = member.offset + start * stride
        if os.preadv(file.fileno(), [view], place) != len(view):
          raise OSError(f'{self.path} has become shorter')
    return rows


class Cache:
  """Arrays of compressed files, the least recently used dropped first.

  Attributes:
    limit: bytes to keep at most; one episode is kept whatever its size.
  """

  def __init__(self, limit: int):
    self.limit = limit
    self._arrays = collections.OrderedDict()  # path -> {key: array}
    self._lock = threading.Lock()

  def load(self, path: pathlib.Path, keys) -> dict[str, np.ndarray]:
    """The arrays of a file, from memory if they are there."""
    with self._lock:
      arrays = self._arrays.pop(path, {})
      missing = [key for key in keys if key not in arrays]
      if missing:
        with np.load(path, allow_pickle=False) as archive:
          arrays |= {key: archive[key] for key in missing}
      self._arrays[path] = arrays
      while len(self._arrays) > 1 and self._nbytes() > self.limit:
        self._arrays.popitem(last=False)
      return arrays

  def _nbytes(self) -> int:
    return sum(
        array.nbytes
        for arrays in self._arrays.values()
        for array in arrays.values()
    )


def _index(path: pathlib.Path) -> dict[str, _Member]:
  """Verifies the checksums of a file and finds its arrays."""
  members = {}
  with zipfile.ZipFile(path) as archive:
    bad = archive.testzip()
    if bad:
      raise zipfile.BadZipFile(f'the checksum of {bad} is wrong')
    for info in archive.infolist():
      with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        read_header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read_header(file)
        header = file.tell()
      if dtype.kind not in 'biuf':
        continue  # Names, objects and the like are nothing to learn from.
      in_place = info.compress_type == zipfile.ZIP_STORED and (
          not fortran or len(shape) < 2
      )
      offset = _data_offset(path, info) + header if in_place else -1
      key = info.filename.removesuffix('.npy')
      members[key] = _Member(offset, dtype, shape)
  return members


def _data_offset(path: pathlib.Path, info: zipfile.ZipInfo) -> int:
  """Where the bytes of a member begin, after its name and extra field."""
  with open(path, 'rb') as file:
    file.seek(info.header_offset)
    name, extra = struct.unpack('<HH', file.read(_LOCAL_HEADER)[26:])
  return info.header_offset + _LOCAL_HEADER + name + extra


def _check_shapes(arrays: dict[str, tuple]) -> int:
  """Checks {key: (dtype, shape)} and returns the length L of the episode."""
  for key in REQUIRED:
    if key not in arrays:
      raise ValueError(f'it has no {key!r}')
  dtype, shape = arrays['image']
  if dtype != np.uint8 or len(shape) != 4 or shape[-1] != 3:
    raise ValueError(f'image is {dtype} {list(shape)}, not uint8 [L, H, W, 3]')
  if len(arrays['action'][1]) != 2 or len(arrays['reward'][1]) != 1:
    raise ValueError('action is not [L, A] or reward is not [L]')
  length = shape[0]
  for key, (_, shape) in arrays.items():
    if not shape or shape[0] != length or not length:
      raise ValueError(f'{key} has shape {list(shape)}, image {length} rows')
  return length


def _derive(rows: dict, start: int, stop: int, length: int) -> dict:
  """Adds the discount and flags that rows start to stop lack."""
  row = np.arange(start, stop)
  rows.setdefault('is_first', row == 0)
  rows.setdefault('is_last', row == length - 1)
  if 'is_terminal' not in rows:
    ended = rows.get('discount', np.ones(len(row))) == 0
    rows['is_terminal'] = rows['is_last'] & ended
  rows.setdefault('discount', 1 - rows['is_terminal'].astype(np.float32))
  return rows


def _dtype(key: str):
  return np.uint8 if key == 'image' else bool if key in FLAGS else np.float32
