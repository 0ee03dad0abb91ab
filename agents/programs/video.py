"""Films what a run imagines, and measures it.

  worldmodels video --logdir=RUN --out=dream.webm

The model observes the first steps of recorded episodes, then imagines the
others from the actions alone. The film shows truth, model and error; the table
has the error by horizon beside that of a copy of the last image seen and of
the mean image. No environment is needed.
"""

import os
import pathlib
import typing

import numpy as np
from absl import flags

from worldmodels.agents.runs import animation
from worldmodels.agents.runs import restore
from worldmodels.agents.runs import selection
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.run_directory import RunError

if typing.TYPE_CHECKING:
  from worldmodels.world_model import WorldModel

_LOGDIR = flags.DEFINE_string(
  'logdir', None, 'Directory of the run.', required=True
)
_OUT = flags.DEFINE_string(
  'out', 'dream.webm', f'File to write: {", ".join(animation.ENDINGS)}.'
)
_EPISODES = flags.DEFINE_integer(
  'episodes', 4, 'How many to show.', lower_bound=1, upper_bound=16
)
_CONTEXT = flags.DEFINE_integer(
  'context', 5, 'Agent_steps that are observed.', lower_bound=1
)
_HORIZON = flags.DEFINE_integer(
  'horizon', 45, 'Agent_steps that are imagined.', lower_bound=1
)
_FPS = flags.DEFINE_float(
  'fps', 10, 'Agent_steps per second.', lower_bound=0.1, upper_bound=100
)
_SCALE = flags.DEFINE_integer(
  'scale', 3, 'Enlarges the pixels.', lower_bound=1, upper_bound=16
)
_CHECKPOINT = flags.DEFINE_integer(
  'checkpoint', None, 'Updates of the one to film; by default the newest.'
)


def main(argv: list[str]) -> None:
  """Films and measures."""
  del argv
  out = _check_out(_OUT.value)
  directory = RunDirectory(_LOGDIR.value)
  config = directory.load()
  restore.check(directory, _CHECKPOINT.value)
  spec = directory.spec()
  context = _CONTEXT.value
  chosen = selection.latest(
    directory, config.train.seed_episodes, _EPISODES.value, context + 1
  )
  print(f'episodes: {chosen.source}')
  shortest = min(len(episode['reward']) for episode in chosen.episodes)
  length = min(context + _HORIZON.value, shortest)
  if length < context + _HORIZON.value:
    print(
      f'horizon: {length - context}, not {_HORIZON.value}: the shortest of '
      f'these episodes has {shortest} rows, and {context} are observed'
    )

  from worldmodels.agents.runs import film

  agent, counters = restore.agent(directory, config, spec, _CHECKPOINT.value)
  print(f'checkpoint: {counters["updates"]} updates')
  starts = [
    {key: value[:length] for key, value in episode.items()}
    for episode in chosen.episodes
  ]
  batch = selection.cut(starts, length)
  truth, predicted = film.open_loop(agent.model, batch, context)
  frames = film.compose(
    truth, predicted, context, scale=_SCALE.value, titles=chosen.titles
  )
  batch = selection.cut(chosen.episodes, length)
  print(table(agent.model, batch, context))
  animation.write(out, frames, _FPS.value)
  _, height, width, _ = frames.shape
  print(
    f'{out}: {length} frames of {width}x{height}, '
    f'{out.stat().st_size / 1e6:.2f} MB'
  )


def table(
  model: 'WorldModel', batch: dict[str, np.ndarray], context: int
) -> str:
  """Returns the open-loop error by horizon as text.

  Args:
    model: a WorldModel with image and reward heads.
    batch: a batch {key: [B, T, ...]} of whole chunks.
    context: observed steps.
  """
  import tensorflow as tf

  from worldmodels import prediction
  from worldmodels import states

  measure = tf.function(prediction.errors)
  errors = measure(model, states.tensors(batch), context)
  errors = {key: value.numpy() for key, value in errors.items()}
  horizon = len(errors['image'])
  lines = [
    '',
    f'open-loop error, mean of {len(batch["reward"])} chunks, {context} steps '
    f'observed, prediction averaged over {prediction.SAMPLES} dreams',
    '          image, nats per frame            reward, squared',
    'step      model  copy last       mean      model       mean',
  ]
  for step in range(1, horizon + 1):
    if step == 1 or step % 5 == 0 or step == horizon:
      now = {key: value[step - 1] for key, value in errors.items()}
      lines.append(
        f'{step:4d}{now["image"]:11.2f}{now["copy_image"]:11.2f}'
        f'{now["mean_image"]:11.2f}{now["reward"]:11.4g}'
        f'{now["reward_variance"]:11.4g}'
      )
  below = (errors['image'] < errors['copy_image']) & (
    errors['image'] < errors['mean_image']
  )
  lines.append(
    f'the image is below both baselines at {below.sum()} of {horizon} steps'
  )
  return '\n'.join([*lines, ''])


def _check_out(name: str) -> pathlib.Path:
  """Returns the file to write, found writable before the work, not after."""
  try:
    animation.check_ending(name)
  except ValueError as error:
    raise RunError(f'--out={error}') from error
  path = pathlib.Path(name)
  if not path.parent.is_dir():
    raise FileNotFoundError(f'--out={path}: there is no {path.parent}')
  if not os.access(path.parent, os.W_OK):
    raise PermissionError(f'--out={path}: {path.parent} is not writable')
  return path
