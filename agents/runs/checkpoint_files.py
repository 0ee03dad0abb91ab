"""The two files of a checkpoint: what they have to be before they are believed.

variables.npz has an array for each variable, as `numpy.savez` writes it: not
compressed, no pickles. counters.json has the counters of the run and a checksum
of both files. Whatever a file says of its size is compared with the size that
it has before anything is read, and no number is taken that is not finite.
"""

import json
import math
import os
import pathlib
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from worldmodels.data import archive
from worldmodels.data import reading

VARIABLES, COUNTERS = 'variables.npz', 'counters.json'
# What reading a damaged checkpoint may raise.
DAMAGE = archive.DAMAGE
# Bytes that an archive may have beside its arrays, for each and in all.
_ENTRY, _END = 2048, 1 << 16
_BLOCK = 1 << 20

Counters = dict[str, Any]
Values = dict[str, np.ndarray]


def write(directory: pathlib.Path, values: Values, counters: Counters) -> None:
  """Writes the files of a checkpoint into an empty directory.

  Args:
    directory: of this checkpoint.
    values: {name: array}, all of them finite.
    counters: JSON values, `updates` among them.
  """
  with open(directory / VARIABLES, 'wb') as file:
    archive.write(file, values)
  with open(directory / VARIABLES, 'rb') as file:
    checksum = _checksum(file, counters)
  text = json.dumps(dict(counters, checksum=checksum))
  (directory / COUNTERS).write_text(text)


def read(directory: pathlib.Path, updates: int) -> tuple[Values, Counters]:
  """Reads the files of a checkpoint; returns (values, counters).

  It may be removed meanwhile: either both files are opened before, or it is
  not found.

  Args:
    directory: of this checkpoint.
    updates: that it is named by.

  Raises:
    PermissionError: it cannot be read.
    Exception: one of DAMAGE, which says what is wrong.
  """
  within = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
  try:
    with (
      reading.open_regular(COUNTERS, within) as small,
      reading.open_regular(VARIABLES, within) as large,
    ):
      text = reading.content(small, COUNTERS, reading.LARGEST)
      counters = _counters(reading.parsed(text, COUNTERS), updates)
      with zipfile.ZipFile(large) as zipped:
        _check_sizes(zipped, reading.size(large))
        checksum = counters.pop('checksum', None)  # The first ones had none.
        if checksum not in (None, _checksum(large, counters)):
          raise ValueError('its checksum is wrong')
        values = dict(_arrays(zipped))
  finally:
    os.close(within)
  wrong = not_finite(values)
  if wrong:
    raise ValueError(
      f'{len(wrong)} of {len(values)} variables are not finite: {wrong[0]}'
    )
  return values, counters


def not_finite(values: Values) -> list[str]:
  """Returns the names of the arrays in which a number is not finite."""
  return [
    name
    for name, value in values.items()
    if value.dtype.kind in 'fc' and not np.isfinite(value).all()
  ]


def _counters(value: object, updates: int) -> Counters:
  """Returns the counters, if they are those of so many updates."""
  if not isinstance(value, dict):
    raise ValueError(f'{COUNTERS} is no object')
  if 'updates' not in value:
    raise ValueError(f'{COUNTERS} has no key updates')
  for key, test, right in (
    ('updates', reading.is_count, 'a whole number'),
    ('wall_seconds', reading.is_number, 'a finite number'),
    ('checksum', reading.is_count, 'a whole number'),
  ):
    if key in value and not test(value[key]):
      raise ValueError(f'{key} of {COUNTERS} is {value[key]!r}, not {right}')
  if value['updates'] != updates:
    raise ValueError(
      f'{COUNTERS} is of {value["updates"]} updates, its directory of {updates}'
    )
  return value


def _check_sizes(zipped: zipfile.ZipFile, size: int) -> None:
  """Compares what an archive says of its parts with the size that it has."""
  parts = zipped.infolist()
  if len({part.filename for part in parts}) != len(parts):
    raise ValueError(f'{VARIABLES} has two arrays of one name')
  for part in parts:
    if part.compress_type != zipfile.ZIP_STORED or part.flag_bits & 1:
      raise ValueError(f'{part.filename} is compressed or encrypted')
    if part.compress_size != part.file_size:
      raise ValueError(f'{part.filename} has two sizes')
  memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
  if size > memory:
    raise ValueError(f'{VARIABLES} has {size} bytes, more than the memory here')
  total = sum(part.file_size for part in parts)
  if not total <= size <= total + _ENTRY * len(parts) + _END:
    raise ValueError(
      f'{VARIABLES} has {size} bytes, and says that its arrays have {total}'
    )


def _arrays(zipped: zipfile.ZipFile) -> Iterator[tuple[str, np.ndarray]]:
  """Yields the name and value of each array."""
  for part in zipped.infolist():
    if not part.filename.endswith('.npy'):
      raise ValueError(f'{part.filename} is no array')
    with zipped.open(part) as file:
      _check_header(file, part)
    with zipped.open(part) as file:
      yield (
        part.filename.removesuffix('.npy'),
        np.lib.format.read_array(file, allow_pickle=False),
      )


def _check_header(file: BinaryIO, part: zipfile.ZipInfo) -> None:
  """Compares the size that an array's header tells with that of its part."""
  version = np.lib.format.read_magic(file)
  if version == (1, 0):
    shape, _, dtype = np.lib.format.read_array_header_1_0(file)
  elif version == (2, 0):
    shape, _, dtype = np.lib.format.read_array_header_2_0(file)
  else:
    raise ValueError(f'{part.filename} is of version {version} of NumPy')
  told = math.prod(shape) * dtype.itemsize
  if min(shape, default=0) < 0 or file.tell() + told != part.file_size:
    raise ValueError(
      f'{part.filename} has {part.file_size} bytes, and a header that says '
      f'{dtype} {list(shape)}'
    )


def _checksum(file: BinaryIO, counters: Counters) -> int:
  """Returns the CRC-32 of the counters and of the file of variables."""
  checksum = zlib.crc32(json.dumps(counters, sort_keys=True).encode())
  file.seek(0)
  while block := file.read(_BLOCK):
    checksum = zlib.crc32(block, checksum)
  return checksum
