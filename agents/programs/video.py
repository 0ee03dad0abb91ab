"""Films what a run imagines, and measures it.

  worldmodels video --logdir=RUN --out=dream.webm

The model observes the first steps of recorded episodes, then imagines the
others from the actions alone. The film shows truth, model and error; the table
has the error by horizon beside that of a copy of the last image seen and of
the mean image. No environment is needed.
"""

import math
import typing

import numpy as np
from absl import flags

from worldmodels.agents.runs import animation
from worldmodels.agents.runs import restore
from worldmodels.agents.runs import selection
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.run_directory import RunError

if typing.TYPE_CHECKING:
  from worldmodels.agents.runs.film import Layout
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
  'checkpoint',
  None,
  'Updates of the one to film; by default the newest.',
  lower_bound=0,
)
# Bounds do not keep out what is not a number, which is neither above nor below.
flags.register_validator(
  'fps',
  lambda value: value is None or math.isfinite(value),
  'it is a number from 0.1 to 100',
)

# What the encoders can write, and what fits into memory three times.
_LARGEST_SIDE, _LARGEST_FILM = 16383, 2 << 30


def main(argv: list[str]) -> None:
  """Films and measures."""
  del argv
  out = animation.check_out(_OUT.value)
  directory = RunDirectory(_LOGDIR.value)
  config = directory.load()
  restore.check(directory, _CHECKPOINT.value)
  spec = directory.spec()
  if spec.image is None or spec.image[2] != 3:
    raise RunError(f'{directory.path} is of a task without an image to film')
  chosen = _choose(directory, config.train.seed_episodes)
  print(f'episodes: {chosen.source}')
  shortest = min(len(episode['reward']) for episode in chosen.episodes)
  context = min(_CONTEXT.value, shortest - 1)
  if context < _CONTEXT.value:
    print(
      f'context: {context}, not {_CONTEXT.value}: the shortest of these '
      f'episodes has {shortest} rows'
    )
  length = min(context + _HORIZON.value, shortest)
  if length < context + _HORIZON.value:
    print(
      f'horizon: {length - context}, not {_HORIZON.value}: the shortest of '
      f'these episodes has {shortest} rows, and {context} are observed'
    )

  print('starting TensorFlow, which takes some seconds')

  from worldmodels.agents.runs import film
  from worldmodels.agents.runs import operations

  shape = (len(chosen.episodes), length, *spec.image)
  _check_size(film.Layout(shape, _SCALE.value, chosen.titles), length)
  operations.make_deterministic(config)
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


def _choose(directory: RunDirectory, random: int) -> selection.Selection:
  """Chooses episodes; short ones only if there are no others.

  Args:
    directory: of the run.
    random: how many of the held-out episodes are of random actions.

  Raises:
    RunError: there is none, or none that is longer than the context asked for.
  """
  count = _EPISODES.value
  try:
    return selection.latest(directory, random, count, _CONTEXT.value + 1)
  except RunError:
    if _CONTEXT.present:
      raise
    return selection.latest(directory, random, count)


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


def _check_size(layout: 'Layout', length: int) -> None:
  """Raises RunError for a film that no encoder or memory has room for."""
  size = length * layout.height * layout.width * 3
  if max(layout.height, layout.width) > _LARGEST_SIDE or size > _LARGEST_FILM:
    raise RunError(
      f'the film would have {length} frames of {layout.width}x'
      f'{layout.height}, {size / 1e9:.1f} GB: lower --scale, --episodes or '
      f'--horizon (at most {_LARGEST_SIDE} pixels and '
      f'{_LARGEST_FILM / 1e9:.1f} GB)'
    )
