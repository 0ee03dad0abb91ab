"""Draws that all candidates share."""

import numpy as np
import tensorflow as tf

from worldmodels import common_draws
from worldmodels import replicas

STATES, CANDIDATES, PARTICLES, STEPS, SIZE = 2, 3, 2, 4, 5
ROWS = STATES * CANDIDATES * PARTICLES
SEED = tf.constant([1, 2])


def draw(shape, axis):
  return common_draws.draw(
    tf.random.stateless_normal, shape, SEED, axis
  ).numpy()


def test_a_particle_is_the_same_in_each_candidate_and_no_other():
  for count in (CANDIDATES, tf.constant(CANDIDATES)):
    with common_draws.among(count, PARTICLES):
      found = draw([STEPS, ROWS, SIZE], 1)
    found = found.reshape(STEPS, STATES, CANDIDATES, PARTICLES, SIZE)
    for candidate in range(1, CANDIDATES):
      np.testing.assert_array_equal(found[:, :, candidate], found[:, :, 0])
    # Each step, state, particle and number is a draw of its own.
    assert np.unique(found).size == STEPS * STATES * PARTICLES * SIZE


def test_single_steps_have_their_rows_first():
  with common_draws.among(CANDIDATES, PARTICLES):
    found = draw([ROWS, SIZE], 0)
  found = found.reshape(STATES, CANDIDATES, PARTICLES * SIZE)
  np.testing.assert_array_equal(found, found[:, :1] + np.zeros_like(found))
  assert np.unique(found).size == STATES * PARTICLES * SIZE


def test_elsewhere_each_row_has_its_own():
  with common_draws.among(CANDIDATES, PARTICLES):
    pass
  found = draw([STEPS, ROWS, SIZE], 1)
  assert np.unique(found).size == found.size
  expected = replicas.draw(
    tf.random.stateless_normal, [STEPS, ROWS, SIZE], SEED, 1
  )
  np.testing.assert_array_equal(found, expected)
