import numpy as np
import tensorflow as tf

from worldmodels import latent_overshooting

B, T, STEPS = 2, 5, 2
# The number of the chunk, and that of the step.
NUMBER = tf.constant([[0, 1, 2, 3, 4], [10, 11, 12, 13, 14]])
NEVER = tf.zeros([B, T], tf.bool)


def test_ahead_are_the_steps_after_each_start():
  found = latent_overshooting.ahead(NUMBER, STEPS)
  np.testing.assert_array_equal(
    found, [[1, 2], [2, 3], [3, 4], [11, 12], [12, 13], [13, 14]]
  )


def test_ahead_of_a_nested_state():
  state = {
    'number': NUMBER,
    'inner': {'place': tf.stack([NUMBER, -NUMBER, NUMBER], -1)},
  }
  found = latent_overshooting.ahead(state, STEPS)
  np.testing.assert_array_equal(
    found['number'], latent_overshooting.ahead(NUMBER, STEPS)
  )
  place = found['inner']['place']
  assert place.shape == [B * (T - STEPS), STEPS, 3]
  np.testing.assert_array_equal(place[..., 1], -found['number'])


def test_all_steps_ahead_start_from_the_first_alone():
  found = latent_overshooting.ahead(NUMBER, T - 1)
  np.testing.assert_array_equal(found, [[1, 2, 3, 4], [11, 12, 13, 14]])


def test_nothing_is_reached_past_a_reset_or_padding():
  is_first = np.zeros([B, T], bool)
  is_first[:, 0] = True  # That a chunk begins with one does not matter.
  is_first[0, 3] = True
  mask = np.ones([B, T], np.float32)
  mask[1, 4] = 0
  found = latent_overshooting.reachable(
    tf.constant(mask), tf.constant(is_first), STEPS
  )
  np.testing.assert_array_equal(
    found, [[1, 1], [1, 0], [0, 0], [1, 1], [1, 1], [1, 0]]
  )


def test_terms_are_averaged_over_distances_and_put_where_they_start():
  values = tf.constant(
    [[1.0, 3.0], [2.0, 4.0], [5.0, 5.0], [0.0, 0.0], [7.0, 1.0], [6.0, 9.0]]
  )
  terms = {'kl': values, 'reward': 10.0 * values}
  mask = np.ones([B, T], np.float32)
  mask[1, 4] = 0
  found = latent_overshooting.by_start(terms, tf.constant(mask), NEVER)
  # Of five steps three start something; the last distance is padding.
  golden = np.array([[2, 3, 5, 0, 0], [0, 4, 3, 0, 0]]) * 5 / 3
  np.testing.assert_allclose(found['kl'], golden, rtol=1e-6)
  np.testing.assert_allclose(found['reward'], 10 * golden, rtol=1e-6)


def test_the_mean_over_all_steps_is_that_over_the_starts():
  values = tf.random.stateless_uniform([B * (T - STEPS), STEPS], [0, 1])
  found = latent_overshooting.by_start({'kl': values}, tf.ones([B, T]), NEVER)[
    'kl'
  ]
  np.testing.assert_allclose(np.mean(found), np.mean(values), rtol=1e-5)
