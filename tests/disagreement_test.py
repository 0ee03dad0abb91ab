"""Disagreement beside the true error, of members whose dreams are known."""

import types

import numpy as np
import pytest
import tensorflow as tf

from worldmodels import decoded
from worldmodels import disagreement
from worldmodels import prediction
from worldmodels import states
from worldmodels.agents.runs import dream_film
from worldmodels.agents.runs import error_table

B, T, CONTEXT, SIZE = 12, 6, 2, 8


class Drifters:
  """Three members; a brightness drifts by what each believes, and by `doubt`.

  What is true is that nothing drifts; chunks of more doubt are dreamed worse.
  """

  drift = tf.constant([-0.02, 0.0, 0.05])

  def __init__(self, members=3):
    self.dynamics = types.SimpleNamespace(members=members)
    self.mean_image = tf.zeros([SIZE, SIZE, 3])

  def observe(self, batch, state=None, seed=None):
    doubt = batch['reward']
    return {
      'light': 0.0 * doubt,
      'doubt': doubt,
      'member': tf.zeros_like(doubt) - 1,
    }, None

  def particles(self, state, count, seed=None):
    repeated = states.repeat(state, count)
    member = tf.range(states.size(repeated)) % count
    return dict(repeated, member=tf.cast(member, tf.float32))

  def step(self, state, action, seed=None):
    index = tf.cast(tf.maximum(state['member'], 0), tf.int32)
    drift = tf.gather(self.drift, index) * state['doubt']
    return dict(state, light=state['light'] + drift + action[:, 0])

  def imagine(self, state, action, seed=None):
    found = []
    for time in range(action.shape[1]):
      state = self.step(state, action[:, time])
      found.append(state)
    return tf.nest.map_structure(lambda *x: tf.stack(x, 1), *found)

  def features(self, state):
    return tf.stack([state['light'], 0.0 * state['light']], -1)

  def image(self, state):
    light = state['light'][..., None, None, None]
    return tf.tile(light, [1] * (len(light.shape) - 3) + [SIZE, SIZE, 3])

  def pixels(self, image):
    return tf.cast(image, tf.float32) / 255 - 128 / 255

  def drawing(self, state):
    return tf.cast(255 * self.image(state) + 128, tf.uint8)

  def reward(self, state):
    return 10 * state['light']


def make_batch():
  doubt = np.random.default_rng(0).permutation(B) / B + 0.1
  return {
    'image': np.full([B, T, SIZE, SIZE, 3], 128, np.uint8),
    'action': np.zeros([B, T, 1], np.float32),
    'reward': doubt[:, None].repeat(T, 1).astype(np.float32),
    'is_first': np.arange(T)[None].repeat(B, 0) == 0,
    'mask': np.ones([B, T], np.float32),
  }


def measure(model=None, **changed):
  batch = states.tensors(make_batch() | changed)
  found = disagreement.by_horizon(model or Drifters(), batch, CONTEXT)
  return {key: value.numpy() for key, value in found.items()}


def test_one_member_says_nothing():
  assert measure(Drifters(members=1)) == {}
  assert disagreement.members_of(object()) == 1


def test_members_dream_apart_by_hand():
  found, doubt = measure(), make_batch()['reward'][:, 0]
  steps = np.arange(1, T - CONTEXT + 1)
  variance = np.var(Drifters.drift) * np.square(
    np.outer(doubt, steps)
  )  # [B, H]
  # Of two features one is always the same.
  golden = np.sqrt(variance / 2).mean(0)
  np.testing.assert_allclose(found['disagreement'], golden, rtol=1e-4)
  nats = 0.5 * SIZE * SIZE * 3 * variance.mean(0)
  np.testing.assert_allclose(found['image_disagreement'], nats, rtol=1e-4)
  rewards = 100 * variance.mean(0)
  np.testing.assert_allclose(found['reward_disagreement'], rewards, rtol=1e-4)


def test_who_doubts_where_it_errs_is_right_about_it():
  found = measure()
  for key in ('disagreement_correlation', 'image_disagreement_correlation'):
    np.testing.assert_allclose(found[key], np.ones(T - CONTEXT), atol=1e-5)
  # The rewards of the batch are something else: no correlation to count on.
  assert found['reward_disagreement_correlation'].shape == (T - CONTEXT,)
  # Where what came has nothing to do with the doubt, neither has the error.
  shade = np.random.default_rng(1).integers(0, 256, [B, 1, 1, 1, 1], np.uint8)
  image = np.broadcast_to(shade, [B, T, SIZE, SIZE, 3])
  for key in ('disagreement_correlation', 'image_disagreement_correlation'):
    assert np.abs(measure(image=image)[key]).max() < 0.8
  # What is constant has no rank.
  calm = measure(reward=np.ones([B, T], np.float32))
  assert np.isnan(calm['disagreement_correlation']).all()


def test_the_correlation_is_spearmans_with_ties():
  random = np.random.default_rng(0)
  one, other = random.integers(0, 6, [2, 20, 3]).astype(np.float32)
  found = disagreement.correlation(tf.constant(one), tf.constant(other))

  def ranks(values):
    """Of equal ones the mean of their places."""
    order = np.sort(values)
    return [np.flatnonzero(order == value).mean() for value in values]

  for h in range(3):
    golden = np.corrcoef(ranks(one[:, h]), ranks(other[:, h]))[0, 1]
    assert float(found[h]) == pytest.approx(golden, abs=1e-5)


def test_the_disagreement_of_rewards_by_hand():
  state, _ = Drifters().observe({'reward': tf.constant([1.0, 2.0])})
  found = disagreement.of_rewards(Drifters(), state, tf.zeros([2, 1]))
  golden = 10 * np.std(Drifters.drift)
  np.testing.assert_allclose(found, [golden, 2 * golden], rtol=1e-4)


def test_padding_does_not_count():
  batch = make_batch()
  batch['mask'][: B // 2] = 0
  doubt = batch['reward'][B // 2 :, :1]
  found = measure(mask=batch['mask'])['disagreement']
  golden = np.std(Drifters.drift) * doubt.mean() / 2**0.5
  np.testing.assert_allclose(found, golden * np.arange(1, 5), rtol=1e-4)


def test_the_table_has_it_beside_the_error(monkeypatch):
  errors = {
    key: tf.range(1.0, 5.0)
    for key in (
      'image',
      'copy_image',
      'mean_image',
      'reward',
      'reward_variance',
    )
  }
  monkeypatch.setattr(prediction, 'errors', lambda *_: errors)
  text = error_table.table(Drifters(), make_batch(), CONTEXT)
  assert 'members apart, and rank correlation with the error' in text
  (row,) = (x.split() for x in text.splitlines() if x.startswith('   1 '))
  found = measure()
  assert float(row[6]) == pytest.approx(found['image_disagreement'][0], 1e-3)
  assert row[7] == '1.00' and len(row) == 10
  # Of one member the columns are those there were.
  text = error_table.table(Drifters(members=1), make_batch(), CONTEXT)
  assert 'apart' not in text
  (row,) = (x.split() for x in text.splitlines() if x.startswith('   1 '))
  assert len(row) == 6


def test_the_film_has_a_row_of_it():
  batch, shape = make_batch(), [B, T, SIZE, SIZE, 3]
  shown = dream_film.apart(Drifters(), batch, CONTEXT)
  assert shown.shape == tuple(shape) and shown.dtype == np.uint8
  assert shown[:, :CONTEXT].max() == 0  # What was seen is agreed about.
  bright = shown[..., 0, 0, :].astype(int).sum(-1)
  assert (np.diff(bright[:, CONTEXT:]) >= 0).all() and bright[:, -1].min() > 0
  sure, unsure = np.argsort(batch['reward'][:, 0])[[0, -1]]
  assert bright[unsure, -1] > bright[sure, -1]


def test_it_is_decoded_like_any_other_output():
  """So that an objective may ask for it: to explore, or to keep away."""
  model = Drifters()
  model.keys = ('image', 'reward')
  model.spread = lambda state: 3.0 * state['doubt']
  shown = decoded.Decoded(model, {'doubt': tf.constant([1.0, 2.0])})
  assert 'disagreement' in shown
  np.testing.assert_allclose(shown['disagreement'], [3.0, 6.0])
  assert 'reward_disagreement' not in shown  # Dynamics of a user's.
  model.dynamics.members = 1
  assert 'disagreement' not in decoded.keys(model)
