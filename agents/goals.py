"""Objectives that are built in: a goal image, and weighed vectors.

What an objective is: objectives.py.
"""

import functools
import math
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from worldmodels import errors
from worldmodels import states
from worldmodels.agents.objectives import Objective
from worldmodels.agents.objectives import ObjectiveError
from worldmodels.spec import Spec
from worldmodels.states import State
from worldmodels.states import Tensor
from worldmodels.world_model import WorldModel

DISTANCES = ('pixels', 'features')
# Steps for which a goal is looked at, so that its state has settled.
_LOOKS = 8


def goal(
  model: WorldModel, image: np.ndarray, distance: str = 'pixels'
) -> Objective:
  """Makes the objective to see an image: minus the distance to it.

  Args:
    model: a WorldModel.
    image: uint8 [h, w, c], of the size that the task shows.
    distance: `pixels`: half the squared difference, summed over pixels and
      channels, in nats as in the tables of `video`. `features`: one minus the
      cosine between the features of a state and those of the state in which the
      image has been seen for some steps, after Mendonca et al. (2021),
      Discovering and Achieving Goals via World Models.

  Raises:
    ObjectiveError: the image is not of that size, or the model has no images.
    OptionError: there is no such distance.
  """
  errors.choose('distance', distance, DISTANCES)
  image = np.asarray(image)
  check_goal(model.spec, image, distance)
  if distance == 'features':
    return functools.partial(_nearness_of_features, _settled(model, image))
  if 'image' not in model.keys:
    raise ObjectiveError('the model draws no image to compare with a goal')
  # In the depth of color that the model has.
  target = 255.0 * (model.pixels(tf.constant(image)) + 0.5)
  return functools.partial(_nearness_of_pixels, target)


def linear(
  model: WorldModel, weights: Mapping[str, float | Sequence[float]]
) -> Objective:
  """Makes the objective that is a weighted sum of decoded vectors.

  Args:
    model: a WorldModel.
    weights: {key: weight of each of its numbers, or one for all of them}.

  Raises:
    ObjectiveError: the model has no head of a key, or it has another size.
  """
  chosen = {}
  for key, values in weights.items():
    shape = _decoded_shape(model, key)
    values = np.asarray(values, np.float32)
    if values.shape not in ((), shape):
      raise ObjectiveError(
        f'{key} has {math.prod(shape)} numbers, but {values.size} weights'
      )
    if not np.isfinite(values).all():
      raise ObjectiveError(f'a weight of {key} is not finite')
    chosen[key] = tf.broadcast_to(tf.constant(values), shape)
  if not chosen:
    raise ObjectiveError('no weight is given')
  return functools.partial(_weighted, chosen)


def check_goal(spec: Spec, image: np.ndarray, distance: str) -> None:
  """Raises ObjectiveError for a goal that no image of a task can be.

  Args:
    spec: of the task.
    image: what is to be seen.
    distance: in what it is measured.
  """
  if spec.image is None:
    raise ObjectiveError('the task shows no image that could be a goal')
  if image.shape != spec.image or image.dtype != np.uint8:
    raise ObjectiveError(
      f'the goal is {image.dtype} {_size(image.shape)}; the images of the task '
      f'are uint8 {_size(spec.image)}'
    )
  if distance == 'features' and spec.vectors:
    raise ObjectiveError(
      f'the model also observes {", ".join(spec.vectors)}, which no image has: '
      'measure the distance in pixels'
    )


def _nearness_of_pixels(
  target: Tensor, state: State, decoded: Mapping[str, Tensor]
) -> Tensor:
  del state
  difference = (decoded['image'] - target) / 255.0
  return -0.5 * tf.reduce_sum(tf.square(difference), [-3, -2, -1])


def _nearness_of_features(
  target: Tensor, state: State, decoded: Mapping[str, Tensor]
) -> Tensor:
  del state
  features = tf.math.l2_normalize(decoded['features'], -1)
  return tf.reduce_sum(features * target, -1) - 1.0


def _weighted(
  weights: Mapping[str, Tensor], state: State, decoded: Mapping[str, Tensor]
) -> Tensor:
  del state
  parts = []
  for key, weight in weights.items():
    value = decoded[key] * weight
    axes = range(value.shape.rank - weight.shape.rank, value.shape.rank)
    parts.append(tf.reduce_sum(value, [*axes]) if axes else value)
  return tf.add_n(parts)


def _settled(model: WorldModel, image: np.ndarray) -> Tensor:
  """Returns the features, of length 1, in which an image has been seen."""
  row = np.arange(_LOOKS)[None]
  batch = {
    'image': tf.constant(np.repeat(image[None, None], _LOOKS, 1)),
    'action': tf.zeros([1, _LOOKS, model.spec.actions]),
    'is_first': tf.constant(row == 0),
  }
  posterior, _ = model.observe(batch)
  features = model.features(states.at(posterior, -1))[0]
  return tf.math.l2_normalize(features, -1)


def _decoded_shape(model: WorldModel, key: str) -> tuple[int, ...]:
  """Returns the shape of one step of a key that can be weighed."""
  there = [name for name in model.keys if name != 'image']
  if key not in there:
    raise ObjectiveError(
      f'the model decodes no {key!r} that could be weighed; it decodes '
      f'{", ".join(there)}: train it with a head of that name'
    )
  return model.spec.shape(key)


def _size(shape: Sequence[int]) -> str:
  return ' x '.join(map(str, shape))
