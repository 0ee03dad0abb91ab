"""Plan2Explore with a planner: episodes are collected to learn, not to earn.

Sekar et al. (2020), algorithm 1. Where episodes are collected the planner
climbs the disagreement that it expects of the next steps; the rewards of the
task play no part in it. Everywhere else it plans for the reward, or for an
objective that is named afterwards: what curiosity has taught the model is then
used for a task that it was not taught for. The paper learns an actor for both.
"""

from typing import Any

import keras
import tensorflow as tf

from worldmodels import disagreement
from worldmodels import errors
from worldmodels import losses
from worldmodels import states
from worldmodels.agents import learning_agent
from worldmodels.agents import planet
from worldmodels.agents.curiosity import CuriousModel
from worldmodels.agents.curiosity import Ensemble
from worldmodels.agents.optimizers import Optimizer
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import Batch
from worldmodels.world_model import Options


class Agent(planet.Agent):
  """PlaNet that collects by disagreement.

  Args:
    curiosity: {optimizer, and keyword values of `Ensemble`}; with 0 members
      the disagreement is that of the dynamics, which are then an ensemble.
    **kwargs: of planet.Agent.
  """

  def __init__(self, *, curiosity: Options, **kwargs: Any):
    super().__init__(**kwargs)
    options = dict(curiosity)
    optimizer = options.pop('optimizer')
    self.ensemble = None
    if options['members'] == 1:
      raise errors.OptionError(
        'curiosity.members', 'is 1; one alone disagrees with nobody: 2 or more'
      )
    if not options['members'] and not disagreement.is_told_by(self.model):
      raise errors.OptionError(
        'curiosity.members',
        'is 0, and the dynamics have one member, which agrees with itself: 2 '
        'or more, or dynamics of several',
      )
    if options['members']:
      with keras.name_scope('curiosity'), errors.group('curiosity'):
        self.ensemble = Ensemble(
          self.model.features_size, actions=self.spec.actions, **options
        )
        with errors.group('optimizer'):
          self._ensemble_optimizer = Optimizer(
            self.ensemble.trainable_variables, name='optimizer', **optimizer
          )

  @property
  def optimized(self) -> learning_agent.Optimized:
    """Pairs of a trained layer and its optimizer."""
    own = []
    if self.ensemble is not None:
      own = [(self.ensemble, self._ensemble_optimizer)]
    return [*super().optimized, *own]

  def choose(
    self, state: State, seeds: Tensor, explore: Tensor, **warm: Tensor
  ) -> Tensor:
    """Plans for disagreement where it explores, for the reward elsewhere."""
    curious = CuriousModel(self.model, self.disagreement)

    def curiously() -> Tensor:
      plan = self.planner.plan(
        curious, curious.start(state), seeds, objective=curious.reward, **warm
      )
      return plan.actions

    return tf.cond(
      explore, curiously, lambda: self.plan(state, seeds, **warm).actions
    )

  def disagreement(self, state: State, action: Tensor) -> Tensor:
    """Returns what is not agreed about actions [N, A] in states [N, ...]."""
    if self.ensemble is None:
      return self.model.disagreement(state, action)
    return self.ensemble.disagreement(self.model.features(state), action)

  @tf.function(autograph=False)
  def train(self, batch: Batch, seed: Tensor) -> dict[str, Tensor]:
    """Does one update of model and ensemble on a batch [B, T, ...]."""
    metrics, posterior, made = self.train_model(batch, seed)
    if self.ensemble is None:
      return metrics
    model = self.model
    if self.optimizer.keeps_average:  # It is asked about features of those.
      model, posterior = self.averaged(batch, seed)
    features = tf.stop_gradient(model.features(posterior))
    pairs = {
      'features': features[:, :-1],
      'action': batch['action'][:, 1:],
      'after': features[:, 1:],
    }
    # No action has led to a reset.
    led = 1.0 - tf.cast(batch['is_first'][:, 1:], tf.float32)
    weight = tf.reshape(batch['mask'][:, 1:] * led, [-1])
    with tf.GradientTape() as tape:
      error = self.ensemble.loss(**states.flatten(pairs))
      loss = losses.masked_mean(error, weight)
    norm = self._ensemble_optimizer.minimize(loss, tape, made)
    return dict(metrics, curiosity_loss=loss, curiosity_gradient_norm=norm)
