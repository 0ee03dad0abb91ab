"""Archives of others: sizes before contents, and values that can be used."""

import io
import resource
import struct
import time
import zipfile

import numpy as np
import pytest

from worldmodels.data import archive
from worldmodels.data import rows
from worldmodels.data.store import Store

MOST = 1 << 26
LENGTH = 9


def episode(**change):
  """An episode as others have them; None takes a key out."""
  random = np.random.default_rng(0)
  made = {
    'image': random.integers(0, 255, (LENGTH, 8, 8, 3), np.uint8),
    'action': random.uniform(-1, 1, (LENGTH, 2)).astype(np.float32),
    'reward': random.uniform(0, 1, LENGTH),
  }
  made['action'][0] = made['reward'][0] = 0
  made.update(change)
  return {key: value for key, value in made.items() if value is not None}


BASE = episode()
FIRST = np.arange(LENGTH) == 0
LAST = np.arange(LENGTH) == LENGTH - 1
FLAGS = dict(is_first=FIRST, is_last=LAST, is_terminal=FIRST & False)

# Each is read, with these rows and no others.
SOUND = {
  'v-d4rl': episode(discount=np.ones(LENGTH), **FLAGS),
  'float64': episode(action=BASE['action'].astype(np.float64)),
  'float16': episode(action=BASE['action'].astype(np.float16)),
  'bytes of rewards': episode(reward=np.arange(LENGTH).astype(np.uint8)),
  'rewards of 0 and 1': episode(reward=np.arange(LENGTH) % 2 == 1),
  'whole rewards': episode(reward=np.arange(LENGTH)),
  'big endian': episode(reward=BASE['reward'].astype('>f8')),
  'in the order of Fortran': episode(image=np.asfortranarray(BASE['image'])),
  'a vector in that order': episode(
    position=np.asfortranarray(np.arange(3.0 * LENGTH).reshape(LENGTH, 3))
  ),
  'a number and a name': episode(fps=np.array(30), task=np.array('walker')),
  'objects': episode(info=np.array([{}] * LENGTH, object)),
  'PlaNet, done': episode(done=LAST),
  'terminal at its end': episode(is_terminal=LAST),
  'discount 0 at its end': episode(discount=1.0 - LAST),
  'discount below 1': episode(discount=np.full(LENGTH, 0.99)),
  'actions at the bounds': episode(action=np.sign(BASE['action'])),
  'one row': {key: value[:1] for key, value in BASE.items()},
}
# Each is refused in one line that says why.
REFUSED = {
  'flags one longer': (episode(is_first=np.append(FIRST, False)), 'is_first'),
  'rewards [L, 1]': (episode(reward=BASE['reward'][:, None]), 'reward has sh'),
  'actions [L]': (episode(action=BASE['action'][:, 0]), 'action has shape'),
  'choices by index': (episode(action=np.arange(LENGTH) % 2), 'action has sh'),
  'channels first': (
    episode(image=BASE['image'].transpose(0, 3, 1, 2)),
    'image is uint8',
  ),
  'images of 0 to 1': (episode(image=BASE['image'] / 255), 'image is float64'),
  'images of whole numbers': (
    episode(image=BASE['image'].astype(np.int64)),
    'image is int64',
  ),
  'gray': (episode(image=BASE['image'][..., 0]), 'image is uint8'),
  'images that are objects': (
    episode(image=np.array([None] * LENGTH)),
    'image holds object',
  ),
  'one action fewer': (
    episode(action=BASE['action'][1:], reward=BASE['reward'][1:]),
    'action has shape .8, 2., image 9 rows',
  ),
  'other keys': (dict(observation=BASE['image']), "it has no 'image'"),
  'keys of DrQ-v2': (
    episode(
      image=None,
      observation=np.zeros((LENGTH, 9, 8, 8), np.uint8),
      reward=BASE['reward'][:, None],
      discount=np.ones((LENGTH, 1)),
    ),
    "it has no 'image', and no vector",
  ),
  'complex rewards': (episode(reward=BASE['reward'] * 1j), 'reward holds comp'),
  'NaN': (episode(reward=np.where(LAST, np.nan, 0)), 'not finite in row 8'),
  'inf': (
    episode(action=np.where(LAST, np.inf, BASE['action'].T).T),
    'action is not finite in row 8',
  ),
  'beyond float32': (episode(reward=np.where(LAST, 1e39, 0)), 'not finite'),
  'NaN in a vector': (
    episode(position=np.full((LENGTH, 3), np.nan)),
    'position is not finite in row 0',
  ),
  'actions beyond their bounds': (
    episode(action=2 * BASE['action']),
    r'action has -?1\.\d+ in row \d: actions lie in .-1, 1.',
  ),
  'rows of D4RL': (
    episode(
      action=np.roll(BASE['action'], -1, 0), reward=np.roll(BASE['reward'], -1)
    ),
    'row 0 is the reset.*move both one row down',
  ),
  'rewards of D4RL': (
    episode(reward=np.roll(BASE['reward'], -1)),
    'row 0 is the reset',
  ),
  'two episodes in one': (
    episode(is_first=np.arange(LENGTH) % 4 == 0),
    'is_first is true in row 4 of 9',
  ),
  'an end in the middle': (
    episode(is_last=np.arange(LENGTH) % 4 == 3),
    'is_last is true in row 3 of 9',
  ),
  'terminal in the middle': (
    episode(is_terminal=FIRST),
    'is_terminal is true in row 0 of 9',
  ),
  'no reset': (episode(is_first=FIRST & False), 'is_first is false in row 0'),
  'discounts above 1': (
    episode(discount=np.full(LENGTH, 1.5)),
    'discount has 1.5 in row 0',
  ),
  'no rows': ({k: v[:0] for k, v in BASE.items()}, 'it has no rows'),
}


def inspect(path, most=MOST):
  """Verifies a file; neither time nor memory depend on what it says."""
  before = time.process_time()
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
  try:
    return archive.inspect(path, most)
  finally:
    assert time.process_time() - before < 2
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
    assert grown < 300_000  # kB


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
@pytest.mark.parametrize('name', SOUND)
def test_is_read(tmp_path, name, save):
  path = tmp_path / 'x.npz'
  save(path, **SOUND[name])
  found = inspect(path)
  reward = np.asarray(SOUND[name]['reward'], np.float32)
  assert found.length == len(reward)
  assert found.total_reward == pytest.approx(reward.sum(), rel=1e-6)
  assert {'image', 'action', 'reward'} <= found.arrays.keys()
  assert not {'fps', 'task', 'info'} & found.arrays.keys()


@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
@pytest.mark.parametrize('name', SOUND)
def test_its_rows_are_those_of_the_file(tmp_path, name, save):
  """Once it was verified, and when its index is believed."""
  save(tmp_path / 'x.npz', **SOUND[name])
  for _ in range(2):
    lines = []
    store = Store(tmp_path, log=lines.append)
    assert store.episodes == 1 and not lines
    found = store.episode(0)
    for key in SOUND[name].keys() - {'fps', 'task', 'info'}:
      golden = SOUND[name][key].astype(rows.dtype_of(key))
      assert found[key].dtype == golden.dtype
      np.testing.assert_array_equal(found[key], golden, err_msg=key)
    drawn = store.sample(4, 5, 0)
    assert all(np.isfinite(value).all() for value in drawn.values())


@pytest.mark.filterwarnings('error')
@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
@pytest.mark.parametrize('name', REFUSED)
def test_is_refused(tmp_path, name, save):
  made, message = REFUSED[name]
  save(tmp_path / 'x.npz', **made)
  with pytest.raises(rows.RowsError, match=message) as caught:
    inspect(tmp_path / 'x.npz')
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize('name', REFUSED)
def test_what_is_appended_is_held_to_the_same(name):
  made, message = REFUSED[name]
  with pytest.raises(rows.RowsError, match=message):
    rows.complete(made)


# -------------------------------------------------------- files that lie ----


def npy(array, shape=None, header=None):
  """The bytes of an .npy file, which may say another shape or header."""
  with io.BytesIO() as file:
    described = np.lib.format.header_data_from_array_1_0(array)
    described['shape'] = array.shape if shape is None else shape
    np.lib.format.write_array_header_1_0(file, described)
    begin = file.getvalue() if header is None else header
  return begin + array.tobytes()


def pack(path, method=zipfile.ZIP_STORED, **members):
  """Writes an archive of an episode, with other members in place of some."""
  made = {key: npy(value) for key, value in episode().items()} | members
  with zipfile.ZipFile(path, 'w', method) as file:
    for key, content in made.items():
      file.writestr(f'{key}.npy', content)


BRACKETS = b'(' * 9000
LIES = {
  'a header of more rows': npy(np.zeros(LENGTH - 1), (LENGTH,)),
  'a header of fewer rows': npy(np.zeros(LENGTH + 1), (LENGTH,)),
  'a header of very many rows': npy(np.zeros(LENGTH), (10**15,)),
  'a header of many dimensions': npy(np.zeros(LENGTH), (10**5,) * 30),
  'a header of negative rows': npy(np.zeros(LENGTH), (-LENGTH,)),
  'a header of no rows but bytes': npy(np.zeros(LENGTH), (0,)),
  'a long header': b'\x93NUMPY\2\0' + struct.pack('<I', 2**31) + b' ' * 99,
  'a header of brackets': b'\x93NUMPY\1\0' + struct.pack('<H', 9000) + BRACKETS,
  'a header of signs': b'\x93NUMPY\1\0' + struct.pack('<H', 9000) + b'-' * 9000,
  'a header of nothing': b'\x93NUMPY\1\0\0\0',
  'another version': b'\x93NUMPY\7\0\0\0',
  'no header': b'',
}


@pytest.mark.parametrize('method', [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize('name', LIES)
def test_an_array_that_lies_is_found(tmp_path, name, method):
  pack(tmp_path / 'x.npz', method, reward=LIES[name])
  with pytest.raises(archive.DamagedError) as caught:
    inspect(tmp_path / 'x.npz')
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize('key', ['reward', 'image', 'more'])
def test_what_does_not_fit_into_memory_is_not_unpacked(tmp_path, key):
  """A bomb: zeros, a thousand times as many as there are bytes."""
  zeros = bytes(1 << 20)
  path = tmp_path / 'x.npz'
  with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as file:
    for name, value in episode().items():
      if name != key:
        file.writestr(f'{name}.npy', npy(value))
    with file.open(f'{key}.npy', 'w', force_zip64=True) as member:
      for _ in range(40):
        member.write(zeros)
  with pytest.raises(archive.DamagedError, match='42 MB, more than the 34 MB'):
    inspect(path, 1 << 25)


def test_a_size_that_is_too_small_is_found(tmp_path):
  """A bomb that says it is none."""
  path = tmp_path / 'x.npz'
  pack(path, zipfile.ZIP_DEFLATED, more=npy(np.zeros(10**6)))
  content = path.read_bytes()
  size = struct.pack('<I', len(npy(np.zeros(10**6))))
  assert content.count(size) == 2
  path.write_bytes(content.replace(size, struct.pack('<I', 999)))
  with pytest.raises(archive.DamagedError):
    inspect(path)


def test_an_array_twice_is_found(tmp_path):
  path = tmp_path / 'x.npz'
  pack(path)
  with zipfile.ZipFile(path, 'a') as file, pytest.warns(UserWarning):
    file.writestr('reward.npy', npy(np.zeros(LENGTH)))
  with pytest.raises(archive.DamagedError, match='twice'):
    inspect(path)


@pytest.mark.parametrize('method', [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_is_refused(tmp_path, method):
  pack(tmp_path / 'x.npz', method)
  with pytest.raises(archive.DamagedError, match='another way'):
    inspect(tmp_path / 'x.npz')
