"""Checkpoints: everything an agent is, complete or absent.

One directory per checkpoint, named by the count of updates: variables.npz (no
pickles) and counters.json, which has a checksum of both. It is written beside
under a temporary name, flushed to disk and renamed, so that a kill, a full
disk or a power cut leaves the one before.
"""

import json
import os
import pathlib
import re
import shutil
import zipfile
import zlib

import numpy as np

_DAMAGE = (zipfile.BadZipFile, zlib.error, ValueError, KeyError, EOFError,
           NotImplementedError, OSError)
_VARIABLES, _COUNTERS, _PARTIAL = 'variables.npz', 'counters.json', '.partial'


class CheckpointError(ValueError):
  """No checkpoint that can be restored; the message is one line."""


def save(directory, variables, counters, keep=3):
  """Writes a checkpoint and removes all but the last `keep`.

  Args:
    directory: of all checkpoints.
    variables: list of variables with distinct `path`s.
    counters: dict of JSON values; `updates` names the checkpoint.
    keep: how many stay.

  Raises:
    OSError: it could not be written; the ones before are untouched.
  """
  directory = pathlib.Path(directory)
  directory.mkdir(parents=True, exist_ok=True)
  clean(directory)
  final = directory / f'{counters["updates"]:08d}'
  partial = directory / f'{final.name}{_PARTIAL}'
  try:
    partial.mkdir()
    with open(partial / _VARIABLES, 'wb') as file:
      np.savez(file, **named(variables))
      _flush(file)
    with open(partial / _COUNTERS, 'w') as file:
      json.dump(dict(counters, checksum=_checksum(partial, counters)), file)
      _flush(file)
    if final.exists():  # The same counters: it is the same checkpoint.
      shutil.rmtree(final)
    partial.rename(final)
    _flush_directory(directory)
  except OSError as error:
    error.filename = error.filename or str(final)  # Those of writing lack it.
    raise
  finally:
    shutil.rmtree(partial, ignore_errors=True)
  for old in listing(directory)[:-keep]:
    # Renamed first: what a kill leaves is not to be taken for a checkpoint.
    shutil.rmtree(old.rename(old.with_suffix(_PARTIAL)))


def restore(directory, variables, log=print, updates=None):
  """Restores the newest checkpoint that is whole; returns its counters.

  A damaged one is said so in one line and the one before is taken.

  Args:
    directory: of all checkpoints.
    variables: list of variables to be set, all of them or none.
    log: called with a line for each damaged checkpoint.
    updates: takes the checkpoint of so many updates and no other.

  Returns:
    the counters, or None where there has never been a checkpoint.

  Raises:
    CheckpointError: there are checkpoints and none can be restored, the one
      that is asked for is absent, or the variables have other names or shapes.
    PermissionError: the newest cannot be read.
  """
  found = _newest(directory, log, updates)
  if found is None:
    return None
  path, values, counters = found
  _assign(variables, values, path)
  return counters


def check(directory, updates=None):
  """Raises what `restore` would for want of a whole checkpoint."""
  _newest(directory, lambda line: None, updates)


def candidates(directory, updates=None):
  """The checkpoints to restore from, the best last.

  Args:
    directory: of all checkpoints.
    updates: names one of them; None for any.

  Raises:
    CheckpointError: the one that is asked for is absent.
  """
  found = listing(directory)
  if updates is None:
    return found
  chosen = [path for path in found if int(path.name) == updates]
  if not chosen:
    there = ', '.join(str(int(path.name)) for path in found) or 'none'
    raise CheckpointError(
        f'{directory} has no checkpoint of {updates} updates; there: {there}')
  return chosen


def named(variables):
  """Returns {path: value}; distinct paths or ValueError."""
  values = {variable.path.replace('/', '.'): variable.numpy()
            for variable in variables}
  if len(values) != len(variables):
    raise ValueError('variables share a name')
  return values


def listing(directory):
  """The directories of complete checkpoints, oldest first."""
  directory = pathlib.Path(directory)
  if not directory.is_dir():
    return []
  found = [path for path in directory.iterdir()
           if re.fullmatch(r'\d{8,}', path.name)]
  return sorted(found, key=lambda path: int(path.name))


def clean(directory):
  """Removes what a kill in the middle of `save` left behind."""
  for path in pathlib.Path(directory).glob(f'*{_PARTIAL}'):
    shutil.rmtree(path)


def _newest(directory, log, updates):
  """Reads the newest that is whole: (path, values, counters), or None."""
  found = candidates(directory, updates)
  cause = None
  for path in reversed(found):
    try:
      return path, *_read(path)
    except PermissionError:
      raise  # Nothing is known about it.
    except _DAMAGE as error:
      cause = f'{type(error).__name__}: {error}'
      log(f'checkpoint {path} is damaged ({cause}); trying the one before')
  if found:
    raise CheckpointError(
        f'no checkpoint in {directory} can be restored: all '
        f'{len(found)} are damaged ({cause})')
  return None


def _read(path):
  counters = json.loads((path / _COUNTERS).read_text())
  # The first ones had none.
  checksum = counters.pop('checksum', None)
  if checksum not in (None, _checksum(path, counters)):
    raise ValueError('its checksum is wrong')
  with np.load(path / _VARIABLES, allow_pickle=False) as file:
    return {key: file[key] for key in file.files}, counters


def _checksum(path, counters):
  """CRC-32 of the counters and of the file of variables."""
  checksum = zlib.crc32(json.dumps(counters, sort_keys=True).encode())
  with open(path / _VARIABLES, 'rb') as file:
    while block := file.read(1 << 20):
      checksum = zlib.crc32(block, checksum)
  return checksum


def _assign(variables, values, path):
  """Sets all variables, after every name and shape was found to match."""
  wanted = {key: value.shape for key, value in named(variables).items()}
  stored = {key: value.shape for key, value in values.items()}
  for key in sorted(wanted.keys() | stored.keys()):
    if wanted.get(key) != stored.get(key):
      raise CheckpointError(
          f'checkpoint {path} does not match this agent: {key} is '
          f'{stored.get(key, "absent")} in the checkpoint and '
          f'{wanted.get(key, "absent")} in the agent')
  for variable in variables:
    variable.assign(values[variable.path.replace('/', '.')])


def _flush(file):
  file.flush()
  os.fsync(file.fileno())


def _flush_directory(directory):
  descriptor = os.open(directory, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)
