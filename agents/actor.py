"""The actor: features become a distribution over actions."""

from typing import Any

import keras
import tensorflow as tf

from worldmodels import errors
from worldmodels import kinds
from worldmodels import nets
from worldmodels.agents import suited
from worldmodels.agents.action_distribution import ActionDistribution
from worldmodels.spec import Spec
from worldmodels.states import Tensor


class Actor(keras.layers.Layer):
  """An MLP to a distribution over actions.

  Args:
    features_size: F.
    spec: of the task.
    kind: of the distribution, a file of agents/action_distributions; `auto` for
      one that suits the actions.
    continuous: what `auto` is where they are not discrete.
    distributions: {kind: its keyword values}.
    units, layers, activation, initializer, normalization, precision: of the
      MLP.
  """

  def __init__(
    self,
    features_size: int,
    *,
    spec: Spec,
    kind: str,
    continuous: str = 'tanh_normal',
    distributions: dict[str, dict[str, Any]],
    units: int = 400,
    layers: int = 4,
    activation: str = 'elu',
    initializer: str = 'glorot_uniform',
    normalization: str = 'none',
    precision: str = 'float32',
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    kind = suited.distribution(kind, continuous, spec.discrete)
    self._make = kinds.find(
      'worldmodels.agents.action_distributions', kind, 'Distribution'
    )
    if spec.discrete != self._make.discrete:
      actions = 'discrete: one_hot' if spec.discrete else 'not discrete'
      raise errors.OptionError(
        'kind', f'is {kind!r}, but the actions of the task are {actions}'
      )
    self._options = dict(distributions.get(kind, {}))
    self._mlp = nets.MLP(
      features_size,
      units=units,
      layers=layers,
      outputs=self._make.outputs_per_action * spec.actions,
      activation=activation,
      initializer=initializer,
      normalization=normalization,
      precision=precision,
    )
    self.built = True

  def call(self, features: Tensor) -> Tensor:
    """Maps [..., F] -> the distribution's parameters."""
    return self._mlp(features)

  def distribution(self, outputs: Tensor) -> ActionDistribution:
    """Maps the outputs of `call` to a distribution over actions [..., A]."""
    return self._make(outputs, **self._options)

  def sample(self, features: Tensor, seed: Tensor) -> tuple[Tensor, Tensor]:
    """Draws actions: a policy for `imagination.rollout`.

    The actor's own input has no gradient: the dynamics carry it (Dreamer's
    code).

    Args:
      features: [N, F].
      seed: int32 [2].

    Returns:
      (actions [N, A], the actor's outputs).
    """
    outputs = self(tf.stop_gradient(features))
    return self.distribution(outputs).sample(seed), outputs

  def mode(self, features: Tensor, seed: Tensor) -> Tensor:
    """Returns actions [N, A] for features [N, F], without exploring."""
    return self.distribution(self(tf.stop_gradient(features))).mode(seed)
