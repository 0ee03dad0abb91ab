"""Finds faults of a task from a few of its episodes.

The program `worldmodels check` plays the episodes, with random actions, and
prints what is found here.
"""

import hashlib
import itertools
import math
from collections.abc import Sequence

import numpy as np

from worldmodels.data import actions
from worldmodels.data import limits
from worldmodels.data import rows
from worldmodels.data.environments import Environment
from worldmodels.data.workers import Worker

COMPARED = 20  # agent_steps of another seed that are looked at

_SHOWN = 6  # unlike bounds

_REPLAYED = 2  # episodes that are played twice, so many agent_steps of each:
_REPEATED = 200
_LONGEST = 10_000  # agent_steps after which an episode seems to have no end

_DARK = 8  # of 255: an image that is never brighter is a mistake
_LARGE = 1e19  # float32 does not hold the square of such a number

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


def examine(
  worker: Worker | Environment,
  seeds: Sequence[int],
  episodes: Sequence[Episode],
) -> list[str]:
  """Plays episodes again; returns a sentence for each fault of their task.

  Args:
    worker: the task.
    seeds: of the episodes, one or more.
    episodes: played with those seeds.
  """
  again = [play(worker, seed, _REPEATED) for seed in seeds[:_REPLAYED]]
  other = play(worker, seeds[-1] + 1, COMPARED)
  limited = worker.step_limit is not None
  found = problems(episodes, again[0], other, limited)
  # What happens by chance may have come out alike with the first seed.
  pairs = zip(episodes, again, strict=False)
  unlike = next(filter(None, itertools.starmap(differences, pairs)), [])
  found += [sentence for sentence in unlike if sentence not in found]
  return found + unlimited(worker, episodes)


def problems(
  episodes: Sequence[Episode],
  again: Episode,
  other: Episode,
  limited: bool = False,
) -> list[str]:
  """Returns a sentence for each fault that would spoil a run.

  Args:
    episodes: played with different seeds.
    again: the beginning of the first one, played again.
    other: as long, with another seed.
    limited: whether the task names a limit, which may be further away.
  """
  found = []
  first = episodes[0]
  if not limited and not _all_end(episodes):
    found.append(f'an episode has not ended after {_LONGEST} agent steps')
  if 'image' in first:
    found += images(episodes)
  # What decides about an episode.
  found += differences(first, again)
  common = min(len(first['reward']), len(other['reward']))
  drawn = 'image' in first
  seen = ['image'] if drawn else [k for k in first if k not in rows.RESERVED]
  if all((first[k][:common] == other[k][:common]).all() for k in seen):
    kind = 'images' if drawn else 'observations'
    found.append(f'another seed and other actions give the same {kind}')
  # Numbers.
  discount = np.concatenate([episode['discount'] for episode in episodes])
  if discount.min() < 0 or discount.max() > 1:
    found.append(f'a discount is {discount.min()} or {discount.max()}')
  for key, value in first.items():
    if value.dtype == np.float32:
      largest = max(np.abs(episode[key]).max() for episode in episodes)
      if largest > _LARGE:
        found.append(
          f'a number of {key} is as large as {largest:.3g}: float32 does not '
          'hold its square, which losses need; scale it down'
        )
  return found


def suggestions(
  worker: Worker | Environment, episodes: Sequence[Episode]
) -> list[str]:
  """Returns a sentence for each key of a config that a task asks for."""
  found = []
  ends = any((episode['discount'] == 0).any() for episode in episodes)
  if ends and not worker.ends_early:
    found.append(
      'the discount gets to 0 though the task says ends_early = False, so that '
      'a model learns it only with --config.heads.discount.kind=bernoulli'
    )
  endless = worker.step_limit is None and not _all_end(episodes)
  if endless or unlimited(worker, episodes):
    found.append(
      'an episode does not end by itself: cut it with '
      f'--config.environment.step_limit={limits.UNNAMED}, in env_steps'
    )
  return found


def images(episodes: Sequence[Episode]) -> list[str]:
  """Returns a sentence for each fault of the images."""
  first = episodes[0]['image'][0]
  if all((episode['image'] == first).all() for episode in episodes):
    return ['the image never changes']
  brightest = max(episode['image'].max() for episode in episodes)
  if brightest <= 1:
    return ['the image has no values but 0 and 1: multiply it by 255']
  if brightest < _DARK:
    return [
      f'the image has no values but 0 to {brightest}: to a model, for which '
      'white is 255, that is black; spread them over 0 to 255'
    ]
  return []


def differences(first: Episode, again: Episode) -> list[str]:
  """Compares an episode with its beginning, played again.

  Returns:
    a sentence for each way in which they are unlike.
  """
  lengths = [len(episode['reward']) - 1 for episode in (first, again)]
  common = 1 + min(lengths)
  ended = [bool(episode['is_last'][-1]) for episode in (first, again)]
  found = []
  # One that was cut in playing may go on as the other does.
  if (
    (all(ended) and lengths[0] != lengths[1])
    or (ended == [True, False] and lengths[0] <= lengths[1])
    or (ended == [False, True] and lengths[1] <= lengths[0])
  ):
    common -= 1
    found.append(
      'the same seed and actions give episodes of unlike length, '
      f'{lengths[0]} and {lengths[1]} agent steps: draw all that is random '
      'from the seed'
    )
  return found + [
    f'the same seed and actions give another {key}'
    for key in again
    if (again[key][:common] != first[key][:common]).any()
  ]


def unlimited(
  worker: Worker | Environment, episodes: Sequence[Episode]
) -> list[str]:
  """Returns a sentence if an episode was cut because nobody names a limit."""
  steps = -(-limits.UNNAMED // worker.action_repeat)
  longest = max(len(episode['reward']) - 1 for episode in episodes)
  if worker.step_limit is not None or longest < steps:
    return []
  return [
    f'an episode has not ended after {limits.UNNAMED} env_steps, and was cut: '
    'give the task a step_limit, or set environment.step_limit'
  ]


def report(
  worker: Worker | Environment, episodes: Sequence[Episode], seconds: float
) -> list[str]:
  """Returns a line for each property of a task that its user should look at.

  Args:
    worker: the task.
    episodes: played on it.
    seconds: that playing them took.
  """
  reward = np.concatenate([episode['reward'][1:] for episode in episodes])
  lengths = [len(episode['reward']) - 1 for episode in episodes]
  returns = [float(episode['reward'].sum()) for episode in episodes]
  ends = [episode['discount'][-1] for episode in episodes]
  size = np.mean([sum(v.nbytes for v in e.values()) for e in episodes])
  limit = worker.step_limit or (
    f'none named; cut after {limits.UNNAMED} env_steps'
  )
  observed = [
    f'{key} {spec.dtype} {list(spec.shape)}'
    for key, spec in worker.observation_spec().items()
  ]
  return [
    f'task         {worker.task}',
    f'action       {_kind(worker)}, held for {worker.action_repeat} steps',
    f'bounds       {_bounds(worker)}',
    f'observation  {", ".join(observed)}',
    f'image        {_seen(episodes)}',
    f'reward       {reward.min():.3g} to {reward.max():.3g}, mean '
    f'{reward.mean():.3g} per agent step',
    f'return       {np.mean(returns):.4g} of random actions (standard '
    f'deviation {np.std(returns):.3g} over {len(returns)} episodes)',
    f'length       {_span(lengths)} agent steps (limit: {limit})',
    f'discount     {_span(ends)} at the end (0: the task ended, 1: time is up)',
    f'speed        {sum(lengths) / seconds:.0f} agent steps/s',
    f'size         {size / 1e6:.2f} MB per episode',
  ]


def _seen(episodes: Sequence[Episode]) -> str:
  """Describes the images, if there are any."""
  if 'image' not in episodes[0]:
    return 'none: a model learns from the vectors alone'
  images = np.concatenate([episode['image'] for episode in episodes])
  frames = len({hashlib.sha256(image).digest() for image in images})
  return (
    f'{frames} unlike frames of {len(images)}, values from {images.min()} to '
    f'{images.max()}'
  )


def _all_end(episodes: Sequence[Episode]) -> bool:
  return all(episode['is_last'][-1] for episode in episodes)


def _kind(worker: Worker | Environment) -> str:
  size = worker.action_size
  return f'one of {size}' if worker.discrete else f'{size} in [-1, 1]'


def _bounds(worker: Worker | Environment) -> str:
  """Describes what the task itself is told at -1 and at 1."""
  if worker.discrete:
    return f'0 to {worker.action_size - 1}, the index of the choice'
  groups = [list(group) for _, group in itertools.groupby(worker.bounds)]
  texts = []
  for group in groups[:_SHOWN]:
    low, high = group[0]
    left, right = (
      '(' if math.isinf(low) else '[',
      ')' if math.isinf(high) else ']',
    )
    times = f'{len(group)} x ' if len(group) > 1 else ''
    texts.append(f'{times}{left}{low:.4g}, {high:.4g}{right}')
  if len(groups) > _SHOWN:
    texts.append(f'... ({len(worker.bounds)} in all)')
  return f'{", ".join(texts)} of the task itself'


def _span(values: Sequence[float]) -> str:
  low, high = min(values), max(values)
  return f'{low:g}' if low == high else f'{low:g} to {high:g}'
