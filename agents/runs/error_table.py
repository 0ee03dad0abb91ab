"""The open-loop error of a model by horizon, as text."""

import numpy as np
import tensorflow as tf

from worldmodels import disagreement
from worldmodels import prediction
from worldmodels import states
from worldmodels.world_model import WorldModel


def table(model: WorldModel, batch: dict[str, np.ndarray], context: int) -> str:
  """Returns the open-loop error by horizon as text.

  Of an ensemble also how far its members are apart, in the same units, and the
  rank correlation of that with the error, over the chunks.

  Args:
    model: a WorldModel with image and reward heads.
    batch: a batch {key: [B, T, ...]} of whole chunks.
    context: observed steps.
  """
  given = (model, states.tensors(batch), context)
  errors = tf.function(prediction.errors, autograph=False)(*given)
  # The first of these is the one that is shown.
  spread = tf.function(disagreement.by_horizon, autograph=False)
  errors |= spread(*given)
  errors = {key: value.numpy() for key, value in errors.items()}
  # Where there are no images, the first of the vectors.
  name = 'image' if 'image' in errors else next(iter(errors))
  of = f'{name}, nats per {"frame" if name == "image" else "step"}'
  horizon = len(errors[name])
  several = f'{name}_disagreement' in errors
  lines = [
    '',
    f'open-loop error, mean of {len(batch["reward"])} chunks, {context} steps '
    f'observed, prediction averaged over {prediction.SAMPLES} dreams',
    f'          {of:33}reward, squared'
    + several * '       members apart, and rank correlation with the error',
    'step      model  copy last       mean      model       mean'
    + several * f'{name[:10]:>12}  rank     reward  rank',
  ]
  for step in range(1, horizon + 1):
    if step == 1 or step % 5 == 0 or step == horizon:
      now = {key: value[step - 1] for key, value in errors.items()}
      lines.append(
        f'{step:4d}{now[name]:11.2f}{now[f"copy_{name}"]:11.2f}'
        f'{now[f"mean_{name}"]:11.2f}{now["reward"]:11.4g}'
        f'{now["reward_variance"]:11.4g}' + _apart(now, name)
      )
  below = (errors[name] < errors[f'copy_{name}']) & (
    errors[name] < errors[f'mean_{name}']
  )
  lines.append(
    f'the {name} is below both baselines at {below.sum()} of {horizon} steps'
  )
  return '\n'.join([*lines, ''])


def _apart(now: dict[str, float], name: str) -> str:
  """Returns the columns of an ensemble; nothing for one member."""
  if f'{name}_disagreement' not in now:
    return ''
  return (
    f'{now[f"{name}_disagreement"]:12.4g}'
    f'{now[f"{name}_disagreement_correlation"]:6.2f}'
    f'{now["reward_disagreement"]:11.4g}'
    f'{now["reward_disagreement_correlation"]:6.2f}'
  )
