"""States of a model as arrays: what they look like, and what they hold."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from worldmodels import errors
from worldmodels import states
from worldmodels.decoded import FEATURES
from worldmodels.decoded import Decoded
from worldmodels.decoded import keys
from worldmodels.world_model import WorldModel

# States that are decoded at a time, so that a long dream fits into memory.
_BLOCK = 256


class StateError(errors.UserError, ValueError):
  """Something that these states cannot do; the message is one line."""


class States:
  """States of a model, [...]; a single state is [].

  They are indexed like an array. What they look like is decoded when it is
  asked for, and once.

  Attributes:
    shape: [...].

  Args:
    model: that made them.
    values: its states, [N, ...], N the product of the shape.
    shape: of these.
  """

  def __init__(
    self, model: WorldModel, values: states.State, shape: tuple[int, ...]
  ):
    self.shape = tuple(shape)
    self._model, self._values = model, values
    self._decoded: dict[str, np.ndarray] = {}

  def is_of(self, model: WorldModel) -> bool:
    """Returns whether it was this model that made them."""
    return self._model is model

  @property
  def image(self) -> np.ndarray:
    """What the model sees in each, uint8 [..., h, w, c]."""
    return self.decode('image')

  @property
  def reward(self) -> np.ndarray:
    """The reward that it expects of each, float32 [...]."""
    return self.decode('reward')

  @property
  def discount(self) -> np.ndarray:
    """Probability that the episode goes on, float32 [...]; 1 without head."""
    return self.decode('discount')

  @property
  def features(self) -> np.ndarray:
    """What heads read, float32 [..., F]: to probe, or to learn on."""
    return self.decode(FEATURES)

  @property
  def arrays(self) -> dict[str, Any]:
    """What the dynamics hold, by name: arrays [..., *], nested as they are."""
    return tf.nest.map_structure(self._shaped, self._values)

  @property
  def tensors(self) -> states.State:
    """The same as tensors [N, ...], for `run.model`."""
    return self._values

  def decode(self, key: str) -> np.ndarray:
    """Returns the expected value of a key that the model decodes.

    Args:
      key: such as `reward`, or the name of a vector that the model has a head
        for.

    Returns:
      float32 [..., *shape]; the image uint8.

    Raises:
      StateError: the model decodes no such key.
    """
    if key not in self._decoded:
      there = keys(self._model)
      if key not in there:
        raise StateError(
          f'this model decodes no {key!r}; it decodes {", ".join(there)}'
        )
      parts = [self._decode(key, part) for part in self._blocks()]
      if not parts:  # Of no state: the shape is that of any.
        parts = [self._decode(key, self._model.initial(1))[:0]]
      self._decoded[key] = self._shaped(np.concatenate(parts))
    return self._decoded[key].copy()

  def __getitem__(self, index: Any) -> 'States':  # noqa: ANN401 (as of NumPy)
    places = np.arange(math.prod(self.shape)).reshape(self.shape)[index]
    places = np.asarray(places)
    values = states.take(self._values, tf.constant(places.ravel(), tf.int32))
    return States(self._model, values, places.shape)

  def __len__(self) -> int:
    if not self.shape:
      raise TypeError('a single state has no length')
    return self.shape[0]

  def __iter__(self) -> Iterator['States']:
    return (self[index] for index in range(len(self)))

  def __repr__(self) -> str:
    return f'States({list(self.shape)}: {", ".join(keys(self._model))})'

  def _decode(self, key: str, values: states.State) -> np.ndarray:
    if key == 'image':
      return self._model.drawing(values).numpy()
    return Decoded(self._model, values)[key].numpy()

  def _blocks(self) -> Iterator[states.State]:
    for start in range(0, math.prod(self.shape), _BLOCK):
      stop = start + _BLOCK
      yield states.apply(lambda x: x[start:stop], self._values)  # noqa: B023

  def _shaped(self, values: tf.Tensor | np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    return values.reshape(self.shape + values.shape[1:])
