"""Scores a run: episodes without exploration noise, in the real environment.

  python -m agents.run.evaluate --logdir=RUN --episodes=10

prints one JSON object; everything else goes to stderr. The same command on the
same machine gives the same returns.
"""

import json
import sys

import numpy as np
from absl import flags

from . import build
from . import launch
from . import restore
from . import run_directory

_LOGDIR = flags.DEFINE_string(
  'logdir', None, 'directory of the run', required=True
)
_EPISODES = flags.DEFINE_integer(
  'episodes', 10, 'how many to run', lower_bound=1
)
_SEED = flags.DEFINE_integer(
  'seed', 0, 'of the episodes and of the planner', lower_bound=0
)
_CHECKPOINT = flags.DEFINE_integer(
  'checkpoint', None, 'updates of the one to evaluate; by default the newest'
)
_PARALLEL = flags.DEFINE_integer(
  'parallel',
  1,
  'episodes run side by side; the random numbers of the planner depend on it',
  lower_bound=1,
)

# Seeds of no episode that train.py has collected or evaluated on.
_STREAM = 1000


def main(argv):
  """Evaluates and prints."""
  del argv
  directory = run_directory.RunDirectory(_LOGDIR.value)
  config = directory.load()
  restore.check(directory, _CHECKPOINT.value)
  side_by_side = min(_PARALLEL.value, _EPISODES.value)
  environments = []
  try:
    for _ in range(side_by_side):
      environments.append(build.environment(config))
    from . import acting

    acting.share_cores()
    agent, counters = restore.agent(
      directory,
      config,
      environments[0].action_size,
      build.vectors_of(environments[0]),
      _CHECKPOINT.value,
      _say,
      environments[0].discrete,
    )
    _say(
      f'{directory.path}: {config.task}, checkpoint of '
      f'{counters["updates"]} updates'
    )
    seeds, returns = evaluate(
      agent, environments, _EPISODES.value, _SEED.value, _say
    )
    print(json.dumps(summary(environments[0], counters, seeds, returns)))
  finally:
    for environment in environments:
      environment.close()


def evaluate(agent, environments, episodes, seed, log):
  """Runs episodes without noise, as many at a time as there are environments.

  Args:
    agent: with the policy.
    environments: workers.
    episodes: how many in all.
    seed: a whole number from 0.
    log: called with a line for each episode.

  Returns:
    (seeds of the episodes, their returns).
  """
  from . import acting
  from . import rollout

  seeds = [rollout.seed_of(seed, _STREAM, i) for i in range(episodes)]
  returns = []
  for first in range(0, episodes, len(environments)):
    chosen = seeds[first : first + len(environments)]
    some = environments[: len(chosen)]
    for episode in acting.episodes(agent, some, chosen, False, log):
      returns.append(float(episode['reward'].sum(dtype=np.float64)))
      log(f'episode {len(returns)} of {episodes}: return {returns[-1]:.1f}')
  return seeds, returns


def summary(environment, counters, seeds, returns):
  """Returns the dict that is printed."""
  return {
    'task': environment.task,
    'checkpoint': counters['updates'],
    'episodes': len(returns),
    'mean': round(float(np.mean(returns)), 3),
    'std': round(float(np.std(returns)), 3),
    'returns': [round(value, 3) for value in returns],
    'seeds': seeds,
    'quality': environment.quality,
    'action_repeat': environment.action_repeat,
  }


def _say(line):
  print(line, file=sys.stderr, flush=True)


if __name__ == '__main__':
  launch.run(main)
