import numpy as np
import pytest

from agents.run import numbering
from data import episodes


@pytest.fixture
def store(tmp_path):
  store = episodes.Store(tmp_path, metadata={'action_repeat': 4})
  for number, length in ((0, 3), (1, 5), (4, 6)):
    store.append({
        'image': np.zeros([length, 64, 64, 3], np.uint8),
        'action': np.zeros([length, 1], np.float32),
        'reward': np.zeros([length], np.float32)}, index=number)
  return store


def test_numbers_are_those_of_the_files(store):
  assert numbering.numbers(store) == [0, 1, 4]


def test_before_is_the_place_of_a_number_though_some_are_missing(store):
  assert [numbering.before(store, n) for n in (0, 1, 4, 5)] == [0, 1, 2, 3]


def test_env_steps_count_frames_without_resets(store):
  assert numbering.env_steps(store, 1) == 4 * 2
  assert numbering.env_steps(store, 2) == 4 * (2 + 4)
  assert numbering.env_steps(store, 5) == 4 * (2 + 4 + 5)
