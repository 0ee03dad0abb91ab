"""When a run learns, collects and evaluates."""

import ml_collections
import pytest

from worldmodels.agents.runs.schedule import Schedule


def make(every=4, heldout=2, **train):
  """Episodes 0 to 11; 3 are random; 10 updates before each of the others."""
  given = dict(episodes=12, seed_episodes=3, updates=10, first_updates=0)
  given |= dict(env_steps=0, minutes=0.0)
  return Schedule(
    ml_collections.ConfigDict(given | train),
    ml_collections.ConfigDict(dict(every=every, episodes=heldout)),
  )


def test_worked_by_hand():
  schedule = make()
  assert [schedule.updates_before(number) for number in (3, 4, 12)] == [
    0,
    10,
    90,
  ]
  found = [schedule.episodes_at(updates) for updates in (0, 9, 10, 11, 90)]
  assert found == [3, 3, 4, 4, 12]
  assert schedule.episodes(0) == range(3, 12)
  assert schedule.episodes(10) == range(4, 12)
  assert not schedule.episodes(90)
  # Evaluated before episodes 3, 7 and 11, each time on two of its own.
  assert [number for number in range(3, 12) if schedule.evaluates(number)] == [
    3,
    7,
    11,
  ]
  assert [schedule.heldout(number) for number in (3, 7, 11)] == [
    range(3, 5),
    range(5, 7),
    range(7, 9),
  ]


def test_the_first_updates_come_before_the_first_episode_of_the_agent():
  schedule = make(first_updates=25)
  assert [schedule.updates_before(number) for number in (3, 4)] == [25, 35]
  found = [schedule.episodes_at(updates) for updates in (0, 24, 25, 34, 35)]
  assert found == [3, 3, 3, 3, 4]


@pytest.mark.parametrize('first_updates', [0, 7, 100])
@pytest.mark.parametrize('updates', [1, 3, 10])
def test_a_stop_at_any_episode_goes_on_where_it_was(first_updates, updates):
  """A checkpoint is of the updates before the episode that is next."""
  schedule = make(first_updates=first_updates, updates=updates)
  counts = [schedule.updates_before(number) for number in range(3, 13)]
  assert counts == sorted(set(counts)) and counts[0] == first_updates
  for number, count in zip(range(3, 13), counts):
    assert schedule.episodes_at(count) == number
    assert schedule.episodes(count) == range(number, 12)
    if count > first_updates:
      assert schedule.episodes_at(count - 1) == number - 1


@pytest.mark.parametrize('every', [1, 2, 5, 20])
@pytest.mark.parametrize('heldout', [1, 3])
def test_held_out_episodes_follow_the_random_ones_without_a_gap(every, heldout):
  schedule = make(every=every, heldout=heldout)
  found = [
    number
    for later in range(3, 12)
    if schedule.evaluates(later)
    for number in schedule.heldout(later)
  ]
  assert found == list(range(3, 3 + heldout * -(-9 // every)))


def test_a_run_of_random_episodes_alone_learns_nothing():
  schedule = make(episodes=3)
  assert schedule.updates_before(3) == 0
  assert not schedule.episodes(0)


@pytest.mark.parametrize('every', [1, 2, 5, 20])
def test_evaluations_ahead_are_counted(every):
  schedule = make(every=every)
  for start in range(3, 12):
    for stop in range(start - 1, 12):
      ahead = range(start, stop)
      expected = sum(map(schedule.evaluates, ahead))
      assert schedule.evaluations(ahead) == expected, ahead


def test_the_budget_in_steps_is_spent_or_not():
  schedule = make(env_steps=100)
  assert [schedule.spent(steps) for steps in (0, 99, 100, 101)] == [
    *(False, False, True, True)
  ]
  assert not make(env_steps=0).spent(10**9)


@pytest.mark.parametrize(
  'env_steps, steps, expected',
  [(0, 50, 12), (251, 50, 6), (250, 50, 5), (60, 50, 3), (9999, 50, 12)]
  + [(250, None, 12)],
)
def test_the_episodes_of_a_budget_are_counted_ahead(env_steps, steps, expected):
  """If each is as long as it can be; the random ones are there anyway."""
  likely = make(env_steps=env_steps).likely(steps)
  assert likely.train.episodes == expected


def test_the_budget_in_minutes_is_spent_or_not():
  schedule = make(minutes=1.5)
  assert [schedule.late(x) for x in (0.0, 89.9, 90.0, 91.0)] == [
    *(False, False, True, True)
  ]
  assert not make(minutes=0.0).late(1e9)


@pytest.mark.parametrize(
  'episodes, seconds, expected',
  # Three are random; those after them have taken 60, 60 and 30 seconds each.
  [(4, 60.0, 9), (5, 120.0, 9), (7, 120.0, 12), (8, 330.0, 8), (3, 9.0, 12)],
)
def test_the_episodes_of_minutes_are_counted_ahead(episodes, seconds, expected):
  likely = make(minutes=5.5).likely(None, episodes, 0, seconds)
  assert likely.train.episodes == expected


def test_of_two_budgets_the_sooner_one_counts():
  schedule = make(minutes=5.5, env_steps=300)
  assert schedule.likely(50.0, 5, 250, 120.0).train.episodes == 6
  assert schedule.likely(50.0, 5, 250, 329.0).train.episodes == 6
  assert schedule.likely(50.0, 4, 100, 300.0).train.episodes == 5


def test_shorter_episodes_leave_room_for_more_of_them():
  schedule = make(env_steps=250)
  assert schedule.likely(25.0, 4, 100).train.episodes == 10
  assert schedule.likely(50.0, 4, 250).train.episodes == 4
  assert schedule.likely(1.0, 4, 100).train.episodes == 12  # And no more.
  assert schedule.train.episodes == 12
