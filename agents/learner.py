"""Base of learners of behavior, whose kinds are the files of agents/learners.

A learner sees features [..., F] of a model's states, never the states: it acts,
says what states are worth, and learns from what the model imagines.
"""

from typing import Any

import keras
import tensorflow as tf

from worldmodels import errors
from worldmodels import kinds
from worldmodels.agents.optimizers import Optimizer
from worldmodels.spec import Spec
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import WorldModel


class Learner(keras.layers.Layer):
  """Learns behavior in a world model.

  A kind offers `act`, `update` and `optimized`, and of the others what it has.
  The constructor is given features_size (F), spec, and those options of the
  group `learner` of the config that it names.

  Attributes:
    gamma: discount per agent_step.
  """

  gamma = 1.0

  def act(self, features: Tensor, seed: Tensor, explore: bool = True) -> Tensor:
    """Returns actions [N, A] for features [N, F]; drawn, or the mode."""
    raise NotImplementedError

  def value(self, features: Tensor) -> Tensor:
    """Returns the values of features [..., F]: [...]; here 0."""
    return tf.zeros(tf.shape(features)[:-1])

  def prior(self, features: Tensor) -> Tensor:
    """Returns the start of a search over actions, [N, A].

    Logits of discrete actions, the mean of others; here what `act` does.
    """
    return self.act(features, tf.zeros([2], tf.int32), explore=False)

  def update(
    self,
    model: WorldModel,
    batch: dict[str, Tensor],
    posterior: State,
    seed: Tensor,
    enabled: Tensor | bool = True,
  ) -> dict[str, Tensor]:
    """Does one gradient step; the model is not touched.

    Args:
      model: a WorldModel.
      batch: [B, T, ...], as the model was trained on.
      posterior: the states of it, [B, T, ...].
      seed: int32 [2]; the model's update has drawn from its first split.
      enabled: bool scalar; where false nothing is changed.

    Returns:
      {name: scalar}.
    """
    raise NotImplementedError

  @property
  def optimized(self) -> list[tuple[keras.layers.Layer, Optimizer]]:
    """Pairs of a trained layer and its optimizer."""
    raise NotImplementedError

  @property
  def extra_variables(self) -> list[keras.Variable]:
    """Variables beside the optimized ones that a checkpoint has to hold."""
    return []


def figures(found: dict[str, Tensor]) -> dict[str, Tensor]:
  """Returns what `update` returned, if it is figures by name.

  Raises:
    OptionError: it is something else.
  """
  if isinstance(found, dict):
    return found
  raise errors.OptionError(
    'learner.kind',
    f'is one whose update returns a {type(found).__name__}; it is a dict of '
    'figures, {name: scalar}',
  )


def load_learner(
  options: dict[str, Any], features_size: int, spec: Spec
) -> Learner:
  """Makes the learner of a group of options, of which `kind` is one."""
  # A scope: a learner's optimizer is not to be taken for that of the model.
  with keras.name_scope('learner'):
    return kinds.make(
      'worldmodels.agents.learners',
      'Learner',
      options,
      features_size=features_size,
      spec=spec,
    )
