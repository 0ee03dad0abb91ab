"""Transitions of hand-made chunks, with returns that are worked out by hand."""

import numpy as np
import pytest
import tensorflow as tf

from worldmodels.agents import transitions

GAMMA = 0.5
ROWS = 7
REWARD = np.array([0, 1, 2, 4, 8, 16, 32], np.float32)
SEED = tf.constant([1, 2])


def chunk(first=(), last=(), ends=(), rows=ROWS):
  """A chunk [1, ROWS] of `rows` rows, the others padding.

  Args:
    first: rows of a reset.
    last: last rows of an episode.
    ends: rows with discount 0.
    rows: that are real.
  """
  row = np.arange(ROWS)
  return {
    'action': row[None, :, None].astype(np.float32),
    'reward': REWARD[None],
    'discount': 1.0 - np.isin(row, ends)[None].astype(np.float32),
    'is_first': np.isin(row, first)[None],
    'is_last': np.isin(row, last)[None],
    'mask': (row < rows)[None].astype(np.float32),
  }


def joined(*chunks):
  return {
    key: tf.constant(np.concatenate([x[key] for x in chunks]))
    for key in chunks[0]
  }


def test_a_stack_has_the_rows_before_in_their_order():
  """And repeats the first row of its episode, and no row of another."""
  batch = joined(chunk(), chunk(first=[0]), chunk(first=[2, 5]))
  first = batch['is_first']
  for place, golden in (
    ([4, 4, 4], [[2, 3, 4], [2, 3, 4], [2, 3, 4]]),
    ([2, 1, 5], [[0, 1, 2], [0, 0, 1], [5, 5, 5]]),
    ([3, 0, 3], [[1, 2, 3], [0, 0, 0], [2, 2, 3]]),
  ):
    found = transitions.stack_rows(first, tf.constant(place), 3)
    np.testing.assert_array_equal(found, golden)
  one = transitions.stack_rows(first, tf.constant([4, 4, 4]), 1)
  np.testing.assert_array_equal(one, [[4], [4], [4]])


# Of three steps: rewards r and what is left, worked out from REWARD.
RETURNS = {
  'within': (chunk(), 2, 4 + 0.5 * 8 + 0.25 * 16, 0.125, 3),
  'the end of the chunk': (chunk(), 4, 16 + 0.5 * 32, 0.25, 2),
  'an end': (chunk(ends=[4]), 2, 4 + 0.5 * 8, 0.0, 3),
  'an end at once': (chunk(ends=[3]), 2, 4.0, 0.0, 3),
  'a reset': (chunk(first=[4]), 2, 4.0, 0.5, 1),
  'an end and a reset': (chunk(first=[4], ends=[3]), 2, 4.0, 0.0, 1),
  'padding': (chunk(rows=5), 2, 4 + 0.5 * 8, 0.25, 2),
  'nothing': (chunk(first=[3]), 2, 0.0, 1.0, 0),
  'the last row': (chunk(), 6, 0.0, 1.0, 0),
  'a reset before': (chunk(first=[2]), 2, 4 + 0.5 * 8 + 0.25 * 16, 0.125, 3),
}


@pytest.mark.parametrize('name', RETURNS)
def test_returns_of_three_steps(name):
  made, place, returns, discount, taken = RETURNS[name]
  # Beside another member, which is treated for itself.
  batch = joined(made, chunk())
  found = transitions.n_step(batch, tf.constant([place, 0]), 3, GAMMA)
  golden = [[returns, 1 + 0.5 * 2 + 0.25 * 4], [discount, 0.125], [taken, 3]]
  for value, expected in zip(found, golden, strict=True):
    np.testing.assert_allclose(value, expected, rtol=1e-6)


def test_returns_of_one_step_are_rewards():
  returns, discount, taken = transitions.n_step(
    joined(chunk(ends=[3]), chunk()), tf.constant([2, 2]), 1, GAMMA
  )
  np.testing.assert_allclose(returns, [4, 4])
  np.testing.assert_allclose(discount, [0, 0.5])
  np.testing.assert_array_equal(taken, [1, 1])


def test_a_reward_of_another_episode_does_no_harm():
  made = chunk(first=[4])
  made['reward'] = np.where(np.arange(ROWS) >= 4, np.nan, REWARD)[None]
  found = transitions.n_step(joined(made), tf.constant([2]), 3, GAMMA)
  np.testing.assert_allclose(found[0], [4.0])


# Rows that a transition may start from, of 3 frames and 2 steps.
PLACES = {
  'of the middle of an episode': (chunk(), [2, 3, 4]),
  'of its beginning': (chunk(first=[0]), [0, 1, 2, 3, 4]),
  'of its end': (chunk(last=[6]), [2, 3, 4, 5]),
  'of a short one': (chunk(first=[0], last=[3], rows=4), [0, 1, 2]),
  'of others, which lack the flag': (chunk(first=[0], rows=4), [0, 1, 2]),
  'of two': (chunk(first=[3], last=[2]), [3, 4]),
  'of three': (chunk(first=[2, 5], last=[1, 4]), [2, 3]),
}


@pytest.mark.parametrize('name', PLACES)
def test_where_a_transition_may_start(name):
  made, golden = PLACES[name]
  batch = joined(made, chunk(first=[0]))
  found = transitions.places(batch, 3, 2).numpy()
  np.testing.assert_array_equal(np.flatnonzero(found[0]), golden)
  np.testing.assert_array_equal(np.flatnonzero(found[1]), [0, 1, 2, 3, 4])


def test_a_transition_is_told_in_the_order_of_time():
  """Seen up to t, acts, gets what that action led to: not one row earlier."""
  batch = joined(chunk(), chunk(first=[0], ends=[6], last=[6]))
  seen = set()
  for number in range(60):
    drawn = transitions.draw(batch, 3, 2, GAMMA, tf.constant([0, number]))
    place = drawn.rows[:, -1].numpy()
    seen |= {(member, int(row)) for member, row in enumerate(place)}
    np.testing.assert_array_equal(drawn.action[:, 0], place + 1)
    assert (drawn.weight.numpy() == 1).all()
    steps = np.minimum(place + 2, ROWS - 1) - place
    np.testing.assert_array_equal(drawn.after[:, -1], place + steps)
    np.testing.assert_array_equal(drawn.after[:, -2], place + steps - 1)
    rewards = [
      sum(REWARD[row + k] * GAMMA ** (k - 1) for k in range(1, count + 1))
      for row, count in zip(place, steps)
    ]
    np.testing.assert_allclose(drawn.returns, rewards, rtol=1e-6)
    ended = np.array([False, place[1] + steps[1] == ROWS - 1])
    np.testing.assert_allclose(
      drawn.discount, np.where(ended, 0, GAMMA**steps), rtol=1e-6
    )
  # Each of them is drawn, and no other.
  assert seen == {(0, x) for x in (2, 3, 4)} | {(1, x) for x in range(6)}


def test_a_chunk_without_a_transition_has_no_weight():
  batch = joined(chunk(rows=1, first=[0]), chunk(first=[0]))
  drawn = transitions.draw(batch, 3, 2, GAMMA, SEED)
  np.testing.assert_array_equal(drawn.weight, [0, 1])
  for value in drawn:
    assert np.isfinite(value).all()
