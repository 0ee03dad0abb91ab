"""Films what a run imagines, and measures it.

  python -m agents.run.video --logdir=RUN --out=dream.webm

The model observes the first steps of recorded episodes, then imagines the
others from the actions alone. The film shows truth, model and error; the table
has the error by horizon beside that of a copy of the last image seen and of
the mean image. No environment is needed.
"""

import os
import pathlib

import numpy as np
from absl import flags

from . import animation
from . import heldout
from . import launch
from . import restore
from . import run_directory

_LOGDIR = flags.DEFINE_string(
  'logdir', None, 'directory of the run', required=True
)
_OUT = flags.DEFINE_string(
  'out', 'dream.webm', f'file to write: {", ".join(animation.ENDINGS)}'
)
_EPISODES = flags.DEFINE_integer(
  'episodes', 4, 'how many to show', lower_bound=1, upper_bound=16
)
_CONTEXT = flags.DEFINE_integer(
  'context', 5, 'agent_steps that are observed', lower_bound=1
)
_HORIZON = flags.DEFINE_integer(
  'horizon', 45, 'agent_steps that are imagined', lower_bound=1
)
_FPS = flags.DEFINE_float(
  'fps', 10, 'agent_steps per second', lower_bound=0.1, upper_bound=100
)
_SCALE = flags.DEFINE_integer(
  'scale', 3, 'enlarges the pixels', lower_bound=1, upper_bound=16
)
_CHECKPOINT = flags.DEFINE_integer(
  'checkpoint', None, 'updates of the one to film; by default the newest'
)


def main(argv):
  """Films and measures."""
  del argv
  out = _check_out(_OUT.value)
  directory = run_directory.RunDirectory(_LOGDIR.value)
  config = directory.load()
  restore.check(directory, _CHECKPOINT.value)
  context = _CONTEXT.value
  chosen = heldout.latest(
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

  from worldmodels import video

  agent, counters = _restore(directory, config, chosen.episodes[0])
  print(f'checkpoint: {counters["updates"]} updates')
  starts = [
    {key: value[:length] for key, value in episode.items()}
    for episode in chosen.episodes
  ]
  batch = heldout.windows(starts, length)
  truth, prediction = video.open_loop(agent.model, batch, context)
  frames = video.compose(
    truth, prediction, context, scale=_SCALE.value, titles=chosen.titles
  )
  batch = heldout.windows(chosen.episodes, length)
  print(table(agent.model, batch, context))
  animation.write(out, frames, _FPS.value)
  _, height, width, _ = frames.shape
  print(
    f'{out}: {length} frames of {width}x{height}, '
    f'{out.stat().st_size / 1e6:.2f} MB'
  )


def table(model, batch, context):
  """Returns the open-loop error by horizon as text.

  Args:
    model: a WorldModel with image and reward heads.
    batch: a batch {key: [B, T, ...]} of whole chunks.
    context: observed steps.
  """
  import tensorflow as tf

  from worldmodels import open_loop

  batch = {key: tf.constant(value) for key, value in batch.items()}
  errors = tf.function(open_loop.errors)(model, batch, context)
  errors = {key: value.numpy() for key, value in errors.items()}
  horizon = len(errors['image'])
  lines = [
    '',
    f'open-loop error, mean of {len(batch["reward"])} chunks, {context} steps '
    f'observed, prediction averaged over {open_loop.SAMPLES} dreams',
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


def _restore(directory, config, episode):
  """The agent, for actions and vectors as they are in an episode."""
  vectors = {key: episode[key].shape[1] for key in config.environment.vectors}
  actions = episode['action']
  # No continuous policy takes one action of several wholly, at every step.
  discrete = actions.shape[1] > 1 and bool(
    (np.sort(actions[1:])[:, ::-1] == np.eye(actions.shape[1])[0]).all()
  )
  return restore.agent(
    directory,
    config,
    actions.shape[1],
    vectors,
    _CHECKPOINT.value,
    discrete=discrete,
  )


def _check_out(name):
  """The file to write, found writable before the work and not after it."""
  try:
    animation.check_ending(name)
  except ValueError as error:
    raise run_directory.RunError(f'--out={error}') from error
  path = pathlib.Path(name)
  if not path.parent.is_dir():
    raise FileNotFoundError(f'--out={path}: there is no {path.parent}')
  if not os.access(path.parent, os.W_OK):
    raise PermissionError(f'--out={path}: {path.parent} is not writable')
  return path


if __name__ == '__main__':
  launch.run(main)
