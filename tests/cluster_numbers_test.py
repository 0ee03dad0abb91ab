"""Tests of which episodes are there, missing, and collected next."""

import ml_collections
import numpy as np
import pytest

from worldmodels.agents.cluster.numbers import Numbers
from worldmodels.data.store import Store

STEPS = 4


def episode(reward=1.0, steps=STEPS):
  rewards = np.full([steps + 1], reward, np.float32)
  rewards[0] = 0
  return {
    'action': np.zeros([steps + 1, 1], np.float32),
    'reward': rewards,
    'position': np.zeros([steps + 1, 2], np.float32),
  }


def numbers(directory, window=8, capacity=0, there=(), **train):
  values = dict(seed_episodes=2, episodes=10, env_steps=0) | train
  store = Store(directory, capacity=capacity, log=lambda line: None)
  for number in (0, 1, *there):
    store.append(episode(number), index=number)
  return store, Numbers(store, ml_collections.ConfigDict(values), window)


def test_episodes_come_in_any_order(tmp_path):
  store, found = numbers(tmp_path)
  assert found.stored == 2 and found.all_before(2)
  taken = []
  for _ in range(3):
    taken.append(found.next(10, taken))
  assert taken == [2, 3, 4]
  found.append(episode(7), 4)
  assert found.stored == 3 and not found.all_before(3)
  assert found.next(10, [2, 3]) == 5
  found.append(episode(5), 2)
  assert found.all_before(3) and not found.all_before(4)
  found.append(episode(6), 3)
  assert found.all_before(5) and found.stored == 5
  assert [found.return_of(n) for n in (2, 3, 4)] == [20, 24, 28]
  assert store.numbers == [0, 1, 2, 3, 4]


def test_each_number_is_stored_once(tmp_path):
  store, found = numbers(tmp_path)
  found.append(episode(1), 3)
  found.append(episode(9), 3)
  found.append(episode(9), 1)  # A random one.
  assert store.own_episodes == 3
  assert found.return_of(3) == 4


def test_what_a_stop_has_left_missing_comes_first(tmp_path):
  _, found = numbers(tmp_path, there=(2, 4, 5, 8))
  assert found.stored == 6
  assert found.all_before(3) and not found.all_before(4)
  assert found.next(10, []) == 3
  assert found.next(10, [3]) == 6
  assert found.next(10, [3, 6]) == 7
  assert found.next(10, [3, 6, 7]) == 9


@pytest.mark.parametrize(
  'under_way,wanted', [([], 2), ([2], 3), ([2, 3], None)]
)
def test_as_many_as_the_limiter_allows(tmp_path, under_way, wanted):
  _, found = numbers(tmp_path)
  assert found.next(4, under_way) == wanted


def test_no_number_is_far_from_one_that_is_missing(tmp_path):
  _, found = numbers(tmp_path, window=3, there=(3, 4))
  assert found.next(99, [2]) is None  # 5 is 3 away from 2.
  found.append(episode(), 2)
  assert found.next(99, []) == 5


def test_the_last_number(tmp_path):
  _, found = numbers(tmp_path, episodes=4, there=(2,))
  assert found.next(99, []) == 3
  assert found.next(99, [3]) is None


@pytest.mark.parametrize(
  'budget,under_way,wanted',
  [(0, 7, 9), (16, 0, 2), (16, 1, 3), (16, 2, None), (8, 0, None), (9, 0, 2)],
)
def test_the_budget_is_not_overspent(tmp_path, budget, under_way, wanted):
  # Two of 4 steps are there.
  _, found = numbers(tmp_path, env_steps=budget)
  assert found.next(99, range(2, 2 + under_way)) == wanted


def test_what_was_deleted_is_not_collected_again(tmp_path):
  store, found = numbers(tmp_path, capacity=3 * STEPS, there=(2, 3))
  assert store.numbers == [1, 2, 3]
  for number in (6, 5, 4):
    found.append(episode(number), number)
  assert store.numbers == [4, 5, 6] and found.stored == 7
  assert found.next(99, []) == 7
  assert [found.return_of(n) for n in (4, 5, 6)] == [16, 20, 24]
  _, again = numbers(tmp_path, capacity=3 * STEPS)
  assert again.stored == 7 and again.next(99, []) == 7


def test_nothing_is_deleted_beyond_one_that_is_missing(tmp_path):
  """Its number would be taken for one that was deleted, after a stop."""
  capacity = 3 * STEPS
  store, found = numbers(tmp_path, capacity=capacity)
  for number in (5, 4, 3):
    found.append(episode(), number)
    assert not found.all_before(3)
  # As many as there are beyond 2: all that came in order have made way.
  assert store.numbers == [3, 4, 5] and store.deleted_episodes == 2
  again = Numbers(Store(tmp_path, reading=True), found._train, 8)
  assert again.next(10, []) == 2 and again.stored == 5
  found.append(episode(), 2)
  assert found.all_before(6) and store.numbers == [2, 3, 4, 5]
  found.append(episode(), 6)
  assert store.numbers == [4, 5, 6] and store.deleted_episodes == 4


def test_nothing_is_deleted_that_no_checkpoint_counts(tmp_path):
  """Lines and a run that goes on have yet to know of it."""
  store, found = numbers(tmp_path, capacity=2 * STEPS)
  found.counted(2)
  for number in (2, 3, 4, 5):
    found.append(episode(number), number)
  assert store.numbers == [2, 3, 4, 5] and store.deleted_episodes == 2
  steps = [store.env_steps_before(number) for number in (3, 4, 5)]
  assert steps == [3 * STEPS, 4 * STEPS, 5 * STEPS]
  found.counted(5)
  found.append(episode(6), 6)
  assert store.numbers == [5, 6]


def test_the_return_of_what_was_deleted_is_kept_for_its_line(tmp_path):
  store, found = numbers(tmp_path, capacity=2 * STEPS)
  for number in (2, 3, 4, 5):
    found.append(episode(number), number)
  assert 2 not in store
  assert found.return_of(2) == 8


def test_what_is_due_is_collected_whatever_the_limiter_says(tmp_path):
  # As after a run with more collectors, whose fourth was late.
  _, found = numbers(tmp_path, there=(2, 4, 5, 6, 7), env_steps=8)
  assert found.next(5, []) is None
  assert found.next(5, [], due=3) is None
  assert found.next(5, [], due=4) == 3
