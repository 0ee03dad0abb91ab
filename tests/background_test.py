import time

import pytest

from worldmodels.data import background


def test_batches_are_prepared_ahead_but_not_far():
  made = []
  with background.Prefetch(lambda i: made.append(i) or i, 0, size=2) as items:
    deadline = time.monotonic() + 5
    while len(made) < 3 and time.monotonic() < deadline:
      time.sleep(0.01)
    time.sleep(0.05)
    assert made == [0, 1, 2]
    assert [next(items) for _ in range(4)] == [0, 1, 2, 3]


def test_an_error_in_the_background_is_raised_in_its_turn():
  with background.Prefetch(lambda i: 1 / (2 - i), 0, size=2) as items:
    assert [next(items), next(items)] == [0.5, 1]
    with pytest.raises(ZeroDivisionError):
      next(items)
    with pytest.raises(StopIteration):
      next(items)


def test_it_ends_at_once_though_it_waits_for_room(monkeypatch):
  monkeypatch.setattr(background, '_POLL_SECONDS', 30)
  made = []
  items = background.Prefetch(lambda i: made.append(i) or i, 0, size=2)
  while len(made) < 3:  # There is no room for the third.
    time.sleep(0.01)
  time.sleep(0.05)
  begin = time.monotonic()
  items.close()
  assert time.monotonic() - begin < 15
  assert len(made) == 3
