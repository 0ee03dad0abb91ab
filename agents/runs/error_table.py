"""The open-loop error of a model by horizon, as text."""

import numpy as np
import tensorflow as tf

from worldmodels import prediction
from worldmodels import states
from worldmodels.world_model import WorldModel


def table(model: WorldModel, batch: dict[str, np.ndarray], context: int) -> str:
  """Returns the open-loop error by horizon as text.

  Args:
    model: a WorldModel with image and reward heads.
    batch: a batch {key: [B, T, ...]} of whole chunks.
    context: observed steps.
  """
  measure = tf.function(prediction.errors)
  errors = measure(model, states.tensors(batch), context)
  errors = {key: value.numpy() for key, value in errors.items()}
  # Where there are no images, the first of the vectors.
  name = 'image' if 'image' in errors else next(iter(errors))
  of = f'{name}, nats per {"frame" if name == "image" else "step"}'
  horizon = len(errors[name])
  lines = [
    '',
    f'open-loop error, mean of {len(batch["reward"])} chunks, {context} steps '
    f'observed, prediction averaged over {prediction.SAMPLES} dreams',
    f'          {of:33}reward, squared',
    'step      model  copy last       mean      model       mean',
  ]
  for step in range(1, horizon + 1):
    if step == 1 or step % 5 == 0 or step == horizon:
      now = {key: value[step - 1] for key, value in errors.items()}
      lines.append(
        f'{step:4d}{now[name]:11.2f}{now[f"copy_{name}"]:11.2f}'
        f'{now[f"mean_{name}"]:11.2f}{now["reward"]:11.4g}'
        f'{now["reward_variance"]:11.4g}'
      )
  below = (errors[name] < errors[f'copy_{name}']) & (
    errors[name] < errors[f'mean_{name}']
  )
  lines.append(
    f'the {name} is below both baselines at {below.sum()} of {horizon} steps'
  )
  return '\n'.join([*lines, ''])
