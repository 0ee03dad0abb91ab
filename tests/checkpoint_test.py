"""Checkpoints are complete or absent, whatever happens while one is written."""

import json
import os
import pathlib
import random
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest

from worldmodels.agents.runs import checkpoint

ROOT = pathlib.Path(__file__).parent.parent

# Saves the checkpoints of 1 and 2 updates; one is kept.
SAVE_TWO = """
import sys
from tests import checkpoint_test
for updates in (1, 2):
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
  names = [path.name for path in checkpoint.complete(tmp_path)]
  assert names == ['00000010', '00000015', '00000020']
  assert sorted(path.name for path in tmp_path.iterdir()) == names
  assert restored(tmp_path, 10) == (10, [])


def test_saving_again_replaces(tmp_path):
  checkpoint.save(tmp_path, variables(7), counters(5))
  save(tmp_path, 5)
  assert restored(tmp_path) == (5, [])


def test_order_is_that_of_numbers(tmp_path):
  for updates in (99_999_999, 100_000_000):
    checkpoint.save(tmp_path, variables(), counters(updates))
  names = [path.name for path in checkpoint.complete(tmp_path)]
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
