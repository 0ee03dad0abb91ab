"""Writes the tables of LeRobot v3.0, with pyarrow."""

import json
import pathlib
import re
from typing import TYPE_CHECKING, Any

import numpy as np

from worldmodels.data import lerobot_tables
from worldmodels.data import pictures
from worldmodels.data import recordings
from worldmodels.data import rows
from worldmodels.data.recorded import Recorded
from worldmodels.data.recordings import Episode

if TYPE_CHECKING:
  import pyarrow

_VERSION = 'v3.0'
_LARGEST_FILE = 100 << 20  # bytes of images, as LeRobot has it
_FPS = 20  # Films of ours are shown at that; what a step takes is not known.
_TASK = 'recorded'
_NOT_OF_A_KEY = re.compile(r'[^\w.-]')  # It is part of a path.


def write(folder: pathlib.Path, recorded: Recorded) -> None:
  """Writes episodes; an image is a PNG in its row."""
  with recordings.extra('lerobot', 'pyarrow'):
    import pyarrow
    import pyarrow.parquet
  writer, number, nbytes, places, done = None, 0, 0, [], 0
  features = {}
  try:
    for index, episode in enumerate(recorded):
      features = features or _features(episode, recorded.discrete)
      table = _table(episode, index, done, recorded.discrete)
      if writer is not None and nbytes + table.nbytes > _LARGEST_FILE:
        writer.close()
        writer, number, nbytes = None, number + 1, 0
      if writer is None:
        path = _place(folder, 'data', number)
        writer = pyarrow.parquet.ParquetWriter(path, table.schema)
      writer.write_table(table)
      nbytes += table.nbytes
      length = len(table)
      places.append(
        {
          'episode_index': index,
          'tasks': [_TASK],
          'length': length,
          'data/chunk_index': 0,
          'data/file_index': number,
          'dataset_from_index': done,
          'dataset_to_index': done + length,
          'meta/episodes/chunk_index': 0,
          'meta/episodes/file_index': 0,
        }
      )
      done += length
  finally:
    if writer is not None:
      writer.close()
  table = pyarrow.Table.from_pylist(places)
  pyarrow.parquet.write_table(table, _place(folder, 'meta/episodes', 0))
  pyarrow.parquet.write_table(_tasks(), folder / 'meta' / 'tasks.parquet')
  _write_info(folder / 'meta' / 'info.json', features, len(places), done)


def _place(folder: pathlib.Path, part: str, number: int) -> pathlib.Path:
  path = folder / part / f'{lerobot_tables.PLACE.format(0, number)}.parquet'
  path.parent.mkdir(parents=True, exist_ok=True)
  return path


def _table(
  episode: Episode, index: int, done: int, discrete: bool
) -> 'pyarrow.Table':
  """Returns the frames of an episode, the outcome of each moved up to it."""
  import pyarrow

  def moved_up(value: np.ndarray) -> np.ndarray:
    return np.concatenate([value[1:], np.zeros_like(value[:1])])

  def parts(value: np.ndarray) -> 'pyarrow.Array':
    size = value.shape[1]
    if size == 1:  # LeRobot takes no list where the shape is [1].
      return pyarrow.array(value[:, 0])
    return pyarrow.array(list(value), pyarrow.list_(pyarrow.float32(), size))

  length = len(episode['reward'])
  row = np.arange(length)
  action = moved_up(episode['action'])
  columns = {
    _named(key): parts(episode[key])
    for key in episode
    if key not in rows.RESERVED
  }
  if action.size:
    columns['action'] = (
      pyarrow.array(action.argmax(1)) if discrete else parts(action)
    )
  images = [
    {'bytes': pictures.png(image), 'path': None} for image in episode['image']
  ]
  kind = pyarrow.struct(
    [('bytes', pyarrow.binary()), ('path', pyarrow.string())]
  )
  columns |= {
    'observation.image': pyarrow.array(images, kind),
    'next.reward': pyarrow.array(moved_up(episode['reward'])),
    'next.done': pyarrow.array(row >= length - 2),
    'next.terminated': pyarrow.array(moved_up(episode['is_terminal'])),
    'timestamp': pyarrow.array((row / _FPS).astype(np.float32)),
    'frame_index': pyarrow.array(row),
    'episode_index': pyarrow.array(np.full(length, index)),
    'index': pyarrow.array(done + row),
    'task_index': pyarrow.array(np.zeros(length, np.int64)),
  }
  return pyarrow.table(columns)


def _named(key: str) -> str:
  return f'observation.{_NOT_OF_A_KEY.sub("_", key)}'


def _features(episode: Episode, discrete: bool) -> dict[str, Any]:
  """Returns the features of info.json."""

  def feature(dtype: str, shape: list[int]) -> dict[str, Any]:
    return {'dtype': dtype, 'shape': shape, 'names': None}

  found = {
    'observation.image': {
      'dtype': 'image',
      'shape': list(episode['image'].shape[1:]),
      'names': ['height', 'width', 'channels'],
    }
  }
  for key, value in episode.items():
    if key not in rows.RESERVED:
      found[_named(key)] = feature('float32', list(value.shape[1:]))
  if episode['action'].shape[1]:
    size = [1] if discrete else [episode['action'].shape[1]]
    found['action'] = feature('int64' if discrete else 'float32', size)
  for key, dtype in (
    *(('next.reward', 'float32'), ('next.done', 'bool')),
    *(('next.terminated', 'bool'), ('timestamp', 'float32')),
    *(('frame_index', 'int64'), ('episode_index', 'int64')),
    *(('index', 'int64'), ('task_index', 'int64')),
  ):
    found[key] = feature(dtype, [1])
  return found


def _tasks() -> 'pyarrow.Table':
  """Returns the table of tasks, whose index pandas takes from its names."""
  import pyarrow

  table = pyarrow.table({'task_index': [0], 'task': [_TASK]})
  index = {'name': 'task', 'field_name': 'task', 'metadata': None}
  index |= {'pandas_type': 'unicode', 'numpy_type': 'object'}
  described = {'index_columns': ['task'], 'columns': [index]}
  described['column_indexes'] = []
  return table.replace_schema_metadata({'pandas': json.dumps(described)})


def _write_info(
  path: pathlib.Path, features: dict[str, Any], count: int, frames: int
) -> None:
  info = {
    'codebase_version': _VERSION,
    'robot_type': None,
    'total_episodes': count,
    'total_frames': frames,
    'total_tasks': 1,
    'chunks_size': 1000,
    'data_files_size_in_mb': 100,
    'video_files_size_in_mb': 200,
    'fps': _FPS,
    'splits': {'train': f'0:{count}'},
    'data_path': 'data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet',
    'video_path': None,
    'features': features,
  }
  path.write_text(json.dumps(info, indent=2) + '\n')
