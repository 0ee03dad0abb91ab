"""Exploration: noise on actions while episodes are collected."""

import tensorflow as tf

from worldmodels import errors
from worldmodels.spec import Spec
from worldmodels.states import State
from worldmodels.states import Tensor

COLORS = ('white', 'pink')

# Of pink noise: the memories of its parts in agent_steps, an octave apart.
_MEMORIES = [0.5 * 2.0**octave for octave in range(8)]


class Noise:
  """Noise on the actions of an agent, which may last from step to step.

  White noise is another one at each step; where steps are short the inertia of
  a body averages it away. Pink noise has as much power in each octave
  (Eberhard et al., 2023, Pink Noise Is All You Need): here the sum of
  autoregressive processes whose memories are half a step to 64 steps, of the
  same deviation at each step.

  Args:
    deviation: as `noise` of `add_noise`.
    color: white, pink; choices are drawn anew at each step in either.
    spec: of the task.
  """

  def __init__(self, deviation: float, color: str, spec: Spec):
    errors.choose('exploration_color', color, COLORS)
    self._deviation, self._spec = deviation, spec
    self._lasts = color == 'pink' and deviation > 0 and not spec.discrete

  def initial(self, count: int | Tensor) -> State:
    """Returns what is kept of it before the first step, [count, ...]."""
    if not self._lasts:
      return {}
    return {'noise': tf.zeros([count, len(_MEMORIES), self._spec.actions])}

  def kept(self, state: State) -> State:
    """Returns what is kept where nothing was added."""
    return {'noise': state['noise']} if self._lasts else {}

  def add(
    self, action: Tensor, state: State, is_first: Tensor, seed: Tensor
  ) -> tuple[Tensor, State]:
    """Adds exploration to actions [B, A]: (actions [B, A], what is kept).

    Args:
      action: in [-1, 1], or one-hot.
      state: has that of `initial` or of the step before.
      is_first: bool [B], of members whose noise begins anew.
      seed: int32 [2].
    """
    if not self._lasts:
      discrete = self._spec.discrete
      return add_noise(action, self._deviation, seed, discrete), {}
    stays = tf.exp(-1.0 / tf.constant(_MEMORIES))[:, None]  # [K, 1]
    draw = tf.random.stateless_normal(tf.shape(state['noise']), seed)
    parts = tf.where(
      is_first[:, None, None],
      draw,
      stays * state['noise'] + tf.sqrt(1.0 - stays**2) * draw,
    )  # [B, K, A], each of deviation 1
    noise = tf.reduce_sum(parts, 1) / len(_MEMORIES) ** 0.5
    noisy = tf.clip_by_value(action + self._deviation * noise, -1.0, 1.0)
    return noisy, {'noise': parts}


def add_noise(
  action: Tensor, noise: float, seed: Tensor, discrete: bool
) -> Tensor:
  """Adds exploration to actions [B, A].

  Args:
    action: in [-1, 1], or one-hot.
    noise: standard deviation of Gaussian noise; of discrete actions, the
      probability of a random one.
    seed: int32 [2].
    discrete: the actions are one-hot vectors.

  Returns:
    actions [B, A], in [-1, 1] or one-hot.
  """
  if not discrete:
    draw = tf.random.stateless_normal(tf.shape(action), seed)
    return tf.clip_by_value(action + noise * draw, -1.0, 1.0)
  batch, size = tf.shape(action)[0], action.shape[1]
  seeds = tf.random.split(seed, 2)
  index = tf.random.stateless_uniform([batch], seeds[0], 0, size, tf.int32)
  other = tf.one_hot(index, size)
  random = tf.random.stateless_uniform([batch, 1], seeds[1]) < noise
  # Exactly: a straight-through draw is one-hot to rounding only.
  action = tf.one_hot(tf.argmax(action, -1), size)
  return tf.where(random, other, action)
