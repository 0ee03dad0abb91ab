"""Replicas that learn from one batch: each has a share of its rows.

Several devices do an update together (tf.distribute): each has all weights and
its own rows of the common batch, one after the other in the order of the
replicas. What is computed comes out as with one that has the whole batch:

- A loss is that of the common batch. Whatever is taken over the rows - sums,
  counts, percentiles - is taken by `total` or `gather` over those of all, so
  that what follows from it is the same everywhere.
- Its gradient is the mean over replicas of what each finds by itself (`mean`):
  of what they have in common each finds all, of its own rows so many times the
  share. So a plain mean over rows, without a mask, needs nothing of this file.
- Noise is drawn for all rows, and each replica takes that of its own (`draw`).

With one replica, and outside of an update of several, all of this does nothing
and adds nothing to a graph.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence

import keras
import tensorflow as tf

from worldmodels.states import State
from worldmodels.states import Tensor

_SUM = tf.distribute.ReduceOp.SUM
# Of the thread that builds the graph of a replica: rows that are no share.
_chosen = threading.local()


def count() -> int:
  """Returns how many replicas do this update together."""
  context = tf.distribute.get_replica_context()
  return 1 if context is None else context.num_replicas_in_sync


def total(*values: Tensor) -> list[Tensor]:
  """Returns scalars summed over the replicas, in one exchange.

  What is computed of them has to be the same on each replica: then the gradient
  of that is known without another exchange.
  """
  size = count()
  if size == 1:
    return list(values)

  @tf.custom_gradient
  def summed(values: Tensor) -> tuple:
    return _all_sum(values), lambda upstream: size * upstream

  return tf.unstack(summed(tf.stack(values)), len(values))


def every(flag: Tensor) -> Tensor:
  """Tells whether a flag is true on all replicas, bool scalar."""
  if count() == 1:
    return flag
  (wrong,) = total(tf.cast(~flag, tf.float32))
  return tf.equal(wrong, 0.0)


def gather(rows: State) -> State:
  """Returns the rows of all replicas, without gradient.

  Args:
    rows: float32 [N, ...] each, of this replica.

  Returns:
    [replicas N, ...].
  """
  size = count()
  if size == 1:
    return rows
  flat = [tf.stop_gradient(value) for value in tf.nest.flatten(rows)]
  number = tf.shape(flat[0])[0]
  wide = [tf.reshape(value, [number, -1]) for value in flat]
  # One exchange, of as many numbers as all have: a sum with zeros.
  found = _all_sum(_widened(tf.concat(wide, 1), 0.0))
  parts = tf.split(found, [tf.shape(value)[1] for value in wide], 1)
  return tf.nest.pack_sequence_as(
    rows,
    [
      tf.reshape(part, tf.concat([[size * number], tf.shape(value)[1:]], 0))
      for part, value in zip(parts, flat)
    ],
  )


def share(values: Tensor, axis: int = 0) -> Tensor:
  """Cuts this replica's part out of values [..., replicas N, ...]."""
  size = count()
  if size == 1:
    return values
  return tf.split(values, size, axis)[_index()]


def draw(
  sampler: Callable[[Sequence, Tensor], Tensor],
  shape: Tensor | Sequence[int | Tensor],
  seed: Tensor,
  axis: int = 0,
) -> Tensor:
  """Draws for the rows of all replicas; returns what is for those of this one.

  Args:
    sampler: function of a shape and a seed, such as
      tf.random.stateless_normal.
    shape: of what is returned.
    seed: int32 [2], the same on all replicas.
    axis: of the rows.
  """
  size = count()
  if size == 1:
    return sampler(shape, seed)
  sizes = _sizes(shape)
  rows = getattr(_chosen, 'rows', None)
  if rows is not None:
    places, sizes[axis] = rows
    return tf.gather(sampler(sizes, seed), places, axis=axis)
  sizes[axis] *= size
  return share(sampler(sizes, seed), axis)


def widely(function: Callable[..., Tensor], *rows: Tensor) -> Tensor:
  """Applies a function that draws for each row by its number.

  Args:
    function: of tensors [M, ...] -> [M, ...], each row for itself.
    *rows: [N, ...] each; those of the other replicas are ones.

  Returns:
    [N, ...].
  """
  if count() == 1:
    return function(*rows)
  return share(function(*(_widened(value, 1.0) for value in rows)))


@contextlib.contextmanager
def of_chosen(chosen: Tensor, number: int | Tensor) -> Iterator[Tensor]:
  """Gives the rows of this replica among some that were chosen of all.

  What is drawn meanwhile is drawn for all that were chosen.

  Args:
    chosen: numbers of rows, int32 [M].
    number: N, of the rows that each replica has.

  Yields:
    those that are here, counted from the first one here, int32.
  """
  if count() == 1:
    yield chosen
    return
  local = chosen - _index() * number
  places = tf.reshape(tf.where((local >= 0) & (local < number)), [-1])
  _chosen.rows = places, tf.shape(chosen)[0]
  try:
    yield tf.gather(local, places)
  finally:
    _chosen.rows = None


def mean(values: Sequence[Tensor | None]) -> list[Tensor | None]:
  """Returns float32 tensors averaged over the replicas, in one exchange.

  Args:
    values: the same on all replicas but for their numbers; None stays None.
  """
  size = count()
  if size == 1:
    return list(values)
  there = [tf.convert_to_tensor(x) for x in values if x is not None]
  flat = [tf.reshape(value, [-1]) for value in there]
  sizes = [tf.size(value) for value in flat]
  parts = tf.split(_all_sum(tf.concat(flat, 0)) / size, sizes)
  found = iter([tf.reshape(x, tf.shape(y)) for x, y in zip(parts, there)])
  return [None if value is None else next(found) for value in values]


def own(variable: keras.Variable) -> tf.Variable:
  """Returns this replica's copy of a variable, to be changed by it alone."""
  copies = tf.distribute.get_strategy().experimental_local_results(
    variable.value
  )
  return copies[_index() % len(copies)]


def _sizes(shape: Tensor | Sequence[int | Tensor]) -> list[int | Tensor]:
  """Returns the sizes of a shape, as numbers where they are known."""
  if isinstance(shape, tf.Tensor):
    known = tf.get_static_value(shape)
    return tf.unstack(shape) if known is None else known.tolist()
  found = [tf.get_static_value(x) if tf.is_tensor(x) else x for x in shape]
  return [x if y is None else int(y) for x, y in zip(shape, found)]


def _index() -> int:
  """Returns the number of this replica."""
  context = tf.distribute.get_replica_context()
  return int(tf.get_static_value(context.replica_id_in_sync_group))


def _all_sum(value: Tensor) -> Tensor:
  return tf.distribute.get_replica_context().all_reduce(_SUM, value)


def _widened(value: Tensor, filling: float) -> Tensor:
  """Returns [replicas N, ...] with a value [N, ...] where this replica is."""
  size, index = count(), _index()
  beside = tf.fill(tf.shape(value), tf.cast(filling, value.dtype))
  parts = [beside] * index + [value] + [beside] * (size - index - 1)
  return tf.concat(parts, 0)
