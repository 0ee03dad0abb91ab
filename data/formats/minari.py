"""Minari 0.5: a folder `data` with metadata.json and main_data.hdf5.

A group for each episode, in which observations have a row more than what
followed on them:
  observations [L, ...], or a group of several; actions, rewards,
  terminations, truncations [L - 1]
Images may be JPEGs, which lose a little; `write` keeps them as they are. The
other layouts of Minari, Arrow and Parquet, are not read.
"""

import json
import pathlib
import re
from typing import Any

import h5py
import numpy as np

from worldmodels.data import hdf5
from worldmodels.data import pictures
from worldmodels.data import reading
from worldmodels.data import recordings
from worldmodels.data import rows
from worldmodels.data import spaces
from worldmodels.data.recorded import Recorded
from worldmodels.data.recordings import Episode
from worldmodels.data.recordings import RecordingError
from worldmodels.data.recordings import Recordings

_FILE, _METADATA = 'main_data.hdf5', 'metadata.json'
_VERSION = '0.5.4'  # of the library that wrote tests/samples/minari
_EPISODE = re.compile(r'episode_(\d+)')
_DEEPEST = 4  # groups of observations within each other


def recognizes(path: pathlib.Path) -> bool:
  """Returns whether a folder, or the one called data in it, is of Minari."""
  return _folder(path) is not None


def read(path: pathlib.Path, image: str | None = None) -> Recordings:
  """Finds the episodes of a dataset.

  Raises:
    RecordingError: it has no images, or is damaged.
  """
  folder = _folder(path)
  if folder is None:
    raise RecordingError(f'{path} has no {_METADATA} of Minari, nor data/ one')
  described = _described(folder / _METADATA)
  if described.get('data_format', 'hdf5') != 'hdf5':
    raise RecordingError(
      f'{folder}: its data_format is {described["data_format"]!r}; hdf5 is read'
    )
  low, high, choices, first = spaces.of_actions(
    described.get('action_space'), folder / _METADATA
  )
  file = folder / _FILE
  with hdf5.opened(file) as opened:
    names = [name for name in opened if _EPISODE.fullmatch(name)]
  names.sort(key=lambda name: int(_EPISODE.fullmatch(name)[1]))

  def actions(position: int) -> np.ndarray:
    with hdf5.opened(file) as opened:
      return _actions(hdf5.group(opened, names[position]), choices, first)

  def load(position: int, size: int) -> Episode:
    with hdf5.opened(file) as opened:
      group = hdf5.group(opened, names[position])
      seen = _chosen(_observations(group), image, size)
      return _rows(group, seen, _actions(group, choices, first))

  return Recordings('minari', names, load, actions, low, high, choices)


def write(folder: pathlib.Path, recorded: Recorded) -> None:
  """Writes a dataset that Minari reads; flags other than its own are lost."""
  data = folder / 'data'
  data.mkdir()
  steps, episodes, shown = 0, 0, {}
  with h5py.File(data / _FILE, 'w', track_order=True) as file:
    for number, episode in enumerate(recorded):
      group = file.create_group(f'episode_{number}')
      seen = _seen(episode)
      shown = {key: spaces.of_array(x) for key, x in seen.items()}
      _write_episode(group, number, seen, episode, recorded.discrete)
      steps += len(episode['reward']) - 1
      episodes += 1
  alone = list(shown) == ['image']
  metadata = {
    'dataset_id': f'worldmodels/{_identifier(folder)}-v0',
    'total_episodes': episodes,
    'total_steps': steps,
    'data_format': 'hdf5',
    'jpeg_encoding': False,
    'observation_space': json.dumps(
      shown['image'] if alone else {'type': 'Dict', 'subspaces': shown}
    ),
    'action_space': json.dumps(
      spaces.of_taken(recorded.actions, recorded.discrete)
    ),
    'minari_version': _VERSION,
    'dataset_size': round((data / _FILE).stat().st_size / 1e6, 1),
  }
  text = json.dumps(metadata, indent=2) + '\n'
  (data / _METADATA).write_text(text)


# -------------------------------------------------------------- reading ----


def _folder(path: pathlib.Path) -> pathlib.Path | None:
  for folder in (path, path / 'data'):
    if (folder / _METADATA).is_file():
      try:
        described = reading.json_in(folder / _METADATA)
      except reading.FileError:
        described = None  # It is said where it is read.
      if (folder / _FILE).exists() or (
        isinstance(described, dict) and 'data_format' in described
      ):
        return folder
  return None


def _described(path: pathlib.Path) -> dict[str, Any]:
  """Returns the metadata of a dataset."""
  try:
    described = reading.json_in(path)
  except reading.FileError as error:
    raise RecordingError(str(error)) from error
  if not isinstance(described, dict):
    raise RecordingError(f'{path} is damaged: it holds no object {{...}}')
  return described


def _actions(group: h5py.Group, choices: int, first: int) -> np.ndarray:
  """Reads the actions of an episode, by rows."""
  action = hdf5.numbers(hdf5.dataset(group, 'actions'))
  if choices:
    if action.dtype.kind not in 'iu':
      raise RecordingError(f'its actions are {action.dtype}, not choices')
    action = action.reshape(-1).astype(np.int64) - first
  else:
    action = action.reshape(len(action), -1).astype(np.float64)
  if not len(action):
    raise RecordingError('it has no actions')
  return recordings.moved_down(action)


def _observations(group: h5py.Group) -> dict[str, h5py.Dataset]:
  """Returns the datasets of the observations by name."""
  if isinstance(group.get('observations'), h5py.Dataset):
    return {'observations': hdf5.dataset(group, 'observations')}
  found = {}
  open_groups = [('', hdf5.group(group, 'observations'), 0)]
  while open_groups:
    before, parent, depth = open_groups.pop()
    for name in parent:
      full = f'{before}{name}'
      if isinstance(parent.get(name), h5py.Group) and depth < _DEEPEST:
        open_groups.append((f'{full}_', hdf5.group(parent, name), depth + 1))
      else:
        found[full] = hdf5.dataset(parent, name)
  return found


def _chosen(
  seen: dict[str, h5py.Dataset], image: str | None, size: int
) -> dict[str, np.ndarray]:
  """Reads image and vectors of an episode."""
  values, images = {}, []
  for key, found in seen.items():
    files = None
    if found.dtype.kind not in 'biuf' or found.dtype == np.uint8:
      files = hdf5.encoded(found)
      if found.dtype.kind in 'biuf' and files and files[0][:2] != b'\xff\xd8':
        files = None
    if files is not None:
      images.append(key)
      values[key] = files
    elif found.dtype.kind in rows.NUMBERS:  # Texts say nothing here.
      values[key] = hdf5.numbers(found)
      if values[key].dtype == np.uint8 and values[key].ndim in (3, 4):
        images.append(key)
  name = image or ('image' if 'image' in images else None)
  if name is None and len(images) == 1:
    name = images[0]
  if not images:
    raise RecordingError('its observations have no images')
  if name not in images:
    listed = ', '.join(sorted(images)) or 'none'
    raise RecordingError(
      f'it has no image called {name!r}; there: {listed}'
      if image
      else f'it has several images: --image= chooses one of {listed}'
    )
  chosen = values.pop(name)
  if isinstance(chosen, list):
    chosen = pictures.decoded(chosen, size)
  elif chosen.ndim == 3:
    chosen = chosen[..., None]
  vectors = {key: x for key, x in values.items() if not isinstance(x, list)}
  return {'image': chosen, **vectors}


def _rows(
  group: h5py.Group, seen: dict[str, np.ndarray], action: np.ndarray
) -> Episode:
  """Returns an episode by rows.py."""
  reward, ended = (
    hdf5.numbers(hdf5.dataset(group, key)).reshape(-1)
    for key in ('rewards', 'terminations')
  )
  length = len(action)
  if not len(reward) == len(ended) == length - 1:
    raise RecordingError(
      f'its rows do not match: actions {length - 1}, rewards {len(reward)}, '
      f'terminations {len(ended)}'
    )
  if len(seen['image']) != length:
    raise RecordingError(
      f'it has {len(seen["image"])} observations and {length - 1} actions: '
      'there is one observation more than actions'
    )
  if ended[:-1].any():
    raise RecordingError('terminations is true before the end')
  return {
    **seen,
    'action': action,
    'reward': recordings.moved_down(reward),
    **recordings.flags(length, bool(ended[-1])),
  }


# -------------------------------------------------------------- writing ----


def _seen(episode: Episode) -> dict[str, np.ndarray]:
  """Returns image and vectors of an episode."""
  return {
    key: value
    for key, value in episode.items()
    if key == 'image' or key not in rows.RESERVED
  }


def _write_episode(
  group: h5py.Group,
  number: int,
  seen: dict[str, np.ndarray],
  episode: Episode,
  discrete: bool,
) -> None:
  action, reward = episode['action'][1:], episode['reward'][1:]
  if discrete:
    action = action.argmax(1)
  parent = group
  if list(seen) != ['image']:
    parent = group.create_group('observations')
  for key, value in seen.items():
    name = key if parent is not group else 'observations'
    options = {'compression': 'gzip', 'compression_opts': 1}
    parent.create_dataset(name, data=value, chunks=True, **options)
  terminal = np.zeros(len(reward), bool)
  terminal[-1:] = episode['is_terminal'][-1:]
  cut = np.zeros(len(reward), bool)
  cut[-1:] = ~terminal[-1:]
  group.create_dataset('actions', data=action)
  group.create_dataset('rewards', data=reward.astype(np.float64))
  group.create_dataset('terminations', data=terminal)
  group.create_dataset('truncations', data=cut)
  group.attrs['id'] = number
  group.attrs['total_steps'] = len(reward)
  group.attrs['rewards_sum'] = float(reward.sum(dtype=np.float64))


def _identifier(folder: pathlib.Path) -> str:
  """Returns the name of a folder as part of the id of a dataset."""
  name = folder.name.partition('.')[0]
  return re.sub(r'[^A-Za-z0-9_-]', '-', name) or 'episodes'
