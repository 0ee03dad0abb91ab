"""Tests of who collects what, and of what becomes of it."""

import pytest

from worldmodels.agents.cluster import leases
from worldmodels.agents.cluster.leases import Job
from worldmodels.agents.cluster.leases import Leases


def job(number, kind='episode', random=False):
  return Job(kind, number, seed=100 + number, explore=True, random=random)


def known(books, seconds=10.0):
  """Lets the books see three episodes of the agent that took so long."""
  for number, holder in ((90, 'a'), (91, 'b'), (92, 'c')):
    books.give(job(number), holder, 0.0)
    books.answered(holder, seconds)
  return books


def test_an_answer_ends_a_lease():
  books = Leases(60)
  lease = books.give(job(1), 'a', 5.0, payload='p')
  assert books.holds('a') is lease and books.unanswered == [job(1)]
  assert books.answered('a', 7.0) == (lease, True)
  assert books.holds('a') is None and books.unanswered == []
  assert books.next(1e9) is None


def test_a_holder_has_one_lease():
  books = Leases(60)
  books.give(job(1), 'a', 0.0)
  with pytest.raises(ValueError, match='holds'):
    books.give(job(2), 'a', 0.0)


def test_what_is_lost_is_leased_again_with_what_it_was_done_with():
  books = Leases(60)
  books.give(job(1), 'a', 0.0, payload='p')
  assert books.lost('a').job == job(1)
  assert books.unanswered == [job(1)]  # It waits to be given again.
  assert books.next(0.0) == (job(1), 'p')
  books.give(job(1), 'b', 1.0, payload='p')
  assert books.next(1.0) is None
  assert books.answered('b', 2.0)[1]


def test_to_lose_nothing_is_nothing():
  books = Leases(60)
  assert books.lost('a') is None and books.next(0.0) is None


def test_what_was_lost_and_then_answered_is_not_given_again():
  books = known(Leases(60))
  books.give(job(1), 'a', 0.0)
  books.give(job(1), 'b', 50.0)
  books.lost('a')
  assert books.next(50.0) is None  # b has it.
  assert books.answered('b', 51.0)[1]
  assert books.next(1e9) is None


def test_the_second_answer_is_told_from_the_first():
  books = Leases(60)
  books.give(job(1), 'a', 0.0)
  books.give(job(1), 'b', 1.0)
  assert books.unanswered == [job(1)]  # Once.
  assert books.answered('b', 2.0)[1]
  assert not books.wants(job(1))
  assert not books.answered('a', 3.0)[1]


def test_numbers_of_two_kinds_and_two_seeds_are_apart():
  books = Leases(60)
  books.give(job(1), 'a', 0.0)
  other = Job('episode', 1, seed=7, explore=True)
  books.give(other, 'b', 0.0)
  books.give(job(1, 'held-out'), 'c', 0.0)
  assert len(books.unanswered) == 3
  assert books.answered('b', 1.0)[1]
  assert books.wants(job(1)) and not books.wants(other)


def test_what_is_late_is_leased_beside_its_holder_once():
  books = known(Leases(600), seconds=10.0)
  books.give(job(1), 'a', 100.0, payload='p')
  books.give(job(2), 'b', 101.0)
  assert books.next(100.0 + 3 * 10 + 2) is None  # Not longer than that.
  assert books.next(132.5) == (job(1), 'p')  # The oldest.
  books.give(job(1), 'c', 132.5)
  assert books.next(132.5) is None  # b is not late.
  assert books.next(134.0) == (job(2), None)


def test_who_begins_has_more_time():
  books = known(Leases(600), seconds=10.0)
  books.give(job(1), 'new', 0.0)
  assert books.next(32.5) is None and books.next(92.0) is None
  assert books.next(92.5) == (job(1), None)
  books.answered('new', 93.0)
  books.give(job(2), 'new', 100.0)
  assert books.next(132.5) == (job(2), None)
  books.lost('new')  # It is started anew.
  books.give(job(2), 'new', 200.0)
  assert books.next(232.5) is None


def test_nothing_is_late_before_there_is_a_measure():
  books = Leases(600)
  for number in range(5):  # Random episodes are none.
    books.give(job(number, random=True), 'x', 0.0)
    books.answered('x', 0.1)
  books.give(job(9), 'a', 0.0)
  assert books.next(500.0) is None


def test_what_is_past_the_limit():
  books = Leases(60)
  lease = books.give(job(1), 'a', 10.0)
  assert books.overdue(70.0) == []
  assert books.overdue(70.1) == [lease]


def test_a_job_fails_so_often():
  books = Leases(60)
  counts = [books.failed(job(1), 'raised', 3) for _ in range(3)]
  assert counts == [1, 2, None]
  assert books.failed(job(1), 'died', leases.DEATHS) == 1
  assert books.failed(job(2), 'raised', 3) == 1
