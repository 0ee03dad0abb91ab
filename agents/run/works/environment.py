"""W5: agent steps per second of environments, by quality of the rendering."""

import concurrent.futures
import time

import numpy as np

from data import actions
from data import workers

from . import clock
from . import rows

TASK = 'cartpole_swingup'
GOALS = {'near': 300, 'fast': 1500}
BOTH = 1.8  # what two processes should do of what one does


def measure(setting):
  """Returns a row for each quality, and for two processes side by side."""
  task = setting.task or TASK
  qualities = ('exact', *GOALS) if setting.task is None else ('exact',)
  result = []
  for quality in qualities:
    goal = GOALS.get(quality)
    one = _rate(task, quality, 1, setting)
    two = _rate(task, quality, 2, setting)
    result += [
        rows.row('W5', f'{task}, {quality}, one process',
                 1 / one['seconds'], 'agent steps/s', one,
                 goal and ('>=', goal)),
        rows.row('W5', f'{task}, {quality}, two processes over one',
                 one['seconds'] / two['seconds'], '', clock.both(one, two),
                 goal and ('>=', BOTH)),
    ]
  return result


def _rate(task, quality, processes, setting):
  """Times an agent step, of all processes together."""
  steps = setting.sizes['agent_steps']
  environments, seconds = [], []
  try:
    for seed in range(processes):
      environments.append(workers.start(task, seed, quality=quality))
    with concurrent.futures.ThreadPoolExecutor(processes) as pool:
      list(pool.map(lambda worker: _steps(worker, 2), environments))
      with clock.Others() as others:
        while (len(seconds) < setting.repeats
               or sum(seconds) * steps * processes
               < setting.sizes['least_seconds']):
          start = time.perf_counter()
          list(pool.map(lambda worker: _steps(worker, steps), environments))
          seconds.append(
              (time.perf_counter() - start) / (steps * processes))
  finally:
    for environment in environments:
      environment.close()
  return clock.summary(seconds, others.cores)


def _steps(environment, count):
  """Random actions; a reset where an episode ends counts as a step."""
  random = np.random.default_rng(0)
  timestep = None
  for _ in range(count):
    if timestep is None or timestep.last():
      timestep = environment.reset(0)
    else:
      action = actions.sample(
          random, environment.action_size, environment.discrete)
      timestep = environment.step(action.astype(np.float32))
