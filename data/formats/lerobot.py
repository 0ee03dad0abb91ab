"""LeRobot v3.0: tables of Parquet, and films or PNGs for each camera.

  meta/info.json      what there is: features, frames per second
  meta/episodes/...   a row for each episode: which file has it
  data/...            a row for each frame: observation.*, action, next.reward
  videos/KEY/...      films, each of several episodes

The action of a frame is taken from it, and next.reward is what followed: here
both move a row down. What followed on the last frame was not recorded; its
action is left out. The extra lerobot brings pyarrow, and PyAV for the films.
"""

import pathlib
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from worldmodels.data import films
from worldmodels.data import lerobot_tables
from worldmodels.data import lerobot_writing
from worldmodels.data import pictures
from worldmodels.data import reading
from worldmodels.data import recordings
from worldmodels.data.recorded import Recorded
from worldmodels.data.recordings import Episode
from worldmodels.data.recordings import RecordingError
from worldmodels.data.recordings import Recordings

if TYPE_CHECKING:
  import pyarrow

_INFO = 'meta/info.json'
_KEY = re.compile(r'[\w-][\w.-]*')  # Of a feature: it is part of a path.
_CAMERAS = ('image', 'video')
_NUMBERS = ('bool', 'float', 'int', 'uint')  # Other types are texts.
_OWN = ('timestamp', 'frame_index', 'episode_index', 'index', 'task_index')


def recognizes(path: pathlib.Path) -> bool:
  """Returns whether there is a meta/info.json."""
  return (path / _INFO).is_file()


def read(path: pathlib.Path, image: str | None = None) -> Recordings:
  """Finds the episodes of a dataset.

  Raises:
    RecordingError: it is of another version or damaged, or pyarrow is missing.
  """
  info = _info(path / _INFO)
  features = info['features']
  camera = _camera(features, image)
  episodes = lerobot_tables.episodes(path)
  vectors = [
    key
    for key, feature in features.items()
    if key not in ('action', *_OWN)
    and not key.startswith('next.')
    and str(feature.get('dtype')).startswith(_NUMBERS)
    and len(feature.get('shape', [])) == 1
  ]

  def table(position: int, columns: list[str]) -> 'pyarrow.Table':
    return lerobot_tables.frames(path, episodes[position], columns)

  def actions(position: int) -> np.ndarray:
    if 'action' not in features:
      return np.zeros([1, 0], np.float32)
    return _action(table(position, ['action']))

  def load(position: int, size: int) -> Episode:
    known = ('action', 'next.reward', 'next.terminated', *vectors)
    columns = [key for key in known if key in features]
    is_image = features[camera]['dtype'] == 'image'
    found = table(position, [*columns, camera] if is_image else columns)
    place = episodes[position]
    if is_image:
      images = pictures.decoded(lerobot_tables.files(found, camera), size)
    else:
      file = lerobot_tables.film(path, place, camera)
      start = place[f'videos/{camera}/from_timestamp']
      early = 0.5 / info['fps']  # Times are rounded.
      start = max(0.0, start - early)
      images = films.span(file, start, place['length'], size)
      if not images:
        raise RecordingError(f'{file.name} ends before it begins')
      images = np.stack(images)
    return _rows(found, images, vectors)

  names = [f'episode {place["episode_index"]}' for place in episodes]
  return Recordings('lerobot', names, load, actions)


def write(folder: pathlib.Path, recorded: Recorded) -> None:
  """Writes a dataset that LeRobot reads, its images without loss."""
  lerobot_writing.write(folder, recorded)


def _info(path: pathlib.Path) -> dict[str, Any]:
  """Returns meta/info.json, of which what is used is right."""
  try:
    info = reading.json_in(path)
  except reading.FileError as error:
    raise RecordingError(str(error)) from error
  info = info if isinstance(info, dict) else {}
  version, fps = info.get('codebase_version'), info.get('fps')
  if not isinstance(version, str) or not version.startswith('v3.'):
    raise RecordingError(
      f'{path}: its codebase_version is {version!r}; v3.0 is read, to which '
      'LeRobot converts others'
    )
  features = info.get('features')
  if not isinstance(features, dict) or not all(
    isinstance(feature, dict)
    and isinstance(feature.get('shape'), list)
    and _KEY.fullmatch(key)
    for key, feature in features.items()
  ):
    raise RecordingError(f'{path} is damaged: its features are none')
  if not reading.is_number(fps) or not 0 < fps < 1e5:
    raise RecordingError(f'{path} is damaged: fps is {fps!r}')
  return info


def _camera(features: dict[str, Any], image: str | None) -> str:
  """Returns the key of the images."""
  names = [k for k, x in features.items() if x.get('dtype') in _CAMERAS]
  if image is not None:
    named = [x for x in names if image in (x, x.removeprefix('observation.'))]
    if not named:
      listed = ', '.join(names) or 'none'
      raise RecordingError(f'it has no camera {image!r}; there: {listed}')
    return named[0]
  for name in ('observation.image', *names[: len(names) == 1]):
    if name in names:
      return name
  raise RecordingError(
    f'it has several cameras: --image= chooses one of {", ".join(names)}'
    if names
    else 'it has no camera'
  )


def _action(table: 'pyarrow.Table') -> np.ndarray:
  """Returns actions by rows: [L, A], or choices [L]."""
  action = lerobot_tables.numbers(table, 'action')
  return recordings.moved_down(action[:-1])


def _rows(
  table: 'pyarrow.Table', images: np.ndarray, vectors: list[str]
) -> Episode:
  """Returns an episode by rows.py."""
  length = len(images)
  episode = {
    'image': images,
    **{
      key.removeprefix('observation.'): lerobot_tables.numbers(table, key)
      for key in vectors
    },
  }
  action = np.zeros([length, 0], np.float32)
  if 'action' in table.column_names:
    action = _action(table)
  reward, ended = np.zeros(length), False
  if 'next.reward' in table.column_names:
    found = lerobot_tables.numbers(table, 'next.reward').reshape(-1)
    reward = recordings.moved_down(found[:-1])
  if 'next.terminated' in table.column_names:
    found = lerobot_tables.numbers(table, 'next.terminated').reshape(-1)
    # Of the last frame it is about one that was not recorded.
    ended = bool(found[-2:-1].any())
  recordings.check_lengths({**episode, 'action': action, 'reward': reward})
  return {
    **episode,
    'action': action,
    'reward': reward,
    **recordings.flags(length, ended),
  }
