"""Looks into the archive of an episode, which others may have made.

An .npz file is a zip archive with one .npy file for each array. Its headers may
say anything, so sizes come before contents: an array has the bytes that its
shape needs, what has to be in memory fits into what is allowed, and only then
is it read, once, for its checksum and its values.
"""

import dataclasses
import functools
import io
import math
import os
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np

from worldmodels.data import reading
from worldmodels.data import rows

# Errors that reading damaged archives has been seen to raise.
DAMAGE = (
  zipfile.BadZipFile,
  zlib.error,
  struct.error,
  EOFError,
  KeyError,
  MemoryError,  # of the parser, at a header of brackets
  NotImplementedError,
  OSError,
  RuntimeError,
  SyntaxError,
  TypeError,
  tokenize.TokenError,  # of NumPy, which mends headers of Python 2
  ValueError,
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_END = struct.Struct('<4s6sH10s')  # of an archive
_LOCAL_HEADER = 30  # bytes before the name of a member
_LONGEST_HEADER = 10_000  # bytes, as NumPy allows
_MOST_ARRAYS = 1000
_SUMMED = ('reward', rows.COUNT)
_BLOCK = 1 << 20


class DamagedError(Exception):
  """A file that is not as it was written, or cannot be what it says."""


@dataclasses.dataclass(frozen=True)
class Array:
  """An array of an archive.

  Attributes:
    dtype, shape: of it.
    offset: of its first row in the file; None if it has to be read whole.
  """

  dtype: np.dtype
  shape: tuple[int, ...]
  offset: int | None


@dataclasses.dataclass(frozen=True)
class Contents:
  """What an archive holds.

  Attributes:
    arrays: {key: Array} of those that can be learned from.
    length: L, rows of the episode.
    total_reward: sum of the rewards.
    env_steps: simulator steps, None where the file does not say.
    status: of the file, before it was read.
  """

  arrays: dict[str, Array]
  length: int
  total_reward: float
  env_steps: int | None
  status: os.stat_result


def inspect(
  path: str | os.PathLike, most: int, trusted: bool = False
) -> Contents:
  """Verifies a file, its checksums and its values, and finds its arrays.

  Args:
    path: of the file.
    most: bytes that may be read into memory.
    trusted: whether checksums and values are known to be right.

  Raises:
    DamagedError: the archive is damaged, or too large.
    RowsError: it holds no episode.
    IrregularError: it is no regular file.
    OSError: it cannot be opened.
  """
  arrays, values, status = _looked(path, most, trusted)
  length = rows.check_shapes({k: (a.dtype, a.shape) for k, a in arrays.items()})
  known = {k: v for k, v in values.items() if k in arrays and v is not None}
  known = known if trusted else rows.check_values(known)
  reward = known['reward'].astype(np.float32).sum(dtype=np.float64)
  count = known.get(rows.COUNT)
  steps = None if count is None else int(count.sum(dtype=np.int64))
  return Contents(arrays, length, float(reward), steps, status)


def headers(path: str | os.PathLike, most: int) -> dict[str, Array]:
  """Finds the arrays of a file, of whatever shapes; see `inspect`.

  There may be no reward.
  """
  return _looked(path, most, True, ('action',))[0]


def _looked(
  path: str | os.PathLike,
  most: int,
  trusted: bool,
  required: Sequence[str] = rows.REQUIRED,
) -> tuple[dict[str, Array], dict[str, np.ndarray | None], os.stat_result]:
  """Returns the arrays that count, the values of all, and what the file is."""
  with reading.open_regular(path) as file:
    status = os.fstat(file.fileno())
    try:
      with zipfile.ZipFile(file) as archive:
        members = _members(archive, file, most, required)
        arrays, values = {}, {}
        for key, info in members.items():
          content = not trusted or key in _SUMMED
          arrays[key], values[key] = _look(archive, file, info, content)
    except (rows.RowsError, PermissionError):
      raise
    except DAMAGE as error:
      raise DamagedError(_line(error)) from error
  arrays = {key: array for key, array in arrays.items() if _counts(key, array)}
  return arrays, values, status


def _members(
  archive: zipfile.ZipFile, file: BinaryIO, most: int, required: Sequence[str]
) -> dict[str, zipfile.ZipInfo]:
  """Returns the members by key, after a look at their names and sizes."""
  members = archive.infolist()
  if len(members) != _count_members(file):
    raise DamagedError('its directory has lost an array')
  if len(members) > _MOST_ARRAYS:
    raise DamagedError(f'it holds {len(members)} arrays')
  found = {info.filename.removesuffix('.npy'): info for info in members}
  if len(found) != len(members):
    raise DamagedError('it holds an array twice')
  for info in members:
    if info.compress_type not in _METHODS:
      raise DamagedError(f'{info.filename!r} is compressed in another way')
  lacking = [key for key in ('image', *required) if key not in found]
  if lacking:
    for info in members:  # A damaged name is not the one before its array.
      archive.open(info).close()
  if lacking and lacking != ['image']:  # Vectors may be all there is.
    raise rows.RowsError(f'it has no {lacking[0]!r}')
  needed = sum(
    info.file_size
    for key, info in found.items()
    if key != 'image' or info.compress_type != zipfile.ZIP_STORED
  )
  if needed > most:
    raise DamagedError(
      f'unpacked it has {needed / 1e6:.0f} MB, more than the {most / 1e6:.0f} '
      'MB that are allowed'
    )
  return found


def _counts(key: str, array: Array) -> bool:
  """Says whether something is learned from an array."""
  # Not from names, objects, single numbers and the like.
  numbers = array.dtype.kind in rows.NUMBERS and array.shape
  named = key in ('image', *rows.REQUIRED)
  return named or bool(numbers and key.isprintable())


def _look(
  archive: zipfile.ZipFile, file: BinaryIO, info: zipfile.ZipInfo, content: bool
) -> tuple[Array, np.ndarray | None]:
  """Finds an array, and reads it for its checksum and its values."""
  with archive.open(info) as member:
    header = _read_header(member, info.filename)
    dtype, shape, fortran = _parse(header)
    size = info.file_size - len(header)
    numbers = dtype.kind in rows.NUMBERS
    needed = math.prod(shape) * dtype.itemsize
    if numbers and (min(shape, default=0) < 0 or size != needed):
      raise DamagedError(
        f'{info.filename!r} has {size} bytes, its header tells of {needed}'
      )
    values = None
    if content and numbers and info.filename != 'image.npy':
      values = np.frombuffer(member.read(), dtype)
      values = values.reshape(shape, order='F' if fortran else 'C')
    while content and member.read(_BLOCK):  # To the checksum.
      pass
  in_place = info.compress_type == zipfile.ZIP_STORED
  if not in_place or (fortran and len(shape) > 1):
    return Array(dtype, shape, None), values
  if info.compress_size != info.file_size:
    raise DamagedError(f'{info.filename!r} has two sizes')
  begin = _data_offset(file, info) + len(header)
  return Array(dtype, shape, begin), values


def _read_header(member: BinaryIO, name: str) -> bytes:
  """Reads what comes before the values of an .npy file."""
  start = member.read(8)
  version = np.lib.format.read_magic(io.BytesIO(start))
  start += member.read(2 if version == (1, 0) else 4)
  size = int.from_bytes(start[8:], 'little')
  if size > _LONGEST_HEADER:
    raise DamagedError(f'{name!r} has a header of {size} bytes')
  return start + member.read(size)


@functools.lru_cache(1024)
def _parse(header: bytes) -> tuple[np.dtype, tuple[int, ...], bool]:
  """Reads a header: dtype, shape, and whether it is in Fortran's order."""
  file = io.BytesIO(header)
  version = np.lib.format.read_magic(file)
  read = (
    np.lib.format.read_array_header_1_0
    if version == (1, 0)
    else np.lib.format.read_array_header_2_0
  )
  shape, fortran, dtype = read(file)
  return dtype, shape, fortran


def _count_members(file: BinaryIO) -> int:
  """Reads how many arrays a file says it has, which zipfile ignores."""
  file.seek(-_END.size, os.SEEK_END)
  signature, _, count, _ = _END.unpack(file.read())
  return count if signature == b'PK\5\6' else -1


def _data_offset(file: BinaryIO, info: zipfile.ZipInfo) -> int:
  """Finds where the bytes of a member begin, after its name and extra field."""
  file.seek(info.header_offset)
  name, extra = struct.unpack('<HH', file.read(_LOCAL_HEADER)[26:])
  return info.header_offset + _LOCAL_HEADER + name + extra


def _line(error: BaseException) -> str:
  return ' '.join(str(error).split()) or type(error).__name__


def write(
  file: BinaryIO, arrays: dict[str, np.ndarray], compressed: bool = False
) -> None:
  """Writes an archive, as numpy.savez does, but in one piece.

  On a full disk NumPy 2.1 leaves an archive half open, and a trace when it is
  collected.

  Args:
    file: to be written to.
    arrays: {name: array}.
    compressed: makes a file that is smaller, and slower to read.

  Raises:
    OSError: it cannot be written.
  """
  whole = io.BytesIO()
  (np.savez_compressed if compressed else np.savez)(whole, **arrays)
  file.write(whole.getbuffer())
