"""Dynamics without a recurrent cell: a latent place that moves by a network."""

import tensorflow as tf

from worldmodels import latent_dynamics
from worldmodels import nets


class Dynamics(latent_dynamics.Dynamics):
  """A place z with z' = z + f(z, action); an image corrects it."""

  def __init__(self, *, embed, actions, stoch=8, hidden=64):
    super().__init__(name='dynamics')
    self.features_size = self._size = 2 * stoch
    make = dict(units=hidden, layers=1, outputs=self._size, activation='elu')
    self._move = nets.MLP(self._size + actions, name='move', **make)
    self._correct = nets.MLP(self._size + embed, name='correct', **make)
    self.built = True

  def initial(self, count):
    return {'place': tf.zeros([count, self._size])}

  def features(self, state):
    return state['place']

  def step(self, state, action, seed=None):
    place = state['place']
    place += self._move(tf.concat([place, action], -1))
    if seed is not None:
      place += 0.1 * tf.random.stateless_normal(tf.shape(place), seed)
    return {'place': place}

  def observe_step(self, state, embed, action, is_first, seed=None):
    keep = 1.0 - tf.cast(is_first, tf.float32)[:, None]
    prior = self.step({'place': state['place'] * keep}, action * keep, seed)
    seen = tf.concat([prior['place'], embed], -1)
    return {'place': prior['place'] + self._correct(seen)}, prior

  def divergence(self, posterior, prior):
    distance = (posterior['place'] - prior['place']) / 0.1
    return 0.5 * tf.reduce_sum(tf.square(distance), -1)
