"""How work is spread over the cores of a processor.

Small operations are faster alone on a core than on all of them, and a block of
images that stays in the cache of a core is faster than a whole batch
(docs/performance.md). On a GPU there is one block.
"""

import os
from collections.abc import Callable

import tensorflow as tf

# Images per block, and the largest number of blocks.
BLOCK, MOST_BLOCKS = 32, 16


def halve_threads() -> None:
  """Gives an operation half of the cores; before TensorFlow computes anything.

  Planning has chains of candidates side by side, and acting may go on beside
  learning: with all cores for each operation they would wait for each other.
  """
  cores = len(os.sched_getaffinity(0))
  tf.config.threading.set_intra_op_parallelism_threads(max(1, cores // 2))


def split(count: int | None, least: int) -> list[int | None]:
  """Splits `count` over the cores into sizes of at least `least`.

  Args:
    count: of members; None where it is not known, which makes one part.
    least: members that are worth a core.
  """
  cores = len(os.sched_getaffinity(0))
  parts = min((count or 0) // least, cores)
  if parts < 2 or tf.config.list_physical_devices('GPU'):
    return [count]
  return _sizes(count, parts)


def in_blocks(
  function: Callable[..., tf.Tensor], *values: tf.Tensor
) -> tf.Tensor:
  """Maps values [N, ...] a block at a time, if N is known.

  Args:
    function: of tensors [n, ...], each member for itself -> [n, ...].
    *values: [N, ...] each.

  Returns:
    [N, ...].
  """
  count = values[0].shape[0] or 0
  blocks = min(count // BLOCK, MOST_BLOCKS)
  if blocks < 2 or tf.config.list_physical_devices('GPU'):
    return function(*values)
  sizes = _sizes(count, blocks)
  parts = zip(*(tf.split(value, sizes) for value in values), strict=True)
  return tf.concat([function(*part) for part in parts], 0)


def _sizes(count: int, parts: int) -> list[int]:
  """Splits `count` into equal sizes, the last of which takes the rest."""
  size = count // parts
  return [size] * (parts - 1) + [count - size * (parts - 1)]
