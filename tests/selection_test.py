import numpy as np
import pytest

from worldmodels.agents.runs import run_directory
from worldmodels.agents.runs import selection
from worldmodels.configs import planet
from worldmodels.data.store import Store


def episode(length, mark=0, vectors=()):
  """An episode whose rewards count its rows from `mark` on."""
  first = np.arange(length) == 0
  return {
    'image': np.full([length, 8, 8, 3], mark, np.uint8),
    'action': np.where(first, 0, 0.5).astype(np.float32)[:, None],
    'reward': np.where(first, 0, mark + np.arange(length)).astype(np.float32),
    'discount': np.ones(length, np.float32),
    **{name: np.zeros([length, 2], np.float32) for name in vectors},
  }


@pytest.fixture
def directory(tmp_path):
  return run_directory.RunDirectory(tmp_path)


def fill(path, lengths):
  store = Store(path, metadata={'size': 8})
  for index, length in enumerate(lengths):
    store.append(episode(length, index))


def marks(selection):
  return [int(found['image'].ravel()[0]) for found in selection.episodes]


def test_latest_held_out_episodes(directory):
  fill(directory.heldout, [9, 9, 9, 9])
  fill(directory.episodes, [9])
  chosen = selection.latest(directory, 2, 3)
  assert marks(chosen) == [1, 2, 3]
  assert chosen.titles == ['random 1', 'policy 2', 'policy 3']
  assert 'heldout, episodes 1 to 3, never trained on' in chosen.source
  assert 'heldout, episode 3,' in selection.latest(directory, 2, 1).source
  assert marks(selection.latest(directory, 2, 9)) == [0, 1, 2, 3]


def test_who_made_the_episodes_of_a_fit_is_not_known(directory):
  config = planet.get_config('debug')
  assert selection.random_of(config) == config.train.seed_episodes > 0
  config.train.updates_total = 5
  assert selection.random_of(config) is None
  fill(directory.heldout, [9, 9])
  assert selection.latest(directory, None, 2).titles == [
    'episode 0',
    'episode 1',
  ]


def test_short_ones_are_passed_over(directory):
  fill(directory.heldout, [9, 4, 9, 3])
  chosen = selection.latest(directory, 2, 2, shortest=5)
  assert marks(chosen) == [0, 2]
  assert 'episodes 0, 2' in chosen.source


@pytest.mark.parametrize('held_out', [None, [], [3]])
def test_training_episodes_where_none_are_held_out(directory, held_out):
  if held_out is not None:
    fill(directory.heldout, held_out)
  fill(directory.episodes, [9, 9])
  chosen = selection.latest(directory, 2, 2, shortest=5)
  assert chosen.titles == ['episode 0', 'episode 1']
  assert 'trained on: no held-out episode has 5 rows' in chosen.source


def test_those_of_others_keep_the_numbers(directory):
  fill(directory.episodes, [9, 9])
  np.savez(directory.episodes / 'a.npz', **episode(9, 7))
  (left,) = sorted(directory.episodes.glob('0*.npz'))[:1]
  left.with_name(f'{left.name}.0123456789abcdef.tmp').write_bytes(b'half')
  (directory.episodes / 'b.npz').write_bytes(b'damaged')
  before = sorted(directory.path.rglob('*'))
  lines = []
  chosen = selection.latest(directory, 2, 2, log=lines.append)
  assert chosen.titles == ['episode 0', 'episode 1'] and marks(chosen) == [0, 1]
  chosen = selection.latest(directory, 2, 3, log=lines.append)
  assert chosen.titles == ['of others', 'episode 0', 'episode 1']
  assert '3 episodes, some of others' in chosen.source
  assert len(lines) == 2 and 'b.npz left out' in lines[0]
  # Looking changes nothing, whatever lies about.
  assert sorted(directory.path.rglob('*')) == before


def test_nothing_there(directory):
  with pytest.raises(run_directory.RunError, match='no episode'):
    selection.latest(directory, 2, 2)
  assert not list(directory.path.iterdir())  # Looking makes nothing.


def test_chunks_lie_end_to_end():
  batch = selection.cut([episode(9, 10), episode(4, 20), episode(3, 30)], 4)
  assert batch['reward'].tolist() == [
    [0, 11, 12, 13],
    [14, 15, 16, 17],
    [0, 21, 22, 23],
  ]
  assert batch['image'].shape == (3, 4, 8, 8, 3)
  assert batch['mask'].tolist() == [[1] * 4] * 3
  assert batch['mask'].dtype == np.float32


def test_chunks_have_what_all_episodes_have():
  some = [episode(4, vectors=['position', 'speed']), episode(4, 0, ['speed'])]
  batch = selection.cut(some, 4)
  assert 'speed' in batch and 'position' not in batch


def test_many_chunks_are_thinned_evenly():
  batch = selection.cut([episode(100)], 2, limit=10)
  assert batch['reward'][:, 0].tolist() == list(range(0, 100, 10))
  assert len(selection.cut([episode(101)], 2, limit=49)['reward']) == 25
  assert len(selection.cut([episode(101)], 2, limit=50)['reward']) == 50


def test_no_chunk_fits():
  with pytest.raises(ValueError, match='no episode has 5 rows'):
    selection.cut([episode(4)], 5)
