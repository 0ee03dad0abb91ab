"""Tests of the processes of learners that one of them starts and ends."""

import os
import signal
import sys
import threading
import time

import pytest

from worldmodels.agents.runs import team_place
from worldmodels.agents.runs import team_processes

SAYS = """
import json, os, sys, time
print(json.loads(os.environ['TF_CONFIG'])['task']['index'])
print('error: no room', file=sys.stderr, flush=True)
sys.exit({status}) if {status} is not None else time.sleep(100)
"""


@pytest.fixture
def started():
  place = team_place.of(3, {'CUDA_VISIBLE_DEVICES': ''})
  made = []

  def start(status=None):
    code = SAYS.format(status=status)
    made.append(team_processes.Processes(place, [sys.executable, '-c', code]))
    return made[-1]

  yield start
  for processes in made:
    processes.end()


def pids(processes):
  return [process.pid for process, _ in processes._started]


def until(condition, seconds=20):
  end = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < end
    time.sleep(0.02)


def test_one_learner_starts_nobody():
  processes = team_processes.Processes(team_place.Place(), ['nothing'])
  assert not pids(processes)
  assert processes.ended() == ''
  processes.watch(pytest.fail)
  processes.end()


def test_all_but_the_first_are_started_and_ended(started):
  processes = started()
  first, second = pids(processes)
  for index, (_, output) in enumerate(processes._started, 1):
    until(lambda text=output.text: 'no room' in text())
    assert output.text().startswith(str(index))
  assert processes.ended() == ''
  processes.end()
  for pid in (first, second):
    with pytest.raises(ProcessLookupError):
      os.kill(pid, 0)


def test_a_stopped_one_is_ended_too(started):
  processes = started()
  os.kill(pids(processes)[0], signal.SIGSTOP)
  processes.end(at_once=True)


def test_of_one_that_failed_the_last_words_are_told(started):
  processes = started(status=1)
  until(lambda: processes.ended())
  assert processes.ended() == 'learner 1 has ended (no room)'


def test_of_one_that_was_killed_the_signal_is_told(started):
  processes = started()
  os.kill(pids(processes)[1], signal.SIGKILL)
  until(lambda: processes.ended())
  assert processes.ended() == 'learner 2 has ended (SIGKILL)'


def test_an_end_that_nobody_sees_is_told(started, monkeypatch):
  monkeypatch.setattr(team_processes, '_SEEN_SECONDS', 0.1)
  told = threading.Event()
  processes = started()
  processes.watch(lambda said: 'SIGKILL' in said and told.set())
  assert not told.wait(0.2)
  os.kill(pids(processes)[0], signal.SIGKILL)
  assert told.wait(20)


def test_an_end_that_was_to_come_is_not_told(started, monkeypatch):
  monkeypatch.setattr(team_processes, '_SEEN_SECONDS', 0.1)
  processes = started()
  processes.watch(lambda said: os._exit(3))
  processes.end()
  time.sleep(1.5)
