"""Every format: which row of it is which row of ours, and what breaks it."""

import importlib.util
import json
import os
import pathlib
import re
import shutil
import struct
import sys
import zipfile
import zlib

import h5py
import numpy as np
import pytest
from samples import make
from samples.make import as_rows

from worldmodels import errors
from worldmodels import kinds
from worldmodels.agents.runs import animation
from worldmodels.data import archive
from worldmodels.data import conversion
from worldmodels.data import examples
from worldmodels.data import films
from worldmodels.data import hdf5
from worldmodels.data import lerobot_tables
from worldmodels.data import lerobot_writing
from worldmodels.data import pictures
from worldmodels.data import reading
from worldmodels.data import recorded
from worldmodels.data import recordings
from worldmodels.data import rlds_features
from worldmodels.data import spaces
from worldmodels.data import tfrecord
from worldmodels.data.formats import episodes
from worldmodels.data.formats import lerobot
from worldmodels.data.formats import minari
from worldmodels.data.formats import npz
from worldmodels.data.formats import rlds
from worldmodels.data.formats import vd4rl
from worldmodels.data.formats import video
from worldmodels.data.recordings import RecordingError

SAMPLES = pathlib.Path(__file__).parent / 'samples'
WRITTEN = kinds.names(recordings.PACKAGE, 'write')
# Of these a file is made by hand below; the others have samples.
FLAGS = ('is_first', 'is_last', 'is_terminal')
HAS_PYARROW = importlib.util.find_spec('pyarrow') is not None
# LeRobot's needs pyarrow, which is not installed everywhere.
INSTALLED = [x for x in WRITTEN if x != 'lerobot' or HAS_PYARROW]
# JPEG and films lose a little.
LOSSY = {'minari': 1}


def present(names):
  """Formats as parameters of a test, which skips what is not installed."""
  lacks = pytest.mark.skipif(not HAS_PYARROW, reason='no pyarrow')
  return [
    pytest.param(name, marks=lacks if name == 'lerobot' else ())
    for name in names
  ]


class Ready(recorded.Recorded):
  """Episodes in memory, as if they had been read."""

  def __init__(self, *given, **options):
    source = recordings.Recordings(
      'memory',
      [f'number {number}' for number in range(len(given))],
      lambda number, size: dict(given[number]),
      lambda number: given[number]['action'],
      **options,
    )
    self.lines = []
    super().__init__(source, pathlib.Path('here'), log=self.lines.append)


def opened(path, kind=None, **options):
  lines = []
  source = recordings.find(path, kind, options.pop('image', None))
  found = recorded.Recorded(source, path, log=lines.append, **options)
  found.lines = lines
  return found


def check_same(found, number, keys=None, atol=0):
  expected = as_rows(number)
  for key in keys or expected:
    value = found[key]
    assert len(value) == len(expected[key]), key
    worst = np.abs(value.astype(float) - expected[key].astype(float)).max()
    assert worst <= (atol if key == 'image' else 1e-6), key


# ------------------------------------------------------------ row by row ----


@pytest.mark.parametrize(
  'name', present(json.loads((SAMPLES / 'versions.json').read_text()))
)
def test_each_row_of_a_sample_is_in_its_place(name):
  """Written by the library of the format, read without it."""
  found = opened(SAMPLES / name)
  assert found.format == name and len(found) == 2
  for number, episode in enumerate(found):
    keys = [key for key in as_rows(number) if key in episode]
    assert {'image', 'action', 'reward', 'discount'} <= {*keys}
    check_same(episode, number, keys, LOSSY.get(name, 0))


def test_each_row_of_older_npz_is_in_its_place(tmp_path):
  """The files of Dreamer and of PlaNet, which have less."""
  old = {k: v for k, v in as_rows(1).items() if k not in FLAGS}
  np.savez_compressed(tmp_path / '20200102T000000-bb-4.npz', **old)
  check_same(opened(tmp_path).episode(0), 1)
  del old['discount']  # PlaNet's
  np.savez_compressed(tmp_path / '20200102T000000-bb-4.npz', **old)
  assert opened(tmp_path).episode(0)['discount'].tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize('kind', present(WRITTEN))
def test_what_is_written_is_read_again(kind, tmp_path):
  out = tmp_path / 'out'
  size = conversion.write(out, kind, Ready(as_rows(0), as_rows(1)))
  assert size == sum(x.stat().st_size for x in out.rglob('*') if x.is_file())
  found = opened(out)
  assert found.format == ('npz' if kind == 'episodes' else kind)
  assert len(found) == 2 and not found.discrete and found.low is None
  for number, episode in enumerate(found):
    check_same(episode, number, episode.keys())
    assert kind == 'vd4rl' or 'position' in episode
  assert os.listdir(tmp_path) == ['out']


@pytest.mark.parametrize('kind', present(WRITTEN))
def test_choices_are_read_again(kind, tmp_path):
  chosen = np.eye(3, dtype=np.float32)[[0, 2, 1, 1, 0, 2]]
  chosen[0] = 0
  given = {**as_rows(0), 'action': chosen}
  conversion.write(tmp_path / 'out', kind, Ready(given))
  found = opened(tmp_path / 'out')
  assert found.discrete and found.actions == 3
  np.testing.assert_array_equal(found.episode(0)['action'], chosen)


@pytest.mark.parametrize('ending', ['.mp4', '.webm', '.gif'])
def test_a_film_is_an_episode_without_actions(ending, tmp_path):
  shown = np.zeros((12, 48, 64, 3), np.uint8)
  for t in range(12):
    shown[t] = 20 * t
  animation.write(tmp_path / f'film{ending}', shown)
  found = opened(tmp_path)
  assert found.format == 'video' and len(found) == 1
  assert found.actions == 0 and not found.discrete
  episode = found.episode(0)
  assert episode['action'].shape == (12, 0) and not episode['reward'].any()
  levels = episode['image'].mean((1, 2, 3))
  np.testing.assert_allclose(levels, 20 * np.arange(12), atol=5)
  assert opened(tmp_path, size=16).episode(0)['image'].shape[1:] == (16, 16, 3)
  # What has no actions is kept as such.
  for kind in INSTALLED:
    conversion.write(tmp_path / kind, kind, found)
    again = opened(tmp_path / kind)
    assert again.actions == 0 and again.episode(0)['action'].shape == (12, 0)


def test_where_opencv_cannot_decode_pyav_is_asked(tmp_path, monkeypatch):
  path = tmp_path / 'film.mp4'
  animation.write(path, np.zeros((4, 32, 32, 3), np.uint8))
  monkeypatch.setattr(films, '_read', lambda capture: iter(()))
  asked = []

  def span(path, size):
    asked.append(size)
    return [np.zeros((8, 8, 3), np.uint8)] * 4

  monkeypatch.setattr(films, 'span', span)
  assert films.frames(path, 8).shape == (4, 8, 8, 3) and asked == [8]
  monkeypatch.undo()
  monkeypatch.setitem(sys.modules, 'av', None)
  with pytest.raises(RecordingError, match=r'av is not .*tf\[lerobot\]'):
    films.span(path)


def test_wrong_films_are_one_line(tmp_path, monkeypatch):
  path = tmp_path / 'film.mp4'
  shown = np.random.default_rng(0).integers(0, 255, (30, 64, 64, 3), np.uint8)
  animation.write(path, shown)
  whole_film = path.read_bytes()
  playlist = b'#EXTM3U\n#EXTINF:1,\n/etc/passwd\n'
  for content in (b'', playlist, whole_film[:300], whole_film[:-2000]):
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r'film.mp4: (it is no|damaged)'):
      opened(tmp_path).episode(0)
  path.write_bytes(whole_film)
  monkeypatch.setattr(recordings, 'LARGEST', 10**5)
  with pytest.raises(RecordingError, match='cut the film, or give --size=64'):
    opened(tmp_path).episode(0)
  path.unlink()
  os.mkfifo(path)
  with pytest.raises(errors.UserError, match='FIFO'):
    opened(tmp_path).episode(0)


# ------------------------------------------------------- images, actions ----


def test_a_choice_by_number_becomes_one_hot():
  choice = np.array([0, 2, 1, 0, 0, 1])
  ready = Ready({**as_rows(0), 'action': choice}, choices=4)
  expected = np.eye(4)[choice] * (np.arange(6) > 0)[:, None]
  assert ready.discrete and ready.actions == 4
  np.testing.assert_array_equal(ready.episode(0)['action'], expected)
  assert Ready({**as_rows(0), 'action': choice}).actions == 3
  for wrong, text in ((choice - 1, 'below 0'), (choice + 9, 'of 4 from 0')):
    with pytest.raises(RecordingError, match=text):
      Ready({**as_rows(0), 'action': wrong}, choices=4)
  with pytest.raises(RecordingError, match='at most 4096'):
    Ready({**as_rows(0), 'action': choice * 5000})


def test_actions_are_scaled_to_their_bounds():
  action = np.zeros((6, 2))
  action[1:, 0], action[1:, 1] = [0, 5, 10, 10, 5], [-3, 0, 3, 3, 9]
  given = {**as_rows(0), 'action': action}
  named = Ready(given, low=np.array([0, -3]), high=np.array([10, 3]))
  found = named.episode(0)['action']
  assert found[:, 0].tolist() == [0, -1, 0, 1, 1, 0]
  assert found[:, 1].tolist() == [0, -1, 0, 1, 1, 1]  # cut to its bounds
  assert ['become' in x or 'beyond' in x for x in named.lines] == [True, True]
  # Without names by the range; a part that stays within is one of the range.
  ranged = Ready(given)
  assert 'range in the data' in ranged.lines[0]
  assert ranged.low.tolist() == [0, -3] and ranged.high.tolist() == [10, 9]
  # Without bounds: as they are, unless they are too large.
  none = np.array([-np.inf, -3]), np.array([np.inf, 3])
  assert Ready(given, low=none[0], high=none[1]).high.tolist() == [10, 3]
  within = Ready(as_rows(0))
  assert within.low is None and not within.lines


def test_images_are_brought_to_one_size():
  wide = np.zeros((2, 4, 8, 1), np.uint8)
  wide[:, :, 2:6] = 200  # the middle square
  found = pictures.shaped(wide, 2)
  assert found.shape == (2, 2, 2, 3) and (found == 200).all()
  assert pictures.shaped(wide).shape == (2, 4, 8, 3)
  for wrong in (np.zeros((2, 4, 4, 3)), np.zeros((2, 4, 4, 2), np.uint8)):
    with pytest.raises(RecordingError, match='images'):
      pictures.shaped(wrong)
  image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
  content = pictures.png(image)
  np.testing.assert_array_equal(pictures.decoded([content])[0], image)
  huge = content[:16] + struct.pack('>II', 60000, 60000) + content[24:]
  for wrong in (content[:20], b'GIF89a', content[:60], huge, b'\xff\xd8\xff'):
    with pytest.raises(RecordingError):
      pictures.decoded([wrong])
  with pytest.raises(RecordingError, match='2 sizes'):
    pictures.decoded([content, pictures.png(image[:2])])


def test_episodes_are_alike():
  other = {**as_rows(1), 'image': np.zeros((4, 8, 8, 3), np.uint8)}
  ready = Ready(as_rows(0), other)
  ready.episode(0)
  with pytest.raises(RecordingError, match=r'number 1: image .*--size=64'):
    ready.episode(1)
  other = as_rows(1)
  del other['position']
  ready = Ready(as_rows(0), other)
  ready.episode(0)
  with pytest.raises(RecordingError, match='position is absent'):
    ready.episode(1)
  with pytest.raises(RecordingError, match='3 parts, those before it 2'):
    Ready(as_rows(0), {**as_rows(1), 'action': np.zeros((4, 3))})


def test_columns_of_single_numbers_are_as_good():
  given = {**as_rows(0), 'reward': as_rows(0)['reward'][:, None]}
  check_same(Ready(given).episode(0), 0)


def test_what_is_no_vector_is_left_out():
  ready = Ready({**as_rows(0), 'a.b/c': np.ones(6), 'who': np.array(['x'] * 6)})
  found = ready.episode(0)
  assert found['a_b_c'].shape == (6, 1) and 'who' not in found
  assert ready.lines == ["left out   'who': no vector of numbers in each row"]


# ------------------------------------------------------------ wrong input ----


def write_npz(folder, **changes):
  episode = {**as_rows(0), **changes}
  np.savez(
    folder / 'a.npz', **{k: v for k, v in episode.items() if v is not None}
  )


def in_bytes(pattern, change):
  """Changes the one file of a name: from its bytes to other bytes."""

  def plant(folder):
    (path,) = folder.glob(pattern)
    path.write_bytes(change(path.read_bytes()))

  return plant


def flip(place):
  """Changes a bit of a byte, or of the one so far behind a word."""

  def change(content):
    start, away = place if isinstance(place, tuple) else (b'', place)
    index = content.index(start) + away
    return content[:index] + bytes([content[index] ^ 1]) + content[index + 1 :]

  return change


def in_json(path, change):
  """Changes what a file of JSON holds: in place, or with a dict of values."""

  def plant(folder):
    file = folder / path
    values = json.loads(file.read_text())
    values.update(change) if isinstance(change, dict) else change(values)
    file.write_text(json.dumps(values))

  return plant


def truncated(folder):
  write_npz(folder)
  in_bytes('a.npz', lambda content: content[: len(content) // 2])(folder)


def flipped(folder):
  write_npz(folder)
  in_bytes('a.npz', flip((b'action.npy', 200)))(folder)


def bomb(folder):
  header = b"{'descr': '|u1', 'fortran_order': False, 'shape': "
  header += b'(400000, 100, 100, 3), }\n'
  start = b'\x93NUMPY\x01\x00' + struct.pack('<H', len(header)) + header
  squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
  with zipfile.ZipFile(folder / 'a.npz', 'w', zipfile.ZIP_DEFLATED) as file:
    for key in ('action', 'reward'):
      file.writestr(f'{key}.npy', b'')
    with file.open('image.npy', 'w', force_zip64=True) as member:
      member.write(start)
      block = bytes(1 << 20)
      for _ in range(40):
        member.write(block)
  del squeeze


def pickled(folder):
  action = np.array([{'a': 1}] * 6, object)
  np.savez(
    folder / 'a.npz', allow_pickle=True, **{**as_rows(0), 'action': action}
  )


def nan(**where):
  def plant(folder):
    ((key, row),) = where.items()
    value = as_rows(0)[key].copy()
    value[row] = np.nan
    write_npz(folder, **{key: value})

  return plant


def fifo(folder):
  os.mkfifo(folder / 'a.npz')


def device(folder):
  (folder / 'a.npz').symlink_to('/dev/zero')


def changed(**changes):
  return lambda folder: write_npz(folder, **changes)


WRONG_NPZ = {
  'truncated': (truncated, 'damaged'),
  'flipped': (flipped, 'damaged'),
  'bomb': (bomb, 'damaged|unpacks'),
  'pickled': (pickled, 'object'),
  'nan action': (nan(action=3), 'not all finite'),
  'nan reward': (nan(reward=2), 'reward is not finite in row 2'),
  'fifo': (fifo, 'FIFO'),
  'device': (device, 'a device'),
  'no action': (changed(action=None), "no 'action'"),
  'lengths': (changed(reward=np.zeros(5)), 'rows'),
  'float image': (changed(image=np.zeros((6, 8, 8, 3))), 'uint8'),
  'shifted': (changed(reward=np.arange(1.0, 7)), 'row 0 is the reset'),
  'empty': (changed(image=np.zeros((0, 8, 8, 3), np.uint8)), 'no rows'),
  'text': (lambda folder: (folder / 'a.npz').write_text('hello'), 'damaged'),
  'nothing': (lambda folder: (folder / 'a.npz').write_bytes(b''), 'damaged'),
}


def hdf5_with(make_file):
  def plant(folder):
    with h5py.File(folder / 'shard.hdf5', 'w') as file:
      one = as_rows(0)
      file['observation'] = one['image'].transpose(0, 3, 1, 2)
      for key in ('action', 'reward', 'discount'):
        file[key] = one[key]
      file['step_type'] = [0, 1, 1, 1, 1, 2]
      make_file(file)

  return plant


def replaced(**values):
  def change(file):
    for key, value in values.items():
      del file[key]
      if value is not None:
        file[key] = value

  return change


def outside(file):
  del file['reward']
  file['reward'] = h5py.ExternalLink('/etc/passwd', '/reward')


def raw(file):
  del file['reward']
  file.create_dataset('reward', (6,), 'u1', external=[('/etc/passwd', 0, 6)])


def virtual(file):
  del file['reward']
  layout = h5py.VirtualLayout((6,), 'f4')
  layout[:] = h5py.VirtualSource('/etc/passwd', 'x', (6,))
  file.create_virtual_dataset('reward', layout)


def enormous(file):
  count = 10**10
  for key in ('observation', 'action', 'reward', 'discount', 'step_type'):
    rest = file[key].shape[1:]
    dtype = file[key].dtype
    del file[key]
    file.create_dataset(
      key, (count, *rest), dtype, chunks=(6, *rest), maxshape=(None, *rest)
    )


def cut(folder):
  hdf5_with(lambda file: None)(folder)
  in_bytes('shard.hdf5', lambda content: content[:-3000])(folder)


WRONG_HDF5 = {
  'cut': (cut, 'damaged'),
  'text': (lambda f: (f / 'a.hdf5').write_text('hello'), 'damaged'),
  'link': (hdf5_with(outside), 'is a link'),
  'raw': (hdf5_with(raw), 'in another file'),
  'virtual': (hdf5_with(virtual), 'in another file'),
  'enormous': (hdf5_with(enormous), 'unpacks to'),
  'objects': (hdf5_with(replaced(action=[b'a'] * 6)), 'not numbers'),
  'no reward': (hdf5_with(replaced(reward=None)), "no 'reward'"),
  'lengths': (hdf5_with(replaced(reward=np.zeros(5))), 'do not match'),
  'group': (
    hdf5_with(lambda f: (f.pop('reward'), f.create_group('reward'))),
    'no dataset',
  ),
  'no begin': (hdf5_with(replaced(step_type=[1, 1, 1, 1, 1, 2])), 'row 0'),
  'two ends': (hdf5_with(replaced(step_type=[0, 1, 2, 1, 1, 2])), 'row 2'),
  'no rows': (
    hdf5_with(
      replaced(
        observation=np.zeros((0, 3, 8, 8), np.uint8),
        action=np.zeros((0, 2)),
        reward=np.zeros(0),
        discount=np.zeros(0),
        step_type=np.zeros(0),
      )
    ),
    'no episodes',
  ),
}


def in_episode(change):
  def plant(folder):
    with h5py.File(folder / 'data' / 'main_data.hdf5', 'a') as file:
      change(file['episode_0'])

  return plant


def of_the_library(change):
  """As the library of Minari wrote it."""

  def plant(folder):
    shutil.rmtree(folder)
    shutil.copytree(SAMPLES / 'minari', folder)
    in_episode(change)(folder)

  return plant


def described(**changes):
  return in_json('data/metadata.json', changes)


WRONG_MINARI = {
  'no json': (
    lambda f: (f / 'data' / 'metadata.json').write_text('{'),
    'metadata.json is damaged',
  ),
  'list': (
    lambda f: (f / 'data' / 'metadata.json').write_text('[]'),
    'no object',
  ),
  'space': (described(action_space='{"type": "Box"}'), 'action_space'),
  'deep': (described(action_space='[' * 10**5), 'action_space'),
  'kind': (described(action_space='{"type": "Tuple"}'), "'Tuple'"),
  'choices': (
    described(action_space='{"type": "Discrete", "n": 99999999}'),
    'choices',
  ),
  'arrow': (described(data_format='arrow'), 'hdf5 is read'),
  'no image': (
    in_episode(lambda g: g['observations'].pop('image')),
    'no image',
  ),
  'ends early': (
    in_episode(lambda g: g['terminations'].__setitem__(1, True)),
    'before the end',
  ),
  'more rewards': (
    of_the_library(lambda g: g['rewards'].resize((9,))),
    'rewards 9',
  ),
  'no JPEG': (
    of_the_library(
      lambda g: g['observations/image'].__setitem__(2, [np.zeros(9, np.uint8)])
    ),
    'neither PNG nor JPEG|is damaged',
  ),
}


def in_features(change):
  def inner(values):
    steps = values['featuresDict']['features']['steps']['sequence']['feature']
    change(steps['featuresDict']['features'])

  return in_json('features.json', inner)


def in_records(change):
  return in_bytes('*.tfrecord*', change)


def another_record(folder):
  (path,) = folder.glob('*.tfrecord*')
  example = examples.parse(tfrecord.read(path, *tfrecord.places(path)[0]))
  example['steps/reward'] = example['steps/reward'][:-1]
  with open(path, 'wb') as file:
    tfrecord.write(file, examples.serialize(example))


WRONG_RLDS = {
  'no json': (lambda f: (f / 'features.json').write_text('{'), 'is damaged'),
  'no steps': (
    lambda f: (f / 'features.json').write_text('{"featuresDict": {}}'),
    'describes no steps',
  ),
  'no image': (
    in_features(lambda x: x['observation']['featuresDict']['features'].clear()),
    'no image',
  ),
  'a bit': (in_records(flip(300)), 'damaged'),
  'length': (in_records(lambda x: x[:1] + b'\xff' + x[2:]), 'at byte 0'),
  'cut': (in_records(lambda x: x[:-9]), 'at byte 0'),
  'lengths': (another_record, 'do not match: .*reward 5'),
  'shape': (
    in_features(
      lambda x: x['action']['tensor'].update(shape={'dimensions': ['5']})
    ),
    'has 12 numbers',
  ),
}


def in_info(**changes):
  return in_json('meta/info.json', changes)


def rewritten(part, change):
  def plant(folder):
    from pyarrow import parquet

    (path,) = (folder / part).glob('*/*.parquet')
    parquet.write_table(change(parquet.read_table(path)), path)

  return plant


WRONG_LEROBOT = {
  'old': (in_info(codebase_version='v2.1'), "'v2.1'; v3.0 is read"),
  'features': (in_info(features={'../../etc': {'shape': [1]}}), 'features'),
  'fps': (in_info(fps=0), 'fps is 0'),
  'no camera': (
    in_info(features={'action': {'dtype': 'float32', 'shape': [2]}}),
    'no camera',
  ),
  'half': (in_bytes('data/*/*.parquet', lambda x: x[:-100]), 'is damaged'),
  'no file': (
    lambda f: os.remove(f / 'data/chunk-000/file-000.parquet'),
    'there is no',
  ),
  'no frames': (rewritten('data', lambda x: x.slice(0, 2)), 'has 2 of its 6'),
  'no reward': (rewritten('data', lambda x: x.drop(['action'])), "no 'action'"),
  'no length': (
    rewritten('meta/episodes', lambda x: x.drop(['length'])),
    'length is None',
  ),
}


# Of each format what is planted in a folder, and what is said of it: in one of
# our making, or in an empty one, in which it is made.
WRONG = {
  'npz': WRONG_NPZ,
  'vd4rl': WRONG_HDF5,
  'minari': WRONG_MINARI,
  'rlds': WRONG_RLDS,
  'lerobot': WRONG_LEROBOT,
}


@pytest.mark.parametrize(
  'kind,name', [(kind, name) for kind, found in WRONG.items() for name in found]
)
def test_what_is_wrong_is_one_line_and_leaves_nothing(kind, name, tmp_path):
  if kind == 'lerobot' and not HAS_PYARROW:
    pytest.skip('no pyarrow')
  plant, text = WRONG[kind][name]
  data = tmp_path / 'data'
  if kind in ('npz', 'vd4rl'):
    data.mkdir()
  else:
    conversion.write(data, kind, Ready(as_rows(0)))
  plant(data)
  with pytest.raises(errors.UserError, match=text) as caught:
    conversion.write(tmp_path / 'out', 'minari', opened(data))
  assert '\n' not in str(caught.value)
  assert ('a.npz' if kind == 'npz' else str(data)) in str(caught.value)
  assert os.listdir(tmp_path) == ['data']


def test_records_are_those_of_tensorflow(tmp_path):
  assert tfrecord.crc32c(b'123456789') == 0xE3069283  # As RFC 3720 has it.
  content = np.random.default_rng(0).bytes(10_000)
  slow = 0xFFFFFFFF
  for byte in content:
    slow ^= byte
    for _ in range(8):
      slow = slow >> 1 ^ (0x82F63B78 if slow & 1 else 0)
  assert tfrecord.crc32c(content) == slow ^ 0xFFFFFFFF
  with open(tmp_path / 'a.tfrecord', 'wb') as file:
    for part in (content, b''):
      tfrecord.write(file, part)
  (first, _), (second, length) = places = tfrecord.places(
    tmp_path / 'a.tfrecord'
  )
  assert (first, second, length) == (12, 12 + 10_000 + 16, 0)
  assert tfrecord.read(tmp_path / 'a.tfrecord', *places[0]) == content
  given = {
    'bytes': [b'ab', b''],
    'floats': np.array([1.5, -2], np.float32),
    'integers': np.array([0, -1, 300, 1 << 40]),
  }
  found = examples.parse(examples.serialize(given))
  assert found.keys() == given.keys() and found['bytes'] == given['bytes']
  for key in ('floats', 'integers'):
    np.testing.assert_array_equal(found[key], given[key])
  # Not packed, as old writers have it.
  assert examples.parse(bytes.fromhex('0a0b0a090a016112041a020807'))['a'] == [7]
  for wrong in (b'\xff' * 9, b'\x0a\x7f', examples.serialize(given)[:-3]):
    with pytest.raises(RecordingError, match='no Example'):
      examples.parse(wrong)


def test_features_of_rlds_are_those_of_its_steps():
  shapes = {k: v.shape[1:] for k, v in as_rows(0).items()}
  found = rlds_features.columns(rlds_features.described(shapes, 0), 'here')
  assert found['steps/observation/image'].is_image
  assert (
    found['steps/action'].shape == (2,) and found['steps/reward'].shape == ()
  )
  assert rlds_features.actions(found) == ['steps/action']
  parts = {
    f'steps/action/{key}': rlds_features.Column((3,)) for key in ('turn', 'go')
  }
  assert rlds_features.actions(parts) == [
    'steps/action/go',
    'steps/action/turn',
  ]
  label = {'classLabel': {'numClasses': '5'}}
  described = rlds_features.described(shapes, 0)
  steps = described['featuresDict']['features']['steps']['sequence']['feature']
  steps['featuresDict']['features']['action'] = label
  found = rlds_features.columns(described, 'here')
  assert found['steps/action'].choices == 5


def test_without_pyarrow_the_extra_is_named(monkeypatch, tmp_path):
  monkeypatch.setitem(sys.modules, 'pyarrow', None)
  (tmp_path / 'meta' / 'episodes' / 'chunk-000').mkdir(parents=True)
  (tmp_path / 'meta' / 'episodes' / 'chunk-000' / 'a.parquet').touch()
  camera = {'dtype': 'image', 'shape': [8, 8, 3]}
  (tmp_path / 'meta' / 'info.json').write_text(
    json.dumps(
      {'codebase_version': 'v3.0', 'fps': 5, 'features': {'image': camera}}
    )
  )
  extra = r"pyarrow is not installed; .*'worldmodels-tf\[lerobot\]'"
  with pytest.raises(RecordingError, match=extra):
    opened(tmp_path)
  with pytest.raises(RecordingError, match=extra):
    conversion.write(tmp_path / 'out', 'lerobot', Ready(as_rows(0)))
  with pytest.raises(RecordingError, match=extra):
    lerobot_writing.write(tmp_path, Ready(as_rows(0)))
  with pytest.raises(RecordingError, match=extra):
    lerobot_tables.episodes(tmp_path)
  assert os.listdir(tmp_path) == ['meta']


def test_each_frame_of_lerobots_films_is_in_its_place():
  """Two episodes in one film, as the library of LeRobot wrote it."""
  pytest.importorskip('av')
  pytest.importorskip('pyarrow')
  found = opened(SAMPLES / 'lerobot', image='images.film', size=make.SIZE)
  for number in (1, 0):
    episode = found.episode(number)
    wrong = episode['image'].astype(float) - as_rows(number)['image']
    assert len(wrong) == len(as_rows(number)['reward'])
    assert np.abs(wrong).mean((1, 2, 3)).max() < 2
    keys = ['action', 'reward', 'discount', 'position']
    check_same(episode, number, keys)


def test_tables_are_those_of_lerobot(tmp_path):
  """Its library reads no others."""
  parquet = pytest.importorskip('pyarrow.parquet')
  row = np.arange(6, dtype=np.float32)[:, None]
  conversion.write(
    tmp_path / 'out', 'lerobot', Ready({**as_rows(0), 'row': row})
  )

  def tables(path):
    found = [
      parquet.read_schema(next(path.glob(f'{part}/*/*.parquet')))
      for part in ('data', 'meta/episodes')
    ]
    return {x.name: x.type for schema in found for x in schema}

  def features(path):
    return json.loads((path / 'meta' / 'info.json').read_text())['features']

  for part in (tables, features):
    mine, theirs = part(tmp_path / 'out'), part(SAMPLES / 'lerobot')
    assert mine and mine == {key: theirs[key] for key in mine}
  # Pandas takes an index from columns that are described alone.
  schema = parquet.read_schema(tmp_path / 'out' / 'meta' / 'tasks.parquet')
  described = schema.pandas_metadata
  names = [x['field_name'] for x in described['columns']]
  assert described['index_columns'] == names == ['task']


def test_numbers_of_lerobot_may_be_alone(tmp_path):
  """A shape of [1] is no list there."""
  pytest.importorskip('pyarrow')
  given = as_rows(1)
  given = {**given, 'action': given['action'][:, :1], 'row': np.ones((4, 1))}
  conversion.write(tmp_path / 'out', 'lerobot', Ready(given))
  found = opened(tmp_path / 'out')
  assert found.actions == 1 and not found.discrete
  for key in ('action', 'row', 'reward', 'discount'):
    np.testing.assert_allclose(found.episode(0)[key], given[key])


def test_texts_of_lerobot_are_left_out(tmp_path):
  """Some are lists of structures, so they are of shape [1]."""
  pyarrow = pytest.importorskip('pyarrow')
  data = tmp_path / 'data'
  conversion.write(data, 'lerobot', Ready(as_rows(0)))
  features = json.loads((data / 'meta' / 'info.json').read_text())['features']
  said = {
    'language_events': [[{'role': 'user', 'content': 'left'}], *[[]] * 5],
    'subtask': ['go'] * 6,
  }
  for key, value in said.items():
    dtype = 'string' if key == 'subtask' else 'language'
    features[key] = {'dtype': dtype, 'shape': [1], 'names': None}
    column = pyarrow.array(value)
    rewritten('data', lambda x: x.append_column(key, column))(data)  # noqa: B023
  in_info(features=features)(data)
  episode = opened(data).episode(0)
  assert not said.keys() & episode.keys()
  check_same(episode, 0)


def test_minari_reads_what_is_written(tmp_path):
  minari_library = pytest.importorskip('minari')
  conversion.write(tmp_path / 'out', 'minari', Ready(as_rows(0), as_rows(1)))
  dataset = minari_library.MinariDataset(tmp_path / 'out' / 'data')
  for number, episode in enumerate(dataset.iterate_episodes()):
    expected = as_rows(number)
    seen = episode.observations
    np.testing.assert_array_equal(seen['image'], expected['image'])
    np.testing.assert_allclose(episode.actions, expected['action'][1:])
    np.testing.assert_allclose(episode.rewards, expected['reward'][1:])
    assert episode.terminations[-1] == bool(number) != episode.truncations[-1]


def test_lerobot_reads_what_is_written(tmp_path):
  library = pytest.importorskip('lerobot.datasets.lerobot_dataset')
  given = [as_rows(number) for number in range(2)]
  for episode in given:
    episode['row'] = np.arange(len(episode['reward']))[:, None]
  conversion.write(tmp_path / 'out', 'lerobot', Ready(*given))
  dataset = library.LeRobotDataset('of/two', root=tmp_path / 'out')
  assert len(dataset) == sum(make.LENGTHS)
  frame = 0
  for number, episode in enumerate(given):
    for row in range(make.LENGTHS[number]):
      found = dataset[frame]
      frame += 1
      assert found['episode_index'] == number and found['frame_index'] == row
      assert found['observation.row'] == row
      image = found['observation.image'].numpy().transpose(1, 2, 0)
      np.testing.assert_array_equal(255 * image, episode['image'][row])
      if row < make.LENGTHS[number] - 1:
        np.testing.assert_allclose(found['action'], episode['action'][row + 1])
        assert found['next.reward'] == episode['reward'][row + 1]
        assert found['next.terminated'] == episode['is_terminal'][row + 1]


def test_a_format_of_the_users_is_read(tmp_path, monkeypatch):
  """The example of docs/data.md, as it is there."""
  text = (SAMPLES.parent.parent / 'docs' / 'data.md').read_text()
  (tmp_path / 'my_pickup.py').write_text(
    next(
      x for x in re.findall('```python\n(.*?)```', text, re.S) if 'read(' in x
    )
  )
  monkeypatch.syspath_prepend(tmp_path)
  for number in range(2):
    folder = tmp_path / 'pickups' / str(number)
    folder.mkdir(parents=True)
    expected = as_rows(number)
    np.savetxt(folder / 'actions.csv', expected['action'][1:], delimiter=',')
    for row, image in enumerate(expected['image']):
      (folder / f'{row}.png').write_bytes(pictures.png(image))
  for number, episode in enumerate(
    opened(tmp_path / 'pickups', 'my_pickup:read')
  ):
    check_same(episode, number, ['image', 'action'])


def test_formats_that_are_no_formats(tmp_path):
  with pytest.raises(RecordingError, match='no such file'):
    recordings.find(tmp_path / 'absent')
  with pytest.raises(RecordingError, match='an empty directory; read are'):
    recordings.find(tmp_path)
  with pytest.raises(errors.OptionError, match=r'minari.*npz.*vd4rl'):
    recordings.find(tmp_path, 'tarot')
  write_npz(tmp_path)
  hdf5_with(lambda file: None)(tmp_path)
  with pytest.raises(RecordingError, match='like npz and vd4rl: --from='):
    recordings.find(tmp_path)
  assert len(opened(tmp_path, 'vd4rl')) == 1
  wrong = (
    (minari, tmp_path),
    (npz, SAMPLES),
    (vd4rl, SAMPLES),
    (episodes, tmp_path),
    (video, tmp_path),
    (rlds, tmp_path),
    (lerobot, SAMPLES),
  )
  for module, path in wrong:
    assert not module.recognizes(path)
  with pytest.raises(RecordingError, match='called image there'):
    recordings.find(tmp_path, 'npz', 'pixels')


def test_nothing_is_overwritten(tmp_path):
  ready = Ready(as_rows(0))
  (tmp_path / 'kept').mkdir()
  (tmp_path / 'kept' / 'file').write_text('mine')
  (tmp_path / 'file').write_text('mine')
  (tmp_path / 'link').symlink_to(tmp_path / 'nowhere')
  for name in ('kept', 'file', 'link', 'absent/out'):
    with pytest.raises(RecordingError, match='--out='):
      conversion.write(tmp_path / name, 'npz', ready)
  (tmp_path / 'free').mkdir()
  conversion.write(tmp_path / 'free', 'npz', ready)
  assert len(opened(tmp_path / 'free')) == 1


def test_a_missing_extra_is_named():
  with pytest.raises(
    RecordingError, match=r"pip install 'worldmodels-tf\[x\]'"
  ):
    with recordings.extra('x', 'no_such_package'):
      import no_such_package  # noqa: F401
  with pytest.raises(ModuleNotFoundError):
    with recordings.extra('x', 'another'):
      import no_such_package  # noqa: F401


def test_spaces_of_what_is_written():
  shown = spaces.of_array(np.zeros((9, 2, 2, 3), np.uint8))
  assert shown['shape'] == [2, 2, 3] and shown['high'][1][1] == [255] * 3
  taken = json.dumps(spaces.of_taken(3, discrete=True))
  assert spaces.of_actions(taken, 'here') == (None, None, 3, 0)
  low, high, *_ = spaces.of_actions(spaces.of_taken(2, discrete=False), 'here')
  assert low.tolist() == [-1, -1] and high.tolist() == [1, 1]
  for wrong in ('{"type": "Box", "low": [1], "high": [2], "shape": [2]}', '3'):
    with pytest.raises(RecordingError, match='here is damaged'):
      spaces.of_actions(wrong, 'here')


def test_images_in_hdf5_are_files_or_numbers(tmp_path):
  with h5py.File(tmp_path / 'a.h5', 'w') as file:
    file.create_dataset('own', (2,), h5py.vlen_dtype(np.uint8))
    file['own'][0], file['own'][1] = np.arange(3), np.arange(5)
    file['like'] = np.ones((2, 4), np.uint8)
    file['else'] = np.ones(3)
  with hdf5.opened(tmp_path / 'a.h5') as file:
    assert [*map(len, hdf5.encoded(file['own']))] == [3, 5]
    assert hdf5.encoded(file['like']) == [b'\1' * 4] * 2
    assert hdf5.encoded(file['else']) is None


def test_limits_are_those_of_an_episode(monkeypatch, tmp_path):
  write_npz(tmp_path)
  monkeypatch.setattr(recordings, 'LARGEST', 4000)
  with pytest.raises(RecordingError, match='unpacks to|more than'):
    opened(tmp_path).episode(0)
  assert archive.DamagedError and reading.FileError
