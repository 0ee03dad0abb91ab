import errno
import fcntl
import gc
import io
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
import zipfile

import dm_env
import numpy as np
import pytest

from worldmodels.data import archive
from worldmodels.data import episode_files
from worldmodels.data import folder
from worldmodels.data import metadata
from worldmodels.data import rows
from worldmodels.data import sampling
from worldmodels.data.store import Store
from worldmodels.data.store import StoreError

ROOT = pathlib.Path(__file__).parent.parent
SIZE = 8  # Small images, small files.
METADATA = {'task': 'hill', 'action_repeat': 4, 'quality': 'near', 'size': SIZE}


def make(number, length, **more):
  """An episode in which every value says which row of which episode it is."""
  row = np.arange(length)
  action = np.stack([row / 1000, np.full(length, number / 1000)], 1)
  episode = {
    'image': np.zeros((length, SIZE, SIZE, 3), np.uint8),
    'action': action * (row > 0)[:, None],
    'reward': (row + 1000.0 * number) * (row > 0),
    'position': np.stack([row, np.full(length, number)], 1),
    **more,
  }
  episode['image'][:, 0, 0] = np.stack([row % 256, row * 0 + number, row], 1)
  return episode


def opened(directory, **options):
  """A store and the lines that it logged."""
  lines = []
  return Store(directory, log=lines.append, **options), lines


def filled(directory, *lengths, **options):
  store, _ = opened(directory, **options)
  for number, length in enumerate(lengths):
    store.append(make(number, length))
  return store


def files(directory):
  return sorted(path for path in directory.iterdir() if path.suffix == '.npz')


def assert_same(one, two):
  assert one.keys() == two.keys()
  for key, value in one.items():
    assert value.dtype == two[key].dtype
    np.testing.assert_array_equal(value, two[key])


# ------------------------------------------------------------ round trips ----


def test_an_episode_comes_back_as_it_was(tmp_path):
  store = filled(tmp_path, 5, metadata=METADATA)
  expected = {
    **{key: np.asarray(v) for key, v in make(0, 5).items()},
    'discount': np.ones(5),
    'is_first': [True, False, False, False, False],
    'is_last': [False, False, False, False, True],
    'is_terminal': [False] * 5,
  }
  for reader in (store, opened(tmp_path)[0]):
    episode = reader.episode(0)
    assert episode.keys() == expected.keys()
    for key, value in expected.items():
      np.testing.assert_array_equal(episode[key], np.float32(value))
      assert episode[key].dtype == rows.dtype_of(key)


def test_others_read_our_files(tmp_path):
  filled(tmp_path, 5)
  (path,) = files(tmp_path)
  assert path.name.startswith('000000-') and path.name.endswith('-5.npz')
  with path.open('rb') as file:  # As the loaders of PlaNet and Dreamer do.
    archive = np.load(file)
    episode = {key: archive[key] for key in archive.keys()}
  assert episode['image'].dtype == np.uint8
  assert episode['reward'].tolist() == [0, 1, 2, 3, 4]
  assert len({len(value) for value in episode.values()}) == 1


def test_files_of_dreamer_are_read(tmp_path):
  episode = make(7, 6, discount=np.array([1, 1, 1, 1, 1, 0], np.float16))
  episode['reward'] = episode['reward'].astype(np.float64)
  with io.BytesIO() as buffer:
    np.savez_compressed(buffer, name='not an array of numbers', **episode)
    name = '20200101T000000-0123456789abcdef0123456789abcdef-6.npz'
    (tmp_path / name).write_bytes(buffer.getvalue())
  store, lines = opened(tmp_path)
  assert store.episodes == 1 and not lines
  read = store.episode(0)
  for key, value in episode.items():
    np.testing.assert_array_equal(read[key], value.astype(rows.dtype_of(key)))
  assert read['is_terminal'].tolist() == [False] * 5 + [True]
  assert read['is_first'].tolist() == [True] + [False] * 5
  assert store.returns == [pytest.approx(5 * 7000 + 15)]


def test_files_of_planet_are_read(tmp_path):
  np.savez(tmp_path / '20190101T000000-abc.npz', **make(1, 4))
  read = opened(tmp_path)[0].episode(0)
  assert read['discount'].tolist() == [1, 1, 1, 1]
  assert not read['is_terminal'].any() and read['is_last'][3]


def test_arrays_in_fortran_order_are_read(tmp_path):
  episode = make(1, 4)
  episode['position'] = np.asfortranarray(episode['position'])
  np.savez(tmp_path / 'fortran.npz', **episode)
  read = opened(tmp_path)[0].episode(0)
  np.testing.assert_array_equal(read['position'], episode['position'])


def test_foreign_files_come_first_by_name_then_ours_by_number(tmp_path):
  for number, name in enumerate(['20200101T1-a-4', '20190101T1-b-4']):
    np.savez(tmp_path / f'{name}.npz', **make(number, 4))
  store, _ = opened(tmp_path)
  assert store.append(make(2, 4)) == 2
  assert store.append(make(3, 4), index=1_000_000) == 1_000_000
  assert store.append(make(4, 4), index=999_999) == 999_999
  order = [1, 0, 2, 4, 3]
  for reader in (store, opened(tmp_path)[0]):
    read = [reader.episode(i)['image'][0, 0, 0, 1] for i in range(5)]
    assert read == order
    assert reader.next_index == 1_000_001


def test_a_number_on_disk_is_not_written_again(tmp_path):
  store = filled(tmp_path, 4, 5)
  before = files(tmp_path)
  assert store.append(make(9, 9), index=1) == 1
  assert files(tmp_path) == before
  assert opened(tmp_path)[0].append(make(9, 9), index=0) == 0
  assert files(tmp_path) == before and store.lengths == [4, 5]


def test_counts_come_from_disk(tmp_path):
  filled(tmp_path, 4, 6, metadata=METADATA)
  store, _ = opened(tmp_path)
  assert store.episodes == store.collected_episodes == 2
  assert store.agent_steps == 3 + 5
  assert store.env_steps == store.collected_env_steps == 4 * 8
  assert store.lengths == [4, 6]
  assert store.returns == [6, 5015]
  assert store.bytes_on_disk == sum(p.stat().st_size for p in files(tmp_path))


@pytest.mark.parametrize(
  'change, message',
  [
    ({'image': np.zeros((4, 8, 8, 3))}, 'image is float64'),
    ({'image': np.zeros((4, 8, 8), np.uint8)}, 'image is uint8'),
    ({'reward': np.array([0, 1, np.nan, 2])}, 'reward is not finite'),
    ({'position': np.full((4, 2), np.inf)}, 'position is not finite'),
    ({'reward': np.ones(4)}, 'row 0 is the reset'),
    ({'action': np.ones((4, 2))}, 'row 0 is the reset'),
    ({'action': np.zeros(4)}, 'action has shape'),
    ({'reward': np.zeros(3)}, 'reward has shape'),
    ({'discount': np.ones((4, 1))}, 'discount has shape'),
  ],
)
def test_what_is_no_episode_is_refused(tmp_path, change, message):
  store, _ = opened(tmp_path)
  with pytest.raises(ValueError, match=message):
    store.append({**make(0, 4), **change})
  incomplete = make(0, 4)
  del incomplete['reward']
  with pytest.raises(ValueError, match="no 'reward'"):
    store.append(incomplete)
  assert not files(tmp_path)


def test_unlike_episodes_are_refused(tmp_path):
  store = filled(tmp_path, 4)
  with pytest.raises(StoreError, match='action.*shape .3., the oth'):
    store.append(make(0, 4, action=np.zeros((4, 3))))
  with pytest.raises(StoreError, match='lacks position'):
    store.append({k: v for k, v in make(0, 4).items() if k != 'position'})
  assert store.episodes == 1
  larger = {**make(0, 4), 'image': np.zeros((4, 9, 9, 3), np.uint8)}
  np.savez(tmp_path / 'larger.npz', **larger)
  with pytest.raises(StoreError, match='image of episode'):
    opened(tmp_path)


def test_keys_that_only_some_episodes_have_are_left_out(tmp_path):
  np.savez(tmp_path / 'more.npz', **make(0, 4, touch=np.zeros((4, 5))))
  np.savez(tmp_path / 'less.npz', **make(0, 4))
  store, _ = opened(tmp_path)
  batch = store.sample(2, 3, 0)
  assert 'touch' not in batch and 'position' in batch


# ---------------------------------------------------- from an environment ----


def test_stacking_aligns_actions_with_what_came_of_them(tmp_path):
  def timestep(kind, value, reward=None, discount=None):
    image = np.full((SIZE, SIZE, 3), value, np.uint8)
    observation = {'image': image, 'position': np.array([value], np.float32)}
    return dm_env.TimeStep(kind, reward, discount, observation)

  first, mid, last = dm_env.StepType
  episode = rows.stack(
    [
      timestep(first, 10),
      timestep(mid, 11, 1.0, 1.0),
      timestep(last, 12, 2.0, 0.0),
    ],
    [np.array([0.1]), np.array([0.2])],
  )
  expected = {
    'image': [10, 11, 12],
    'position': [10, 11, 12],
    'action': [0, 0.1, 0.2],
    'reward': [0, 1, 2],
    'discount': [1, 1, 0],
    'is_first': [1, 0, 0],
    'is_last': [0, 0, 1],
    'is_terminal': [0, 0, 1],
  }
  assert episode.keys() == expected.keys()
  for key, values in expected.items():
    column = episode[key].reshape(3, -1)[:, 0]
    np.testing.assert_array_equal(column, np.float32(values))
  opened(tmp_path)[0].append(episode)
  with pytest.raises(ValueError, match='2 timesteps'):
    rows.stack([timestep(first, 0), timestep(mid, 0, 0.0, 1.0)], [])


def counted(number, steps, **more):
  """An episode of so many simulator steps, four to an action."""
  length = 1 + -(-steps // 4)
  held = [0, *[4] * (steps // 4), *([steps % 4] if steps % 4 else [])]
  return make(number, length, env_steps=held, **more)


def test_stacking_keeps_how_long_actions_were_held():
  image = {'image': np.zeros((SIZE, SIZE, 3), np.uint8)}
  kind = dm_env.StepType
  timesteps = [
    dm_env.restart(image),
    rows.TimeStep(kind.MID, 1.0, 1.0, image, env_steps=4),
    rows.TimeStep(kind.LAST, 1.0, 0.0, image, env_steps=1),
  ]
  actions = [np.zeros(1)] * 2
  episode = rows.stack(timesteps, actions)
  assert episode['env_steps'].tolist() == [0, 4, 1]
  assert episode['env_steps'].dtype == np.int32
  # Where one does not say, nothing is known.
  timesteps[1] = dm_env.transition(1.0, image)
  assert 'env_steps' not in rows.stack(timesteps, actions)


@pytest.mark.parametrize('name', rows.RESERVED[1:])
def test_no_observation_is_taken_for_another_column(name):
  observation = {
    'image': np.zeros((SIZE, SIZE, 3), np.uint8),
    name: np.zeros(2, np.float32),
  }
  timesteps = [dm_env.restart(observation), dm_env.transition(0, observation)]
  with pytest.raises(ValueError, match=f"called '{name}', which is reserved"):
    rows.stack(timesteps, [np.zeros(1)])


# --------------------------------------------------------- simulator steps ----


def test_simulator_steps_are_those_that_were_simulated(tmp_path):
  store, _ = opened(tmp_path, metadata=METADATA)
  store.append(counted(0, 9))
  store.append(counted(1, 8))
  for reader in (store, opened(tmp_path)[0]):
    assert reader.env_steps == reader.collected_env_steps == 17
    assert reader.agent_steps == 3 + 2
    assert [reader.env_steps_before(n) for n in range(3)] == [0, 9, 17]
    assert reader.episode(0)['env_steps'].tolist() == [0, 4, 4, 1]
    assert reader.episode(0)['env_steps'].dtype == np.int32


def test_episodes_that_do_not_count_them_are_as_they_were(tmp_path):
  """Those of earlier versions: every action counts as held to its end."""
  store, _ = opened(tmp_path, metadata=METADATA)
  store.append(make(0, 4))
  store.append(counted(1, 9))
  store.append(make(2, 3))
  for reader in (store, opened(tmp_path)[0]):
    assert reader.env_steps == 12 + 9 + 8
    assert [reader.env_steps_before(n) for n in range(4)] == [0, 12, 21, 29]
    assert 'env_steps' not in reader.episode(0)
    assert 'env_steps' in reader.episode(1)


def test_simulator_steps_are_no_part_of_what_is_learned_from(tmp_path):
  store, _ = opened(tmp_path / 'counted')
  other, _ = opened(tmp_path / 'other')
  for number in range(3):
    store.append(counted(number, 18))
    other.append(make(number, 6))
  assert_same(store.sample(4, 3, 0), other.sample(4, 3, 0))


def test_simulator_steps_of_deleted_episodes_count_on(tmp_path):
  store, _ = opened(tmp_path, metadata=METADATA, capacity=20)
  for number, steps in enumerate([9, 8, 7, 6]):
    store.append(counted(number, steps))
  assert store.numbers == [2, 3] and store.env_steps == 13
  for reader in (store, opened(tmp_path, capacity=20)[0]):
    assert reader.collected_env_steps == 30
    assert [reader.env_steps_before(n) for n in (2, 3, 4)] == [17, 24, 30]


def test_deletions_of_earlier_versions_count_on(tmp_path):
  record = {'episodes': 2, 'agent_steps': 7, 'names': []}
  (tmp_path / 'deleted.json').write_text(json.dumps(record))
  store, _ = opened(tmp_path, metadata=METADATA, capacity=10)
  assert store.collected_env_steps == 28
  store.append(counted(2, 9))
  store.append(counted(3, 9))
  for reader in (store, opened(tmp_path, capacity=10)[0]):
    assert reader.collected_env_steps == 28 + 18


@pytest.mark.parametrize('held', [[0, 4, -1], [0, 4], [[0], [4], [1]]])
def test_counts_that_cannot_be_are_refused(tmp_path, held):
  store, _ = opened(tmp_path)
  with pytest.raises(ValueError, match='env_steps'):
    store.append(make(0, 3, env_steps=held))
  np.savez(tmp_path / 'foreign.npz', **make(0, 3, env_steps=np.array(held)))
  with pytest.raises(StoreError, match='env_steps'):
    opened(tmp_path)


# --------------------------------------------------------------- sampling ----


def test_chunks_are_consecutive_rows_of_one_episode(tmp_path):
  store = filled(tmp_path, 9, 5, 30)
  batch = store.sample(64, 5, 0)
  assert batch['image'].shape == (64, 5, SIZE, SIZE, 3)
  assert batch['image'].dtype == np.uint8
  assert batch['action'].shape == (64, 5, 2)
  row, number = np.moveaxis(batch['position'], 2, 0)
  assert (np.diff(row, axis=1) == 1).all()
  assert (number == number[:, :1]).all()
  pixel = batch['image'][:, :, 0, 0].astype(np.float32)
  np.testing.assert_array_equal(pixel[..., 0], row)
  np.testing.assert_array_equal(pixel[..., 1], number)
  moved = row > 0
  np.testing.assert_array_equal(batch['reward'], (row + 1000 * number) * moved)
  np.testing.assert_allclose(batch['action'][..., 0], row / 1000)
  np.testing.assert_array_equal(batch['is_first'], row == 0)
  assert (batch['mask'] == 1).all() and batch['mask'].dtype == np.float32


def test_every_place_is_drawn_as_often(tmp_path):
  store = filled(tmp_path, 3, 6, 4)  # 1, 4 and 2 places for three rows.
  batch = store.sample(14_000, 3, 1)
  row, number = batch['position'][:, 0].T
  places, counts = np.unique(number * 10 + row, return_counts=True)
  assert places.tolist() == [0, 10, 11, 12, 13, 20, 21]
  assert (abs(counts - 2000) < 250).all()  # Six standard deviations.


@pytest.mark.parametrize(
  ('margin', 'wanted'),
  [
    # Rows of 9, of chunks of 4 at six places; and how often a shorter episode
    # comes, which is one place.
    (0.0, (1, 2, 3, 4, 4, 4, 3, 2, 1, 1)),
    (0.5, (3, 4, 5, 6, 4, 6, 5, 4, 3, 5)),
    (1.0, (5, 6, 7, 8, 4, 8, 7, 6, 5, 9)),
  ],
)
def test_a_margin_gives_the_ends_their_share(tmp_path, margin, wanted):
  store = filled(tmp_path, 9, 2)
  batch = store.sample(12_000, 4, 1, margin=margin)
  row, number = np.moveaxis(batch['position'], -1, 0).astype(int)
  counts = np.bincount(row[number == 0], minlength=9)
  counts = np.append(counts, (number[:, 0] == 1).sum())
  places = 12_000 / (7 + 4 * 4 * margin)
  np.testing.assert_allclose(counts / places, wanted, rtol=0.15)


@pytest.mark.parametrize('recency', [0.0, 0.25, 1.0])
@pytest.mark.parametrize('margin', [0.0, 0.5])
def test_chunks_are_the_likelier_the_newer_they_are(tmp_path, recency, margin):
  """By one over their age; where in the episode is left to chance."""
  store = filled(tmp_path, 7, 5, 7, 4)
  batch = store.sample(12_000, 4, 1, margin=margin, recency=recency)
  row, number = batch['position'][:, 0].T.astype(int)
  places = np.array([4, 2, 4, 1]) + 8 * margin
  weights = places / [4, 3, 2, 1]
  shares = (1 - recency) * places / places.sum()
  shares += recency * weights / weights.sum()
  np.testing.assert_allclose(np.bincount(number) / 12_000, shares, atol=0.02)
  # Half of the margin is before the first place, and half behind the last.
  inside = np.bincount(row[number == 2], minlength=4)
  wanted = np.array([1, 1, 1, 1]) + 4 * margin * np.array([1, 0, 0, 1])
  np.testing.assert_allclose(
    inside / inside.sum(), wanted / wanted.sum(), atol=0.03
  )


def test_a_sample_is_a_pure_function_of_seed_and_episodes(tmp_path):
  store = filled(tmp_path, 9, 12)
  one = store.sample(4, 3, (5, 1))
  assert_same(one, store.sample(4, 3, (5, 1)))
  assert_same(one, opened(tmp_path)[0].sample(4, 3, (5, 1)))
  store.append(make(2, 50))
  assert_same(one, store.sample(4, 3, (5, 1), limit=2))
  for other in (store.sample(4, 3, (5, 2)), store.sample(4, 3, (5, 1))):
    assert (other['position'] != one['position']).any()


def test_parts_of_a_batch_are_those_of_the_whole(tmp_path):
  store = filled(tmp_path, 5, 9, 3)
  whole = store.sample(6, 4, (5, 1), recency=0.5)
  parts = [
    store.sample(6, 4, (5, 1), part=slice(first, first + 2), recency=0.5)
    for first in (0, 2, 4)
  ]
  assert all(len(part['mask']) == 2 for part in parts)
  joined = {key: np.concatenate([x[key] for x in parts]) for key in whole}
  assert_same(whole, joined)
  options = dict(start=1, part=slice(2, 4), recency=0.5)
  with store.chunks(6, 4, 5, **options) as batches:
    assert_same(next(batches), parts[1])


def test_short_episodes_are_padded_at_the_end(tmp_path):
  store, _ = opened(tmp_path)
  store.append(make(1, 3, discount=[1, 1, 0]))
  batch = store.sample(2, 5, 0)
  assert batch['mask'].tolist() == [[1, 1, 1, 0, 0]] * 2
  assert batch['position'][0, :, 0].tolist() == [0, 1, 2, 2, 2]
  assert batch['image'][0, :, 0, 0, 0].tolist() == [0, 1, 2, 2, 2]
  assert batch['reward'][0].tolist() == [0, 1001, 1002, 0, 0]
  assert batch['action'][0, :, 0].tolist() == pytest.approx(
    [0, 0.001, 0.002, 0, 0]
  )
  assert batch['discount'][0].tolist() == [1, 1, 0, 0, 0]
  for key in ('is_last', 'is_terminal'):
    assert batch[key][0].tolist() == [False, False, True, False, False]


def test_short_episodes_count_as_one_place_or_none(tmp_path):
  store = filled(tmp_path, 2, 5)
  numbers = store.sample(900, 4, 0)['position'][:, 0, 1]
  assert 0.25 < (numbers == 0).mean() < 0.42  # One place of three.
  assert (store.sample(90, 4, 0, short='skip')['position'][..., 1] == 1).all()
  with pytest.raises(StoreError, match='no episode of 6 rows'):
    store.sample(1, 6, 0, short='skip')
  with pytest.raises(ValueError, match="'cut'; it is one of pad, skip"):
    store.sample(1, 6, 0, short='cut')


def test_an_empty_store_says_so(tmp_path):
  store, _ = opened(tmp_path / 'new' / 'store')
  assert store.episodes == store.env_steps == store.next_index == 0
  with pytest.raises(StoreError, match='no episode'):
    store.sample(1, 1, 0)
  with pytest.raises(StoreError, match='no episode'):
    filled(tmp_path, 4).sample(1, 1, 0, limit=0)
  with pytest.raises(LookupError):
    sampling.sample([], {}, 1, 1, 0, 'pad')


def test_only_the_rows_asked_for_are_read(tmp_path):
  store = filled(tmp_path, 400)

  def bytes_read():
    lines = pathlib.Path('/proc/self/io').read_text().splitlines()
    return int(lines[0].removeprefix('rchar: '))

  store.sample(1, 4, 1)  # NumPy loads parts of itself when they are used.
  before = bytes_read()
  store.sample(1, 4, 0)
  read = bytes_read() - before
  assert 4 * SIZE * SIZE * 3 < read < 2500 < store.bytes_on_disk / 30


def test_memory_for_compressed_files_is_bounded(tmp_path):
  for number in range(4):
    path = tmp_path / f'2020010{number}T000000-a-50.npz'
    np.savez_compressed(path, **make(number, 50))
  image = 50 * SIZE * SIZE * 3
  store, _ = opened(tmp_path, memory_bytes=2 * image)
  plain = filled(tmp_path / 'plain', 50, 50, 50, 50)
  for seed in range(8):
    assert_same(store.sample(6, 5, seed), plain.sample(6, 5, seed))
    assert store._cache.nbytes <= 2 * image
  assert store._cache.nbytes == sum(
    array.nbytes for array in store._cache._arrays.values()
  )


def test_the_cache_drops_what_was_not_used_for_longest(tmp_path, monkeypatch):
  loads = []
  load = np.load

  def counting(path, **options):
    loads.append(path.stem)
    return load(path, **options)

  monkeypatch.setattr(np, 'load', counting)
  for name in 'abc':
    np.savez_compressed(tmp_path / f'{name}.npz', x=np.zeros(10, np.uint8))
  cache = episode_files.Cache(20)
  for name in 'abacab':
    cache.load(tmp_path / f'{name}.npz', 'x')
  assert loads == ['a', 'b', 'c', 'b']


# ------------------------------------------------------------ prefetching ----


def test_batches_are_prepared_in_order(tmp_path):
  store = filled(tmp_path, 20, 30)
  with store.chunks(3, 4, 8, start=5, limit=1) as batches:
    for i in range(5, 9):
      assert_same(next(batches), store.sample(3, 4, (8, i), limit=1))
  with store.chunks(3, 4, (8, 5)) as batches:
    assert_same(next(batches), store.sample(3, 4, (8, 5, 0)))


def test_fixed_batches_are_of_what_was_there_at_first(tmp_path):
  store = filled(tmp_path, 20, 30)
  store.append(make(5, 25), index=5)
  expected = [store.sample(3, 4, (8, i)) for i in range(9)]
  fewer = [store.sample(3, 4, (8, i), limit=2) for i in range(9)]
  with (
    store.chunks(3, 4, 8, fixed=True) as batches,
    store.chunks(3, 4, 8, limit=2, fixed=True) as some,
  ):
    for number in (3, 2, 6):  # Before one that is there, and behind it.
      store.append(make(number, 40), index=number)
    for whole, part in zip(expected, fewer, strict=True):
      assert_same(next(batches), whole)
      assert_same(next(some), part)


@pytest.mark.parametrize('end', ['close', 'forget'])
def test_the_thread_ends(tmp_path, end):
  before = {*threading.enumerate()}
  batches = filled(tmp_path, 20).chunks(2, 4, 0)
  next(batches)
  (thread,) = {*threading.enumerate()} - before
  if end == 'close':
    batches.close()
    batches.close()
    assert list(batches) == []
  del batches
  gc.collect()
  thread.join(5)
  assert not thread.is_alive()


def test_appending_goes_on_beside_prefetching(tmp_path):
  store = filled(tmp_path, 20, metadata=METADATA, capacity=300)
  with store.chunks(4, 5, 0) as batches:
    for number in range(1, 30):
      store.append(make(number, 20))
      next(batches)
  assert store.env_steps <= 300


# ----------------------------------------------------------------- damage ----


def damage_nothing_else(tmp_path, spoil):
  """Spoils the second of three episodes and opens the store again."""
  filled(tmp_path, 40, 50, 60)
  path = files(tmp_path)[1]
  spoil(path)
  store, lines = opened(tmp_path)
  assert store.lengths == [40, 60] and store.damaged == 1
  aside = tmp_path / 'damaged' / path.name
  assert aside.exists() and not path.exists()
  assert len(lines) == 1 and str(aside) in lines[0] and '\n' not in lines[0]
  assert store.append(make(1, 50), index=1) == 1
  again, lines = opened(tmp_path)
  assert again.lengths == [40, 50, 60] and not lines


def test_a_truncated_file_is_set_aside(tmp_path):
  damage_nothing_else(tmp_path, lambda p: os.truncate(p, p.stat().st_size // 2))


def test_an_empty_file_is_set_aside(tmp_path):
  damage_nothing_else(tmp_path, lambda path: os.truncate(path, 0))


def test_a_flipped_bit_is_found(tmp_path):
  def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 4
    path.write_bytes(content)

  damage_nothing_else(tmp_path, flip)


def test_garbage_is_set_aside(tmp_path):
  damage_nothing_else(tmp_path, lambda path: path.write_bytes(b'PK' * 50))


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_no_damage_goes_unseen(tmp_path, save):
  """Random flips and cuts: set aside, or what is read is what was written."""
  random = np.random.default_rng(0)
  path = tmp_path / 'episode.npz'
  save(path, **make(3, 6))
  content = path.read_bytes()
  cache = episode_files.Cache(0)
  expected = episode_files.EpisodeFile(path, cache).read(0, 6)
  found = 0
  for trial in range(300):
    spoiled = bytearray(content)
    if trial % 3:
      spoiled[random.integers(len(content))] ^= 1 << random.integers(8)
    else:
      del spoiled[random.integers(len(content)) :]
    path.write_bytes(spoiled)
    cache = episode_files.Cache(0)
    try:
      read = episode_files.EpisodeFile(path, cache).read(0, 6)
    except archive.DamagedError:
      found += 1
    else:
      assert_same(read, expected)
  assert found > 200  # The others hit a date or the like.


def test_a_file_that_is_no_episode_is_left_where_it_is(tmp_path):
  np.savez(tmp_path / 'weights.npz', kernel=np.zeros(3))
  with pytest.raises(StoreError, match="weights.npz.*no 'image'"):
    opened(tmp_path)
  assert (tmp_path / 'weights.npz').exists()


def test_a_file_that_vanishes_is_no_damage(tmp_path):
  filled(tmp_path, 4)
  (tmp_path / '000001-gone.npz').symlink_to(tmp_path / 'nowhere')
  store, lines = opened(tmp_path)
  assert store.episodes == 1 and not lines


def test_pickles_are_not_read(tmp_path):
  episode = make(0, 4, extra=np.array([{}] * 4, object))
  np.savez(tmp_path / 'episode.npz', **episode)
  assert 'extra' not in opened(tmp_path)[0].episode(0)


# ------------------------------------------------- files that others made ----


def foreign(path, **change):
  """Writes an episode with a name that the store does not give."""
  np.savez(path, **{**make(1, 6), **change})
  return path


def test_what_others_did_is_no_step_of_the_run(tmp_path):
  store = filled(tmp_path, 5, 9, metadata=METADATA)
  before = [store.env_steps_before(number) for number in range(3)]
  assert before == [0, 4 * 4, 4 * 12]
  foreign(tmp_path / 'x.npz')  # Five actions.
  store, _ = opened(tmp_path)
  assert [store.env_steps_before(number) for number in range(3)] == before
  assert (store.episodes, store.collected_episodes) == (3, 2)
  assert store.env_steps == 4 * 17 and store.collected_env_steps == 4 * 12
  store, _ = opened(tmp_path, capacity=4 * 15)
  store.append(make(2, 3))
  assert store.deleted_episodes == 1 and store.collected_episodes == 3
  assert store.env_steps_before(3) == 4 * 14


def test_a_number_that_is_there_twice_is_refused(tmp_path):
  """Files of another run have names as ours have."""
  filled(tmp_path / 'mine', 5, 6)
  filled(tmp_path / 'theirs', 7)
  (theirs,) = files(tmp_path / 'theirs')
  theirs.rename(tmp_path / 'mine' / theirs.name)
  with pytest.raises(StoreError, match='another run needs a name without a nu'):
    opened(tmp_path / 'mine')
  (tmp_path / 'mine' / theirs.name).rename(tmp_path / 'mine' / 'theirs.npz')
  assert opened(tmp_path / 'mine')[0].lengths == [7, 5, 6]


def test_files_of_others_are_held_to_what_append_asks(tmp_path):
  filled(tmp_path, 5)
  path = foreign(tmp_path / 'x.npz', reward=np.array([0, 1, np.nan, 1, 1, 1]))
  for reading in (False, True):
    with pytest.raises(StoreError, match='x.npz is no episode: reward') as told:
      opened(tmp_path, reading=reading)
    assert '\n' not in str(told.value) and path.exists()
  foreign(path)
  assert opened(tmp_path)[0].lengths == [6, 5]


def test_files_of_others_are_held_to_ours(tmp_path):
  filled(tmp_path, 5)
  less = {key: value for key, value in make(1, 6).items() if key != 'position'}
  np.savez(tmp_path / 'x.npz', **less)
  with pytest.raises(StoreError, match='x.npz lacks position'):
    opened(tmp_path)
  foreign(tmp_path / 'x.npz', position=np.zeros((6, 3)))
  with pytest.raises(StoreError, match='position of episode x.npz.*.3.*.2.'):
    opened(tmp_path)
  foreign(tmp_path / 'x.npz', more=np.zeros((6, 3)))
  assert 'more' not in opened(tmp_path)[0].sample(1, 1, 0)


def test_ours_are_held_to_those_of_others(tmp_path):
  less = {key: value for key, value in make(1, 6).items() if key != 'position'}
  np.savez(tmp_path / 'x.npz', done=np.zeros(6), **less)
  store, _ = opened(tmp_path)
  with pytest.raises(StoreError, match='of others lack position'):
    store.append(make(0, 4))
  assert len(files(tmp_path)) == 1
  store.append({k: v for k, v in make(0, 4).items() if k != 'position'})
  assert 'done' not in store.sample(1, 1, 0)
  store.append({k: v for k, v in make(1, 4).items() if k != 'position'})
  assert opened(tmp_path)[0].numbers == [None, 1, 2]


def test_a_file_that_comes_while_it_runs_counts_from_the_next_start(tmp_path):
  store = filled(tmp_path, 5, 6)
  foreign(tmp_path / 'demonstration.npz')
  assert store.append(make(2, 7)) == 2
  assert store.lengths == [5, 6, 7] and store.return_of(2) == 6 * 2000 + 21
  again, _ = opened(tmp_path)
  assert again.numbers == [None, 0, 1, 2] and again.next_index == 3
  assert again.return_of(2) == store.return_of(2)


def test_an_episode_that_lies_is_set_aside(tmp_path):
  """Its header tells of more rows than it has."""

  def lie(path):
    content = path.read_bytes()
    with zipfile.ZipFile(path) as old:
      members = {name: old.read(name) for name in old.namelist()}
    shape = members['reward.npy']
    members['reward.npy'] = shape.replace(b'(50,)', b'(99,)')
    assert members['reward.npy'] != shape and content
    with zipfile.ZipFile(path, 'w') as new:
      for name, member in members.items():
        new.writestr(name, member)

  damage_nothing_else(tmp_path, lie)


def test_a_damaged_file_covers_no_other(tmp_path):
  for content in (b'1', b'2', b'3'):
    (tmp_path / 'x.npz').write_bytes(content)
    assert opened(tmp_path)[0].damaged == 1
  aside = tmp_path / 'damaged'
  assert [path.read_bytes() for path in sorted(aside.iterdir())] == [
    *(b'1', b'2', b'3')
  ]


def test_nothing_is_set_aside_through_a_link(tmp_path):
  (tmp_path / 'mine').mkdir()
  store = tmp_path / 'store'
  filled(store, 5)
  (store / 'damaged').symlink_to(tmp_path / 'mine')
  (store / 'x.npz').write_bytes(b'1')
  with pytest.raises(StoreError, match='damaged is a link'):
    opened(store)
  assert (store / 'x.npz').exists() and not list((tmp_path / 'mine').iterdir())


@pytest.mark.parametrize(
  'kind', ['pipe', 'device', 'directory', 'link to pipe']
)
def test_what_is_no_file_is_left_out(tmp_path, kind):
  filled(tmp_path, 5)
  path = tmp_path / 'x.npz'
  if kind == 'pipe':
    os.mkfifo(path)
  elif kind == 'device':
    path.symlink_to('/dev/zero')
  elif kind == 'directory':
    path.mkdir()
  else:
    os.mkfifo(tmp_path / 'pipe')
    path.symlink_to(tmp_path / 'pipe')
  for name in ('x.npz.tmp', 'x.npz.0123456789abcdef.tmp'):
    os.mkfifo(tmp_path / name)
  store, lines = opened(tmp_path)
  assert lines == [f'{path} is no regular file: left out']
  assert store.lengths == [5] and path.is_symlink() | path.exists()
  store.append(make(1, 4))
  assert store.sample(2, 3, 0)['mask'].all()


# --------------------------------------------- who looks, and who writes ----


def state(directory):
  """Everything that is there: names, times and contents."""
  return {
    path: (path.lstat().st_mtime_ns, path.is_file() and path.read_bytes())
    for path in [directory, *directory.rglob('*')]
  }


def test_looking_writes_nothing(tmp_path):
  filled(tmp_path, 5, 6, 7, metadata=METADATA)
  ours = files(tmp_path)
  ours[1].write_bytes(b'damaged')
  (tmp_path / 'index.jsonl').unlink()
  (tmp_path / f'{ours[0].name}.0123456789abcdef.tmp').write_bytes(b'half')
  record = {'episodes': 1, 'agent_steps': 6, 'names': [ours[2].name]}
  (tmp_path / 'deleted.json').write_text(json.dumps(record))
  before = state(tmp_path)
  store, lines = opened(tmp_path, reading=True, metadata={'more': 1})
  assert store.lengths == [5] and store.damaged == 1
  assert store.collected_episodes == 2 and store.metadata['more'] == 1
  (line,) = lines
  assert line.startswith(f'damaged episode {ours[1]} left out: ')
  assert store.episode(0).keys() and store.sample(2, 3, 0)['mask'].all()
  with pytest.raises(StoreError, match='for reading'):
    store.append(make(3, 4))
  assert state(tmp_path) == before
  with pytest.raises(FileNotFoundError):
    opened(tmp_path / 'none', reading=True)
  # Who writes does all that.
  opened(tmp_path)
  assert {path.name for path in tmp_path.iterdir()} == {
    *(ours[0].name, 'damaged', 'index.jsonl', 'metadata.json', 'deleted.json')
  }


WRITE = """if True:
  import sys
  sys.path.insert(0, 'tests')
  import store_test
  store, lines = store_test.opened(sys.argv[1])
  print('opened', len(lines), flush=True)
  for line in sys.stdin:
    try:
      print(store.append(store_test.make(0, 5)), flush=True)
    except store_test.StoreError as error:
      print(error, flush=True)
"""


class Writer:
  """Another program, which appends an episode when it is told to."""

  def __init__(self, directory):
    self.process = subprocess.Popen(
      [sys.executable, '-c', WRITE, directory],
      cwd=ROOT,
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      text=True,
    )
    self.told = self.process.stdout.readline().strip()

  def append(self):
    self.process.stdin.write('\n')
    self.process.stdin.flush()
    return self.process.stdout.readline().strip()

  def close(self):
    self.process.stdin.close()
    self.process.wait()
    self.process.stdout.close()


def test_two_programs_give_no_number_twice(tmp_path, monkeypatch):
  monkeypatch.setattr(folder, '_WAIT_SECONDS', 0.1)
  store, _ = opened(tmp_path)
  other = Writer(tmp_path)
  assert other.append() == '0'
  with pytest.raises(StoreError, match='another program writes into') as told:
    store.append(make(9, 5))
  assert '\n' not in str(told.value)
  assert f'{tmp_path} (process {other.process.pid} on' in str(told.value)
  # It may be opened, and finds what is there; but only one tidies up.
  files(tmp_path)[0].with_name('x.npz').write_bytes(b'damaged')
  late, lines = opened(tmp_path)
  assert late.numbers == [0] and 'left out' in lines[0]
  assert (tmp_path / 'x.npz').exists()
  assert other.append() == '1'
  other.close()
  # The other has ended; who has not seen its episodes must not go on.
  for stale in (store, late):
    with pytest.raises(StoreError, match='since this one opened it'):
      stale.append(make(9, 5))
  fresh, _ = opened(tmp_path)
  assert fresh.append(make(9, 5)) == 2 and fresh.numbers == [0, 1, 2]


def test_a_child_does_not_append_beside_its_parent(tmp_path, monkeypatch):
  monkeypatch.setattr(folder, '_WAIT_SECONDS', 0.1)
  store = filled(tmp_path, 5)
  child = os.fork()
  if not child:
    try:
      store.append(make(1, 5))
    except StoreError:
      os._exit(7)
    os._exit(0)
  assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
  assert store.append(make(1, 5)) == 1


@pytest.mark.parametrize('number', [errno.EROFS, errno.EACCES])
def test_where_nobody_may_write_nothing_is_tidied(
  tmp_path, monkeypatch, number
):
  filled(tmp_path, 5, 5)
  files(tmp_path)[1].write_bytes(b'damaged')
  before = state(tmp_path)
  opening = os.open

  def read_only(path, flags, *arguments, **options):
    if flags & (os.O_WRONLY | os.O_RDWR):
      raise OSError(number, os.strerror(number), str(path))
    return opening(path, flags, *arguments, **options)

  monkeypatch.setattr(os, 'open', read_only)
  store, lines = opened(tmp_path)
  assert store.numbers == [0] and 'left out' in lines[0]
  with pytest.raises(OSError) as caught:
    store.append(make(1, 5))
  assert caught.value.errno == number
  assert state(tmp_path) == before


def test_two_stores_of_a_program_give_no_number_twice(tmp_path):
  one, two = opened(tmp_path)[0], opened(tmp_path)[0]
  assert one.append(make(0, 5)) == 0
  with pytest.raises(StoreError, match='start again'):
    two.append(make(0, 5))
  three, _ = opened(tmp_path)
  assert three.append(make(1, 5)) == 1
  with pytest.raises(StoreError, match='start again'):
    one.append(make(0, 5))
  assert opened(tmp_path)[0].numbers == [0, 1]


def test_appending_goes_on_while_others_look(tmp_path):
  """One program looks again and again while another writes."""
  code = f"""if True:
    import sys
    sys.path.insert(0, 'tests')
    import store_test
    while True:
      store_test.opened({str(tmp_path)!r}, reading=True)
      store_test.opened({str(tmp_path)!r})
      print('looked', flush=True)
  """
  store = filled(tmp_path, 5)
  process = subprocess.Popen(
    [sys.executable, '-c', code], cwd=ROOT, stdout=subprocess.PIPE
  )
  process.stdout.readline()
  for number in range(1, 60):
    assert store.append(make(number, 5)) == number
  process.kill()
  process.communicate()
  assert process.returncode < 0
  again, lines = opened(tmp_path)
  assert again.numbers == list(range(60)) and not lines


# --------------------------------------------------------- JSON of others ----


@pytest.mark.parametrize(
  'name, content',
  [
    *(
      (name, text)
      for name in ('metadata.json', 'deleted.json')
      for text in (
        '[]',
        'null',
        '3',
        '"a"',
        '{',
        '',
        '[' * 99_999,
        '{"a": NaN}',
      )
    ),
    ('metadata.json', '{"action_repeat": "4"}'),
    ('metadata.json', '{"action_repeat": 0}'),
    ('metadata.json', '{"action_repeat": 2.5}'),
    ('metadata.json', '{"action_repeat": true}'),
    ('metadata.json', '{"size": [64]}'),
    ('deleted.json', '{"episodes": -1}'),
    ('deleted.json', '{"agent_steps": "many"}'),
    ('deleted.json', '{"names": {}}'),
    ('deleted.json', '{"names": [3]}'),
    ('deleted.json', '{"names": ["x.npz"]}'),
    ('deleted.json', '{"names": ["../precious"]}'),
    ('deleted.json', '{"names": ["PRECIOUS"]}'),
    ('deleted.json', '{"names": ["../000000-' + 32 * 'a' + '-5.npz"]}'),
    ('deleted.json', '{"names": ["000000-' + 32 * 'a' + '-5.npz\\n"]}'),
  ],
)
@pytest.mark.parametrize('reading', [False, True])
def test_json_of_another_kind_is_refused(tmp_path, name, content, reading):
  precious = tmp_path / 'precious'
  precious.write_text('mine')
  aside = tmp_path / f'000000-{"a" * 32}-5.npz'
  aside.write_text('mine')
  filled(tmp_path / 'store', 5)
  text = content.replace('PRECIOUS', str(precious))
  (tmp_path / 'store' / name).write_text(text)
  before = state(tmp_path)
  with pytest.raises(StoreError, match=f'{name} is damaged: ') as told:
    opened(tmp_path / 'store', reading=reading)
  assert '\n' not in str(told.value)
  assert state(tmp_path) == before


@pytest.mark.parametrize('name', ['metadata.json', 'deleted.json'])
def test_json_that_is_no_file_is_refused(tmp_path, name):
  filled(tmp_path, 5)
  (tmp_path / name).unlink(missing_ok=True)
  os.mkfifo(tmp_path / name)
  with pytest.raises(StoreError, match=f'{name} is a FIFO, not a regular'):
    opened(tmp_path)


def test_files_of_others_do_not_make_way(tmp_path):
  """They may be all that their owner has."""
  for name in ('a', 'b'):
    foreign(tmp_path / f'{name}.npz')
  store = filled(tmp_path, 5, 5, 5, metadata=METADATA, capacity=50)
  assert store.numbers == [None, None, 4]
  assert opened(tmp_path, capacity=50)[0].numbers == [None, None, 4]


# ---------------------------------------------------- disks that are full ----


def no_space(*arguments, **options):
  raise OSError(errno.ENOSPC, 'No space left on device')


def half_written(file, **arrays):
  file.write(b'PK half of it')
  no_space()


@pytest.mark.parametrize(
  'module, function, replacement',
  [(np, 'savez', half_written), (os, 'fsync', no_space)],
)
def test_a_full_disk_leaves_the_store_as_it_was(
  tmp_path, monkeypatch, module, function, replacement
):
  store = filled(tmp_path, 4)
  before = sorted(tmp_path.iterdir())
  with monkeypatch.context() as patch:
    patch.setattr(module, function, replacement)
    with pytest.raises(OSError, match='No space') as caught:
      store.append(make(1, 4))
  assert caught.value.errno == errno.ENOSPC
  assert sorted(tmp_path.iterdir()) == before and store.episodes == 1
  assert store.append(make(1, 4)) == 1 and store.episodes == 2


def test_a_write_that_breaks_off_leaves_nothing(tmp_path):
  """Against a real limit: files of this process may have 9 kB."""
  code = f"""if True:
    import resource, sys
    sys.path.insert(0, 'tests')
    import store_test
    store = store_test.filled({str(tmp_path)!r}, 20)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))
    try:
      store.append(store_test.make(1, 300))
    except OSError as error:
      print(error.strerror)
    print(store.append(store_test.make(1, 10)))
  """
  done = subprocess.run(
    [sys.executable, '-c', code],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  assert done.stdout == 'File too large\n1\n'
  assert opened(tmp_path)[0].lengths == [20, 10]
  names = {path.name for path in tmp_path.iterdir()}
  assert len(names) == 3 and 'index.jsonl' in names


def test_leftovers_are_removed_unless_someone_is_writing(tmp_path):
  left = tmp_path / '000000-a.npz.0123456789abcdef.tmp'
  written = tmp_path / '000001-a.npz.0123456789abcdef.tmp'
  left.write_bytes(b'half')
  with written.open('wb') as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    opened(tmp_path)
    assert not left.exists() and written.exists()
  opened(tmp_path)
  assert not written.exists()


def test_a_program_killed_while_writing_loses_no_finished_episode(tmp_path):
  code = f"""if True:
    import sys
    sys.path.insert(0, 'tests')
    import store_test
    store, _ = store_test.opened({str(tmp_path)!r})
    while True:
      number = store.append(store_test.make(store.next_index % 200, 200))
      print(number, flush=True)
  """
  store, _ = opened(tmp_path)
  for delay in (0, 0.003, 0.007, 0.011):
    process = subprocess.Popen(
      [sys.executable, '-c', code],
      cwd=ROOT,
      stdout=subprocess.PIPE,
      text=True,
    )
    first = process.stdout.readline()
    time.sleep(delay)
    process.kill()
    told = (first + process.communicate()[0]).split('\n')[:-1]
    assert int(first) == store.episodes  # It went on where the last one was.
    store, lines = opened(tmp_path)
    numbers = [episode_files.index_of(path) for path in files(tmp_path)]
    assert numbers == list(range(store.episodes)) and not lines
    assert store.episodes > int(told[-1])
    assert not list(tmp_path.glob('*.tmp'))


# -------------------------------------------------- metadata and capacity ----


def test_other_metadata_is_refused_with_a_line_for_each_key(tmp_path):
  opened(tmp_path, metadata=METADATA)
  opened(tmp_path, metadata=METADATA)
  asked = {**METADATA, 'quality': 'fast', 'action_repeat': 2}
  with pytest.raises(StoreError) as caught:
    opened(tmp_path, metadata=asked)
  assert str(caught.value).splitlines()[1:] == [
    'action_repeat: stored 4, asked 2',
    'quality: stored near, asked fast',
  ]
  assert opened(tmp_path)[0].metadata == METADATA


def test_new_metadata_is_added(tmp_path):
  opened(tmp_path, metadata=METADATA)
  store, _ = opened(tmp_path, metadata={'vectors': ('a', 'b')})
  assert store.metadata == {**METADATA, 'vectors': ['a', 'b']}
  opened(tmp_path, metadata={'vectors': ('a', 'b'), **METADATA})


def test_damaged_metadata_is_refused(tmp_path):
  opened(tmp_path, metadata=METADATA)
  (tmp_path / 'metadata.json').write_text('{"task": ')
  with pytest.raises(StoreError, match='metadata.json is damaged'):
    opened(tmp_path)


def test_the_oldest_episodes_make_way(tmp_path):
  store, lines = opened(tmp_path, metadata=METADATA, capacity=40)
  for number in range(5):
    store.append(make(number, 5))  # 16 env_steps each.
  assert len(lines) == 3 and 'capacity of 40 env_steps' in lines[0]
  assert store.env_steps == 32 and store.collected_env_steps == 80
  again, _ = opened(tmp_path, capacity=40)
  for reader in (store, again):
    assert [reader.episode(i)['position'][0, 1] for i in range(2)] == [3, 4]
    assert reader.collected_episodes == 5 and reader.next_index == 5
    assert reader.collected_env_steps == 80


def test_as_many_make_way_as_are_in_the_way(tmp_path):
  store = filled(tmp_path, 5, 5, 5, metadata=METADATA, capacity=48)
  assert store.env_steps == 48
  store.append(make(3, 9))  # 32 env_steps, which two have.
  assert store.numbers == [2, 3] and store.env_steps == 48


def test_one_episode_is_always_kept(tmp_path):
  store = filled(tmp_path, 50, 60, capacity=10)
  assert store.lengths == [60]


def test_an_interrupted_deletion_is_finished(tmp_path, monkeypatch):
  store = filled(tmp_path, 5, 5, metadata=METADATA, capacity=40)
  with monkeypatch.context() as patch:
    patch.setattr(pathlib.Path, 'unlink', no_space)
    with pytest.raises(OSError):
      store.append(make(2, 5))
  assert len(files(tmp_path)) == 3
  again, _ = opened(tmp_path, capacity=40)
  assert again.episodes == len(files(tmp_path)) == 2
  assert again.collected_episodes == 3 and again.collected_env_steps == 48


def test_nothing_is_deleted_without_a_capacity(tmp_path):
  store, lines = opened(tmp_path)
  for number in range(5):
    store.append(make(number, 50))
  assert store.episodes == 5 and not lines


def test_the_estimate_is_about_right(tmp_path):
  store = filled(tmp_path, 126, metadata={**METADATA, 'size': 64})
  text = store.estimate(100_000, batch=50, length=50, row=64 * 64 * 3)
  assert '1 episodes' in text
  assert '307 MB for 100000 env_steps' in text  # 25,000 x 64 x 64 x 3 bytes
  assert '123 MB of memory' in text  # 4 x 2,500 x 64 x 64 x 3 bytes
  bounded, _ = opened(tmp_path, capacity=1000)
  assert '3 MB for 1000 env_steps' in bounded.estimate(100_000, 50, 50, 12288)


def test_metadata_is_readable(tmp_path):
  assert metadata.match_metadata(tmp_path, METADATA) == METADATA
  text = (tmp_path / 'metadata.json').read_text()
  assert json.loads(text) == METADATA and text.count('\n') > 4


def test_files_have_no_compression(tmp_path):
  filled(tmp_path, 4)
  with zipfile.ZipFile(files(tmp_path)[0]) as archive:
    kinds = {info.compress_type for info in archive.infolist()}
  assert kinds == {zipfile.ZIP_STORED}
