import types

import numpy as np
import pytest
import tensorflow as tf

from worldmodels.agents.runs import traces
from worldmodels.agents.runs.film import IMAGINED
from worldmodels.agents.runs.film import OBSERVED

N, T, CONTEXT = 2, 6, 3


def has(frame, color):
  return (frame == color).all(-1).any()


def values(seed):
  return np.random.default_rng(seed).normal(size=(N, T, 3))


def test_what_is_observed_and_what_is_imagined_have_colors_of_their_own():
  frames = traces.compose(values(0), values(1), CONTEXT, list('abc'), scale=2)
  assert frames.shape == (T, *traces.size(N, 3, 2), 3)
  assert frames.dtype == np.uint8
  assert [has(frame, IMAGINED) for frame in frames] == [False] * 3 + [True] * 3
  assert all(has(frame, OBSERVED) for frame in frames[1:])


def test_every_column_has_its_own_curves():
  truth, predicted = values(0), values(1)
  before = traces.compose(truth, predicted, CONTEXT, list('abc'))
  predicted[1, -1, 2] += 0.5  # Of the second, in its last row, at the end.
  after = traces.compose(truth, predicted, CONTEXT, list('abc'))
  changed = (before != after).any(-1)
  assert not changed[:-1].any()
  rows, columns = changed[-1].nonzero()
  height, width = changed.shape[1:]
  assert rows.min() > height / 2 and columns.min() > width / 2


def test_curves_stay_in_their_panels():
  """However far a dream leaves what there was."""
  far = values(1) * 1e9
  frames = traces.compose(values(0), far, CONTEXT, list('abc'))
  assert frames.shape[1:3] == traces.size(N, 3, 3)
  still = traces.compose(np.zeros([N, T, 3]), far, CONTEXT, list('abc'))
  assert np.isfinite(still).all()


def test_members_that_differ_are_lines_around_what_is_imagined():
  truth, predicted, apart = values(0), values(1), np.zeros([N, T, 3])
  plain = traces.compose(truth, predicted, CONTEXT, list('abc'))
  assert not has(plain[-1], traces._EDGE)
  apart[1, CONTEXT:, 2] = 0.5  # Of the second, in its last row.
  frames = traces.compose(truth, predicted, CONTEXT, list('abc'), apart=apart)
  assert [has(frame, traces._EDGE) for frame in frames[: CONTEXT + 1]] == [
    *[False] * CONTEXT,
    True,
  ]
  rows, columns = (frames[-1] == traces._EDGE).all(-1).nonzero()
  height, width = frames.shape[1:3]
  own = (rows > height * 2 / 3) & (columns > width / 2)
  assert own.any()


@pytest.mark.parametrize('count, rows, scale', [(1, 1, 1), (4, 8, 3)])
def test_sizes_are_even(count, rows, scale):
  assert all(side % 2 == 0 for side in traces.size(count, rows, scale))


class Model:
  """Its state is what it has a head for."""

  spec = types.SimpleNamespace(vectors={'speed': 2, 'unheard': 4, 'wide': 30})
  keys = ('reward', 'speed', 'wide')

  def observe(self, batch):
    return {'x': batch['speed'][..., :1]}, None

  def imagine(self, state, action):
    return {'x': state['x'][:, None] + tf.cumsum(action, 1)}

  def features(self, state):
    return state['x']

  def head(self, key):
    size = {'reward': 0, 'speed': 2, 'wide': 30}[key]
    return types.SimpleNamespace(
      mean=lambda x: tf.repeat(x, size, -1) if size else x[..., 0]
    )


def test_vectors_and_reward_are_predicted():
  random = np.random.default_rng(0)
  batch = {
    'action': random.normal(size=(N, T, 1)).astype(np.float32),
    'speed': random.normal(size=(N, T, 2)).astype(np.float32),
    'wide': random.normal(size=(N, T, 30)).astype(np.float32),
    'reward': random.normal(size=(N, T)).astype(np.float32),
  }
  truth, drawn, names = traces.open_loop(Model(), batch, CONTEXT)
  assert names[:3] == ['speed 0', 'speed 1', 'wide 0']
  assert names[-1] == 'reward' and len(names) == traces.MOST
  np.testing.assert_array_equal(truth[..., :2], batch['speed'])
  np.testing.assert_array_equal(truth[..., -1], batch['reward'])
  golden = batch['speed'][:, CONTEXT - 1, 0] + batch['action'][:, CONTEXT, 0]
  np.testing.assert_allclose(drawn[:, CONTEXT, 0], golden, rtol=1e-5)
