"""Plays episodes of a restored agent in the real environment, to be shown."""

import contextlib
from collections.abc import Callable
from typing import Any

import ml_collections
import numpy as np

from worldmodels.agents.learning_agent import LearningAgent
from worldmodels.agents.runs import build
from worldmodels.agents.runs import collect
from worldmodels.agents.runs.run_directory import RunDirectory

# That of `evaluate`, whose first episodes these are.
STREAM = 1000

Episode = dict[str, np.ndarray]


def seeds(count: int) -> list[int]:
  """Returns the seeds of the first episodes of `evaluate`."""
  return [collect.seed_of(0, STREAM, index) for index in range(count)]


def play(
  agent: LearningAgent,
  config: ml_collections.ConfigDict,
  directory: RunDirectory,
  count: int,
  log: Callable[[str], Any],
  **limits: float,
) -> list[Episode]:
  """Plays episodes without noise, one after the other.

  Args:
    agent: who acts.
    config: of the run, which has the task.
    directory: of the run, whose spec the task has to have.
    count: of the episodes.
    log: called with a line for each.
    **limits: `timeout` and `start_timeout` of workers.start.

  Returns:
    episodes {key: [L, ...]}.

  Raises:
    UserError: the task cannot be started, failed, or shows something else.
  """
  with contextlib.closing(build.environment(config, **limits)) as environment:
    directory.check_spec(build.spec_of(environment))
    collector = collect.Collector(agent, [environment], log)
    found = []
    for _, episode in collector.collect(
      range(count), seeds(count).__getitem__, explore=False
    ):
      found.append(episode)
      log(
        f'episode {len(found)} of {count}: {len(episode["reward"]) - 1} steps, '
        f'return {episode["reward"].sum():.1f}'
      )
  return found
