"""Collects random episodes on a cluster into a store, without TensorFlow.

  python -m tests.random_collection ADDRESS FOLDER EPISODES COLLECTORS

Like `worldmodels train --collectors` before it learns, but for what learning
costs: what a test can kill often. Started again, it collects what is missing.
"""

import os
import sys

from worldmodels.agents.cluster import actor
from worldmodels.agents.cluster import collector
from worldmodels.agents.cluster import engine
from worldmodels.agents.cluster import pool
from worldmodels.agents.runs import build
from worldmodels.agents.runs import seeds
from worldmodels.configs import planet
from worldmodels.data.store import Store

TASK = 'worldmodels.agents.benchmark.sleeping:load'


def seed(number):
  return seeds.seed_of(0, 0, number)


def main(address, folder, episodes, collectors):
  """Collects those that are missing; prints what went wrong, then `done`."""
  config = planet.get_config('debug')
  config.task = TASK
  environment = build.environment(config)
  spec = build.spec_of(environment)
  environment.close()
  settings = actor.Settings(
    config.to_dict(), spec.to_dict(), dict(timeout=20.0), os.getcwd()
  )
  store = Store(folder)
  missing = [n for n in range(int(episodes)) if n not in store]

  def say(line):
    print(line, flush=True)

  with engine.Engine(address) as ray:
    made = pool.Pool(ray, int(collectors), settings, 30.0, say)
    given = collector.Collector(made, 'episode', random=True)
    for number, episode in given.collect(missing, seed, explore=True):
      store.append(episode, index=number)
    made.close()
  say('done')


if __name__ == '__main__':
  main(*sys.argv[1:])
