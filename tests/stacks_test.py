import numpy as np
import pytest
import tensorflow as tf

from worldmodels.agents import stacks
from worldmodels.agents import transitions
from worldmodels.spec import Spec

SIDE = 6
SPEC = Spec(actions=1, image=(SIDE, SIDE, 3), vectors={'speed': 2})


def episode(rows, members=2):
  """Images and vectors [members, rows, ...], all of them unlike."""
  random = np.random.default_rng(0)
  shape = [members, rows]
  return {
    'image': random.integers(0, 256, [*shape, SIDE, SIDE, 3], np.uint8),
    'speed': random.normal(size=[*shape, 2]).astype(np.float32),
  }


def tensors(arrays):
  return {key: tf.constant(value) for key, value in arrays.items()}


def test_a_stack_shows_as_much_as_its_frames_together():
  found = stacks.stacked_spec(SPEC, 3)
  assert found == Spec(1, False, (SIDE, SIDE, 9), {'speed': 6})
  blind = Spec(actions=2, discrete=True, image=None, vectors={'speed': 2})
  found = stacks.stacked_spec(blind, 4)
  assert found == Spec(2, True, None, {'speed': 8})
  assert stacks.keys(SPEC) == ['image', 'speed']
  assert stacks.keys(blind) == ['speed']


def test_the_newest_frame_is_the_last():
  batch = episode(5)
  rows = tf.constant([[1, 2, 3], [0, 0, 4]])
  found = stacks.gather(tensors(batch), SPEC, rows, None)
  for member, places in enumerate(rows.numpy()):
    for number, row in enumerate(places):
      np.testing.assert_array_equal(
        found['image'][member, ..., 3 * number : 3 * number + 3],
        batch['image'][member, row],
      )
      np.testing.assert_array_equal(
        found['speed'][member, 2 * number : 2 * number + 2],
        batch['speed'][member, row],
      )


def test_who_acts_sees_what_is_learned_from():
  """Step by step the same stacks as out of the chunk, also after a reset."""
  batch = tensors(episode(6))
  is_first = np.zeros([2, 6], bool)
  is_first[:, 0] = is_first[1, 3] = True
  seen = stacks.initial(SPEC, 3, 2)
  for row in range(6):
    seen = {
      key: stacks.push(stack, batch[key][:, row], is_first[:, row])
      for key, stack in seen.items()
    }
    rows = transitions.stack_rows(is_first, tf.constant([row, row]), 3)
    golden = stacks.gather(batch, SPEC, rows, None)
    assert seen.keys() == golden.keys()
    for key, value in golden.items():
      assert seen[key].dtype == value.dtype
      np.testing.assert_array_equal(seen[key], value, err_msg=f'{key} {row}')


@pytest.mark.parametrize(
  'shift,place', [((0, 0), (2, 3)), ((2, -1), (0, 4)), ((-3, 2), (5, 1))]
)
def test_a_shift_moves_down_and_right_and_repeats_the_edge(shift, place):
  """What stands at (2, 3) of the shifted image was at `place`."""
  batch = episode(4)
  rows = tf.constant([[0, 1, 3], [1, 2, 3]])
  both = tf.constant([shift, (0, 0)])
  found = stacks.images(tf.constant(batch['image']), rows, both).numpy()
  still = stacks.images(tf.constant(batch['image']), rows, None).numpy()
  # By the definition: pad with the edge, and cut out.
  pad = 4
  padded = np.pad(still[0], [(pad, pad), (pad, pad), (0, 0)], 'edge')
  down, right = pad - shift[0], pad - shift[1]
  golden = padded[down : down + SIDE, right : right + SIDE]
  np.testing.assert_array_equal(found[0], golden)
  np.testing.assert_array_equal(found[0, 2, 3], still[0, place[0], place[1]])
  # The other member is not moved by it.
  np.testing.assert_array_equal(found[1], still[1])


def test_all_frames_of_a_stack_are_moved_alike():
  batch = episode(1)
  rows = tf.zeros([2, 3], tf.int32)  # A still picture, three times.
  shift = stacks.shifts(2, 3, tf.constant([0, 5]))
  found = stacks.images(tf.constant(batch['image']), rows, shift).numpy()
  assert np.abs(shift).max() > 0
  np.testing.assert_array_equal(found[..., :3], found[..., 3:6])
  np.testing.assert_array_equal(found[..., :3], found[..., 6:])


def test_shifts_are_even_and_of_each_member():
  found = stacks.shifts(9000, 2, tf.constant([1, 2])).numpy()
  values, counts = np.unique(found, return_counts=True)
  np.testing.assert_array_equal(values, [-2, -1, 0, 1, 2])
  np.testing.assert_allclose(counts / counts.sum(), 0.2, atol=0.01)
  assert abs(np.corrcoef(found.T)[0, 1]) < 0.05
  np.testing.assert_array_equal(
    found, stacks.shifts(9000, 2, tf.constant([1, 2]))
  )


def test_vectors_are_not_shifted():
  batch = tensors(episode(4))
  rows = tf.constant([[0, 1, 3], [1, 2, 3]])
  still = stacks.gather(batch, SPEC, rows, None)
  moved = stacks.gather(batch, SPEC, rows, tf.constant([(1, 1), (2, 0)]))
  np.testing.assert_array_equal(still['speed'], moved['speed'])
  assert (still['image'].numpy() != moved['image'].numpy()).any((1, 2, 3)).all()
