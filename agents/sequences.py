"""Sequences of actions that planners try: scores, gradients, the best."""

import tensorflow as tf

from worldmodels import errors
from worldmodels.problem import Problem
from worldmodels.states import Tensor

# Of the mean square of the gradients that a step is divided by.
_DECAY, _EPSILON = 0.99, 1e-8


class GradientError(errors.UserError, ValueError):
  """What is to be climbed has no gradient; the message is one line."""


def check_elites(elites: int, candidates: int) -> None:
  """Raises OptionError unless there are so many elites among candidates."""
  if not 1 <= elites <= candidates:
    raise errors.OptionError(
      'elites', f'is {elites}; it is 1 to candidates ({candidates})'
    )


def check_floor(min_probability: float, size: int) -> None:
  """Raises OptionError unless each of so many choices can be as likely."""
  if not 0 <= min_probability * size <= 1:
    raise errors.OptionError(
      'min_probability',
      f'is {min_probability}; of {size} choices it is 0 to {1 / size:.3g}',
    )


def first_odds(start: Tensor) -> Tensor:
  """Returns even odds [B, H, A] to which the start of a plan is added.

  Raises:
    tf.errors.InvalidArgumentError: the start is negative.
  """
  tf.debugging.assert_non_negative(start, 'the start of a plan is negative')
  even = 1.0 / start.shape[2]
  return (even + start) / (1.0 + tf.reduce_sum(start, -1, keepdims=True))


def choices(
  odds: Tensor, min_probability: float, count: int, seed: Tensor
) -> Tensor:
  """Draws sequences of choices.

  Args:
    odds: of each choice, [B, H, A].
    min_probability: that each choice has at least.
    count: N.
    seed: int32 [2].

  Returns:
    [B, N, H, A], one-hot.
  """
  batch, horizon, size = tf.shape(odds)[0], odds.shape[1], odds.shape[2]
  even = min_probability * size  # The share of steps that are chosen evenly.
  shown = even / size + (1.0 - even) * odds
  drawn = tf.random.stateless_uniform([batch, count, horizon, 1], seed)
  passed = drawn >= tf.cumsum(shown, -1)[:, None, :, :-1]
  return tf.one_hot(tf.reduce_sum(tf.cast(passed, tf.int32), -1), size)


def score(problem: Problem, actions: Tensor, draw: Tensor | int) -> Tensor:
  """Returns the scores of candidates [B, N, H, A], all finite: [B, N].

  Args:
    problem: that is planned.
    actions: [B, N, H, A].
    draw: number of the draw of the states, int32.
  """
  return tf.debugging.check_numerics(
    problem.score(actions, draw), 'the score of a plan'
  )


def climb(
  problem: Problem, actions: Tensor, draw: Tensor | int
) -> tuple[Tensor, Tensor]:
  """Returns the scores of candidates, and the gradients of those.

  Args:
    problem: that is planned.
    actions: [B, N, H, A].
    draw: number of the draw of the states, int32.

  Returns:
    (scores [B, N], gradients [B, N, H, A]), all finite.

  Raises:
    GradientError: the score does not depend on the actions by TensorFlow.
  """
  with tf.GradientTape() as tape:
    tape.watch(actions)
    # No candidate is in the score of another, so the sum does.
    scores = score(problem, actions, draw)
  gradient = tape.gradient(scores, actions)
  if gradient is None:
    raise GradientError(
      'the score has no gradient by the actions: a step or an objective is '
      'not of TensorFlow; cem and its like need none'
    )
  return scores, tf.debugging.check_numerics(gradient, 'the gradient of a plan')


def ascend(
  gradient: Tensor, memory: Tensor, count: Tensor, rate: float
) -> tuple[Tensor, Tensor]:
  """Returns steps up a gradient, whatever its scale (RMSprop).

  Args:
    gradient: [...].
    memory: mean squares of the gradients before; zeros at first.
    count: of the gradients, this one included; float32, broadcast.
    rate: length of a step along each number while its gradient stays alike.

  Returns:
    (steps [...], memory [...]).
  """
  memory = _DECAY * memory + (1.0 - _DECAY) * tf.square(gradient)
  # Of few gradients the mean is too small by so much (Adam).
  mean = memory / (1.0 - _DECAY**count)
  return rate * gradient / (tf.sqrt(mean) + _EPSILON), memory


def best(actions: Tensor, scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
  """Returns the best candidates of each member, the very best first.

  Args:
    actions: [B, N, ...].
    scores: [B, N].
    count: K.

  Returns:
    (actions [B, K, ...], scores [B, K]).
  """
  scores, places = tf.math.top_k(scores, count)
  return tf.gather(actions, places, batch_dims=1), scores


def with_proposals(actions: Tensor, problem: Problem) -> Tensor:
  """Returns candidates [B, N, H, A] and proposals: [B, N + M, H, A]."""
  if problem.proposals is None:
    return actions
  return tf.concat([actions, problem.proposals], 1)


def around(
  mean: Tensor, std: Tensor | float, count: int, seed: Tensor
) -> Tensor:
  """Draws sequences from Gaussians, cut off at the bounds of actions.

  Args:
    mean: [B, H, A].
    std: [B, H, A] or of all.
    count: N.
    seed: int32 [2].

  Returns:
    [B, N, H, A], in [-1, 1].
  """
  batch, horizon, size = tf.shape(mean)[0], mean.shape[1], mean.shape[2]
  noise = tf.random.stateless_normal([batch, count, horizon, size], seed)
  if isinstance(std, tf.Tensor):
    std = std[:, None]
  return tf.clip_by_value(mean[:, None] + std * noise, -1.0, 1.0)
