import ml_collections
import numpy as np
import tensorflow as tf

from agents.run import evaluation
from worldmodels import open_loop
from worldmodels import video

CONFIG = ml_collections.ConfigDict({
    'train': {'seed_episodes': 2}, 'evaluate': {'context': 2, 'horizon': 4}})


class Store:
  """Held-out episodes of given lengths; image brightness is the number."""

  def __init__(self, *lengths):
    self.lengths = list(lengths)

  def episode(self, number):
    length = self.lengths[number]
    return {
        'image': np.full([length, 64, 64, 3], number, np.uint8),
        'action': np.zeros([length, 1], np.float32),
        'reward': np.zeros([length], np.float32),
        'is_first': np.arange(length) == 0}


def run(monkeypatch, store, numbers):
  """Runs it with a model that notes which batches it is shown."""
  seen = []

  def errors(model, batch, context):
    del model, context
    tf.py_function(lambda image: seen.append(image.numpy()),
                   [batch['image'][:, 0, 0, 0, 0]], [])
    return {'image': tf.range(4.0)}

  def drawn(model, batch, context=None):
    del model, context
    return batch['image'], batch['image']

  monkeypatch.setattr(open_loop, 'errors', errors)
  monkeypatch.setattr(video, 'open_loop', drawn)
  monkeypatch.setattr(video, 'reconstruction', drawn)
  values = evaluation.open_loop(
      object(), store, CONFIG, numbers)
  return values, [sorted(set(image.tolist())) for image in seen]


def test_random_and_policy_episodes_are_kept_apart(monkeypatch):
  values, seen = run(monkeypatch, Store(12, 6, 7, 13), [2, 3])
  assert seen == [[0, 1], [2, 3]]
  assert set(values) == {
      'open_loop_random_image', 'open_loop_policy_image', 'open_loop_video',
      'reconstruction_video'}
  np.testing.assert_array_equal(
      values['open_loop_policy_image'], [0, 1, 2, 3])
  for name in ('open_loop_video', 'reconstruction_video'):
    assert values[name].dtype == np.uint8
    assert len(values[name]) == 6  # context and horizon


def test_episodes_that_are_too_short_are_passed_over(monkeypatch):
  values, seen = run(monkeypatch, Store(5, 6, 5), [2])
  assert seen == [[1]]
  assert 'open_loop_policy_image' not in values


def test_an_agent_without_a_diagnosis_has_nothing_to_say():
  assert evaluation.behaviour(object(), Store(12), CONFIG, [0]) == {}


class Diagnosed:
  """An agent whose model draws how bright its state is."""

  @property
  def model(self):
    return self

  class encoder:
    bits = 8

  def observe(self, batch):
    return {'bright': tf.cast(batch['image'][..., 0, 0, 0], tf.float32)}, None

  def image(self, state):
    bright = state['bright'][..., None, None, None] / 255.0 - 0.5
    return tf.broadcast_to(
        bright, tf.concat([tf.shape(state['bright']), [64, 64, 3]], 0))

  def diagnose(self, batch, context, seed):
    del seed
    figure = tf.reduce_mean(tf.cast(batch['image'], tf.float32))
    after = tf.fill(tf.shape(batch['reward'][:, context:]), 100.0)
    return {'figure': figure}, {'bright': after}


def test_figures_and_film_of_the_policys_own_dream():
  values = evaluation.behaviour(
      Diagnosed(), Store(12, 6, 5, 13), CONFIG, [1, 2, 3])
  assert set(values) == {'behaviour_figure', 'own_dream_video'}
  # Of episodes 1 and 3, the second of them twice; one is too short.
  assert values['behaviour_figure'] == (1 + 3 + 3) / 3
  assert values['own_dream_video'].shape[0] == 6
  assert evaluation.behaviour(Diagnosed(), Store(5), CONFIG, [0]) == {}
