"""Makes the samples beside this file, with the libraries of their formats.

  python tests/samples/make.py minari

Each sample is two episodes of which every number says where it belongs: see
`episode`. versions.json says which library wrote which of them. The tests read
them without those libraries.
"""

import json
import os
import pathlib
import shutil
import sys

import numpy as np

HERE = pathlib.Path(__file__).parent
LENGTHS = (6, 4)  # rows; the second episode ends in a terminal state
SIZE = 32


def episode(number):
  """An episode in which row t says t: what action[t] led to is in row t."""
  length = LENGTHS[number]
  row = np.arange(length)
  level = (20 * row + 100 * number).astype(np.uint8)
  image = (
    np.zeros((length, SIZE, SIZE, 3), np.uint8) + level[:, None, None, None]
  )
  for t in row:  # A block as JPEG has them, so that little is lost.
    image[t, 8 : 8 + 8 * number, 8 * (t % 4) : 8 * (t % 4) + 8] = 250
  after = row > 0
  return {
    'image': image,
    'action': (
      np.stack([row / 10, row * 0 + number / 2], 1) * after[:, None]
    ).astype(np.float32),
    'reward': ((row + 10.0 * number) * after).astype(np.float32),
    'position': np.stack([row, row * 0 + number], 1).astype(np.float32),
    'terminal': bool(number),
  }


def as_rows(number):
  """An episode of the samples as rows.py has it, and as DreamerV2 writes it."""
  found = episode(number)
  row = np.arange(len(found['reward']))
  last = row == row[-1]
  ended = last & found.pop('terminal')
  flags = {'is_first': row == 0, 'is_last': last, 'is_terminal': ended}
  return {**found, 'discount': 1 - ended.astype(np.float32), **flags}


def minari(folder):
  """Minari 0.5: a Dict of image and position, images as JPEG."""
  import gymnasium
  from minari.dataset.minari_storage import MinariStorage

  box = gymnasium.spaces.Box
  storage = MinariStorage.new(
    folder / 'data',
    observation_space=gymnasium.spaces.Dict(
      image=box(0, 255, (SIZE, SIZE, 3), np.uint8),
      position=box(-np.inf, np.inf, (2,), np.float32),
    ),
    action_space=box(-2, 2, (2,), np.float32),
    data_format='hdf5',
  )
  storage.update_episodes(map(_buffer, range(2)))
  storage.update_metadata(
    {'dataset_id': 'samples/two-v0', 'minari_version': version('minari')}
  )


def _buffer(number):
  from minari.data_collector import EpisodeBuffer

  whole = episode(number)
  steps = len(whole['reward']) - 1
  ended = np.arange(steps) == steps - 1
  return EpisodeBuffer(
    id=number,
    observations={key: whole[key] for key in ('image', 'position')},
    # Of its own units: 2 stands for 1.
    actions=2 * whole['action'][1:],
    rewards=whole['reward'][1:].tolist(),
    terminations=(ended & whole['terminal']).tolist(),
    truncations=(ended & (not whole['terminal'])).tolist(),
  )


def rlds(folder):
  """RLDS: actions and rewards in the rows that they are taken from."""
  import tensorflow_datasets as tfds

  of = tfds.features
  numbers = {'reward': np.float32, 'discount': np.float32}
  numbers |= dict.fromkeys(('is_first', 'is_last', 'is_terminal'), np.bool_)
  steps = {
    'observation': {
      'image': of.Image(shape=(SIZE, SIZE, 3), encoding_format='png'),
      'position': of.Tensor(shape=(2,), dtype=np.float32),
    },
    'action': of.Tensor(shape=(2,), dtype=np.float32),
    **{key: of.Scalar(dtype) for key, dtype in numbers.items()},
  }
  tfds.dataset_builders.store_as_tfds_dataset(
    name='two',
    version='1.0.0',
    features=of.FeaturesDict({'steps': of.Dataset(steps)}),
    split_datasets={
      'train': [(number, {'steps': _steps(number)}) for number in range(2)]
    },
    data_dir=folder,
    disable_shuffling=True,
  )
  for path in (folder / 'two' / '1.0.0').iterdir():
    path.rename(folder / path.name)
  for name in ('two', 'downloads'):
    shutil.rmtree(folder / name, ignore_errors=True)


def _steps(number):
  whole = episode(number)
  count = len(whole['reward'])
  after = [*range(1, count), 0]  # What the last row says means nothing.
  return [
    {
      'observation': {key: whole[key][row] for key in ('image', 'position')},
      'action': whole['action'][after[row]],
      'reward': whole['reward'][after[row]],
      'discount': np.float32(not (whole['terminal'] and row == count - 2)),
      'is_first': row == 0,
      'is_last': row == count - 1,
      'is_terminal': whole['terminal'] and row == count - 1,
    }
    for row in range(count)
  ]


def lerobot(folder):
  """LeRobot v3.0: a camera of PNGs, and one of films in AV1, twice as large."""
  from lerobot.datasets.lerobot_dataset import LeRobotDataset

  def of(dtype, *shape):
    names = ['height', 'width', 'channels'] if len(shape) == 3 else None
    return {'dtype': dtype, 'shape': shape, 'names': names}

  folder.rmdir()  # The library makes it.
  dataset = LeRobotDataset.create(
    repo_id='samples/two',
    root=folder,
    fps=30,
    features={
      'observation.image': of('image', SIZE, SIZE, 3),
      'observation.images.film': of('video', 2 * SIZE, 2 * SIZE, 3),
      'observation.position': of('float32', 2),
      'observation.row': of('float32', 1),
      'action': of('float32', 2),
      'next.reward': of('float32', 1),
      'next.done': of('bool', 1),
      'next.terminated': of('bool', 1),
    },
  )
  for number in range(2):
    for frame in _frames(number):
      dataset.add_frame(frame)
    dataset.save_episode()
  dataset.finalize()
  shutil.rmtree(folder / 'images')  # What became films and tables.


def _frames(number):
  whole = episode(number)
  last = len(whole['reward']) - 1
  # The last frame says what no frame shows, so nobody may believe it.
  action, reward = (
    np.append(whole[key][1:], whole[key][:1] - 1, 0)
    for key in ('action', 'reward')
  )
  return [
    {
      'observation.image': image,
      'observation.images.film': image.repeat(2, 0).repeat(2, 1),
      'observation.position': whole['position'][row],
      'observation.row': np.array([row], np.float32),
      'action': action[row],
      'next.reward': reward[row : row + 1],
      'next.done': np.array([row == last]),
      'next.terminated': np.array([whole['terminal'] and row == last - 1]),
      'task': f'the {("first", "second")[number]} of two',
    }
    for row, image in enumerate(whole['image'])
  ]


def npz(folder):
  """DreamerV2, as of V-D4RL's 64 pixels: a file for each episode."""
  for number in range(2):
    rows = len(episode(number)['reward'])
    name = f'2020010{1 + number}T000000-{number:032x}-{rows}.npz'
    np.savez_compressed(folder / name, **as_rows(number))


def vd4rl(folder):
  """V-D4RL of 84 pixels: all episodes in one file, channels first."""
  import h5py

  both = [as_rows(number) for number in range(2)]
  joined = {key: np.concatenate([x[key] for x in both]) for key in both[0]}
  with h5py.File(folder / 'shard_0.hdf5', 'w') as file:
    images = joined['image'].transpose(0, 3, 1, 2)
    file.create_dataset('observation', data=images, compression='gzip')
    for key in ('action', 'reward', 'discount'):
      file[key] = joined[key]
    # 0 at a reset, 2 at the end.
    file['step_type'] = 1.0 - joined['is_first'] + joined['is_last']


def version(package):
  from importlib import metadata

  return metadata.version(package)


LIBRARIES = {
  'lerobot': ('lerobot', 'datasets', 'pyarrow', 'av'),
  'minari': ('minari', 'gymnasium', 'h5py'),
  'npz': ('numpy',),
  'rlds': ('tensorflow-datasets', 'tensorflow'),
  'vd4rl': ('h5py', 'numpy'),
}


def main(names):
  """Makes the samples that are named, and notes the versions."""
  notes = HERE / 'versions.json'
  known = json.loads(notes.read_text()) if notes.exists() else {}
  for name in names:
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    os.mkdir(folder)
    globals()[name](folder)
    known[name] = {x: version(x) for x in LIBRARIES[name]}
  notes.write_text(json.dumps(known, indent=2, sort_keys=True) + '\n')


if __name__ == '__main__':
  main(sys.argv[1:])
