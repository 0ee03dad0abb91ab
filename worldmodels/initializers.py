"""Starts of kernels that are stored in another form than the published one.

Glorot and He scale a kernel by the inputs and outputs of its layer. Where we
compute a published layer in parts, or as another operation, its kernel has to
start as that of the published layer, not as that of ours.
"""

from collections.abc import Sequence

import keras

from worldmodels.states import Tensor


class PartOf(keras.Initializer):
  """Draws the kernel of a product over some of a layer's inputs.

  A layer over inputs that are joined is a sum of products, one for each part.
  Each kernel is drawn as rows of the whole.

  Args:
    initializer: of the whole kernel.
    inputs: of the whole layer.
  """

  def __init__(self, initializer: str | keras.Initializer, inputs: int):
    self._initializer = keras.initializers.get(initializer)
    self._inputs = inputs

  def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Tensor:
    """Returns a kernel [I, units], I of all inputs."""
    rows, units = shape
    return self._initializer((self._inputs, units), dtype)[:rows]

  def get_config(self) -> dict[str, object]:
    """Returns the keyword values."""
    return {'initializer': self._initializer, 'inputs': self._inputs}


class Each(keras.Initializer):
  """Draws the kernels of several layers of one form, each for itself.

  Args:
    initializer: name of that of each kernel; an instance would draw the same
      numbers at every call.
  """

  def __init__(self, initializer: str):
    self._initializer = initializer

  def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Tensor:
    """Returns kernels [K, *shape of each]."""
    count, *each = shape
    drawn = [
      keras.initializers.get(self._initializer)(each, dtype)
      for _ in range(count)
    ]
    return keras.ops.stack(drawn)

  def get_config(self) -> dict[str, object]:
    """Returns the keyword values."""
    return {'initializer': self._initializer}


class FromPoint(keras.Initializer):
  """Draws the kernel of a transposed convolution from a map of 1x1.

  There it is a dense layer to `map_shape`, which has fewer outputs for each
  input than the convolution counts.

  Args:
    initializer: of the convolution's kernel.
    map_shape: height, width and channels that it makes.
  """

  def __init__(
    self,
    initializer: str | keras.Initializer,
    map_shape: tuple[int, int, int],
  ):
    self._initializer = keras.initializers.get(initializer)
    self._map_shape = map_shape

  def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Tensor:
    """Returns a kernel [I, height * width * channels]."""
    inputs, _ = shape
    kernel = self._initializer((*self._map_shape, inputs), dtype)
    return keras.ops.transpose(keras.ops.reshape(kernel, shape[::-1]))

  def get_config(self) -> dict[str, object]:
    """Returns the keyword values."""
    return {'initializer': self._initializer, 'map_shape': self._map_shape}
