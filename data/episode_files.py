"""Reads and writes episodes, one .npz file for each.

Files are plain zip archives without compression, so that rows can be read from
the middle of one and np.load reads them, as the loaders of PlaNet and Dreamer
do. Their files can be read too; compressed ones have to be read whole, and are
kept in a bounded cache.
"""

import collections
import dataclasses
import os
import pathlib
import re
import struct
import threading
import uuid
import zipfile
import zlib
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np

from worldmodels.data import atomic
from worldmodels.data import rows

# Errors that reading damaged archives has been seen to raise.
_DAMAGE = (
  zipfile.BadZipFile,
  zlib.error,
  struct.error,
  EOFError,
  KeyError,
  NotImplementedError,
  OSError,
  RuntimeError,
  SyntaxError,
  ValueError,
)
_OWN_NAME = re.compile(r'(\d{6,})-[0-9a-f]{32}-\d+\.npz')
_END = struct.Struct('<4s6sH10s')  # of an archive
_LOCAL_HEADER = 30  # bytes before the name of a member


class DamagedError(Exception):
  """The content of a file has changed since it was written."""


@dataclasses.dataclass(frozen=True)
class _Member:
  """Where the rows of one array lie in a file; no offset if compressed."""

  offset: int | None
  dtype: np.dtype
  shape: tuple[int, ...]


def new_name(index: int, length: int) -> str:
  """Makes a file name for episode number `index` of `length` rows."""
  return f'{index:06d}-{uuid.uuid4().hex}-{length}.npz'


def index_of(path: pathlib.Path) -> int | None:
  """Returns the number in the name of our own files, None for other names."""
  match = _OWN_NAME.fullmatch(path.name)
  return int(match[1]) if match else None


def order(path: pathlib.Path) -> tuple[bool, int, str]:
  """Returns the key of sorting: foreign files by name, then ours by number."""
  index = index_of(path)
  return (index is not None, index or 0, path.name)


def write(path: pathlib.Path, episode: dict[str, np.ndarray]) -> None:
  """Writes an episode {key: [L, ...]}, whole or not at all.

  Raises:
    OSError: the disk is full or cannot be written; nothing is left behind.
  """
  atomic.write(path, lambda file: np.savez(file, **episode))


class EpisodeFile:
  """An episode on disk, verified when it is opened.

  Attributes:
    path: of the file.
    index: number of the episode, None for a foreign file.
    length: L, rows.
    total_reward: sum of the rewards.
    nbytes: of the file.
    shapes: for each key the shape of one row.

  Raises:
    DamagedError: the archive is damaged.
    ValueError: it holds no episode.
  """

  def __init__(self, path: pathlib.Path, cache: 'Cache'):
    self.path = path
    self.index = index_of(path)
    self.nbytes = path.stat().st_size
    self._cache = cache
    self._members = _index(path)
    self._derived: dict[str, np.ndarray] = {}
    self.length = rows.check_shapes(
      {k: (m.dtype, m.shape) for k, m in self._members.items()}
    )
    self.shapes = {k: m.shape[1:] for k, m in self._members.items()}
    stored = [key for key in rows.COLUMNS if key in self._members]
    columns = rows.derive(self.read(0, self.length, stored), self.length)
    self._derived = {k: v for k, v in columns.items() if k not in stored}
    self.shapes |= dict.fromkeys(self._derived, ())
    self.total_reward = float(columns['reward'].sum(dtype=np.float64))

  def read(
    self, start: int, stop: int, keys: Iterable[str] | None = None
  ) -> dict[str, np.ndarray]:
    """Reads rows from start to stop of the given keys, or of all.

    Returns:
      {key: [stop - start, ...]}: uint8 images, bool flags, float32 otherwise.
    """
    keys = self.shapes if keys is None else keys
    result = {
      key: np.empty((stop - start, *self.shapes[key]), rows.dtype_of(key))
      for key in keys
    }
    self.read_into(result, start)
    return result

  def read_into(self, arrays: dict[str, np.ndarray], start: int) -> None:
    """Fills contiguous arrays {key: [N, ...]} with N rows from `start` on."""
    with open(self.path, 'rb', buffering=0) as file:
      for key, out in arrays.items():
        member = self._members.get(key)
        span = slice(start, start + len(out))
        if member is None:
          out[:] = self._derived[key][span]
        elif member.offset is None:
          out[:] = self._cache.load(self.path, key)[span]
        elif member.dtype == out.dtype:
          _read_member(file, member, start, out)
        else:
          stored = np.empty_like(out, member.dtype)
          _read_member(file, member, start, stored)
          out[:] = stored


class Cache:
  """Arrays of compressed files, the least recently used dropped first.

  Attributes:
    limit: bytes to keep at most; one array is kept whatever its size.
    nbytes: kept now.
  """

  def __init__(self, limit: int):
    self.limit = limit
    self.nbytes = 0
    self._arrays: collections.OrderedDict[
      tuple[pathlib.Path, str], np.ndarray
    ] = collections.OrderedDict()
    self._lock = threading.Lock()

  def load(self, path: pathlib.Path, key: str) -> np.ndarray:
    """Loads the array of a file, from memory if it is there."""
    with self._lock:
      array = self._arrays.pop((path, key), None)
      if array is None:
        with np.load(path, allow_pickle=False) as archive:
          array = archive[key]
        self.nbytes += array.nbytes
      self._arrays[path, key] = array
      while len(self._arrays) > 1 and self.nbytes > self.limit:
        self.nbytes -= self._arrays.popitem(last=False)[1].nbytes
      return array


def _read_member(
  file: BinaryIO, member: _Member, start: int, out: np.ndarray
) -> None:
  """Reads rows from `start` on into a contiguous array [N, ...]."""
  view = memoryview(out.reshape(-1).view(np.uint8))
  file.seek(member.offset + start * (len(view) // len(out)))
  if file.readinto(view) != len(view):
    raise OSError(f'{file.name} has become shorter')


def _index(path: pathlib.Path) -> dict[str, _Member]:
  """Verifies the checksums of a file and finds its arrays."""
  try:
    with zipfile.ZipFile(path) as archive:
      bad = archive.testzip()
      if bad:
        raise DamagedError(f'the checksum of {bad} is wrong')
      if len(archive.infolist()) != _count_members(path):
        raise DamagedError('its directory has lost an array')
      members = {
        info.filename.removesuffix('.npy'): _find_member(path, archive, info)
        for info in archive.infolist()
      }
  except (FileNotFoundError, PermissionError):
    raise  # Nothing is known about the file.
  except _DAMAGE as error:
    raise DamagedError(str(error) or type(error).__name__) from error
  # Nothing is learned from names, objects and the like.
  return {k: m for k, m in members.items() if m.dtype.kind in 'biuf'}


def _count_members(path: pathlib.Path) -> int:
  """Reads how many arrays a file says it has, which zipfile ignores."""
  with open(path, 'rb') as file:
    file.seek(-_END.size, os.SEEK_END)
    signature, _, count, _ = _END.unpack(file.read())
  return count if signature == b'PK\5\6' else -1


def _find_member(
  path: pathlib.Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo
) -> _Member:
  """Finds where the rows of an array lie."""
  with archive.open(info) as file:
    version = np.lib.format.read_magic(file)
    read_header = (
      np.lib.format.read_array_header_1_0
      if version == (1, 0)
      else np.lib.format.read_array_header_2_0
    )
    shape, fortran, dtype = read_header(file)
    header = file.tell()
  in_place = info.compress_type == zipfile.ZIP_STORED
  if not in_place or (fortran and len(shape) > 1):
    return _Member(None, dtype, shape)
  return _Member(_data_offset(path, info) + header, dtype, shape)


def _data_offset(path: pathlib.Path, info: zipfile.ZipInfo) -> int:
  """Finds where the bytes of a member begin, after its name and extra field."""
  with open(path, 'rb') as file:
    file.seek(info.header_offset)
    name, extra = struct.unpack('<HH', file.read(_LOCAL_HEADER)[26:])
  return info.header_offset + _LOCAL_HEADER + name + extra
