"""Nested states: functions that treat every tensor of a state alike.

A state is a dict of tensors whose leading axes are the same, [N, ...] or
[B, T, ...]. Only the dynamics that made it know what is in it; everyone else
uses these functions.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Tensor = tf.Tensor
State = dict[str, Any]


def apply(function: Callable[[Tensor], Tensor], state: State) -> State:
  """Applies a function to every tensor of a state."""
  return tf.nest.map_structure(function, state)


def size(state: State) -> Tensor:
  """Returns the length of the first axis: int32 scalar."""
  return tf.shape(tf.nest.flatten(state)[0])[0]


def repeat(state: State, count: int | Tensor) -> State:
  """Repeats every member: [N, ...] -> [N * count, ...]."""
  return apply(lambda value: tf.repeat(value, count, axis=0), state)


def take(state: State, indices: Tensor) -> State:
  """Gathers members: [N, ...] and int32 [M] -> [M, ...]."""
  return apply(lambda value: tf.gather(value, indices), state)


def at(state: State, time: int) -> State:
  """Picks a step: [B, T, ...] -> [B, ...]."""
  return apply(lambda value: value[:, time], state)


def between(state: State, start: int | None, stop: int | None) -> State:
  """Picks steps from start to stop: [B, T, ...] -> [B, stop - start, ...]."""
  return apply(lambda value: value[:, start:stop], state)


def join(first: State, second: State) -> State:
  """Joins states along time: [B, T, ...], [B, H, ...] -> [B, T + H, ...]."""
  return tf.nest.map_structure(
    lambda before, after: tf.concat([before, after], 1), first, second
  )


def flatten(state: State) -> State:
  """Merges the first two axes: [B, T, ...] -> [B * T, ...]."""
  return apply(
    lambda value: tf.reshape(value, tf.concat([[-1], tf.shape(value)[2:]], 0)),
    state,
  )


def stop(state: State) -> State:
  """Stops every gradient."""
  return apply(tf.stop_gradient, state)


def swap(state: State) -> State:
  """Swaps the first two axes: [B, T, ...] -> [T, B, ...], and back."""
  return apply(
    lambda value: tf.transpose(value, [1, 0, *range(2, value.shape.rank)]),
    state,
  )


def tensors(batch: dict[str, Any]) -> dict[str, Tensor]:
  """Makes tensors of the arrays of a batch or observation."""
  return {key: tf.convert_to_tensor(value) for key, value in batch.items()}


def scan(
  step: Callable[[State, State], State], inputs: State, state: State
) -> State:
  """Runs `step(state, inputs_t) -> state` over time as a TensorFlow loop.

  Args:
    step: function of a state [B, ...] and the inputs of a time.
    inputs: tensors [T, B, ...].
    state: the state before the first step.

  Returns:
    The states after each step, [T, B, ...].
  """
  feeds, before = tf.nest.flatten(inputs), tf.nest.flatten(state)
  count = tf.shape(feeds[0])[0]
  # A length that is known stays known, for those who need sizes.
  known = feeds[0].shape[:1]
  arrays = [
    tf.TensorArray(value.dtype, count, element_shape=value.shape[1:]).unstack(
      value
    )
    for value in feeds
  ]
  outs = [
    tf.TensorArray(value.dtype, count, element_shape=value.shape)
    for value in before
  ]

  def body(
    index: Tensor, carry: list[Tensor], outs: list[tf.TensorArray]
  ) -> tuple:
    now = tf.nest.pack_sequence_as(
      inputs, [array.read(index) for array in arrays]
    )
    after = step(tf.nest.pack_sequence_as(state, carry), now)
    tf.nest.assert_same_structure(state, after)
    carry = tf.nest.flatten(after)
    for value, first in zip(carry, before):
      value.set_shape(first.shape)  # What is known of one is of all.
    outs = [out.write(index, value) for out, value in zip(outs, carry)]
    return index + 1, carry, outs

  _, _, outs = tf.while_loop(
    lambda index, *_: index < count,
    body,
    (0, before, outs),
    maximum_iterations=count,
  )
  return tf.nest.pack_sequence_as(
    state,
    [
      tf.ensure_shape(out.stack(), known + value.shape)
      for out, value in zip(outs, before)
    ],
  )
