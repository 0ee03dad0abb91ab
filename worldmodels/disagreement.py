"""Disagreement of an ensemble's members, beside the error that it stands for.

Each member dreams for itself, from mean to mean, and stays with what it
believes (TSinf without draws; Chua et al., 2018). How far the dreams are apart
is what the ensemble says of its error, without knowing the truth; the rank
correlation with the error says whether it is right about which dreams are bad.
"""

import tensorflow as tf

from worldmodels import states
from worldmodels import uncertainty
from worldmodels.latent_dynamics import Dynamics
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import Batch
from worldmodels.world_model import WorldModel

_FEATURES = 'features'


def members_of(model: WorldModel) -> int:
  """Returns how many members a model has; 1 if it is no ensemble."""
  return getattr(getattr(model, 'dynamics', None), 'members', 1)


def is_told_by(model: WorldModel) -> bool:
  """Returns whether a model can say that it is not sure of a step.

  It has several members, or dynamics with a `spread` of their own.
  """
  dynamics = getattr(model, 'dynamics', None)
  if getattr(dynamics, 'told_by_members', False):
    return dynamics.members > 1
  own = getattr(type(dynamics), 'spread', None)
  return members_of(model) > 1 or own not in (None, Dynamics.spread)


def of_rewards(model: WorldModel, state: State, action: Tensor) -> Tensor:
  """Returns the deviation of the rewards that members expect: [N].

  Args:
    model: a WorldModel.
    state: [N, ...].
    action: [N, A].
  """
  count = members_of(model)
  after = model.step(
    model.particles(state, count), tf.repeat(action, count, axis=0)
  )
  rewards = tf.reshape(model.reward(after), [-1, count])
  return uncertainty.deviation(rewards, 1)


def about_reward(model: WorldModel, state: State) -> Tensor:
  """Returns the deviation of the rewards that members saw in states [...].

  It is about the step to each state, as `WorldModel.spread` is; `of_rewards` is
  about a step that is to be taken.

  Args:
    model: a WorldModel with an ensemble.
    state: [..., *].
  """
  return uncertainty.deviation(model.reward(model.dynamics.beliefs(state)), -1)


def by_horizon(model: WorldModel, batch: Batch, context: int) -> Batch:
  """Measures disagreement by horizon, 1 .. T - context steps after an image.

  Args:
    model: a WorldModel.
    batch: a batch [B, T, ...] of whole chunks.
    context: observed steps.

  Returns:
    nothing for one member, else a dict of float32 [T - context]:
      disagreement: of the features of a state, the root of the variance of the
        members' means, averaged over features and chunks;
      KEY_disagreement: for the image, or each vector where there is none, half
        the variance, summed, in nats, as their error is;
      reward_disagreement: variance of the expected rewards;
      disagreement_correlation: rank correlation over chunks (Spearman) of the
        first with the error of the first KEY;
      KEY_disagreement_correlation, reward_disagreement_correlation: of each
        with its own error. Not a number where one of the two is constant.
  """
  if members_of(model) == 1:
    return {}
  keys = _seen(model, batch)
  moments = dreams(model, batch, context, [_FEATURES, *keys, 'reward'])
  mask = batch['mask'][:, context:]

  def by_step(values: Tensor) -> Tensor:
    return tf.reduce_sum(values * mask, 0) / tf.maximum(
      tf.reduce_sum(mask, 0), 1.0
    )

  _, variance = moments[_FEATURES]
  apart = uncertainty.root(tf.reduce_mean(variance, -1))  # [B, H]
  found, first = {'disagreement': by_step(apart)}, None
  for key in (*keys, 'reward'):
    mean, variance = moments[key]
    error = tf.square(mean - _truth(model, batch, key)[:, context:])
    share = 1.0 if key == 'reward' else 0.5
    axes = list(range(2, len(mean.shape)))
    error, variance = (
      share * tf.reduce_sum(x, axes) for x in (error, variance)
    )
    first = error if first is None else first
    found[f'{key}_disagreement'] = by_step(variance)
    found[f'{key}_disagreement_correlation'] = correlation(variance, error)
  return found | {'disagreement_correlation': correlation(apart, first)}


def dreams(
  model: WorldModel, batch: Batch, context: int, keys: list[str]
) -> dict[str, tuple[Tensor, Tensor]]:
  """Returns mean and variance over the members' dreams.

  Args:
    model: a WorldModel.
    batch: a batch [B, T, ...].
    context: observed steps; the others are imagined with the true actions.
    keys: of heads, or `features`.

  Returns:
    {key: (mean, variance)}, each [B, T - context, ...].
  """
  count = members_of(model)
  posterior, _ = model.observe(states.between(batch, None, context))
  last = model.particles(states.at(posterior, -1), count)
  action = batch['action'][:, context:]
  rows = tf.range(tf.shape(action)[0]) * count

  def dream(number: Tensor | int) -> Batch:
    imagined = model.imagine(states.take(last, rows + number), action)
    return {key: _shown(model, imagined, key) for key in keys}

  first = dream(0)

  def add(number: Tensor, sums: Batch, squares: Batch) -> tuple:
    # Beside the first: sums of squares of large numbers would be rounded off.
    more = {key: x - first[key] for key, x in dream(number).items()}
    sums = {key: sums[key] + more[key] for key in keys}
    squares = {key: squares[key] + tf.square(more[key]) for key in keys}
    return number + 1, sums, squares

  zeros = {key: tf.zeros_like(value) for key, value in first.items()}
  _, sums, squares = tf.while_loop(
    lambda number, *_: number < count, add, (1, zeros, dict(zeros))
  )
  found = {}
  for key in keys:
    mean = sums[key] / count
    variance = tf.maximum(squares[key] / count - tf.square(mean), 0.0)
    found[key] = (first[key] + mean, variance)
  return found


def correlation(one: Tensor, other: Tensor) -> Tensor:
  """Returns Spearman's rank correlation over the first axis: [B, H] -> [H]."""

  def centered(values: Tensor) -> Tensor:
    below = values[None] < values[:, None]
    same = values[None] == values[:, None]
    ranks = tf.reduce_sum(
      tf.cast(below, tf.float32) + 0.5 * tf.cast(same, tf.float32), 1
    )
    return ranks - tf.reduce_mean(ranks, 0)

  one, other = centered(one), centered(other)
  scale = tf.reduce_sum(tf.square(one), 0) * tf.reduce_sum(tf.square(other), 0)
  return tf.reduce_sum(one * other, 0) / tf.sqrt(scale)


def _seen(model: WorldModel, batch: Batch) -> list[str]:
  """Returns what there is to compare with: the image, or else the vectors."""
  if 'image' in batch:
    return ['image']
  return [key for key in model.keys if key not in ('reward', 'discount')]


def _shown(model: WorldModel, state: State, key: str) -> Tensor:
  if key == _FEATURES:
    return model.features(state)
  if key in ('image', 'reward'):
    return getattr(model, key)(state)
  return model.head(key).mean(model.features(state))


def _truth(model: WorldModel, batch: Batch, key: str) -> Tensor:
  if key == 'image':
    return model.pixels(batch['image'])
  return tf.cast(batch[key], tf.float32)
