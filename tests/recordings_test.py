"""What a film is given: a recorded episode, other actions, a file to write."""

import io
import os

import numpy as np
import pytest

from worldmodels import errors
from worldmodels.agents.runs import film_size
from worldmodels.agents.runs import out_file
from worldmodels.agents.runs import recordings
from worldmodels.agents.runs.stored_config import RunError
from worldmodels.spec import Spec

SPEC = Spec(actions=2, image=(8, 8, 3), vectors={'speed': 3})
CHOICES = Spec(actions=3, discrete=True, image=(8, 8, 3))


def episode(rows=6, **changes):
  """An episode of SPEC; a key of None is left out."""
  found = dict(
    image=np.zeros([rows, 8, 8, 3], np.uint8),
    action=np.zeros([rows, 2], np.float32),
    reward=np.zeros(rows, np.float32),
    speed=np.zeros([rows, 3], np.float32),
  )
  return {k: v for k, v in (found | changes).items() if v is not None}


def saved(path, **arrays):
  np.savez(path, **arrays)
  return path


def test_an_episode_is_read(tmp_path):
  path = saved(tmp_path / 'mine.npz', **episode())
  title, found = recordings.episode(path, SPEC, 6)
  assert title == 'mine' and len(found['reward']) == 6
  assert found['is_first'].tolist() == [True] + [False] * 5


@pytest.mark.parametrize(
  'changes, says',
  [
    (dict(image=None), "no 'image'"),
    (dict(speed=None), "has no 'speed'"),
    (dict(image=np.zeros([6, 9, 8, 3], np.uint8)), 'is [9, 8, 3], that of'),
    (dict(action=np.zeros([6, 1], np.float32)), "'action' is [1]"),
    (dict(reward=np.full(6, np.nan, np.float32)), 'mine.npz'),
    (dict(reward=np.zeros(5, np.float32)), 'mine.npz'),
  ],
)
def test_episodes_of_another_task_are_one_line(changes, says, tmp_path):
  path = saved(tmp_path / 'mine.npz', **episode(**changes))
  with pytest.raises(recordings.RecordingError) as error:
    recordings.episode(path, SPEC, 2)
  assert says in str(error.value) and '\n' not in str(error.value)
  assert str(error.value).startswith('--episode=')


def test_files_that_are_no_episodes_are_one_line(tmp_path):
  short = saved(tmp_path / 'short.npz', **episode(3))
  with pytest.raises(recordings.RecordingError, match='3 rows; it takes 6'):
    recordings.episode(short, SPEC, 6)
  (tmp_path / 'words.npz').write_bytes(b'words')
  os.mkfifo(tmp_path / 'fifo.npz')
  for name in ('words.npz', 'fifo.npz', '.'):
    with pytest.raises(recordings.RecordingError):
      recordings.episode(tmp_path / name, SPEC, 2)
  with pytest.raises(FileNotFoundError):
    recordings.episode(tmp_path / 'gone.npz', SPEC, 2)
  with pytest.raises(errors.OptionError):
    recordings.episode('', SPEC, 2)


def actions(path, value, spec=SPEC):
  np.save(path / 'a.npy', value)
  return recordings.actions(path / 'a.npy', spec)


def test_actions_are_read(tmp_path):
  one = np.linspace(-1, 1, 10).reshape(5, 2)
  assert np.allclose(actions(tmp_path, one), one[None])
  assert actions(tmp_path, np.asfortranarray(one)).shape == (1, 5, 2)
  assert np.allclose(actions(tmp_path, np.asfortranarray(one)), one[None])
  assert actions(tmp_path, np.stack([one, -one])).shape == (2, 5, 2)
  choices = actions(tmp_path, np.array([2, 0]), CHOICES)
  assert choices.tolist() == [[[0, 0, 1], [1, 0, 0]]]
  assert actions(tmp_path, np.array([[1], [2]]), CHOICES).shape == (2, 1, 3)
  assert (actions(tmp_path, choices, CHOICES) == choices).all()


@pytest.mark.parametrize(
  'value, spec, says',
  [
    (np.zeros([5, 3]), SPEC, 'it is [H, 2] or [M, H, 2]'),
    (np.zeros(5), SPEC, 'it is [H, 2]'),
    (np.zeros([0, 2]), SPEC, 'it is [H, 2]'),
    (np.zeros([1, 1, 5, 2]), SPEC, 'it is [H, 2]'),
    (np.zeros([7, 5, 2]), SPEC, '7 sequences, at most 6'),
    (np.full([5, 2], 1.5), SPEC, 'from -1 to 1'),
    (np.full([5, 2], np.nan), SPEC, 'from -1 to 1'),
    (np.array([['a', 'b']]), SPEC, 'holds no numbers'),
    (np.array([0, 3]), CHOICES, 'from 0 to 2'),
    (np.array([-1]), CHOICES, 'from 0 to 2'),
    (np.full([4, 3], 1 / 3), CHOICES, 'one-hot'),
  ],
)
def test_other_actions_are_one_line(value, spec, says, tmp_path):
  with pytest.raises(recordings.RecordingError) as error:
    actions(tmp_path, value, spec)
  assert says in str(error.value) and '\n' not in str(error.value)


def test_files_that_hold_no_actions_are_one_line(tmp_path):
  """Also one that says that it holds more than memory does."""
  header = io.BytesIO()
  np.lib.format.write_array_header_1_0(
    header, dict(descr='<f4', fortran_order=False, shape=(10**12, 2))
  )
  objects = io.BytesIO()
  np.save(objects, np.array([None]), allow_pickle=True)
  for content in (b'', b'words', header.getvalue(), objects.getvalue()):
    (tmp_path / 'a.npy').write_bytes(content)
    with pytest.raises(recordings.RecordingError, match='--actions='):
      recordings.actions(tmp_path / 'a.npy', SPEC)
  with pytest.raises(FileNotFoundError):
    recordings.actions(tmp_path / 'gone.npy', SPEC)


def test_a_film_has_room():
  film_size.check(1000, 400, 800)
  for size in ((1, 20_000, 8), (10**6, 400, 800)):
    with pytest.raises(RunError, match='lower --scale'):
      film_size.check(*size)


def test_a_file_to_write(tmp_path):
  path = out_file.check('--out', str(tmp_path / 'a.PNG'), ('.png', '.svg'))
  assert path == tmp_path / 'a.PNG' and not list(tmp_path.iterdir())
  (tmp_path / 'd.png').mkdir()
  os.mkfifo(tmp_path / 'f.png')
  for name, says in (
    ('a.jpg', 'ends in .png or .svg'),
    ('a', "ends in 'nothing'"),
    ('d.png', 'a directory; it is a file'),
    ('f.png', 'no regular file'),
    ('gone/a.png', 'is there'),
    ('a' * 300 + '.png', 'File name too long'),
  ):
    with pytest.raises(errors.OptionError, match='--out') as error:
      out_file.check('--out', str(tmp_path / name), ('.png', '.svg'))
    assert says in str(error.value)
