"""Open-loop error: how well the model predicts without images.

Observe `context` steps of a chunk, imagine the rest with the true actions,
and compare step by step. Planning lives on this, not on reconstructions.
"""

import tensorflow as tf

from worldmodels import losses
from worldmodels import states
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import Batch
from worldmodels.world_model import WorldModel

SAMPLES = 8  # dreams that a prediction is averaged over


def predict(model: WorldModel, batch: Batch, context: int) -> State:
  """Observes, then imagines: states [B, T, ...], posterior and then prior.

  No sampling: one dream, the one that goes from mean to mean.
  """
  posterior, _ = model.observe(states.between(batch, None, context))
  prior = model.imagine(states.at(posterior, -1), batch['action'][:, context:])
  return states.join(posterior, prior)


def errors(
  model: WorldModel, batch: Batch, context: int, samples: int = SAMPLES
) -> Batch:
  """Measures errors by horizon, 1 .. T - context steps after the last image.

  What the model predicts is a distribution over dreams. Its mean, here that
  of a few samples, is what a squared error asks for: a single dream that is
  sure of one of several possible places is worse than the mean image.

  Args:
    model: a WorldModel.
    batch: a batch [B, T, ...] of whole chunks.
    context: observed steps.
    samples: dreams that are averaged; always the same ones.

  Returns:
    dict of float32 [T - context]:
      image: half the squared error, summed over pixels and channels, in nats;
      copy_image: the same for a copy of the last seen image;
      mean_image: the same for the mean image of the training episodes
        (of the batch, if the model was not centered);
      KEY, copy_KEY, mean_KEY: where there is no image, the same for each
        vector that has a head, the mean that of the batch;
      reward: squared error; reward_variance: of the rewards compared with;
      copy_reward: the squared error of a copy of the last observed reward.
  """
  expected = _expect(model, batch, context, samples)
  mask = batch['mask'][:, context:]

  def by_step(value: Tensor) -> Tensor:
    return tf.reduce_sum(value * mask, 0) / tf.maximum(
      tf.reduce_sum(mask, 0), 1.0
    )

  found = {}
  for key in [key for key in expected if key != 'reward']:
    truth, mean = _truth(model, batch, key)
    after = truth[:, context:]

    def nats(guess: Tensor, after: Tensor = after) -> Tensor:
      axes = list(range(2, len(after.shape)))
      return by_step(0.5 * tf.reduce_sum(tf.square(guess - after), axes))

    found[key] = nats(expected[key])
    found[f'copy_{key}'] = nats(truth[:, context - 1 : context])
    found[f'mean_{key}'] = nats(mean)
  reward = batch['reward'][:, context:]
  center = losses.masked_mean(reward, mask)
  variance = losses.masked_mean(tf.square(reward - center), mask)
  return {
    **found,
    'reward': by_step(tf.square(expected['reward'] - reward)),
    'reward_variance': tf.fill(tf.shape(mask)[1:], variance),
    'copy_reward': by_step(
      tf.square(batch['reward'][:, context - 1 : context] - reward)
    ),
  }


def _truth(model: WorldModel, batch: Batch, key: str) -> tuple[Tensor, Tensor]:
  """Returns what there was, [B, T, ...], and its mean, [1, 1, ...]."""
  if key != 'image':
    truth = tf.cast(batch[key], tf.float32)
    return truth, tf.reduce_mean(truth, [0, 1], keepdims=True)
  truth, mean = model.pixels(batch['image']), model.mean_image
  mean = tf.cond(
    tf.reduce_any(mean != 0.0),
    lambda: mean,
    lambda: tf.reduce_mean(truth, [0, 1]),
  )
  return truth, mean[None, None]


def _vectors(model: WorldModel) -> list[str]:
  return [key for key in model.keys if key not in ('reward', 'discount')]


def _expect(
  model: WorldModel, batch: Batch, context: int, samples: int
) -> Batch:
  """Averages images, vectors and rewards {key: [B, H, ...]} over dreams."""
  posterior, _ = model.observe(states.between(batch, None, context))
  last = states.at(posterior, -1)
  action = batch['action'][:, context:]
  # Where there are images they are what is looked at.
  seen = ['image'] if 'image' in batch else _vectors(model)
  keys = [*seen, 'reward']

  def shown(imagined: State, key: str) -> Tensor:
    if key in ('image', 'reward'):
      return getattr(model, key)(imagined)
    return model.head(key).mean(model.features(imagined))

  def dream(number: Tensor | int) -> Batch:
    imagined = model.imagine(last, action, tf.stack([0, number]))
    return {key: shown(imagined, key) for key in keys}

  def add(number: Tensor, sums: Batch) -> tuple[Tensor, Batch]:
    more = dream(number)
    return number + 1, {key: sums[key] + more[key] for key in keys}

  _, sums = tf.while_loop(
    lambda number, _: number < samples, add, (1, dream(0))
  )
  return {key: value / samples for key, value in sums.items()}
