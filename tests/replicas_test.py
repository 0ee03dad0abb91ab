"""Tests of what replicas compute together, on two processors of one process.

See replicated_updates.py.
"""

import json
import os
import subprocess
import sys

import conftest
import pytest
import tensorflow as tf

from worldmodels import replicas


@pytest.fixture(scope='module')
def found():
  """What one replica finds, beside what two do."""
  path = os.pathsep.join([str(conftest.ROOT), str(conftest.ROOT / 'tests')])
  done = subprocess.run(
    [sys.executable, conftest.ROOT / 'tests/replicated_updates.py', 'parts'],
    env={**os.environ, 'PYTHONPATH': path, 'CUDA_VISIBLE_DEVICES': ''},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0, done.stderr[-4000:]
  return json.loads(done.stdout)['parts']


@pytest.mark.parametrize(
  'name',
  [
    *('all', 'some', 'kl', 'variance', 'norm', 'spread', 'starts'),
    *('one_hot', 'bounded', 'every'),
  ],
)
def test_two_replicas_find_what_one_does(found, name):
  for update in range(3):
    difference, size, same = found[f'{update}/{name}']
    assert same, update
    assert difference <= 1e-5 * max(size, 1e-3), update


def test_their_weights_are_those_of_one(found):
  names = [name for name in found if not name[0].isdigit()]
  assert len(names) > 7
  for name in names:
    difference, size, same = found[name]
    assert same and difference <= 2e-5 * max(size, 1e-3), name


def test_one_bad_share_is_skipped_by_all(found):
  _, skipped, _ = found['optimizer/skipped']
  _, run, _ = found['optimizer/skipped_run']
  assert (skipped, run) == (1, 0)
  assert [found[f'{x}/every'][1] for x in range(3)] == [1, 0, 1]


def test_one_replica_computes_nothing_more():
  value, flag = tf.constant([1.0, 2.0]), tf.constant(True)
  assert replicas.count() == 1
  assert replicas.total(value, flag) == [value, flag]
  assert replicas.gather((value, flag)) == (value, flag)
  assert replicas.share(value) is value
  assert replicas.every(flag) is flag
  assert replicas.mean([value, None]) == [value, None]
  assert replicas.widely(lambda x: x, value) is value
  assert replicas.draw(lambda *given: given, [2, 3], 5) == ([2, 3], 5)
  with replicas.of_chosen(value, 2) as chosen:
    assert chosen is value
