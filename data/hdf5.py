"""Reads HDF5 files that anybody may have written.

A dataset there may be a link into another file, may say that it has more rows
than memory, and may hold objects. None of that is followed or read.
"""

import contextlib
import os
import pathlib
from collections.abc import Iterator

import h5py
import numpy as np

from worldmodels.data import archive
from worldmodels.data import reading
from worldmodels.data import recordings
from worldmodels.data import rows
from worldmodels.data.recordings import RecordingError

# What h5py has been seen to raise for damaged files.
_REFERENCE = 16  # bytes of a row whose length is its own, beside what it holds
_DAMAGE = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError)


@contextlib.contextmanager
def opened(path: pathlib.Path) -> Iterator[h5py.File]:
  """Opens a file for reading in a `with` statement.

  Raises:
    RecordingError: what is read there is damaged.
    IrregularError: it is no regular file.
    OSError: it cannot be opened.
  """
  with reading.open_regular(path) as file:
    try:
      with h5py.File(file, 'r') as opened_file:
        yield opened_file
    except (RecordingError, archive.DamagedError):
      raise
    except _DAMAGE as error:
      text = ' '.join(str(error).split()) or type(error).__name__
      raise RecordingError(f'{path} is damaged: {text}') from error


def group(parent: h5py.Group, name: str) -> h5py.Group:
  """Returns a group within a group.

  Raises:
    RecordingError: there is none of this file.
  """
  found = _member(parent, name)
  if not isinstance(found, h5py.Group):
    raise RecordingError(f'{_name(parent, name)} is no group')
  return found


def dataset(parent: h5py.Group, name: str) -> h5py.Dataset:
  """Returns a dataset within a group, whose data are in this file.

  Raises:
    RecordingError: there is none.
  """
  found = _member(parent, name)
  if not isinstance(found, h5py.Dataset):
    raise RecordingError(f'{_name(parent, name)} is no dataset')
  if found.is_virtual or found.external:
    raise RecordingError(f'{_name(parent, name)} is in another file')
  return found


def _member(parent: h5py.Group, name: str) -> object:
  if name not in parent:
    raise RecordingError(f'it has no {_name(parent, name)}')
  if not isinstance(parent.get(name, getlink=True), h5py.HardLink):
    raise RecordingError(f'{_name(parent, name)} is a link')
  return parent[name]


def _name(parent: h5py.Group, name: str) -> str:
  return repr(os.path.join(parent.name, name).lstrip('/'))


def numbers(
  found: h5py.Dataset, start: int = 0, stop: int | None = None
) -> np.ndarray:
  """Reads rows of a dataset of numbers.

  Raises:
    RecordingError: it holds something else, or too much.
  """
  if found.dtype.kind not in rows.NUMBERS or not found.ndim:
    raise RecordingError(
      f'{found.name!r} is {found.dtype} {list(found.shape)}, not numbers in '
      'rows'
    )
  stop = len(found) if stop is None else stop
  size = np.prod([stop - start, *found.shape[1:]], dtype=np.float64)
  recordings.check_size(repr(found.name), size * found.dtype.itemsize)
  return found[start:stop]


def _rows(found: h5py.Dataset) -> Iterator[bytes]:
  """Yields rows of bytes, as long as they are not too much in all."""
  size = len(found) * _REFERENCE
  recordings.check_size(repr(found.name), size)
  for place in range(len(found)):
    value = np.asarray(found[place], np.uint8).tobytes()
    size += len(value)
    recordings.check_size(repr(found.name), size)
    yield value


def encoded(found: h5py.Dataset) -> list[bytes] | None:
  """Reads a dataset of files, of images for example; None for any other.

  They are rows of bytes, of one length or each of its own.
  """
  if h5py.check_vlen_dtype(found.dtype) == np.uint8 and found.ndim == 1:
    return list(_rows(found))
  if found.dtype == np.uint8 and found.ndim == 2:
    return [value.tobytes() for value in numbers(found)]
  return None
