"""Finds what runs of some tasks are compared with: a random policy."""

from collections.abc import Callable, Sequence
from typing import Any

from worldmodels import errors
from worldmodels.agents.reports import random_policy
from worldmodels.agents.reports.records import Record

# {task: returns}, {task: where they are from}.
Found = tuple[dict[str, list[float]], dict[str, str]]


def random_returns(
  records: Sequence[Record], plays: bool, log: Callable[[str], Any]
) -> Found:
  """Returns what random actions reach in each task.

  Args:
    records: of the runs, which may have kept random episodes.
    plays: whether episodes are played where no run has any.
    log: called with a line of text.
  """
  returns: dict[str, list[float]] = {}
  sources: dict[str, str] = {}
  known: set[tuple[str | float, ...]] = set()
  for record in records:
    found = random_policy.of_run(record)
    # Runs of one seed begin with the same episodes.
    if found and (record.task, *found) not in known:
      known.add((record.task, *found))
      returns.setdefault(record.task, []).extend(found)
  for task, found in returns.items():
    sources[task] = (
      f'mean of {len(found)} episodes of random actions that these runs began '
      'with'
    )
  for record in records:
    if not plays or record.task in sources or not record.config:
      continue
    sources[record.task] = ''  # It is tried once.
    log(f'random policy: {random_policy.EPISODES} episodes of {record.task}')
    try:
      found = random_policy.played(record)
    except (errors.UserError, OSError) as error:
      record.notes.append(f'no random policy to compare with: {error}')
      continue
    returns[record.task] = found
    sources[record.task] = (
      f'mean of {len(found)} episodes of random actions, played for this report'
    )
  return returns, sources
