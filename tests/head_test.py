import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from worldmodels import errors
from worldmodels import head

tfd = tfp.distributions


class Doubled(head.Head):
  """Twice the first feature, with a standard deviation of 2."""

  max_log_prob = head.gaussian_peak((), 2.0)

  def call(self, features):
    return 2.0 * features[..., 0]

  def distribution(self, outputs):
    return tfd.Normal(outputs, 2.0)


FEATURES = tf.constant([[[1.0, 9.0], [2.0, 9.0]], [[3.0, 9.0], [4.0, 9.0]]])


def test_a_kind_defines_its_outputs_and_their_distribution_alone():
  made = Doubled()
  np.testing.assert_allclose(made.mean(FEATURES), [[2, 4], [6, 8]])
  # Half a squared distance in standard deviations, and nothing at the mean.
  target = tf.constant([[2.0, 6.0], [2.0, 8.0]])
  golden = [[0, 0.5], [2, 0]]
  np.testing.assert_allclose(made.loss(FEATURES, target), golden, atol=1e-6)
  found = made.loss_of(made(FEATURES), target)
  np.testing.assert_allclose(found, golden, atol=1e-6)


def test_losses_count_from_the_log_density_of_a_perfect_prediction():
  class Wide(Doubled):
    max_log_prob = 5.0

  target = tf.zeros([2, 2])
  log_prob = Wide().distribution(Wide()(FEATURES)).log_prob(target)
  np.testing.assert_allclose(
    Wide().loss(FEATURES, target), 5.0 - log_prob, rtol=1e-6
  )


@pytest.mark.parametrize('shape', [(), (3,), (4, 5, 3)])
@pytest.mark.parametrize('std', [0.5, 1.0, 3.0])
def test_the_peak_of_a_gaussian_is_its_density_at_the_mean(shape, std):
  normal = tfd.Independent(tfd.Normal(tf.fill(shape, 0.3), std), len(shape))
  golden = normal.log_prob(tf.fill(shape, 0.3))
  found = head.gaussian_peak(shape, std)
  assert math.isclose(found, float(golden), rel_tol=1e-5, abs_tol=1e-5)


def test_an_mlp_head_hands_its_options_to_the_mlp():
  made = head.MLPHead(
    3, 5, units=4, layers=1, normalization='layer', name='reward'
  )
  assert made.name == 'reward'
  shapes = {x.path: tuple(x.shape) for x in made.variables}
  assert shapes == {
    'dense0/kernel': (3, 4),
    'dense0/bias': (4,),
    'norm0/scale': (4,),
    'norm0/offset': (4,),
    'out/kernel': (4, 5),
    'out/bias': (5,),
  }


def test_one_number_is_checked():
  head.check_number('two_hot', ())
  with pytest.raises(errors.OptionError) as caught:
    head.check_number('two_hot', (3,))
  assert str(caught.value) == (
    "kind is 'two_hot', which predicts one number, not [3]"
  )


def test_load_makes_the_head_of_a_group_of_options():
  options = dict(kind='normal', scale=10.0, std=0.5, units=4, bins=9)
  made = head.load(options, 5, (3,), 'speed')
  assert made.name == 'speed'
  assert made.mean(tf.ones([2, 5])).shape == [2, 3]
  assert made.max_log_prob == head.gaussian_peak((3,), 0.5)
  with pytest.raises(errors.OptionError, match="^kind is 'norm'; it is one of"):
    head.load(dict(kind='norm'), 5, (), 'speed')


def test_a_head_of_the_users(tmp_path, monkeypatch):
  (tmp_path / 'my_heads.py').write_text(
    'from worldmodels.heads import normal\n\n\n'
    'class Sure(normal.Head):\n'
    '  def __init__(self, features_size, **kwargs):\n'
    '    super().__init__(features_size, std=0.1, **kwargs)\n'
  )
  monkeypatch.syspath_prepend(tmp_path)
  made = head.load(dict(kind='my_heads:Sure', units=7), 5, (), 'reward')
  assert made.max_log_prob == head.gaussian_peak((), 0.1)
  assert made.variables[0].shape == (5, 7)


@pytest.mark.parametrize(
  'key,name',
  [
    ('reward', 'reward'),
    ('walker/joints_pos', 'walker.joints_pos'),
    ('a_b>c-d', 'a_b>c-d'),
    ('\u03b8', '.3b8'),
    ('_x', '._x'),
    ('-x', '.-x'),
    ('joint angles', 'joint.20angles'),
    ('a:b', 'a.3ab'),
  ],
)
def test_a_scope_is_one_that_tensorflow_takes(key, name):
  assert head.scope(key) == name
  with tf.Graph().as_default(), tf.name_scope(head.scope(key)):
    tf.constant(1.0)


def test_scopes_of_unlike_keys_are_unlike():
  keys = ['\u03b8', '\u03c6', 'x', '_x', ' x', 'x ', 'a b', 'a:b', 'a/b', 'ab']
  assert len({head.scope(key) for key in keys}) == len(keys)
