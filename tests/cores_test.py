import numpy as np
import pytest
import tensorflow as tf

from worldmodels import cores


@pytest.mark.parametrize('count', [1, 63, 64, 77, 32 * 16 + 5, 32 * 40])
def test_blocks_are_put_together_in_order(count):
  sizes = []

  def double(block):
    sizes.append(block.shape[0])
    return 2 * block

  values = np.arange(3 * count).reshape(count, 3)
  found = cores.in_blocks(double, tf.constant(values))
  np.testing.assert_array_equal(found, 2 * values)
  assert sum(sizes) == count
  assert len(sizes) == max(1, min(count // cores.BLOCK, cores.MOST_BLOCKS))


def test_a_number_that_is_not_known_is_one_block():
  calls = []

  @tf.function(input_signature=[tf.TensorSpec([None, 3])])
  def run(values):
    return cores.in_blocks(lambda block: calls.append(1) or block + 1, values)

  assert run(tf.ones([100, 3])).shape == (100, 3)
  assert len(calls) == 1


def test_a_gpu_gets_all_at_once(monkeypatch):
  monkeypatch.setattr(tf.config, 'list_physical_devices', lambda kind: [kind])
  calls = []
  cores.in_blocks(lambda block: calls.append(1) or block, tf.ones([100, 3]))
  assert len(calls) == 1


@pytest.mark.parametrize(
  'count,least,available,golden',
  [
    (100, 50, 2, [50, 50]),
    (101, 50, 2, [50, 51]),
    (99, 50, 2, [99]),
    (1000, 50, 3, [333, 333, 334]),
    (1000, 50, 1, [1000]),
    (None, 50, 4, [None]),
  ],
)
def test_members_are_split_over_the_cores(
  count, least, available, golden, monkeypatch
):
  monkeypatch.setattr('os.sched_getaffinity', lambda pid: range(available))
  monkeypatch.setattr(tf.config, 'list_physical_devices', lambda kind: [])
  assert cores.split(count, least) == golden


def test_a_gpu_is_not_split(monkeypatch):
  monkeypatch.setattr('os.sched_getaffinity', lambda pid: range(4))
  monkeypatch.setattr(tf.config, 'list_physical_devices', lambda kind: [kind])
  assert cores.split(1000, 50) == [1000]


@pytest.mark.parametrize('available,golden', [(1, 1), (2, 1), (7, 3), (8, 4)])
def test_half_of_the_cores_for_an_operation(available, golden, monkeypatch):
  given = []
  monkeypatch.setattr('os.sched_getaffinity', lambda pid: range(available))
  monkeypatch.setattr(
    tf.config.threading, 'set_intra_op_parallelism_threads', given.append
  )
  cores.halve_threads()
  assert given == [golden]
