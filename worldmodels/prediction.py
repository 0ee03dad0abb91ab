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
    model: a WorldModel with image and reward heads.
    batch: a batch [B, T, ...] of whole chunks.
    context: observed steps.
    samples: dreams that are averaged; always the same ones.

  Returns:
    dict of float32 [T - context]:
      image: half the squared error, summed over pixels and channels, in nats;
      copy_image: the same for a copy of the last seen image;
      mean_image: the same for the mean image of the training episodes
        (of the batch, if the model was not centered);
      reward: squared error; reward_variance: of the rewards compared with.
  """
  drawn, promised = _expect(model, batch, context, samples)
  truth = model.pixels(batch['image'])
  after, mask = truth[:, context:], batch['mask'][:, context:]
  mean = model.mean_image
  mean = tf.cond(
    tf.reduce_any(mean != 0.0),
    lambda: mean,
    lambda: tf.reduce_mean(truth, [0, 1]),
  )

  def by_step(value: Tensor) -> Tensor:
    return tf.reduce_sum(value * mask, 0) / tf.maximum(
      tf.reduce_sum(mask, 0), 1.0
    )

  def nats(image: Tensor) -> Tensor:
    return by_step(0.5 * tf.reduce_sum(tf.square(image - after), [2, 3, 4]))

  reward = batch['reward'][:, context:]
  center = losses.masked_mean(reward, mask)
  variance = losses.masked_mean(tf.square(reward - center), mask)
  return {
    'image': nats(drawn),
    'copy_image': nats(truth[:, context - 1 : context]),
    'mean_image': nats(mean[None, None]),
    'reward': by_step(tf.square(promised - reward)),
    'reward_variance': tf.fill(tf.shape(mask)[1:], variance),
  }


def _expect(
  model: WorldModel, batch: Batch, context: int, samples: int
) -> tuple[Tensor, Tensor]:
  """Averages images [B, H, ...] and rewards [B, H] over sampled dreams."""
  posterior, _ = model.observe(states.between(batch, None, context))
  last = states.at(posterior, -1)
  action = batch['action'][:, context:]

  def dream(number: Tensor | int) -> tuple[Tensor, Tensor]:
    found = model.imagine(last, action, tf.stack([0, number]))
    return model.image(found), model.reward(found)

  def add(number: Tensor, image: Tensor, reward: Tensor) -> tuple:
    more_image, more_reward = dream(number)
    return number + 1, image + more_image, reward + more_reward

  _, image, reward = tf.while_loop(
    lambda number, *_: number < samples, add, (1, *dream(0))
  )
  return image / samples, reward / samples
