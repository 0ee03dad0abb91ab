"""Transitions out of chunks of the replay, with returns of n steps.

A return of n steps is what the next n rewards come to, and what is then still
to come (Sutton and Barto, 2018, chapter 7; DrQ-v2: Yarats et al., 2022). By the
time rule row t holds what the action of row t led to, so whoever has seen the
rows up to t takes `action[t + 1]`, which leads to `reward[t + 1]`.

Nothing reaches over a reset. Before the first row of an episode a stack of
frames repeats that row; a return ends with the episode, and the rest of it is
worth what was seen last.
"""

from typing import NamedTuple

import tensorflow as tf

from worldmodels import replicas
from worldmodels.states import Tensor


class Transitions(NamedTuple):
  """One transition of each chunk.

  Attributes:
    rows: of the frames that are seen, oldest first, int32 [B, frames].
    action: that is then taken, [B, A].
    returns: of the next steps, at most n, [B].
    discount: of what comes after them, gamma and ends included, [B].
    after: rows of the frames that are seen then, int32 [B, frames].
    weight: 1, or 0 of a chunk without one, [B].
  """

  rows: Tensor
  action: Tensor
  returns: Tensor
  discount: Tensor
  after: Tensor
  weight: Tensor


def draw(
  batch: dict[str, Tensor], frames: int, steps: int, gamma: float, seed: Tensor
) -> Transitions:
  """Draws one transition of each chunk.

  Args:
    batch: {action, reward, discount, is_first, is_last, mask}, [B, T, ...].
    frames: of a stack; T is at least frames + steps.
    steps: n, of the returns.
    gamma: discount per agent_step.
    seed: int32 [2].
  """
  allowed = places(batch, frames, steps)
  place = _choose(allowed, seed)
  returns, discount, taken = n_step(batch, place, steps, gamma)
  following = tf.minimum(place + 1, tf.shape(allowed)[1] - 1)
  return Transitions(
    rows=stack_rows(batch['is_first'], place, frames),
    action=tf.gather(batch['action'], following, batch_dims=1),
    returns=returns,
    discount=discount,
    after=stack_rows(batch['is_first'], place + taken, frames),
    weight=tf.cast(tf.gather(allowed, place, batch_dims=1), tf.float32),
  )


def places(batch: dict[str, Tensor], frames: int, steps: int) -> Tensor:
  """Tells which rows a transition may start from, bool [B, T].

  Those of which the chunk has the stack, a step that follows, and n of them or
  the end of the episode.

  Args:
    batch: {is_first, is_last, mask}, [B, T].
    frames: of a stack.
    steps: n.
  """
  real = batch['mask'] > 0
  length = tf.shape(real)[1]
  row = tf.range(length)[None]
  begun = tf.cumsum(tf.cast(batch['is_first'], tf.int32), 1) > 0
  seen = (row >= frames - 1) | begun
  none = tf.zeros_like(real[:, :1])
  follows = tf.concat([(real & ~batch['is_first'])[:, 1:], none], 1)
  # The last row up to which the episode of any row is known to go on.
  ends = tf.where(
    batch['is_last'] | ~real | ~follows & (row < length - 1), row, -1
  )
  last_end = tf.reduce_max(ends, 1, keepdims=True)
  return follows & seen & ((row + steps < length) | (row <= last_end))


def n_step(
  batch: dict[str, Tensor], place: Tensor, steps: int, gamma: float
) -> tuple[Tensor, Tensor, Tensor]:
  """Sums the rewards of the steps after a row.

  Args:
    batch: {reward, discount, is_first, mask}, [B, T].
    place: of the row, int32 [B].
    steps: n, that are summed at most.
    gamma: discount per agent_step.

  Returns:
    (returns [B], discount of what comes after them [B], how many steps they
    are of, int32 [B]).
  """
  length = batch['reward'].shape[1]
  returns = tf.zeros_like(batch['reward'][:, 0])
  discount, taken = tf.ones_like(returns), tf.zeros_like(place)
  going = tf.ones_like(place, tf.bool)
  for step in range(1, steps + 1):
    row = tf.minimum(place + step, length - 1)
    reward, end, real, first = (
      tf.gather(batch[key], row, batch_dims=1)
      for key in ('reward', 'discount', 'mask', 'is_first')
    )
    going &= (place + step < length) & (real > 0) & ~first
    returns += tf.where(going, discount * reward, 0.0)
    discount *= tf.where(going, gamma * end, 1.0)
    taken += tf.cast(going, tf.int32)
  return returns, discount, taken


def stack_rows(is_first: Tensor, place: Tensor, frames: int) -> Tensor:
  """Returns the rows of the stack that is seen at a row, int32 [B, frames].

  Args:
    is_first: bool [B, T].
    place: of the row that is seen last, int32 [B].
    frames: of the stack; oldest first.
  """
  rows = [place]
  for _ in range(frames - 1):
    newest = rows[0]
    stays = tf.gather(is_first, newest, batch_dims=1) | (newest == 0)
    rows.insert(0, newest - tf.cast(~stays, tf.int32))
  return tf.stack(rows, 1)


def _choose(allowed: Tensor, seed: Tensor) -> Tensor:
  """Draws one of the rows that are allowed, bool [B, T] -> int32 [B]."""
  draw = replicas.draw(tf.random.stateless_uniform, tf.shape(allowed), seed)
  return tf.argmax(tf.where(allowed, draw, -1.0), 1, tf.int32)
