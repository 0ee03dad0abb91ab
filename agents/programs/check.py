"""Checks whether a task is sound, before anything is trained on it.

  worldmodels check --task=hill

Plays a few episodes with random actions in a worker and prints what a user of
the task should look at. Whatever would spoil a run is named in a line that
begins with `problem`, and the exit status is then 1. What the config of a run
should say is named in a line that begins with `suggestion`.
"""

import sys
import time
from collections.abc import Sequence

import numpy as np
from absl import flags

from worldmodels import errors
from worldmodels.agents.programs import time_limits
from worldmodels.agents.runs import animation
from worldmodels.data import environments
from worldmodels.data import gymnasium_tasks
from worldmodels.data import rendering
from worldmodels.data import soundness
from worldmodels.data import workers

_TASK = flags.DEFINE_string(
  'task',
  None,
  'A task: hill, cartpole_swingup, locomotion/NAME, manipulation/NAME, '
  'gymnasium:ID, module.path:function.',
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
_CAMERA = flags.DEFINE_string(
  'camera',
  environments.AUTO,
  "Name or index of the model's camera, -1 for MuJoCo's free one; auto: the "
  "task's.",
)
_STEP_LIMIT = flags.DEFINE_integer(
  'step_limit',
  0,
  "Env_steps after which an episode is cut; 0 for the task's own.",
  lower_bound=0,
)
_VECTORS = flags.DEFINE_list('vectors', [], 'Observations beside the image.')
_IMAGE = flags.DEFINE_enum(
  'image',
  'auto',
  gymnasium_tasks.IMAGES,
  'Where the image comes from; none for vectors alone.',
)
_CROP = flags.DEFINE_list(
  'crop',
  [],
  'Pixels to cut off the pictures of Gymnasium: top, bottom, left, right.',
)
_GRAY = flags.DEFINE_bool('gray', False, 'Makes the colors of those alike.')
_LIMITS = time_limits.define()
_SEED = flags.DEFINE_integer(
  'seed', 0, 'Of the task and actions.', lower_bound=0, upper_bound=2**31
)
_OUT = flags.DEFINE_string(
  'out',
  None,
  f'Film of the episodes, side by side: {", ".join(animation.ENDINGS)}.',
)

_FILMED = 1000  # agent_steps: a film of more is too large to look at
_SCALE = 3  # enlarges the pixels
_GAP = 4  # pixels between two episodes
_FPS = 20  # agent_steps per second
_ENDED = 3  # an episode that is over is shown darker by this


def main(argv: list[str]) -> None:
  """Prints the report; exits with 1 if there is a problem."""
  del argv
  out = None if _OUT.value is None else animation.check_out(_OUT.value)
  try:
    found, episodes = _check()
  except errors.UserError as error:
    sys.exit(f'problem      {error}')
  for problem in found:
    print(f'problem      {problem}')
  if out is not None and 'image' not in episodes[0]:
    print('film         none: the task shows no image')
  elif out is not None:
    animation.write(out, film(episodes), _FPS)
    print(f'film         {out}, {out.stat().st_size / 1e6:.2f} MB')
  if found:
    sys.exit(1)
  print('sound        no problem found')


def film(episodes: Sequence[soundness.Episode]) -> np.ndarray:
  """Lays episodes out side by side; one that is over stands still, darker.

  Args:
    episodes: each with `image` uint8 [T, H, W, 3], T of its own.

  Returns:
    Frames uint8 [T, height, width, 3] of the longest, or of its beginning.
  """
  images = [episode['image'][:_FILMED] for episode in episodes]
  longest = max(map(len, images))
  columns = []
  for shown in images:
    still = np.repeat(shown[-1:] // _ENDED, longest - len(shown), 0)
    column = np.concatenate([shown, still]).repeat(_SCALE, 1).repeat(_SCALE, 2)
    columns += [column, np.zeros_like(column[:, :, :_GAP])]
  return np.concatenate(columns[:-1], 2)


def _pixels(parts: Sequence[str]) -> tuple[int, ...]:
  """Reads whole numbers.

  Raises:
    OptionError: there are others.
  """
  try:
    return tuple(map(int, parts))
  except ValueError as error:
    raise errors.OptionError(
      'crop', f'is {",".join(parts)}; it is four whole numbers, as 0,84,0,0'
    ) from error


def _check() -> tuple[list[str], list[soundness.Episode]]:
  """Plays the task and prints the report; returns the problems as well."""
  with workers.start(
    _TASK.value,
    _SEED.value,
    size=_SIZE.value,
    action_repeat=_ACTION_REPEAT.value,
    quality=_QUALITY.value,
    camera=_CAMERA.value,
    vectors=_VECTORS.value,
    step_limit=_STEP_LIMIT.value,
    image=_IMAGE.value,
    crop=_pixels(_CROP.value),
    gray=_GRAY.value,
    **_LIMITS(),
  ) as worker:
    # What a run would see.
    start = time.perf_counter()
    seeds = range(_SEED.value, _SEED.value + _EPISODES.value)
    episodes = [soundness.play(worker, seed) for seed in seeds]
    seconds = time.perf_counter() - start
    print('\n'.join(soundness.report(worker, episodes, seconds)))
    # What decides about it.
    found = soundness.examine(worker, seeds, episodes)
    if worker.output:
      print(f'printed      {worker.output.splitlines()[-1]}')
    for suggestion in soundness.suggestions(worker, episodes):
      print(f'suggestion   {suggestion}')
  return found, episodes
