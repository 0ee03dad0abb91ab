"""Reads what a user gives to a film: one recorded episode, or other actions.

Both are held to the spec of the run, so that what cannot be filmed is said
before anything is started.
"""

import io
import pathlib

import numpy as np

from worldmodels import errors
from worldmodels.agents.runs.paths import expanded
from worldmodels.data import archive
from worldmodels.data import episode_files
from worldmodels.data import reading
from worldmodels.data import rows
from worldmodels.spec import Spec

MOST_ACTIONS = 6  # sequences that are shown beside each other
# Bytes of a file of actions, and of one of an episode as it unpacks.
_LARGEST_ACTIONS, _LARGEST_EPISODE = 1 << 26, 1 << 30
_HEADERS = {
  (1, 0): np.lib.format.read_array_header_1_0,
  (2, 0): np.lib.format.read_array_header_2_0,
}

Episode = dict[str, np.ndarray]


class RecordingError(errors.UserError, ValueError):
  """A file that cannot be filmed; the message is one line."""


def episode(name: str, spec: Spec, shortest: int) -> tuple[str, Episode]:
  """Reads an episode in the row convention of rows.py.

  Args:
    name: of the file, .npz.
    spec: of the run that is to film it.
    shortest: rows that it has to have.

  Returns:
    (its title, {key: [L, ...]} of all that the run observes).

  Raises:
    RecordingError: it is no episode, or not one of this run's task.
    OptionError: no name of a file.
    OSError: it cannot be read.
  """
  path = expanded('--episode', name)
  try:
    cache = episode_files.Cache(_LARGEST_EPISODE)
    file = episode_files.EpisodeFile(path, cache)
    found = file.read(0, file.length)
  except (archive.DamagedError, rows.RowsError, reading.FileError) as error:
    raise RecordingError(f'--episode={_said(path, error)}') from error
  wanted = {'image': spec.image, 'action': (spec.actions,)}
  wanted |= {key: (size,) for key, size in spec.vectors.items()}
  for key, shape in wanted.items():
    if key not in found:
      raise RecordingError(f'--episode={path} has no {key!r}')
    if found[key].shape[1:] != tuple(shape):
      raise RecordingError(
        f'--episode={path}: a row of {key!r} is {list(found[key].shape[1:])}, '
        f'that of the run is {list(shape)}'
      )
  if file.length < shortest:
    raise RecordingError(
      f'--episode={path} has {file.length} rows; it takes {shortest}'
    )
  return path.stem, found


def actions(name: str, spec: Spec) -> np.ndarray:
  """Reads sequences of actions from a file of np.save.

  Args:
    name: of the file: [H, A] or [M, H, A] in [-1, 1]; where actions are
      discrete also whole numbers [H] or [M, H], which choice each time.
    spec: of the run.

  Returns:
    float32 [M, H, A].

  Raises:
    RecordingError: it holds something else.
    OptionError: no name of a file.
    OSError: it cannot be read.
  """
  path = expanded('--actions', name)
  try:
    found = _array(path)
  except reading.FileError as error:
    raise RecordingError(f'--actions={error}') from error
  if spec.discrete and found.dtype.kind in 'iu' and found.ndim in (1, 2):
    if found.size and not 0 <= found.min() <= found.max() < spec.actions:
      raise RecordingError(
        f'--actions={path} has choices from {found.min()} to {found.max()}; '
        f'there are those from 0 to {spec.actions - 1}'
      )
    found = np.eye(spec.actions, dtype=np.float32)[found]
  if found.ndim == 2:
    found = found[None]
  if found.ndim != 3 or found.shape[2] != spec.actions or not found.size:
    raise RecordingError(
      f'--actions={path} is {list(found.shape[-3:])}; it is [H, '
      f'{spec.actions}] or [M, H, {spec.actions}], H steps'
    )
  if len(found) > MOST_ACTIONS:
    raise RecordingError(
      f'--actions={path} has {len(found)} sequences, at most {MOST_ACTIONS}'
    )
  found = found.astype(np.float32)
  if not (np.abs(found) <= 1).all():  # NaN is not, either.
    raise RecordingError(f'--actions={path}: each is a number from -1 to 1')
  one_hot = (found.max(-1) == 1) & (np.count_nonzero(found, axis=-1) == 1)
  if spec.discrete and not one_hot.all():
    raise RecordingError(f'--actions={path}: discrete actions are one-hot')
  return found


def _array(path: pathlib.Path) -> np.ndarray:
  """Returns the numbers of a file .npy; no more is read than is there."""
  content = io.BytesIO(reading.bytes_in(path, _LARGEST_ACTIONS))
  try:
    version = np.lib.format.read_magic(content)
    shape, by_column, dtype = _HEADERS[version](content)
  except (ValueError, KeyError) as error:
    raise reading.FileError(f'{path} is no file of np.save: .npy') from error
  body = content.read()
  size = dtype.itemsize
  for length in shape:
    size *= length
  if dtype.kind not in 'fiub' or size != len(body):
    raise reading.FileError(
      f'{path} is damaged or holds no numbers: {dtype} {list(shape)}'
    )
  flat = np.frombuffer(body, dtype)
  return flat.reshape(shape, order='F' if by_column else 'C')


def _said(path: pathlib.Path, error: Exception) -> str:
  """Returns what an error says, which may or may not name the file."""
  text = str(error)
  return text if str(path) in text else f'{path}: {text}'
