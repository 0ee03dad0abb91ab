import contextlib
import os
import threading
import time

import pytest

from worldmodels.data import tail


@pytest.fixture
def kept():
  """A tail whose writing end is closed after the test."""
  result = tail.Tail()
  yield result
  if result._open:
    os.close(result.writing)


def test_what_was_written_is_there_at_once(kept):
  assert kept.text() == ''
  for count in range(200):
    os.write(kept.writing, f'line {count}\n'.encode())
    assert kept.text().endswith(f'line {count}')


def test_only_the_end_is_kept(kept):
  for count in range(300):
    os.write(kept.writing, b'%06d\n' % count * 1000)  # 2 MB
  assert kept.text().endswith('000299\n000299')
  assert 1900 < len(kept.text()) <= 2000


def test_half_a_character_is_no_trouble(kept):
  os.write(kept.writing, 'ä'.encode() * 999 + b'\xff\n\xc3')
  assert kept.text().endswith('ä\ufffd\n\ufffd')


def test_a_fast_writer_does_not_keep_a_reader(kept):
  stop = threading.Event()

  def write():
    while not stop.is_set():
      os.write(kept.writing, bytes(60_000))

  writer = threading.Thread(target=write)
  writer.start()
  begin = time.monotonic()
  for _ in range(10):
    kept.text()
  stop.set()
  writer.join()
  assert time.monotonic() - begin < 5


def _pipes():
  """Returns the pipes that this process has open, by what the kernel says."""
  result = set()
  for number in os.listdir('/proc/self/fd'):
    with contextlib.suppress(FileNotFoundError):  # That of listdir itself.
      result.add(os.readlink(f'/proc/self/fd/{number}'))
  return {name for name in result if name.startswith('pipe:')}


def test_its_thread_and_pipe_end_with_the_last_writer():
  """Other threads of this process may begin and end meanwhile."""
  done = [tail.Tail() for _ in range(3)]
  ours = {f'pipe:[{os.fstat(kept.writing).st_ino}]' for kept in done}
  assert len(ours & _pipes()) == 3
  threads = [each for each in threading.enumerate() if each.name == 'tail'][-3:]
  for kept in done:
    os.write(kept.writing, b'last')
    os.close(kept.writing)
  for thread in threads:
    thread.join(10)
    assert not thread.is_alive()
  assert not ours & _pipes()
  assert [kept.text() for kept in done] == ['last'] * 3
