"""Restores an agent from a run, to be evaluated or looked at.

Nothing of the run is changed: it may go on training meanwhile.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ml_collections

from worldmodels.agents.runs import build
from worldmodels.agents.runs import checkpoint
from worldmodels.agents.runs import checkpoint_list
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.run_directory import RunError
from worldmodels.agents.runs.schedule import Schedule
from worldmodels.spec import Spec

if TYPE_CHECKING:
  from worldmodels.agents.learning_agent import LearningAgent


def check(directory: RunDirectory, updates: int | None = None) -> None:
  """Checks, without TensorFlow, that there is something to restore.

  Args:
    directory: of the run.
    updates: of the checkpoint that is wanted; None for the newest.

  Raises:
    RunError: the run has no checkpoint yet.
    CheckpointError: it has not got this one, or none that is whole.
  """
  if not checkpoint_list.complete(directory.checkpoints):
    raise RunError(f'{directory.path} has no checkpoint yet: train it first')
  checkpoint_list.check(directory.checkpoints, updates)


def check_end(directory: RunDirectory, schedule: Schedule) -> None:
  """Raises RunError if a run is past the end that is asked for."""
  done = checkpoint_list.check(directory.checkpoints)
  episodes = schedule.episodes_at(done['updates']) if done else 0
  if episodes > schedule.train.episodes:
    raise RunError(
      f'{directory.path} has {episodes} episodes, train.episodes is '
      f'{schedule.train.episodes}'
    )


def agent(
  directory: RunDirectory,
  config: ml_collections.ConfigDict,
  spec: Spec,
  updates: int | None = None,
  log: Callable[[str], Any] = print,
) -> tuple['LearningAgent', dict[str, Any]]:
  """Makes the agent of a run and restores it, with its acting weights.

  Args:
    directory: of the run.
    config: of the run.
    spec: of its task.
    updates: of the checkpoint that is wanted; None for the newest that is
      whole.
    log: called with a line for each damaged checkpoint.

  Returns:
    (agent, counters of the checkpoint).

  Raises:
    RunError: the run has no checkpoint yet.
    CheckpointError: it has not got this one, it is damaged, or it belongs to
      another agent.
  """
  check(directory, updates)
  restored = build.agent(config, spec)
  counters = checkpoint.restore(
    directory.checkpoints,
    restored.state_variables,
    log,
    updates,
    exported=restored.acting_variables,
  )
  if counters.get(checkpoint_list.EXPORTED):
    restored.begin_averages()
  else:
    restored.use_averages()
  return restored, counters
