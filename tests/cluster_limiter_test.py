"""Tests of the limiter, against cases worked by hand."""

import ml_collections
import pytest

from worldmodels.agents.cluster.limiter import Limiter
from worldmodels.agents.runs.schedule import Schedule

# Episodes 0..4 are random; 100 updates before the first of the agent is due.
TRAIN = ml_collections.ConfigDict(
  dict(seed_episodes=5, episodes=20, first_updates=100, updates=10)
)
EVALUATE = ml_collections.ConfigDict(dict(every=10, episodes=1))


def limiter(lead, **train):
  values = TRAIN.to_dict() | train
  return Limiter(Schedule(ml_collections.ConfigDict(values), EVALUATE), lead)


@pytest.mark.parametrize(
  'stored,most', [(5, 110), (6, 120), (7, 130), (19, 250)]
)
def test_updates_wait_for_episodes(stored, most):
  # As in one process: when episode 5 is due, there are 110 updates.
  assert limiter(4).most_updates(stored) == most


@pytest.mark.parametrize(
  'lead,updates,most',
  [
    # Nothing is learned yet: one episode, however many could be collected.
    *((0, 0, 5), (1, 0, 6), (4, 0, 6), (4, 99, 6), (4, 100, 6), (4, 109, 6)),
    *((0, 100, 5), (1, 100, 6)),
    # The first updates are done. Half of those of a cycle are not one.
    *((0, 110, 6), (1, 110, 7), (4, 110, 10), (4, 119, 10), (4, 120, 11)),
    # The end of the run.
    *((4, 210, 20), (4, 250, 20), (100, 110, 20)),
  ],
)
def test_episodes_wait_for_updates(lead, updates, most):
  assert limiter(lead).most_episodes(updates) == most


def test_a_lead_of_none_is_the_schedule_of_one_process():
  held = limiter(0)
  updates, stored, order = 0, 5, []
  while stored < 20:
    assert held.most_updates(stored) == held.schedule.updates_before(stored + 1)
    updates = held.most_updates(stored)  # It learns as far as it may,
    assert held.most_episodes(updates) == stored + 1  # and one is due.
    order.append((stored, updates))
    stored += 1
  assert order == [(n, 100 + 10 * (n - 4)) for n in range(5, 20)]


@pytest.mark.parametrize('lead', [1, 2, 4, 16])
@pytest.mark.parametrize('fast', ['learner', 'collectors', 'both'])
def test_neither_side_runs_away(lead, fast):
  """One side always acts when it may; both bounds hold, and it ends."""
  held = limiter(lead)
  schedule = held.schedule
  updates, stored, turns = 0, 5, 0
  while stored < 20 or updates < schedule.updates_before(20):
    turns += 1
    can_learn = updates < min(held.most_updates(stored), 250)
    can_collect = stored < held.most_episodes(updates)
    assert can_learn or can_collect, 'nobody may go on'
    learn = can_learn and (
      fast == 'learner' or not can_collect or (fast == 'both' and turns % 2)
    )
    if learn:
      updates += 1
    else:
      stored += 1
    assert updates <= schedule.updates_before(stored + 1)
    if stored > 6:
      assert updates >= schedule.updates_before(stored - lead)
  assert updates == 250
