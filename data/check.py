"""Says whether a task is sound: python -m data.check --task=hill.

Plays a few episodes with random actions in a worker and prints what a user of
the task should look at. Whatever would spoil a run is named in a line that
begins with `problem`, and the exit status is then 1.
"""

import hashlib
import sys
import time

import numpy as np
from absl import app
from absl import flags

from . import actions
from . import environments
from . import graphics
from . import rendering
from . import rows
from . import workers

_TASK = flags.DEFINE_string(
  'task', None, 'A task: hill, cartpole_swingup, module.path:function.'
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

_LONGEST = 10_000  # agent_steps after which an episode seems to have no end
_COMPARED = 20  # agent_steps that are played twice


def play(worker, seed: int, longest: int = _LONGEST) -> dict[str, np.ndarray]:
  """Plays an episode with random actions; it may be cut after `longest`."""
  random = np.random.default_rng(seed)
  timesteps, taken = [worker.reset(seed)], []
  while not timesteps[-1].last() and len(taken) < longest:
    taken.append(actions.sample(random, worker.action_size, worker.discrete))
    timesteps.append(worker.step(taken[-1]))
  return rows.stack(timesteps, taken)


def problems(episodes: list[dict], again: dict, other: dict) -> list[str]:
  """What would spoil a run, a sentence each.

  Args:
    episodes: played with the seeds 0, 1, ...
    again: the beginning of the first one, played again.
    other: as long, with another seed.
  """
  found = []
  first = episodes[0]
  if not all(episode['is_last'][-1] for episode in episodes):
    found.append(f'an episode has not ended after {_LONGEST} agent steps')
  if all((e['image'] == first['image'][0]).all() for e in episodes):
    found.append('the image never changes')
  for key in again:
    if (again[key] != first[key][: len(again[key])]).any():
      found.append(f'the same seed and actions give another {key}')
  common = min(len(first['image']), len(other['image']))
  if (first['image'][:common] == other['image'][:common]).all():
    found.append('another seed and other actions give the same images')
  discount = np.concatenate([episode['discount'] for episode in episodes])
  if discount.min() < 0 or discount.max() > 1:
    found.append(f'a discount is {discount.min()} or {discount.max()}')
  return found


def report(worker, episodes: list[dict], seconds: float) -> list[str]:
  """What there is to see, a line each."""
  images = np.concatenate([episode['image'] for episode in episodes])
  reward = np.concatenate([episode['reward'][1:] for episode in episodes])
  lengths = [len(episode['reward']) - 1 for episode in episodes]
  returns = [float(episode['reward'].sum()) for episode in episodes]
  ends = [episode['discount'][-1] for episode in episodes]
  size = np.mean([sum(v.nbytes for v in e.values()) for e in episodes])
  frames = len({hashlib.sha256(image).digest() for image in images})
  observed = [
    f'{key} {spec.dtype} {list(spec.shape)}'
    for key, spec in worker.observation_spec().items()
  ]
  rendered = f'{frames} unlike frames of {len(images)}, values from '
  return [
    f'task         {worker.task}',
    f'action       {_kind(worker)}, held for {worker.action_repeat} steps',
    f'observation  {", ".join(observed)}',
    f'image        {rendered}{images.min()} to {images.max()}',
    f'reward       {reward.min():.3g} to {reward.max():.3g}, mean '
    f'{reward.mean():.3g} per agent step',
    f'return       {np.mean(returns):.4g} of random actions (standard '
    f'deviation {np.std(returns):.3g} over {len(returns)} episodes)',
    f'length       {_span(lengths)} agent steps (limit: {worker.step_limit})',
    f'discount     {_span(ends)} at the end (0: the task ended, 1: time is up)',
    f'speed        {sum(lengths) / seconds:.0f} agent steps/s',
    f'size         {size / 1e6:.2f} MB per episode',
  ]


def _kind(worker) -> str:
  size = worker.action_size
  return f'one of {size}' if worker.discrete else f'{size} in [-1, 1]'


def _span(values: list) -> str:
  low, high = min(values), max(values)
  return f'{low:g}' if low == high else f'{low:g} to {high:g}'


def _check() -> list[str]:
  with workers.start(
    _TASK.value,
    _SEED.value,
    size=_SIZE.value,
    action_repeat=_ACTION_REPEAT.value,
    quality=_QUALITY.value,
    vectors=_VECTORS.value,
  ) as worker:
    start = time.perf_counter()
    seeds = range(_SEED.value, _SEED.value + _EPISODES.value)
    episodes = [play(worker, seed) for seed in seeds]
    seconds = time.perf_counter() - start
    print('\n'.join(report(worker, episodes, seconds)))
    again = play(worker, seeds[0], _COMPARED)
    other = play(worker, seeds[-1] + 1, _COMPARED)
    if worker.output:
      print(f'printed      {worker.output.splitlines()[-1]}')
  return problems(episodes, again, other)


def main(argv: list[str]) -> None:
  """Prints the report; exits with 1 if there is a problem."""
  if len(argv) > 1:
    sys.exit(f'unexpected argument {argv[1]!r}: flags begin with --')
  try:
    found = _check()
  except (
    environments.TaskError,
    graphics.GraphicsError,
    workers.WorkerError,
  ) as error:
    sys.exit(f'problem      {error}')
  for problem in found:
    print(f'problem      {problem}')
  if found:
    sys.exit(1)
  print('sound        no problem found')


if __name__ == '__main__':
  flags.mark_flag_as_required('task')
  app.run(main)
