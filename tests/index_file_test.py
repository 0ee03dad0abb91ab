"""What is noted of episodes is believed as long as it is about these files."""

import gc
import json
import os
import shutil
import sys
import time
import zlib

import numpy as np
import pytest

from worldmodels.data import archive
from worldmodels.data.index_file import IndexFile
from worldmodels.data.store import Store

NAME = 'index.jsonl'


def episode(number, length, **more):
  """An episode of so many rows."""
  row = np.arange(length)
  return {
    'image': np.full((length, 4, 4, 3), number, np.uint8),
    'action': np.zeros((length, 1), np.float32),
    'reward': (row > 0) * float(number),
    **more,
  }


@pytest.fixture
def verified(monkeypatch):
  """Names of the files that are verified, in order."""
  names, inspect = [], archive.inspect

  def recorded(path, most, trusted=False):
    if not trusted:
      names.append(path.name)
    return inspect(path, most, trusted)

  monkeypatch.setattr(archive, 'inspect', recorded)
  return names


@pytest.fixture
def folder(tmp_path):
  """A store of three episodes, and one of others before them."""
  np.savez_compressed(tmp_path / 'a.npz', **episode(9, 7))
  store = opened(tmp_path)
  for number in range(3):
    store.append(episode(number, 4 + number), index=number)
  return tmp_path


def opened(path, **options):
  return Store(path, log=str, **options)


def seen(path):
  """All that a store says of its episodes."""
  store = opened(path, reading=True)
  return (
    *(store.numbers, store.lengths, store.returns, store.bytes_on_disk),
    {key: value.tolist() for key, value in store.sample(8, 3, 0).items()},
    [store.episode(place)['reward'].tolist() for place in range(4)],
  )


def ours(path):
  return sorted(path.glob('0*.npz'))


def test_each_file_is_verified_once(folder, verified):
  assert opened(folder).lengths == [7, 4, 5, 6]
  assert opened(folder, reading=True).returns == [54, 0, 4, 10]
  assert not verified


def test_nothing_depends_on_it(folder, verified):
  before = seen(folder)
  content = (folder / NAME).read_bytes()
  (folder / NAME).unlink()
  assert seen(folder) == before
  assert len(verified) == 4 and not (folder / NAME).exists()
  opened(folder)
  assert IndexFile(folder).facts and seen(folder) == before
  assert len((folder / NAME).read_bytes()) == len(content)


def test_a_file_that_changed_is_verified_again(folder, verified):
  path = ours(folder)[1]
  content = path.read_bytes()
  times = path.stat()
  # Of the same size and time, a moment later.
  time.sleep(0.05)
  spoiled = content.replace(content[-400:-380], bytes(20))
  path.write_bytes(spoiled)
  os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
  store = opened(folder)
  assert verified == [path.name] and store.damaged == 1


def test_files_that_came_with_an_index_are_verified(folder, verified, tmp_path):
  """As a run of somebody else does, whose times an archive has kept."""
  other = tmp_path / 'other'
  time.sleep(0.05)
  shutil.copytree(folder, other, ignore=lambda *names: ['other'])
  assert opened(other).lengths == [7, 4, 5, 6]
  assert len(verified) == 4
  opened(other)
  assert len(verified) == 4


def line(values):
  content = json.dumps(values).encode()
  return b'%08x %s\n' % (zlib.crc32(content), content)


def spoil_one_byte(content):
  return content.replace(b'0', b'1', 1)


DAMAGES = {
  'empty': lambda content: b'',
  'cut': lambda content: content[:-20],
  'one byte': spoil_one_byte,
  'without its first line': lambda content: content.partition(b'\n')[2],
  'other rules': lambda content: line([0, {}]) + content,
  'null': lambda content: b'null\n',
  'bytes': lambda content: bytes(range(256)) * 9,
  'deep': lambda content: line([]).replace(b'[]', b'[' * 99_999),
  'other values': lambda content: b''.join(
    map(line, [None, [], 3, {}, 'ab', [1, 2], [1, {}], ['a'] * 8, [[]] * 8])
  ),
}


@pytest.mark.parametrize('name', DAMAGES)
def test_what_cannot_be_read_counts_as_absent(folder, name):
  before = seen(folder)
  path = folder / NAME
  path.write_bytes(DAMAGES[name](path.read_bytes()))
  assert seen(folder) == before
  opened(folder)
  found = IndexFile(folder)
  assert found.whole and len(found.facts) == 4
  opened(folder).append(episode(3, 9))
  assert len(IndexFile(folder).facts) == 5
  assert opened(folder).lengths == [7, 4, 5, 6, 9]


@pytest.mark.parametrize('kind', ['pipe', 'link', 'directory'])
def test_what_is_no_file_is_in_nobodys_way(folder, kind):
  before = seen(folder)
  path = folder / NAME
  precious = folder / 'precious'
  precious.write_text('mine')
  path.unlink()
  if kind == 'pipe':
    os.mkfifo(path)
  elif kind == 'link':
    path.symlink_to(precious)
  else:
    path.mkdir()
  assert seen(folder) == before
  store = opened(folder)
  assert store.append(episode(3, 4)) == 3
  assert precious.read_text() == 'mine'
  assert opened(folder).lengths == [7, 4, 5, 6, 4]


def test_a_file_that_cannot_hold_its_arrays_is_not_believed(folder):
  """A line with a true checksum, size and time, and 1000 rows."""
  (path,) = ours(folder)[2:]
  first, *_ = (folder / NAME).read_bytes().splitlines(True)
  lines = [json.loads(x[9:]) for x in (folder / NAME).read_bytes().splitlines()]
  (mine,) = [values for values in lines if values[0] == path.name]
  mine[4] = 1000
  (folder / NAME).write_bytes(b''.join(map(line, lines)))
  assert path.name not in IndexFile(folder).facts
  assert opened(folder).lengths == [7, 4, 5, 6]


@pytest.fixture
def counted(tmp_path):
  """A store of an episode that counts its simulator steps and one without."""
  store = opened(tmp_path, metadata={'action_repeat': 4})
  store.append(episode(0, 4, env_steps=np.array([0, 4, 4, 1])))
  store.append(episode(1, 3))
  assert store.env_steps == 9 + 8
  return tmp_path


def lines_of(path):
  return [json.loads(x[9:]) for x in (path / NAME).read_bytes().splitlines()]


def test_simulator_steps_are_noted(counted, verified):
  assert [x[6] for x in lines_of(counted) if len(x) > 2] == [9, None]
  for _ in range(2):
    store = opened(counted)
    assert store.env_steps == 17 and store.env_steps_before(1) == 9
    assert not verified
    IndexFile(counted).rewrite(store._facts())


def test_an_index_without_simulator_steps_is_made_anew(counted, verified):
  """As those of before have none."""
  lines = lines_of(counted)
  for values in lines:
    if len(values) == 2:
      values[0] = 1
    else:
      del values[6]
  (counted / NAME).write_bytes(b''.join(map(line, lines)))
  assert not IndexFile(counted).facts
  assert opened(counted).env_steps == 17 and len(verified) == 2
  assert opened(counted).env_steps == 17 and len(verified) == 2


@pytest.mark.parametrize('steps', [-1, 2.5, '9', True])
def test_simulator_steps_that_are_no_count_are_not_believed(counted, steps):
  lines = lines_of(counted)
  (mine,) = [values for values in lines if len(values) > 2 and values[6] == 9]
  mine[6] = steps
  (counted / NAME).write_bytes(b''.join(map(line, lines)))
  assert opened(counted).env_steps == 17


def test_an_index_that_cannot_be_written_stops_nothing(folder, monkeypatch):
  store = opened(folder)
  real = os.open

  def full(path, flags, *more, **options):
    if str(path).endswith(NAME) and flags & os.O_APPEND:
      raise OSError(28, 'No space left on device')
    return real(path, flags, *more, **options)

  with monkeypatch.context() as patch:
    patch.setattr(os, 'open', full)
    assert store.append(episode(3, 4)) == 3
    assert store.append(episode(4, 4)) == 4
  assert len(IndexFile(folder).facts) == 4
  assert opened(folder).numbers == [None, 0, 1, 2, 3, 4]
  assert len(IndexFile(folder).facts) == 6


def steps(function):
  """Counts the steps of Python that a call takes.

  Not its seconds, which depend on what else the machine does.
  """
  count = 0

  def trace(frame, event, _):
    nonlocal count
    count += event == 'opcode'
    frame.f_trace_opcodes = True
    return trace

  before = sys.gettrace()
  gc.disable()  # What is forgotten meanwhile may take some as well.
  sys.settrace(trace)
  try:
    function()
  finally:
    sys.settrace(before)
    gc.enable()
  return count


def steps_of_a_store(path, count):
  """What a store of so many episodes takes, all of them links to one."""
  path.mkdir()
  opened(path).append(episode(1, 20))
  (first,) = ours(path)
  for number in range(1, count):
    os.link(first, path / f'{number:06d}-{number:032x}-20.npz')
  opened(path)  # And has its index.
  found = {'open': steps(lambda: opened(path))}
  store = opened(path)
  # The first of a program claims the folder, with a look at every name.
  store.append(episode(1, 20))
  index = (path / NAME).stat()
  found['append'] = steps(lambda: store.append(episode(1, 20)))
  longer = (path / NAME).stat()
  assert longer.st_ino == index.st_ino  # It was not written anew.
  assert 0 < longer.st_size - index.st_size < 400
  store.sample(16, 16, 0)  # The first after an append lists all lengths.
  found['sample'] = steps(lambda: store.sample(16, 16, 1))
  found['before'] = steps(lambda: store.before(count - 9))
  found['env_steps'] = steps(lambda: store.env_steps_before(count + 1))
  assert store.numbers == [*range(count + 2)]
  return found


def test_a_store_of_many_episodes_takes_no_more_than_one_of_few(
  tmp_path, verified
):
  """Whatever looks at all of them takes some steps for each."""
  few, many = (steps_of_a_store(tmp_path / str(n), n) for n in (40, 400))
  assert len(verified) == 40 + 400  # When the links were new, and never since.
  assert many.pop('open') < 12 * few.pop('open')
  for name, count in few.items():
    assert many[name] - count < 360, (name, count, many[name])
