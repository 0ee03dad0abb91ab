"""A learner without a critic: it climbs imagined rewards (SVG with H steps)."""

import tensorflow as tf

from worldmodels import imagination
from worldmodels import nets
from worldmodels.agents import learner
from worldmodels.agents.optimizers import Optimizer


class Learner(learner.Learner):
  """An actor that follows the gradient of the sum of rewards."""

  def __init__(self, *, features_size, spec, horizon, gamma, starts):
    super().__init__(name='climbing')
    self.gamma = gamma
    self._horizon, self._starts = horizon, starts
    self._actor = nets.MLP(
      features_size, units=64, layers=2, outputs=spec.actions, name='actor'
    )
    self._optimizer = Optimizer(
      self._actor.trainable_variables,
      rate=1e-3,
      epsilon=1e-5,
      clip=100.0,
      name='optimizer',
    )
    self.built = True

  @property
  def optimized(self):
    return [(self._actor, self._optimizer)]

  def act(self, features, seed, explore=True):
    action = tf.tanh(self._actor(tf.stop_gradient(features)))
    if explore:
      noise = tf.random.stateless_normal(tf.shape(action), seed)
      action = tf.clip_by_value(action + 0.3 * noise, -1.0, 1.0)
    return action

  def update(self, model, batch, posterior, seed, enabled=True):
    def policy(features, seed):
      action = self.act(features, seed)
      return action, action

    _, start_seed, seed = tf.unstack(tf.random.split(seed, 3))
    start, _ = imagination.starts(batch, posterior, self._starts, start_seed)
    with tf.GradientTape() as tape:
      found = imagination.rollout(model, policy, start, self._horizon, seed)
      loss = -tf.reduce_mean(model.reward(found.states))
    norm = self._optimizer.minimize(loss, tape, enabled)
    return {'actor_loss': loss, 'actor_gradient_norm': norm}
