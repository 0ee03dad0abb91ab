"""Layers that encoder, dynamics and heads share: how a network is built.

Activation, initialization and normalization are values, because they decide
how fast a world model learns from few images: ReLU and Glorot, which every
reference system uses, stall where ELU and He do not (docs/experiments.md).
"""

import contextlib
from typing import Any

import keras
import tensorflow as tf

from worldmodels import errors
from worldmodels import initializers
from worldmodels.states import Tensor

NORMALIZATIONS = ('none', 'layer')


def add_bias(values: Tensor, bias: Tensor) -> Tensor:
  """Adds a bias [C] to values [..., C]; its gradient is a matrix product.

  TensorFlow's own sums bfloat16 in bfloat16, where nothing that is small
  beside the sum so far adds to it: of 262,144 numbers of mean 0.05 it makes
  2,064 instead of 13,819. A product sums in float32, and is faster.
  """

  @tf.custom_gradient
  def add(values: Tensor, bias: Tensor) -> tuple[Tensor, Any]:

    def gradient(upstream: Tensor) -> tuple[Tensor, Tensor]:
      rows = tf.reshape(upstream, [-1, upstream.shape[-1]])
      ones = tf.ones([1, tf.shape(rows)[0]], rows.dtype)
      return upstream, tf.matmul(ones, rows)[0]

    return tf.nn.bias_add(values, bias), gradient

  # A custom gradient takes tensors, not variables.
  return add(values, tf.convert_to_tensor(bias))


class Dense(keras.layers.Dense):
  """A linear layer with a float32 result, whatever its product is made in."""

  def call(self, inputs: Tensor) -> Tensor:
    """Maps [..., inputs] -> float32 [..., units]."""
    rows = tf.reshape(inputs, [-1, inputs.shape[-1]])
    product = tf.matmul(rows, self.kernel)
    if self.use_bias:
      product = add_bias(product, self.bias)
    shape = tf.concat([tf.shape(inputs)[:-1], [self.units]], 0)
    return tf.cast(tf.reshape(product, shape), tf.float32)


def dense(
  units: int,
  inputs: int,
  *,
  initializer: str | keras.Initializer = 'glorot_uniform',
  dtype: str = 'float32',
  use_bias: bool = True,
  part_of: int | None = None,
  name: str | None = None,
) -> Dense:
  """Returns a built linear layer [..., inputs] -> float32 [..., units].

  Built at once, so that every variable exists before the first call: an
  optimizer or a checkpoint made before it would miss the late ones.

  Args:
    units: size of the result.
    inputs: size of what comes in.
    initializer: of the kernel.
    dtype: of the product.
    use_bias: whether there is a bias.
    part_of: inputs of the layer that this is a part of; None for a whole one.
    name: of the layer.
  """
  if part_of is not None:
    initializer = initializers.PartOf(initializer, part_of)
  layer = Dense(
    units,
    kernel_initializer=initializer,
    use_bias=use_bias,
    dtype=dtype,
    name=name,
  )
  layer.build((None, inputs))
  return layer


def linear(layer: Dense, inputs: Tensor) -> Tensor:
  """Applies a dense layer whose result is added to another's.

  TensorFlow 2.21 would fuse Keras's own addition of a bias, the sum and an ELU
  into a node without operation, and give up optimizing the whole function.

  Args:
    layer: with a bias.
    inputs: [B, I].

  Returns:
    float32 [B, units].
  """
  dtype = layer.compute_dtype
  product = tf.matmul(tf.cast(inputs, dtype), tf.cast(layer.kernel, dtype))
  return tf.cast(product, tf.float32) + layer.bias


class Norm(keras.layers.Layer):
  """Layer norm over the last axis; `none` is the identity."""

  def __init__(
    self, size: int, kind: str = 'layer', epsilon: float = 1e-3, **kwargs: Any
  ):
    # Or Keras makes bfloat16 maps float32 on the way in.
    super().__init__(autocast=False, **kwargs)
    self._kind = errors.choose('normalization', kind, NORMALIZATIONS)
    self._epsilon = epsilon
    if kind == 'layer':
      self._scale = self.add_weight(
        shape=(size,), initializer='ones', name='scale'
      )
      self._offset = self.add_weight(
        shape=(size,), initializer='zeros', name='offset'
      )
    self.built = True

  def call(self, inputs: Tensor) -> Tensor:
    """Normalizes [..., size]; statistics in float32."""
    if self._kind == 'none':
      return inputs
    mean, variance = tf.nn.moments(
      tf.cast(inputs, tf.float32), [-1], keepdims=True
    )
    # One scale and one offset: (x - mean) * s / std + offset.
    scale = tf.math.rsqrt(variance + self._epsilon) * self._scale
    return tf.cast(
      tf.cast(inputs, tf.float32) * scale + (self._offset - mean * scale),
      inputs.dtype,
    )


class MLP(keras.layers.Layer):
  """Layers of equal width [..., inputs] -> [..., units], then `outputs`.

  Args:
    inputs: size of what comes in.
    units: width of the layers.
    layers: how many.
    outputs: size of a linear layer at the end; None leaves it out.
    activation, initializer, normalization: of the layers.
    precision: of the products.
    name: a scope for its variables: whoever has several MLPs names each.
  """

  def __init__(
    self,
    inputs: int,
    *,
    units: int,
    layers: int,
    outputs: int | None = None,
    activation: str = 'relu',
    initializer: str = 'glorot_uniform',
    normalization: str = 'none',
    precision: str = 'float32',
    name: str | None = None,
  ):
    super().__init__(name=name)
    self._activation = keras.activations.get(activation)
    self._hidden, self._norms, self._out = [], [], None
    make = dict(initializer=initializer, dtype=precision)
    with keras.name_scope(name) if name else contextlib.nullcontext():
      for index in range(layers):
        layer = dense(units, inputs, name=f'dense{index}', **make)
        self._hidden.append(layer)
        self._norms.append(Norm(units, normalization, name=f'norm{index}'))
        inputs = units
      if outputs:
        self._out = dense(outputs, inputs, dtype=precision, name='out')
    self.size = outputs or inputs
    self.built = True

  def call(self, inputs: Tensor) -> Tensor:
    """Maps [..., inputs] -> [..., outputs or units]."""
    x = inputs
    for layer, norm in zip(self._hidden, self._norms, strict=True):
      x = self._activation(norm(layer(x)))
    return self._out(x) if self._out is not None else x


class GRU(keras.layers.Layer):
  """The GRU of Cho et al. (2014) as TensorFlow 1's GRUBlockCell has it."""

  def __init__(
    self, inputs: int, units: int, precision: str = 'float32', **kwargs: Any
  ):
    super().__init__(**kwargs)
    self._gates = dense(
      2 * units, inputs + units, dtype=precision, name='gates'
    )
    # GRUBlockCell starts with both gates open (bias 1).
    self._gates.bias.assign(tf.ones_like(self._gates.bias))
    self._candidate = dense(
      units, inputs + units, dtype=precision, name='candidate'
    )
    self.built = True

  def call(self, x: Tensor, deter: Tensor) -> Tensor:
    """Maps input [..., I] and state [..., D] -> state [..., D]."""
    gates = tf.sigmoid(self._gates(tf.concat([x, deter], -1)))
    reset, update = tf.split(gates, 2, -1)
    candidate = tf.tanh(self._candidate(tf.concat([x, reset * deter], -1)))
    return update * deter + (1.0 - update) * candidate


class LayerNormGRU(keras.layers.Layer):
  """One normalized product for all gates (DreamerV2); it starts mostly shut.

  The update gate's -1 keeps the state three times as much as it changes it.
  """

  def __init__(
    self, inputs: int, units: int, precision: str = 'float32', **kwargs: Any
  ):
    super().__init__(**kwargs)
    self._all = dense(
      3 * units, inputs + units, use_bias=False, dtype=precision, name='all'
    )
    self._norm = Norm(3 * units, name='norm')
    self.built = True

  def call(self, x: Tensor, deter: Tensor) -> Tensor:
    """Maps input [..., I] and state [..., D] -> state [..., D]."""
    parts = self._norm(self._all(tf.concat([x, deter], -1)))
    reset, candidate, update = tf.split(parts, 3, -1)
    candidate = tf.tanh(tf.sigmoid(reset) * candidate)
    update = tf.sigmoid(update - 1.0)
    return update * candidate + (1.0 - update) * deter


_CELLS = {'gru': GRU, 'layer_norm_gru': LayerNormGRU}


def cell(name: str) -> type[GRU] | type[LayerNormGRU]:
  """Returns the class of the recurrent cell called `name`."""
  return _CELLS[errors.choose('cell', name, _CELLS)]
