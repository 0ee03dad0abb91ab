"""Counts floating point operations, by running a function once and watching.

Products and convolutions count two for each multiplication, over the whole
kernel at every place of the output, padding included; everything else counts
nothing. The convention of the published figures: 98 % of an update are
convolutions.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

# Private, and the only way to see what gradients execute; a test compares
# with counts by hand and so notices a TensorFlow that lacks it.
from tensorflow.python.framework import op_callbacks

Tensors = Sequence[tf.Tensor]
Attributes = dict[str, Any]


def count(function: Callable[[], Any]) -> int:
  """Returns the floating point operations of one call of `function`.

  It runs eagerly, so that loops are counted as often as they go round.
  """
  total, unused = 0, {}

  def watch(
    op_type: str | bytes,
    inputs: Tensors,
    attrs: Sequence[Any],
    outputs: Tensors,
    op_name: str | None = None,
    graph: tf.Graph | None = None,
  ) -> None:
    del op_name, graph
    nonlocal total
    for tensor in inputs:
      total += unused.pop(tensor._id, 0)
    kind = _text(op_type)
    if kind in _COUNTS:
      named = dict(zip(map(_text, attrs[::2]), attrs[1::2], strict=True))
      operations = _COUNTS[kind](inputs, named, outputs)
      if kind == 'Conv2DBackpropInput':
        # The gradient of an image is made and thrown away: a graph leaves it
        # out. So it counts when something takes it.
        unused[outputs[0]._id] = operations
      else:
        total += operations

  graphs = not tf.config.functions_run_eagerly()
  tf.config.run_functions_eagerly(True)
  op_callbacks.add_op_callback(watch)
  try:
    function()
  finally:
    op_callbacks.remove_op_callback(watch)
    tf.config.run_functions_eagerly(not graphs)
  return total


def _product(
  transposed: str, inputs: Tensors, attrs: Attributes, outputs: Tensors
) -> int:
  """Counts [.., m, k] x [.., k, n]: k for each number of the output."""
  inner = -2 if attrs.get(transposed) else -1
  return 2 * _size(outputs[0]) * inputs[0].shape[inner]


def _forward(inputs: Tensors, attrs: Attributes, outputs: Tensors) -> int:
  del attrs
  return _convolution(outputs[0], inputs[1].shape)


def _input_gradient(
  inputs: Tensors, attrs: Attributes, outputs: Tensors
) -> int:
  del attrs, outputs
  return _convolution(inputs[2], inputs[1].shape)


def _filter_gradient(
  inputs: Tensors, attrs: Attributes, outputs: Tensors
) -> int:
  del attrs
  return _convolution(inputs[2], outputs[0].shape)


def _convolution(small: tf.Tensor, kernel: tf.TensorShape) -> int:
  """Counts a convolution to [.., C] with a kernel [h, w, in, C]."""
  return 2 * _size(small) * math.prod(kernel[:3])


def _text(name: str | bytes) -> str:
  return name.decode() if isinstance(name, bytes) else name


def _size(tensor: tf.Tensor) -> int:
  return math.prod(tensor.shape)


_COUNTS = {
  'MatMul': lambda *args: _product('transpose_a', *args),
  'BatchMatMulV2': lambda *args: _product('adj_x', *args),
  'Conv2D': _forward,
  'Conv2DBackpropInput': _input_gradient,
  'Conv2DBackpropFilter': _filter_gradient,
}
