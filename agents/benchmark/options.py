"""Options of the benchmark: at which sizes, and of which configs."""

import dataclasses
from collections.abc import Callable
from typing import Any

import ml_collections

from worldmodels.agents.benchmark.cost_model import Cluster

# The published sizes. `tiny` runs every part of the program in seconds.
SIZES = {
  'full': dict(
    least_seconds=2.0,  # of the calls of a figure
    ceiling=dict(product=2048, images=512),
    updates={'W1': (50, 50), 'W2': (16, 32)},  # batch, length
    plan=dict(horizon=12, iterations=10, candidates=1000, elites=100),
    agent_steps=100,
    store=dict(
      few=(100, 1000),  # episodes, rows
      many=(5000, 125),
      batch=50,
      length=50,
      batches=100,
      update_seconds=0.2,
    ),
    loop=dict(
      episodes=9,
      seed_episodes=3,
      updates=10,
      batch=16,
      length=32,
      horizon=12,
      iterations=5,
      candidates=100,
      elites=10,
    ),
    preset=dict(episodes=9, seed_episodes=3),
    cluster=dict(
      collectors=(1, 8, 64, 250, 1000),
      learners=(1, 8, 64),
      counts=(1, 2, 4, 8),  # of collectors that are timed
      episodes=3,  # of each of them
      task='worldmodels.agents.benchmark.sleeping:load',
      sleep=0.01,  # s, a step of it
    ),
  ),
  'tiny': dict(
    least_seconds=0.0,
    ceiling=dict(product=64, images=2),
    updates={'W1': (2, 8)},
    plan=dict(horizon=3, iterations=2, candidates=8, elites=2),
    agent_steps=5,
    store=dict(
      few=(2, 20),
      many=(4, 10),
      batch=2,
      length=5,
      batches=3,
      update_seconds=0.01,
    ),
    loop=dict(
      episodes=4,
      seed_episodes=1,
      updates=1,
      batch=2,
      length=8,
      horizon=3,
      iterations=2,
      candidates=8,
      elites=2,
    ),
    preset=dict(episodes=4, seed_episodes=1, updates=1),
    cluster=dict(
      collectors=(1, 4),
      learners=(1, 2),
      counts=(1, 2),
      episodes=1,
      task='worldmodels.agents.benchmark.sleeping:load_short',
      sleep=0.01,
    ),
  ),
}


@dataclasses.dataclass(frozen=True)
class Options:
  """Options of the benchmark.

  Attributes:
    sizes: a value of SIZES.
    repeats: least number of timed calls of each figure.
    config: makes the preset of PlaNet's configs, free to be changed.
    dreamer: makes the preset of Dreamer's configs, free to be changed.
    command: function of a part and a preset: the command that measures it in a
      process of its own.
    preset: which figures, those at PlaNet's sizes (`paper`: W1 to W7) or those
      of the preset `cpu` (W8). Each has a process of its own.
    task: of the environments; None for the part's own.
    cluster: figures and assumptions of the cost model.
  """

  sizes: dict[str, Any]
  repeats: int
  config: Callable[[], ml_collections.ConfigDict]
  dreamer: Callable[[], ml_collections.ConfigDict]
  command: Callable[[str, str], list[str]]
  preset: str = 'paper'
  task: str | None = None
  cluster: Cluster = dataclasses.field(default_factory=Cluster)
