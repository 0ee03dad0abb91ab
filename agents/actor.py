"""The actor: features become a distribution over actions."""

import keras

from worldmodels import layers as nets

from . import action_distributions


class Actor(keras.layers.Layer):
  """An MLP to a distribution over actions.

  Args:
    features: F.
    actions: A.
    discrete: the actions are one-hot vectors.
    kind: of the distribution, a key of action_distributions.KINDS.
    distributions: {kind: its keyword values}.
    units, layers, activation, initializer, normalization, precision: of the
      MLP.
  """

  def __init__(self, features, *, actions, discrete=False, kind, distributions,
               units=400, layers=4, activation='elu',
               initializer='glorot_uniform', normalization='none',
               precision='float32', **kwargs):
    super().__init__(**kwargs)
    kinds = action_distributions.KINDS
    if kind not in kinds:
      raise ValueError(
          f'actor.kind is {kind!r}; it is one of {", ".join(sorted(kinds))}')
    if discrete != (kind == 'one_hot'):
      raise ValueError(
          f'actor.kind is {kind!r}, but the actions of the task are '
          f'{"discrete: one_hot" if discrete else "not discrete"}')
    self._make, outputs = kinds[kind]
    self._options = dict(distributions[kind])
    self._mlp = nets.MLP(
        features, units=units, layers=layers, outputs=outputs * actions,
        activation=activation, initializer=initializer,
        normalization=normalization, precision=precision, name='mlp')
    self.built = True

  def call(self, features):
    """Maps [..., F] -> the distribution's parameters."""
    return self._mlp(features)

  def distribution(self, features):
    """Maps [..., F] -> distribution over actions [..., A]."""
    return self.made_of(self(features))

  def made_of(self, outputs):
    """Maps what `call` returned -> distribution over actions [..., A]."""
    return self._make(outputs, **self._options)
