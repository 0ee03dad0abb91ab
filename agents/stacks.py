"""Stacks of frames as one image, and random shifts of it.

A stack holds what was seen last, so that velocity shows (Mnih et al., 2015).
A shift moves all of it alike by a few pixels and fills up with what is at the
edge: what an actor does and a critic says should not depend on it (RAD: Laskin
et al., 2020; DrQ: Kostrikov et al., 2021).
"""

import tensorflow as tf

from worldmodels import replicas
from worldmodels.spec import Spec
from worldmodels.states import Tensor

Observation = dict[str, Tensor]


def stacked_spec(spec: Spec, frames: int) -> Spec:
  """Returns the spec of what a stack of so many frames shows."""
  image = spec.image and (*spec.image[:2], spec.image[2] * frames)
  vectors = {key: size * frames for key, size in spec.vectors.items()}
  return Spec(spec.actions, spec.discrete, image, vectors)


def keys(spec: Spec) -> list[str]:
  """Lists what an observation has that is stacked."""
  return [*(['image'] if spec.image else []), *spec.vectors]


def initial(spec: Spec, frames: int, count: int | Tensor) -> Observation:
  """Returns stacks of nothing, [count, ...]."""
  stacked = stacked_spec(spec, frames)
  return {
    key: tf.zeros(
      [count, *stacked.shape(key)], tf.uint8 if key == 'image' else tf.float32
    )
    for key in keys(spec)
  }


def push(stack: Tensor, value: Tensor, is_first: Tensor) -> Tensor:
  """Adds what is seen now to a stack, whose oldest frame goes.

  Args:
    stack: [B, ..., frames * c], oldest first.
    value: [B, ..., c].
    is_first: of members that begin anew, whose stack is all of `value`, [B].

  Returns:
    the stack, as it was shaped.
  """
  size = value.shape[-1]
  frames = stack.shape[-1] // size
  fresh = tf.concat([value] * frames, -1)
  moved = tf.concat([stack[..., size:], value], -1)
  anew = tf.reshape(is_first, [-1] + [1] * (len(value.shape) - 1))
  return tf.where(anew, fresh, moved)


def gather(
  batch: dict[str, Tensor], spec: Spec, rows: Tensor, shift: Tensor | None
) -> Observation:
  """Returns the stacks of some rows of chunks.

  Args:
    batch: {key: [B, T, ...]}.
    spec: of the task.
    rows: of the frames, oldest first, int32 [B, frames].
    shift: of images, see `shifts`; None for none.

  Returns:
    {key: [B, ..., frames * c]}.
  """
  found = {}
  for key in keys(spec):
    if key == 'image':
      found[key] = images(batch[key], rows, shift)
    else:
      picked = tf.gather(batch[key], rows, batch_dims=1)  # [B, frames, V]
      found[key] = tf.reshape(picked, [-1, rows.shape[1] * picked.shape[-1]])
  return found


def shifts(count: int | Tensor, pad: int, seed: Tensor) -> Tensor:
  """Draws shifts down and to the right, int32 [count, 2], at most `pad`."""

  def drawn(shape: list[int | Tensor], seed: Tensor) -> Tensor:
    return tf.random.stateless_uniform(shape, seed, -pad, pad + 1, tf.int32)

  return replicas.draw(drawn, [count, 2], seed)


def images(image: Tensor, rows: Tensor, shift: Tensor | None) -> Tensor:
  """Returns stacks of images, shifted.

  Whole lines are picked first, then the pixels of those: copying a pixel at a
  time is what takes long.

  Args:
    image: uint8 [B, T, h, w, c].
    rows: of the frames, oldest first, int32 [B, frames].
    shift: pixels down and to the right, int32 [B, 2]; what comes in at the
      edges is the edge; None for none.

  Returns:
    uint8 [B, h, w, frames * c].
  """
  steps, height, width, channels = image.shape[1:]
  lines = tf.reshape(image, [-1, steps * height, width * channels])
  down = tf.range(height)[None]
  if shift is not None:
    down = _within(down - shift[:, :1], height)
  place = rows[:, :, None] * height + down[:, None]  # [B, frames, h]
  frames = tf.reshape(
    tf.gather(lines, place, batch_dims=1),
    [-1, rows.shape[1], height, width, channels],
  )
  stack = tf.concat(tf.unstack(frames, axis=1), -1)
  if shift is None:
    return stack
  right = _within(tf.range(width)[None] - shift[:, 1:], width)
  return tf.gather(stack, right, axis=2, batch_dims=1)


def _within(places: Tensor, size: int) -> Tensor:
  return tf.clip_by_value(places, 0, size - 1)
