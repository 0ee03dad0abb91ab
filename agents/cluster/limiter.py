"""Holds learning and collecting together: neither runs away from the other.

A run has a schedule of updates and episodes (agents/runs/schedule.py). One
process keeps to it by doing one after the other. Here both go on at once, and
the limiter says how far each may be ahead of it. It has no state of its own:
what it says is a function of the updates of the checkpoint and of the episodes
that are stored, so a run that was stopped goes on with the same bounds.

With N episodes stored, random ones included, a lead of L, and the schedule's
updates_before, the count of updates U is held in

  updates_before(N - L)  <=  U  <=  updates_before(N + 1)

The upper bound stops the learner until another episode is stored. The lower one
hands out no further number until there were more updates; episodes that are
under way count as stored there. A lead of 0 is the schedule of one process, a
lead of 1 that of one that collects an episode while it learns (train.overlap).
Until the updates before the first episode are done the lead is 1 at most: what
has learned nothing yet need not act more than once.
"""

import dataclasses

from worldmodels.agents.runs.schedule import Schedule


@dataclasses.dataclass(frozen=True)
class Limiter:
  """The bounds of updates by episodes, and of episodes by updates.

  Attributes:
    schedule: of the run.
    lead: L, how many episodes collecting may be ahead.
  """

  schedule: Schedule
  lead: int

  def most_updates(self, stored: int) -> int:
    """Returns how many updates there may be with so many episodes stored."""
    return self.schedule.updates_before(stored + 1)

  def most_episodes(self, updates: int) -> int:
    """Returns how many episodes there may be after so many updates.

    Those under way are counted as well.
    """
    lead, first = self.lead, self.schedule.train.seed_episodes
    if updates < self.schedule.updates_before(first + 1):
      lead = min(lead, 1)
    ahead = self.schedule.episodes_at(updates) + lead
    return min(ahead, self.schedule.train.episodes)
