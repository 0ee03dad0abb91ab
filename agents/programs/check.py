"""Checks whether a task is sound, before anything is trained on it.

  worldmodels check --task=hill

Plays a few episodes with random actions in a worker and prints what a user of
the task should look at. Whatever would spoil a run is named in a line that
begins with `problem`, and the exit status is then 1.
"""

import sys
import time

from absl import flags

from worldmodels import errors
from worldmodels.data import rendering
from worldmodels.data import soundness
from worldmodels.data import workers

_TASK = flags.DEFINE_string(
  'task',
  None,
  'A task: hill, cartpole_swingup, module.path:function.',
  required=True,
)
_EPISODES = flags.DEFINE_integer(
  'episodes', 2, 'Episodes to play.', lower_bound=1
)
_SIZE = flags.DEFINE_integer(
  'size', 64, 'Height and width of the image in pixels.', lower_bound=1
)
_ACTION_REPEAT = flags.DEFINE_integer(
  'action_repeat', 0, 'Steps to hold an action; 0 for its own.', lower_bound=0
)
_QUALITY = flags.DEFINE_enum(
  'quality', 'near', rendering.QUALITIES, 'Of the rendering.'
)
_VECTORS = flags.DEFINE_list('vectors', [], 'Observations beside the image.')
_SEED = flags.DEFINE_integer('seed', 0, 'Of the task and actions.', 0)


def main(argv: list[str]) -> None:
  """Prints the report; exits with 1 if there is a problem."""
  del argv
  try:
    found = _check()
  except errors.UserError as error:
    sys.exit(f'problem      {error}')
  for problem in found:
    print(f'problem      {problem}')
  if found:
    sys.exit(1)
  print('sound        no problem found')


def _check() -> list[str]:
  """Plays the task and prints the report; returns the problems."""
  with workers.start(
    _TASK.value,
    _SEED.value,
    size=_SIZE.value,
    action_repeat=_ACTION_REPEAT.value,
    quality=_QUALITY.value,
    vectors=_VECTORS.value,
  ) as worker:
    # What a run would see.
    start = time.perf_counter()
    seeds = range(_SEED.value, _SEED.value + _EPISODES.value)
    episodes = [soundness.play(worker, seed) for seed in seeds]
    seconds = time.perf_counter() - start
    print('\n'.join(soundness.report(worker, episodes, seconds)))
    # What decides about it.
    again = soundness.play(worker, seeds[0], soundness.COMPARED)
    other = soundness.play(worker, seeds[-1] + 1, soundness.COMPARED)
    if worker.output:
      print(f'printed      {worker.output.splitlines()[-1]}')
  return soundness.problems(episodes, again, other)
