"""Checkpoints are complete or absent, whatever happens while one is written."""

import json
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

from worldmodels.agents.runs import checkpoint
from worldmodels.agents.runs import checkpoint_files
from worldmodels.agents.runs import checkpoint_list

ROOT = pathlib.Path(__file__).parent.parent

# Saves the checkpoints of 1 and 2 updates; one is kept.
SAVE_TWO = """
import sys
from tests import checkpoint_test
for updates in (1, 2):
  checkpoint_test.save(sys.argv[1], updates, keep=1)
"""

# Saves 80 and keeps one.
SAVE_MANY = """
import os, sys
from tests import checkpoint_test
os.fsync = lambda file: None
for updates in range(2, 82):
  checkpoint_test.save(sys.argv[1], updates, keep=1)
"""


class Variable:
  """As much of a variable as a checkpoint needs."""

  def __init__(self, path, value):
    self.path = path
    self.value = np.asarray(value)

  def numpy(self):
    return self.value

  def assign(self, value):
    assert value.shape == self.value.shape
    self.value = value


def variables(updates=0):
  """Unlike variables, all of them functions of the count of updates."""
  return [
    Variable('model/kernel', np.full([3, 4], updates, np.float32)),
    Variable('model/bias', np.arange(5, dtype=np.float32) + updates),
    Variable('optimizer/iteration', np.int64(updates)),
    Variable('optimizer/half', np.full([2], updates, np.float16)),
  ]


def counters(updates):
  return dict(updates=updates, wall_seconds=0.5 * updates)


def save(directory, updates, keep=3):
  checkpoint.save(directory, variables(updates), counters(updates), keep)


def restored(directory, updates=None):
  """The updates of what is restored: of all variables or of none."""
  mine, lines = variables(), []
  found = checkpoint.restore(directory, mine, lines.append, updates)
  count = found['updates'] if found else 0
  assert found is None or found == counters(count)
  for variable, expected in zip(mine, variables(count), strict=True):
    assert variable.value.dtype == expected.value.dtype
    np.testing.assert_array_equal(variable.value, expected.value)
  return count, lines


def test_newest_comes_back_and_the_last_stay(tmp_path):
  assert restored(tmp_path) == (0, [])
  assert restored(tmp_path / 'not there') == (0, [])
  for updates in (5, 10, 15, 20):
    save(tmp_path, updates)
    assert restored(tmp_path) == (updates, [])
  names = [path.name for path in checkpoint_list.complete(tmp_path)]
  assert names == ['00000010', '00000015', '00000020']
  assert sorted(path.name for path in tmp_path.iterdir()) == names
  assert restored(tmp_path, 10) == (10, [])


def test_saving_again_replaces(tmp_path):
  checkpoint.save(tmp_path, variables(7), counters(5))
  save(tmp_path, 5)
  assert restored(tmp_path) == (5, [])


def test_one_of_the_same_number_is_there_at_every_moment(tmp_path, monkeypatch):
  """Also for who looks while the only one is replaced, or after a kill."""
  save(tmp_path, 5, keep=1)
  found = []

  def looking(function):
    def look(*arguments, **options):
      for _ in range(2):
        count, lines = restored(tmp_path)
        assert not lines
        found.append((count, len(checkpoint_list.complete(tmp_path))))
        if len(found) % 2:
          done = function(*arguments, **options)
      return done

    return look

  monkeypatch.setattr(os, 'rename', looking(os.rename))
  monkeypatch.setattr(shutil, 'rmtree', looking(shutil.rmtree))
  save(tmp_path, 5, keep=1)
  assert {count for count, _ in found} == {5} and (5, 2) in found
  assert [path.name for path in tmp_path.iterdir()] == ['00000005']


def test_what_a_kill_left_beside_one_of_its_number_replaces_it(tmp_path):
  save(tmp_path, 5)
  (tmp_path / '00000005' / 'variables.npz').write_bytes(b'PK')
  save(tmp_path / 'other', 5)
  (tmp_path / 'other' / '00000005').rename(tmp_path / '00000005.new')
  (tmp_path / 'other').rmdir()
  assert restored(tmp_path) == (5, [])
  assert restored(tmp_path, 5) == (5, [])
  save(tmp_path, 10)
  assert sorted(os.listdir(tmp_path)) == ['00000005', '00000010']
  assert restored(tmp_path, 5) == (5, [])


def test_a_folder_that_is_no_checkpoint_is_none(tmp_path):
  """Neither is it counted among those that are kept."""
  save(tmp_path, 5)
  (tmp_path / '99999999').mkdir()
  count, lines = restored(tmp_path)
  assert count == 5 and len(lines) == 1 and '99999999 is damaged' in lines[0]
  assert checkpoint_list.check(tmp_path) == counters(5)
  with pytest.raises(checkpoint.CheckpointError, match='; there: 5$'):
    checkpoint_list.check(tmp_path, 7)
  save(tmp_path, 10, keep=1)
  assert restored(tmp_path)[0] == 10
  assert sorted(os.listdir(tmp_path)) == ['00000010', '99999999']
  assert checkpoint_list.last_whole(tmp_path) == str(tmp_path / '00000010')


@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_what_is_not_finite_is_no_checkpoint(bad, tmp_path):
  save(tmp_path, 5, keep=1)
  mine = variables(10)
  mine[1].value[2] = mine[3].value[0] = bad
  message = (
    r'2 of 4 variables are not finite any more \(the first is model\.bias\).*'
    f'last good one is {tmp_path}/00000005: lower optimizer.rate'
  )
  for use in (
    lambda: checkpoint.save(tmp_path, mine, counters(10), keep=1),
    lambda: checkpoint.check_finite(tmp_path, mine),
  ):
    with pytest.raises(checkpoint.CheckpointError, match=message) as caught:
      use()
    assert '\n' not in str(caught.value)
  assert os.listdir(tmp_path) == ['00000005']
  assert restored(tmp_path) == (5, [])
  checkpoint.check_finite(tmp_path, variables(10))


def test_one_that_is_not_finite_is_passed_over(tmp_path):
  """There are some of before it was looked at."""
  save(tmp_path, 5)
  values = checkpoint.by_path(variables(10))
  values['model.bias'][2] = np.nan
  (tmp_path / '00000010').mkdir()
  checkpoint_files.write(tmp_path / '00000010', values, counters(10))
  count, lines = restored(tmp_path)
  assert count == 5 and '1 of 4 variables are not finite' in lines[0]


def test_counters_of_nothing_do_not_start_a_run_anew(tmp_path):
  save(tmp_path, 5)
  save(tmp_path, 10)
  for updates in (10, 5):
    (tmp_path / f'{updates:08d}' / 'counters.json').write_text('{}')
  with pytest.raises(checkpoint.CheckpointError, match='all 2 are damaged'):
    restored(tmp_path)


# ------------------------------------------------ read while a run goes on ---


def test_a_reader_finds_the_one_that_came_meanwhile(tmp_path, monkeypatch):
  """One is kept; what the reader saw is gone when it opens it, twice."""
  read, reads = checkpoint_files.read, []

  def late(path, updates):
    reads.append(updates)
    if len(reads) < 3:
      save(tmp_path, updates + 1, keep=1)
    return read(path, updates)

  save(tmp_path, 5, keep=1)
  monkeypatch.setattr(checkpoint_files, 'read', late)
  assert restored(tmp_path) == (7, [])
  assert reads == [5, 6, 7]
  # Also one of the same number.
  del reads[1:]
  monkeypatch.setattr(checkpoint_files, 'read', once_replaced(tmp_path, read))
  assert restored(tmp_path) == (7, [])


def once_replaced(directory, read):
  """A `read` before which, the first time, another program replaces it."""
  done = []

  def late(path, updates):
    if not done:
      done.append(path)
      save(directory, updates, keep=1)
      raise FileNotFoundError(path)
    return read(path, updates)

  return late


def test_readers_beside_a_writer_find_one_at_every_look(tmp_path):
  save(tmp_path, 1, keep=1)
  writer = subprocess.Popen(
    [sys.executable, '-c', SAVE_MANY, tmp_path], cwd=ROOT
  )
  counts = []
  try:
    while writer.poll() is None:
      count, lines = restored(tmp_path)
      assert not lines
      counts.append(count)
  finally:
    writer.kill()
    writer.wait()
  assert counts == sorted(counts) and len(set(counts)) > 5


def test_order_is_that_of_numbers(tmp_path):
  for updates in (99_999_999, 100_000_000):
    checkpoint.save(tmp_path, variables(), counters(updates))
  names = [path.name for path in checkpoint_list.complete(tmp_path)]
  assert names == ['99999999', '100000000']


def damages(random_numbers):
  """Changes of bytes: one bit, the end cut off, nothing left."""

  def flip(content):
    place = random_numbers.randrange(len(content))
    bit = 1 << random_numbers.randrange(8)
    return (
      content[:place] + bytes([content[place] ^ bit]) + content[place + 1 :]
    )

  def cut(content):
    return content[: random_numbers.randrange(len(content))]

  return flip, flip, flip, cut, lambda content: b''


@pytest.mark.parametrize('name', ['variables.npz', 'counters.json'])
def test_any_damage_falls_back(tmp_path, name):
  """In whichever bit: never another value, never a trace."""
  save(tmp_path, 5)
  save(tmp_path, 10)
  path = tmp_path / '00000010' / name
  content = path.read_bytes()
  end = content.find(b'"checksum"')  # Without this word it is an old one.
  changes = damages(random.Random(0))
  for number in range(200):
    changed = changes[number % len(changes)](content)
    if name == 'counters.json' and changed[end : end + 10] != b'"checksum"':
      continue
    path.write_bytes(changed)
    count, lines = restored(tmp_path)
    assert count == 5 and len(lines) == 1, changed
    assert 'checkpoint' in lines[0] and 'is damaged' in lines[0]
  path.unlink()
  assert restored(tmp_path)[0] == 5
  save(tmp_path, 10)
  assert restored(tmp_path) == (10, [])


def test_nothing_whole_is_an_error(tmp_path):
  for updates in (5, 10):
    save(tmp_path, updates)
    (tmp_path / f'{updates:08d}' / 'variables.npz').write_bytes(b'PK')
  lines = []
  with pytest.raises(checkpoint.CheckpointError, match='all 2 are damaged'):
    checkpoint.restore(tmp_path, variables(), lines.append)
  assert len(lines) == 2


def test_those_without_a_checksum_are_read(tmp_path):
  save(tmp_path, 5)
  path = tmp_path / '00000005' / 'counters.json'
  stored = json.loads(path.read_text())
  del stored['checksum']
  path.write_text(json.dumps(stored))
  assert restored(tmp_path) == (5, [])


def test_another_agent_is_refused_by_name(tmp_path):
  save(tmp_path, 5)
  for wrong, message in [
    (Variable('model/bias', np.zeros(6)), r'model\.bias is \(5,\).*\(6,\)'),
    (Variable('model/scale', np.zeros(5)), r'model\.bias.*absent in the agent'),
  ]:
    mine = variables()
    mine[1] = wrong
    with pytest.raises(checkpoint.CheckpointError, match=message):
      checkpoint.restore(tmp_path, mine)
    assert not any(variable.value.any() for variable in mine)


def test_names_are_distinct(tmp_path):
  twins = [Variable('a', 1.0), Variable('a', 2.0)]
  with pytest.raises(ValueError, match='share a name'):
    checkpoint.save(tmp_path, twins, counters(1))
  assert not list(tmp_path.iterdir())


def test_a_kill_at_any_step_leaves_a_whole_one(tmp_path):
  """Every change of the file system in two saves is once the last."""
  seen = []
  for count in range(1, 99):
    directory = tmp_path / str(count)
    done = subprocess.run(
      [
        sys.executable,
        '-m',
        'tests.kill_points',
        directory,
        '',
        str(count),
        '0',
        '-c',
        SAVE_TWO,
        directory,
      ],
      cwd=ROOT,
      check=False,
    )
    updates, lines = restored(directory)
    assert not lines
    seen.append(updates)
    # Who goes on from it does what the kill has kept `save` from.
    if updates:
      checkpoint.restore(directory, variables(), keep=1)
      assert [x.name for x in directory.iterdir()] == [f'{updates:08d}']
    save(directory, 3)
    assert restored(directory) == (3, [])
    assert not list(directory.glob('*.tmp'))
    if done.returncode == 0:
      break
    assert done.returncode == -signal.SIGKILL
  assert seen == sorted(seen) and set(seen) == {0, 1, 2} and count > 10


def test_a_full_disk_leaves_the_one_before(tmp_path):
  save(tmp_path, 5)
  soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
  large = [Variable('large', np.ones(100_000))]
  resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
  try:
    with pytest.raises(OSError) as caught:
      checkpoint.save(tmp_path, large, counters(10))
  finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
  assert caught.value.filename == str(tmp_path / '00000010')
  assert os.listdir(tmp_path) == ['00000005']
  assert restored(tmp_path) == (5, [])


def test_what_came_later_starts_from_nothing(tmp_path):
  checkpoint.save(tmp_path, variables(7), {'updates': 7})
  later = [
    Variable(f'units/reward/{name}', np.float32(0))
    for name in ('one', 'mean', 'square')
  ]
  found = variables() + later
  assert checkpoint.restore(tmp_path, found) == {'updates': 7}
  for variable, expected in zip(found, variables(7), strict=False):
    np.testing.assert_array_equal(variable.numpy(), expected.numpy())
  assert [float(x.numpy()) for x in later] == [0, 0, 0]
  # Once they are there they are restored.
  later[1].assign(np.float32(3))
  checkpoint.save(tmp_path, found, {'updates': 8})
  later[1].assign(np.float32(0))
  checkpoint.restore(tmp_path, found)
  assert float(later[1].numpy()) == 3
  other = [*variables(), Variable('other/reward/mean', np.float32(0))]
  with pytest.raises(checkpoint.CheckpointError, match='other.reward.mean'):
    checkpoint.restore(tmp_path, other)
