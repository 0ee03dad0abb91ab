"""Recordings that are right and unlike those that most write."""

import json

import h5py
import numpy as np
import pytest

from worldmodels.data import conversion
from worldmodels.data import environments
from worldmodels.data import examples
from worldmodels.data import hdf5
from worldmodels.data import recorded
from worldmodels.data import recordings
from worldmodels.data import rows
from worldmodels.data import spaces
from worldmodels.data import tfrecord
from worldmodels.data.recordings import RecordingError
from worldmodels.data.store import Store

L = 6


class Ready(list):
  """Episodes to be written, in the place of recorded ones."""

  discrete, facts = False, {}

  @property
  def actions(self):
    return self[0]['action'].shape[1]


def episode(length=L, actions=2, **more):
  moved = (np.arange(length) > 0)[:, None]
  return rows.complete(
    {
      'image': np.arange(length * 192).reshape(length, 8, 8, 3).astype('u1'),
      'action': moved * np.full([length, actions], 0.5, np.float32),
      'reward': np.arange(length, dtype=np.float32),
    }
    | more
  )


def written(folder, kind, *episodes):
  if kind == 'lerobot':
    pytest.importorskip('pyarrow')
  conversion.write(folder, kind, Ready(episodes or [episode()]))
  return folder


def opened(path):
  return recorded.Recorded(recordings.find(path), path, log=print)


@pytest.mark.parametrize('kind', ['rlds', 'npz', 'episodes', 'vd4rl'])
def test_discounts_between_0_and_1_are_read_again(kind, tmp_path):
  discount = np.float32([1, 0.9, 0.9, 0.9, 0.9, 0.5])
  made = written(tmp_path / 'data', kind, episode(discount=discount))
  found = opened(made).episode(0)
  np.testing.assert_allclose(found['discount'], discount)
  assert not found['is_terminal'].any()


def test_a_discount_of_0_ends_an_episode_of_rlds_without_flags(tmp_path):
  made = written(tmp_path / 'data', 'rlds')
  (path,) = made.glob('*.tfrecord*')
  columns = examples.parse(tfrecord.read(path, *tfrecord.places(path)[0]))
  columns['steps/discount'] = np.float32([1, 1, 1, 1, 0, 1])
  del columns['steps/is_terminal']
  with open(path, 'wb') as file:
    tfrecord.write(file, examples.serialize(columns))
  found = opened(made).episode(0)
  assert found['is_terminal'].tolist() == [False] * 5 + [True]
  assert found['discount'].tolist() == [1, 1, 1, 1, 1, 0]


@pytest.mark.parametrize('kind', ['bool', 'uint8', 'int64'])
def test_a_column_of_whole_numbers_is_of_choices(kind, tmp_path):
  taken = np.array([0, 1, 0, 1, 1, 0], kind)[:, None]
  np.savez(tmp_path / 'a.npz', **episode() | {'action': taken})
  found = opened(tmp_path)
  assert found.discrete and found.actions == 2
  golden = np.eye(2)[taken[:, 0].astype(int)]
  np.testing.assert_array_equal(found.episode(0)['action'][1:], golden[1:])


def test_a_column_with_bounds_is_of_numbers(tmp_path):
  taken = np.array([0, 10, 0, 5, 10, 0])[:, None]
  np.savez(tmp_path / 'a.npz', **episode() | {'action': taken})
  found = recorded.Recorded(
    recordings.find(tmp_path), tmp_path, bounds=(0, 10), log=print
  )
  assert not found.discrete and found.actions == 1
  golden = np.array([0, 1, -1, 0, 1, -1])[:, None]  # The first is no action.
  np.testing.assert_allclose(found.episode(0)['action'], golden, atol=1e-6)


def test_a_column_below_0_is_of_numbers(tmp_path):
  taken = np.array([0, 1, 0, -1, 1, 0])[:, None]
  np.savez(tmp_path / 'a.npz', **episode() | {'action': taken})
  found = opened(tmp_path)
  assert not found.discrete and found.actions == 1
  np.testing.assert_array_equal(found.episode(0)['action'], taken)


@pytest.mark.parametrize('kind', ['rlds', 'minari', 'lerobot'])
def test_an_episode_of_one_row_is_one_line(kind, tmp_path):
  made = written(tmp_path / 'data', kind, episode(), episode(1))
  try:
    assert len(opened(made).episode(1)['reward']) == 1
  except RecordingError as error:
    assert '\n' not in str(error)


def test_texts_of_minari_are_left_out(tmp_path):
  vector = np.ones([L, 3], np.float32)
  made = written(tmp_path / 'data', 'minari', episode(vector=vector))
  with h5py.File(made / 'data' / 'main_data.hdf5', 'a') as file:
    group = file['episode_0']['observations']
    group.create_dataset('mission', data=['go'] * L)
  found = opened(made).episode(0)
  assert 'mission' not in found and found['vector'].shape == (L, 3)


def test_bounds_of_another_number_of_actions_are_one_line(tmp_path):
  made = written(tmp_path / 'data', 'minari')
  path = made / 'data' / 'metadata.json'
  space = dict(
    type='Box', dtype='float32', shape=[3], low=[-1] * 3, high=[1] * 3
  )
  described = json.loads(path.read_text())
  path.write_text(json.dumps(described | {'action_space': json.dumps(space)}))
  with pytest.raises(RecordingError, match='2 parts, its bounds have 3'):
    opened(made)


def test_endless_choices_are_one_line(tmp_path):
  with pytest.raises(RecordingError, match='action_space is no space'):
    spaces.of_actions('{"type": "Discrete", "n": Infinity}', tmp_path)


def test_files_in_hdf5_are_counted_while_they_are_read(tmp_path, monkeypatch):
  monkeypatch.setattr(recordings, 'LARGEST', 10_000)
  with h5py.File(tmp_path / 'a.hdf5', 'w') as file:
    kind = h5py.vlen_dtype(np.uint8)
    few = file.create_dataset('few', (3,), kind)
    few[0] = few[1] = np.zeros(100, np.uint8)
    assert [len(x) for x in hdf5.encoded(few)] == [100, 100, 0]
    # Rows that hold nothing, and are many; and few that hold much.
    many = file.create_dataset('many', (10**9,), kind, chunks=(1000,))
    large = file.create_dataset('large', (3,), kind)
    large[0] = large[1] = np.zeros(6000, np.uint8)
    for found in (many, large):
      with pytest.raises(RecordingError, match=found.name):
        hdf5.encoded(found)


def test_a_run_with_episodes_of_others_is_read(tmp_path):
  """Those of others do not count the simulator's steps."""
  store = Store(tmp_path, log=print)
  counts = np.array([0, 2, 2, 2, 2, 2], np.int32)
  store.append(episode(env_steps=counts))
  np.savez(tmp_path / 'foreign.npz', **episode())
  found = opened(tmp_path)
  assert [len(found.episode(x)['reward']) for x in range(2)] == [L, L]


def test_npz_of_others_may_be_gray_and_have_columns_and_choices(tmp_path):
  given = dict(
    image=np.full([L, 8, 8, 1], 7, np.uint8),
    action=np.array([0, 0, 1, 2, 2, 1]),
    reward=np.arange(L, dtype=np.float32)[:, None],
    discount=np.ones([L, 1]),
  )
  np.savez(tmp_path / 'a.npz', **given)
  found = opened(tmp_path)
  assert found.discrete and found.actions == 3
  (one,) = found
  assert one['image'].shape == (L, 8, 8, 3) and (one['image'] == 7).all()
  np.testing.assert_array_equal(
    one['action'][1:].argmax(1), given['action'][1:]
  )
  np.testing.assert_array_equal(one['reward'], range(L))
  # Who has put the choice into the row before is told so.
  for first in (2, 99):
    moved = dict(given, action=np.array([first, 0, 1, 2, 2, 1]))
    np.savez(tmp_path / 'a.npz', **moved)
    with pytest.raises(
      RecordingError, match=f'choice in row 0 is {first}: row'
    ):
      list(opened(tmp_path))
  # Without rewards they are 0.
  np.savez(tmp_path / 'a.npz', image=given['image'], action=given['action'])
  (one,) = opened(tmp_path)
  assert not one['reward'].any()
  np.savez(tmp_path / 'a.npz', **given | {'reward': np.array(['a'] * L)})
  with pytest.raises(RecordingError, match='reward holds <U1, not real numbe'):
    list(opened(tmp_path))


def test_rounding_beyond_1_is_no_other_scale(tmp_path):
  action = np.zeros([L, 2], np.float32)
  action[1:, 0], action[1:, 1] = 1.0000001, 0.2
  given = dict(image=np.zeros([L, 8, 8, 3], np.uint8), action=action)
  np.savez(tmp_path / 'a.npz', **given)
  found = opened(tmp_path)
  assert found.low is None
  np.testing.assert_allclose(next(iter(found))['action'], action, atol=1e-5)
  action[1, 0] = 1.01
  np.savez(tmp_path / 'a.npz', **given)
  assert opened(tmp_path).low is not None


@pytest.mark.parametrize('noted', [True, False])
def test_what_holds_another_episode_of_lerobot_is_not_read(
  noted, tmp_path, monkeypatch
):
  parquet = pytest.importorskip('pyarrow.parquet')
  made = written(tmp_path / 'data', 'lerobot', *[episode() for _ in range(9)])
  (file,) = (made / 'data').glob('*/*.parquet')
  table = parquet.read_table(file)
  parquet.write_table(
    table, file, row_group_size=L, write_statistics=noted, compression='none'
  )
  read, whole = [], parquet.ParquetFile.read_row_group

  def counted(self, group, columns):
    read.append(group)
    return whole(self, group, columns=columns)

  monkeypatch.setattr(parquet.ParquetFile, 'read_row_group', counted)
  found = list(opened(made))
  assert len(found) == 9
  # Two passes. Where nothing says which are in a group, all are looked at.
  assert len(read) == 2 * (9 + 9 if noted else 9 * 9 + 9)


def test_names_that_lerobot_cannot_have_are_written_so_that_it_can(tmp_path):
  vector = np.ones([L, 3], np.float32)
  made = written(tmp_path / 'data', 'lerobot', episode(**{'a+b': vector}))
  assert opened(made).episode(0)['a_b'].shape == (L, 3)


def test_the_first_episode_of_gymnasium_has_the_seed_as_well():
  pytest.importorskip('gymnasium')
  seen = []
  for seed in (3, 3, 4):
    task = environments.make(
      'gymnasium:Pendulum-v1', seed, image='none', vectors=['observation']
    )
    seen.append(task.reset().observation['observation'].tolist())
    task.close()
  assert seen[0] == seen[1] != seen[2]
