"""Servers and rooms give what queueing theory says."""

import numpy as np
import pytest

from worldmodels.agents.benchmark import queues


def test_events_happen_in_the_order_of_their_times():
  clock, seen = queues.Clock(), []
  for time in (3, 1, 2, 1):
    clock.at(time, lambda time=time: seen.append((time, clock.now)))
  clock.run(lambda: False)
  assert seen == [(1, 1), (1, 1), (2, 2), (3, 3)]


def test_a_server_serves_one_after_the_other():
  clock, ends = queues.Clock(), []
  server = queues.Server(clock)
  for seconds in (2, 3, 1):
    server.serve(seconds, lambda: ends.append(clock.now))
  clock.run(lambda: False)
  assert ends == [2, 5, 6]
  assert (server.busy, server.waited, server.served) == (6, 2 + 5, 3)
  server.load(4)
  server.serve(1, lambda: ends.append(clock.now))
  clock.run(lambda: False)
  assert ends[-1] == 6 + 4 + 1 and server.waited == 2 + 5 + 4


def test_a_room_never_holds_more_and_forgets_nobody():
  clock, got = queues.Clock(), []
  room = queues.Room(clock, 10)

  def leave():
    room.give(4)
    got.append(clock.now)

  for _ in range(5):
    room.take(4, lambda: clock.at(clock.now + 1, leave))
  clock.run(lambda: False)
  assert got == [1, 1, 2, 2, 3]
  assert room.most == 8 and room.held == 0
  assert room.waited == 1 + 1 + 2
  with pytest.raises(ValueError, match='never fit'):
    room.take(11, leave)


@pytest.mark.parametrize('customers,think', [(3, 5.0), (12, 5.0)])
def test_machine_repairmen(customers, think):
  """Closed M/M/1//N: throughput by the balance of its states."""
  random, clock = np.random.default_rng(0), queues.Clock()
  server, done = queues.Server(clock), []

  def away():
    clock.at(clock.now + random.exponential(think), ask)

  def ask():
    server.serve(random.exponential(1.0), back)

  def back():
    done.append(clock.now)
    away()

  for _ in range(customers):
    away()
  clock.run(lambda: len(done) >= 40000)
  weights = [1.0]  # Of 0, 1, ... customers at the server.
  for at in range(customers):
    weights.append(weights[-1] * (customers - at) / think)
  expected = 1 - weights[0] / sum(weights)
  assert len(done) / done[-1] == pytest.approx(expected, rel=0.02)


def test_waiting_of_arrivals_at_random():
  """Pollaczek-Khinchine for M/D/1 at 0.8: rho / (2 (1 - rho)) services."""
  random, clock = np.random.default_rng(1), queues.Clock()
  server, time = queues.Server(clock), 0.0
  for _ in range(100000):
    time += random.exponential(1 / 0.8)
    clock.at(time, lambda: server.serve(1.0, lambda: None))
  clock.run(lambda: False)
  assert server.waited / server.served == pytest.approx(2.0, rel=0.05)
