"""Base of heads, whose kinds are the files of worldmodels/heads.

A head maps features [..., F] to a distribution over one step of a key of the
batch, and has a loss of its own. Keras layers hand on tensors only, so
distributions are built outside of `call`.
"""

import math
import re
from typing import Any, Protocol

import keras

from worldmodels import errors
from worldmodels import kinds
from worldmodels import nets
from worldmodels.states import Tensor


class Distribution(Protocol):
  """A distribution over one step of a key, such as a tfd.Distribution."""

  def mean(self) -> Tensor:
    """Returns the expected value, [..., *shape]."""

  def log_prob(self, values: Tensor) -> Tensor:
    """Returns the log density of values [..., *shape]: [...]."""


class Head(keras.layers.Layer):
  """Maps features to a distribution over one step of a key.

  A kind's constructor is given features_size (F), shape (of one step of its
  key) and name by keyword, and those options of its group that it names.

  Attributes:
    max_log_prob: the log density of a perfect prediction, in nats: losses
      count from there, so that it costs nothing whatever the size of the event.
  """

  max_log_prob = 0.0

  def distribution(self, outputs: Tensor) -> Distribution:
    """Maps the outputs of `call` to a distribution, batch [...]."""
    raise NotImplementedError

  def mean(self, features: Tensor) -> Tensor:
    """Maps [..., F] -> the expected value, [..., *shape]."""
    return self.distribution(self(features)).mean()

  def loss(self, features: Tensor, target: Tensor) -> Tensor:
    """Maps features [..., F] and target [..., *shape] -> nats [...]."""
    return self.loss_of(self(features), target)

  def loss_of(self, outputs: Tensor, target: Tensor) -> Tensor:
    """Returns the loss of outputs that `call` has made already: nats [...]."""
    return self.max_log_prob - self.distribution(outputs).log_prob(target)


class MLPHead(Head):
  """A head whose outputs are those of an MLP.

  Args:
    features_size: F.
    outputs: numbers that the MLP puts out.
    units, layers, activation, initializer, normalization, precision: of the
      MLP.
  """

  def __init__(
    self,
    features_size: int,
    outputs: int,
    *,
    units: int = 200,
    layers: int = 2,
    activation: str = 'relu',
    initializer: str = 'glorot_uniform',
    normalization: str = 'none',
    precision: str = 'float32',
    **kwargs: Any,
  ):
    super().__init__(**kwargs)
    self._mlp = nets.MLP(
      features_size,
      units=units,
      layers=layers,
      outputs=outputs,
      activation=activation,
      initializer=initializer,
      normalization=normalization,
      precision=precision,
    )
    self.built = True


def check_number(kind: str, shape: tuple[int, ...]) -> None:
  """Raises an OptionError if one step of the key is not one number."""
  if shape:
    raise errors.OptionError(
      'kind', f'is {kind!r}, which predicts one number, not {list(shape)}'
    )


def gaussian_peak(shape: tuple[int, ...], std: float = 1.0) -> float:
  """Returns the log density of a Gaussian at its mean, in nats."""
  return -math.prod(shape) * math.log(std * math.sqrt(2 * math.pi))


def scope(key: str) -> str:
  """Returns what the head of a key is called in graphs and checkpoints.

  TensorFlow knows letters, digits and a few signs there; others are numbers.
  """
  # As dm_control.composer has them.
  plain = key.replace('/', '.')
  coded = re.sub(r'[^A-Za-z0-9_.\\>-]', lambda x: f'.{ord(x[0]):x}', plain)
  return coded if re.match(r'[A-Za-z0-9.]', coded) else f'.{coded}'


def load(
  options: dict[str, Any],
  features_size: int,
  shape: tuple[int, ...],
  name: str,
) -> Head:
  """Makes the head of a group of options, of which `kind` is one."""
  return kinds.make(
    'worldmodels.heads',
    'Head',
    options,
    features_size=features_size,
    shape=shape,
    name=name,
  )
