"""The simulated cluster does what its closed form says."""

import dataclasses

import pytest

from worldmodels.agents.benchmark import cluster_simulation
from worldmodels.agents.benchmark.cost_model import Cluster

# Nothing costs anything, and nobody waits for anybody: each test adds one cost.
FREE = Cluster(
  steps_per_second=100.0,
  episode_steps=100,
  episode_bytes=1e6,
  parameter_bytes=1e6,
  lease_ms=0.0,
  take_ms=0.0,
  append_ms=0.0,
  publish_ms=0.0,
  load_ms=0.0,
  update_ms=1e-3,
  fixed_ms=1e-3,
  all_reduce_ms=0.0,
  gradient_bytes=0.0,
  batch_bytes=0.0,
  updates_per_step=0.1,
  updates_per_version=1e9,
  lead=2.0,
  network_gbit=1e6,
  store_gb=1e3,
  ahead=1,
)


def simulated(collectors=40, learners=1, spread=0.0, **changes):
  cluster = dataclasses.replace(FREE, **changes)
  outcome = cluster_simulation.simulate(
    cluster, collectors, learners, spread=spread
  )
  return cluster, outcome


@pytest.mark.parametrize('collectors', [1, 7, 40])
def test_without_costs_it_is_linear(collectors):
  _, outcome = simulated(collectors)
  assert outcome.steps_per_second == pytest.approx(100 * collectors, rel=1e-3)
  assert outcome.acting == pytest.approx(1, rel=1e-3)
  assert sum(outcome.waiting.values()) == pytest.approx(0, abs=1e-3)


def test_the_cycle_of_one_is_the_sum_of_its_parts():
  cluster, outcome = simulated(
    1,
    lead=3.0,
    lease_ms=100,
    take_ms=200,
    append_ms=300,
    load_ms=400,
    episode_bytes=1.25e8,
    network_gbit=1.0,
    store_gb=1.0,
  )
  assert outcome.steps_per_second == pytest.approx(100 / (1 + 1 + 1), rel=1e-3)
  name, steps = cluster.bound(1, 1)
  assert name == 'collectors' and steps == pytest.approx(100 / 3)
  # With more numbers at a time it acts on one while others are on their way.
  for ahead, expected in ((2, 200 / 3), (3, 100 / 1.4)):
    more = dataclasses.replace(cluster, ahead=ahead)
    outcome = cluster_simulation.simulate(more, 1, 1, spread=0.0)
    assert outcome.steps_per_second == pytest.approx(expected, rel=1e-2)
    assert more.bound(1, 1)[1] == pytest.approx(expected)


BOTTLENECKS = [
  # What is changed, what breaks, and agent steps per second by hand.
  ('directory', dict(append_ms=50.0), 100 / 0.05),
  ('head', dict(lease_ms=30.0, take_ms=70.0), 100 / 0.1),
  ('network in', dict(network_gbit=0.08, store_gb=1.0), 100 / 0.1),
  (
    'network out',
    dict(
      parameter_bytes=4e6,
      updates_per_version=5.0,
      network_gbit=0.16,
      store_gb=1.0,
      per_node=1,
    ),
    100 / 0.2,  # Each episode finds newer parameters and asks for them.
  ),
  ('limiter', dict(update_ms=20.0, fixed_ms=20.0), 50 / 0.1),
]


@pytest.mark.parametrize('name,changes,expected', BOTTLENECKS)
def test_one_bottleneck(name, changes, expected):
  cluster, outcome = simulated(**changes)
  assert cluster.bound(40, 1) == (name, pytest.approx(expected))
  assert outcome.steps_per_second == pytest.approx(expected, rel=0.03)
  assert max(outcome.waiting, key=outcome.waiting.get) == name
  # With times that vary it cannot be faster.
  _, outcome = simulated(spread=0.5, **changes)
  assert outcome.steps_per_second <= expected * 1.05
  assert outcome.steps_per_second == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize('name,changes,expected', BOTTLENECKS)
def test_where_it_begins(name, changes, expected):
  """Just below the point the collectors limit, just above it does not help."""
  del expected
  cluster, _ = simulated(1, **changes)
  point = cluster.breaking_point(name, 1)
  assert cluster.bound(point, 1)[0] == name
  assert cluster.bound(point - 1, 1)[0] == 'collectors'
  below, above = (
    cluster_simulation.simulate(cluster, count, 1, spread=0.0)
    for count in (max(1, point // 2), 4 * point)
  )
  limit = cluster.bound(4 * point, 1)[1]
  assert below.steps_per_second < 0.8 * limit
  assert above.steps_per_second == pytest.approx(limit, rel=0.03)


def test_learners_wait_for_few_collectors_and_updates_follow_steps():
  _, outcome = simulated(2, update_ms=20.0, fixed_ms=20.0)
  assert outcome.updates_per_second == pytest.approx(20, rel=0.02)
  assert outcome.learning == pytest.approx(0.4, rel=0.02)
  assert outcome.waiting['limiter'] == pytest.approx(0, abs=1e-3)
  _, outcome = simulated(40, update_ms=20.0, fixed_ms=20.0)
  assert outcome.updates_per_second == pytest.approx(50, rel=0.02)
  assert outcome.learning == pytest.approx(1, rel=0.02)
  assert outcome.acting == pytest.approx(500 / 4000, rel=0.03)


def test_a_full_object_store_pushes_back_and_loses_nothing():
  cluster, outcome = simulated(append_ms=50.0)
  # All wait for the writer, but for those that act.
  held = outcome.stored_bytes - cluster.versions_kept * cluster.parameter_bytes
  assert 15e6 < held <= 40e6 <= cluster.stored_bytes(40)
  _, small = simulated(append_ms=50.0, store_gb=7e-3)
  assert small.stored_bytes <= 7e6
  assert small.steps_per_second == pytest.approx(
    outcome.steps_per_second, rel=0.02
  )
  assert small.waiting['object store'] > small.waiting['directory']
  assert cluster.breaking_point('object store', 1) == 999_999


def test_half_the_learners_time_is_shared():
  cluster = dataclasses.replace(
    FREE, update_ms=100.0, fixed_ms=20.0, all_reduce_ms=5.0
  )
  assert cluster.update_seconds(1) == pytest.approx(0.1)
  assert cluster.update_seconds(2) == pytest.approx(0.02 + 0.04 + 0.005)
  assert cluster.update_seconds(4) == pytest.approx(0.02 + 0.02 + 0.015)
  assert cluster.best_learners() == 4
  ring = dataclasses.replace(
    FREE, gradient_bytes=1e6, network_gbit=0.008, all_reduce_ms=0.0
  )
  assert ring.update_seconds(2) == pytest.approx(1.0, rel=1e-3)
  assert ring.update_seconds(64) == pytest.approx(2 * 63 / 64, rel=1e-3)


def test_the_age_of_what_acts():
  """A version lives as long as its updates; an episode is about as old."""
  _, outcome = simulated(
    4, update_ms=25.0, fixed_ms=25.0, updates_per_version=10.0
  )
  # Leased at once when published at the oldest: 40 updates a second.
  assert 0 < outcome.age < 10 + 40
  _, never = simulated(4, update_ms=25.0, fixed_ms=25.0)
  assert never.age > 10 * outcome.age


def test_it_is_a_function_of_its_seed():
  first, second, other = (
    cluster_simulation.simulate(Cluster(), 20, 2, spread=0.3, seed=seed)
    for seed in (0, 0, 1)
  )
  assert first == second != other
