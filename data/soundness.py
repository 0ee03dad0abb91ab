"""Finds faults of a task from a few of its episodes.

The program `worldmodels check` plays the episodes, with random actions, and
prints what is found here.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from worldmodels.data import actions
from worldmodels.data import rows
from worldmodels.data.environments import Environment
from worldmodels.data.workers import Worker

COMPARED = 20  # agent_steps that are played twice

_LONGEST = 10_000  # agent_steps after which an episode seems to have no end

Episode = dict[str, np.ndarray]


def play(
  worker: Worker | Environment, seed: int, longest: int = _LONGEST
) -> Episode:
  """Plays an episode with random actions; it may be cut after `longest`."""
  random = np.random.default_rng(seed)
  timesteps, taken = [worker.reset(seed)], []
  while not timesteps[-1].last() and len(taken) < longest:
    taken.append(actions.sample(random, worker.action_size, worker.discrete))
    timesteps.append(worker.step(taken[-1]))
  return rows.stack(timesteps, taken)


def problems(
  episodes: Sequence[Episode], again: Episode, other: Episode
) -> list[str]:
  """Returns a sentence for each fault that would spoil a run.

  Args:
    episodes: played with different seeds.
    again: the beginning of the first one, played again.
    other: as long, with another seed.
  """
  found = []
  first = episodes[0]
  if not all(episode['is_last'][-1] for episode in episodes):
    found.append(f'an episode has not ended after {_LONGEST} agent steps')
  # Images, and what decides about them.
  if all((e['image'] == first['image'][0]).all() for e in episodes):
    found.append('the image never changes')
  for key in again:
    if (again[key] != first[key][: len(again[key])]).any():
      found.append(f'the same seed and actions give another {key}')
  common = min(len(first['image']), len(other['image']))
  if (first['image'][:common] == other['image'][:common]).all():
    found.append('another seed and other actions give the same images')
  # Discounts.
  discount = np.concatenate([episode['discount'] for episode in episodes])
  if discount.min() < 0 or discount.max() > 1:
    found.append(f'a discount is {discount.min()} or {discount.max()}')
  return found


def report(
  worker: Worker | Environment, episodes: Sequence[Episode], seconds: float
) -> list[str]:
  """Returns a line for each property of a task that its user should look at.

  Args:
    worker: the task.
    episodes: played on it.
    seconds: that playing them took.
  """
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


def _kind(worker: Worker | Environment) -> str:
  size = worker.action_size
  return f'one of {size}' if worker.discrete else f'{size} in [-1, 1]'


def _span(values: Sequence[float]) -> str:
  low, high = min(values), max(values)
  return f'{low:g}' if low == high else f'{low:g} to {high:g}'
