"""W5: agent steps per second of environments, by quality of the rendering."""

import concurrent.futures
import time

import numpy as np

from worldmodels.agents.benchmark import clock
from worldmodels.agents.benchmark.figures import Figure
from worldmodels.agents.benchmark.figures import figure
from worldmodels.agents.benchmark.options import Options
from worldmodels.data import actions
from worldmodels.data import workers

TASK = 'cartpole_swingup'
GOALS = {'near': 300, 'fast': 1500}
TWO = 1.8  # times the rate of one process, of two


def measure(options: Options) -> list[Figure]:
  """Returns the figures of each quality, for one process and for two."""
  task = options.task or TASK
  qualities = ('exact', *GOALS) if options.task is None else ('exact',)
  result = []
  for quality in qualities:
    goal = GOALS.get(quality)
    one = _time(task, quality, 1, options)
    two = _time(task, quality, 2, options)
    result += [
      figure(
        'W5',
        f'{task}, {quality}, one process',
        1 / one.seconds,
        'agent steps/s',
        one,
        goal and ('>=', goal),
      ),
      figure(
        'W5',
        f'{task}, {quality}, two processes over one',
        one.seconds / two.seconds,
        '',
        clock.noisiest(one, two),
        goal and ('>=', TWO),
      ),
    ]
  return result


def _time(
  task: str, quality: str, processes: int, options: Options
) -> clock.Timing:
  """Times an agent step, of all processes together."""
  steps = options.sizes['agent_steps']
  environments, seconds = [], []
  try:
    for seed in range(processes):
      environments.append(workers.start(task, seed, quality=quality))
    with concurrent.futures.ThreadPoolExecutor(processes) as pool:
      list(pool.map(lambda worker: _step(worker, 2), environments))
      with clock.OtherLoad() as others:
        while (
          len(seconds) < options.repeats
          or sum(seconds) * steps * processes < options.sizes['least_seconds']
        ):
          start = time.perf_counter()
          list(pool.map(lambda worker: _step(worker, steps), environments))
          seconds.append((time.perf_counter() - start) / (steps * processes))
  finally:
    for environment in environments:
      environment.close()
  return clock.summary(seconds, others.cores)


def _step(environment: workers.Worker, count: int) -> None:
  """Takes random actions; a reset where an episode ends counts as a step."""
  random = np.random.default_rng(0)
  timestep = None
  for _ in range(count):
    if timestep is None or timestep.last():
      timestep = environment.reset(0)
    else:
      action = actions.sample(
        random, environment.action_size, environment.discrete
      )
      timestep = environment.step(action.astype(np.float32))
