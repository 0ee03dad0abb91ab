"""Places and counts where numbers are missing."""

import numpy as np
import pytest

from worldmodels.data.index import Index
from worldmodels.data.store import Store


def episode(steps):
  """An episode of so many steps, whose images do not matter."""
  return {
    'image': np.zeros([steps + 1, 4, 4, 3], np.uint8),
    'action': np.zeros([steps + 1, 1], np.float32),
    'reward': np.zeros([steps + 1], np.float32),
  }


@pytest.fixture
def directory(tmp_path):
  """Five episodes of 1, 2, 3, 4 and 5 steps, 2 simulator frames each."""
  store = opened(tmp_path)
  for number in range(5):
    store.append(episode(number + 1))
  return tmp_path


def opened(path, **options):
  metadata = dict(action_repeat=2, size=4)
  store = Store(path, metadata=metadata, log=str, **options)
  assert isinstance(store, Index)
  return store


def seen(store):
  return {
    'numbers': store.numbers,
    'before': [store.before(number) for number in range(6)],
    'env_steps': [store.env_steps_before(number) for number in range(6)],
  }


def test_whole(directory):
  assert seen(opened(directory)) == {
    'numbers': [0, 1, 2, 3, 4],
    'before': [0, 1, 2, 3, 4, 5],
    'env_steps': [0, 2, 6, 12, 20, 30],
  }


def test_a_damaged_one_leaves_its_number(directory):
  path = sorted(directory.glob('*.npz'))[2]
  path.write_bytes(path.read_bytes()[:100])
  store = opened(directory)
  assert seen(store) == {
    'numbers': [0, 1, 3, 4],
    'before': [0, 1, 2, 2, 3, 4],
    'env_steps': [0, 2, 6, 6, 14, 24],
  }
  # Made again it has its place again.
  store.append(episode(3), index=2)
  assert seen(store)['before'] == [0, 1, 2, 3, 4, 5]
  assert store.lengths == [2, 3, 4, 5, 6]


def test_deleted_ones_count_on(directory):
  store = opened(directory, capacity=25)
  store.append(episode(1))
  assert seen(store) == {
    'numbers': [3, 4, 5],
    'before': [0, 0, 0, 0, 1, 2],
    'env_steps': [12, 12, 12, 12, 20, 30],
  }


def test_those_of_other_origin_come_first(directory):
  path = sorted(directory.glob('*.npz'))[1]
  path.rename(directory / f'20200101T000000-{"0" * 32}-3.npz')
  store = opened(directory)
  assert store.numbers == [None, 0, 2, 3, 4]
  assert store.episodes == 5 and store.own_episodes == 4
  assert [store.before(number) for number in (0, 1, 2)] == [1, 2, 2]
