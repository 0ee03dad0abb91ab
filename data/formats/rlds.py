"""RLDS (Ramos et al., 2021), as TensorFlow Datasets keeps it in records.

A folder with features.json, dataset_info.json and NAME-SPLIT.tfrecord-I-of-N.
A record is an episode, of which every column of its `steps` is a list: action,
reward, discount, is_first, is_last, is_terminal, observation/... Action and
reward are in the row that they are taken from, and in the last row mean
nothing: here they move a row down. Without an action it is as a film. Images
are PNGs or JPEGs. TensorFlow Datasets is not needed.
"""

import json
import math
import pathlib
from typing import Any

import numpy as np

from worldmodels.data import examples
from worldmodels.data import pictures
from worldmodels.data import reading
from worldmodels.data import recordings
from worldmodels.data import rlds_features
from worldmodels.data import tfrecord
from worldmodels.data.recorded import Recorded
from worldmodels.data.recordings import Episode
from worldmodels.data.recordings import RecordingError
from worldmodels.data.recordings import Recordings

_FEATURES, _INFO = 'features.json', 'dataset_info.json'
_OBSERVATION = 'steps/observation'
_NAME, _VERSION = 'episodes', '1.0.0'


def recognizes(path: pathlib.Path) -> bool:
  """Returns whether a folder, or one of a version in it, is of RLDS."""
  return _folder(path) is not None


def read(path: pathlib.Path, image: str | None = None) -> Recordings:
  """Finds the episodes of all splits.

  Raises:
    RecordingError: it has no images, or is damaged.
  """
  folder = _folder(path)
  if folder is None:
    raise RecordingError(f'{path} has no {_FEATURES} with records beside it')
  try:
    described = reading.json_in(folder / _FEATURES)
  except reading.FileError as error:
    raise RecordingError(str(error)) from error
  columns = rlds_features.columns(described, folder / _FEATURES)
  camera = _camera(columns, image)
  action = rlds_features.actions(columns)
  episodes = [
    (file, *place) for file in _files(folder) for place in tfrecord.places(file)
  ]

  def record(position: int) -> dict[str, examples.Values]:
    return examples.parse(tfrecord.read(*episodes[position]))

  def load(position: int, size: int) -> Episode:
    return _rows(record(position), columns, camera, action, size)

  def actions(position: int) -> np.ndarray:
    if not action:
      return np.zeros([1, 0], np.float32)
    found = record(position)
    return recordings.moved_down(_action(found, columns, action)[:-1])

  return Recordings(
    format='rlds',
    names=[f'{file.name}, byte {offset}' for file, offset, _ in episodes],
    load=load,
    actions=actions,
    choices=columns[action[0]].choices if len(action) == 1 else 0,
  )


def write(folder: pathlib.Path, recorded: Recorded) -> None:
  """Writes a dataset that TensorFlow Datasets reads."""
  name = f'{_NAME}-train.tfrecord-00000-of-00001'
  count, nbytes, first = 0, 0, None
  with open(folder / name, 'wb') as file:
    for episode in recorded:
      example = examples.serialize(_columns(episode, recorded.discrete))
      tfrecord.write(file, example)
      count, nbytes = count + 1, nbytes + len(example)
      first = first or episode
  features = rlds_features.described(
    {key: value.shape[1:] for key, value in first.items()},
    recorded.actions if recorded.discrete else 0,
  )
  split = {
    'name': 'train',
    'shardLengths': [str(count)],
    'numBytes': str(nbytes),
    'filepathTemplate': '{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}',
  }
  info = {
    'name': _NAME,
    'version': _VERSION,
    'fileFormat': 'tfrecord',
    'splits': [split],
  }
  for path, value in ((_FEATURES, features), (_INFO, info)):
    (folder / path).write_text(json.dumps(value, indent=2) + '\n')


# -------------------------------------------------------------- reading ----


def _folder(path: pathlib.Path) -> pathlib.Path | None:
  """Returns the folder with the records: `path`, or the only one in it."""
  if not path.is_dir():
    return None
  found = [x.parent for x in (path / _FEATURES, *path.glob(f'*/{_FEATURES}'))]
  found = [x for x in found if (x / _FEATURES).is_file() and _files(x)]
  if path in found:
    return path
  return found[0] if len(found) == 1 else None


def _files(folder: pathlib.Path) -> list[pathlib.Path]:
  return sorted(folder.glob('*.tfrecord*'))


def _camera(columns: dict[str, rlds_features.Column], image: str | None) -> str:
  """Returns the name of the column of images."""
  names = [
    key.removeprefix(f'{_OBSERVATION}').lstrip('/')
    for key, column in columns.items()
    if column.is_image and key.startswith(_OBSERVATION)
  ]
  if image is None and 'image' in names:
    image = 'image'
  if image is None and len(names) == 1:
    image = names[0]
  if not names:
    raise RecordingError('its observations have no images')
  if image not in names:
    listed = ', '.join(sorted(map(repr, names))) or 'none'
    raise RecordingError(
      f'its observations have no image called {image!r}; there: {listed}'
      if image
      else f'it has several images: --image= chooses one of {listed}'
    )
  return f'{_OBSERVATION}/{image}'.rstrip('/')


def _action(
  found: dict[str, examples.Values],
  columns: dict[str, rlds_features.Column],
  names: list[str],
) -> np.ndarray:
  """Returns the actions as they are recorded: [L, A], or choices [L]."""
  parts = [_numbers(found, columns, name) for name in names]
  if len(parts) == 1 and parts[0].ndim == 1 and parts[0].dtype.kind == 'i':
    return parts[0]
  return np.concatenate([part.reshape(len(part), -1) for part in parts], 1)


def _numbers(
  found: dict[str, examples.Values],
  columns: dict[str, rlds_features.Column],
  name: str,
) -> np.ndarray:
  """Returns a column [L, ...] of numbers."""
  values = found.get(name)
  if not isinstance(values, np.ndarray):
    raise RecordingError(f'it has no numbers called {name!r}')
  shape = columns[name].shape
  size = math.prod(shape)
  if size < 1 or len(values) % size:
    raise RecordingError(f'{name} has {len(values)} numbers, of {list(shape)}')
  return values.reshape(-1, *shape)


def _rows(
  found: dict[str, examples.Values],
  columns: dict[str, rlds_features.Column],
  camera: str,
  action: list[str],
  size: int,
) -> Episode:
  """Returns an episode by rows.py."""
  contents = found.get(camera)
  if not isinstance(contents, list) or not contents:
    raise RecordingError(f'it has no images called {camera!r}')
  episode = {'image': pictures.decoded(contents, size)}
  for name, column in columns.items():
    vector = len(column.shape) < 2 and not column.is_image
    if name.startswith(f'{_OBSERVATION}/') and vector and name in found:
      if isinstance(found[name], np.ndarray):
        key = name.removeprefix(f'{_OBSERVATION}/')
        episode[key] = _numbers(found, columns, name)
  taken = np.zeros([len(contents), 0], np.float32)
  if action:
    taken = _action(found, columns, action)
  reward = np.zeros(len(taken), np.float32)
  if 'steps/reward' in found:
    reward = _numbers(found, columns, 'steps/reward').reshape(-1)
  recordings.check_lengths({**episode, 'action': taken, 'reward': reward})
  flags = {
    key: _numbers(found, columns, f'steps/{key}').reshape(-1) != 0
    for key in ('is_first', 'is_last', 'is_terminal')
    if f'steps/{key}' in found
  }
  recordings.check_lengths({'image': episode['image'], **flags})
  discount = np.ones(len(taken), np.float32)
  if 'steps/discount' in found:
    discount = _numbers(found, columns, 'steps/discount').reshape(-1)
  recordings.check_lengths({'image': episode['image'], 'discount': discount})
  discount = recordings.moved_down(discount[:-1])
  discount[:1] = 1
  ended = flags.pop(
    'is_terminal', (np.arange(len(taken)) > 0) & (discount == 0)
  )
  if ended[:-1].any():
    raise RecordingError('is_terminal, or a discount of 0, before the end')
  return {
    **episode,
    'action': recordings.moved_down(taken[:-1]),
    'reward': recordings.moved_down(reward[:-1]),
    **recordings.flags(len(taken), bool(ended[-1])),
    'discount': np.where(ended, 0, discount),
    **flags,
  }


# -------------------------------------------------------------- writing ----


def _columns(episode: Episode, discrete: bool) -> dict[str, examples.Values]:
  """Returns an episode of ours as columns of an Example."""

  def moved_up(value: np.ndarray) -> np.ndarray:
    return np.concatenate([value[1:], np.zeros_like(value[:1])])

  action = moved_up(episode['action'])
  columns: dict[str, Any] = {
    'steps/reward': moved_up(episode['reward']),
    'steps/discount': moved_up(episode['discount']),
  }
  if action.size:
    taken = action.argmax(1) if discrete else action.ravel()
    columns['steps/action'] = taken
  for key in ('is_first', 'is_last', 'is_terminal'):
    columns[f'steps/{key}'] = episode[key].astype(np.int64)
  for key in rlds_features.vectors(episode):
    columns[f'{_OBSERVATION}/{key}'] = episode[key].ravel()
  images = [pictures.png(image) for image in episode['image']]
  columns[f'{_OBSERVATION}/image'] = images
  return columns
