"""Tests of how a process is told from all others."""

import dataclasses
import os
import subprocess

import pytest

from worldmodels.agents.cluster import processes


@pytest.fixture
def child():
  with subprocess.Popen(['sleep', '100']) as process:
    yield process
    process.kill()


def test_a_process_is_killed(child):
  found = processes.of(child.pid)
  assert found == processes.of(child.pid) != processes.of(os.getpid())
  processes.kill(found)
  assert child.wait(10) == -9
  processes.kill(found)  # It has ended.


def test_no_other_is_killed_in_its_place(child):
  found = processes.of(child.pid)
  assert found.machine and found.started
  before = dict(started=str(int(found.started) - 1))  # Of the same id.
  for others in before, dict(machine='another'), dict(started=''):
    processes.kill(dataclasses.replace(found, **others))
  # Such as in another container of the same name: ids are told apart by them.
  assert os.readlink('/proc/self/ns/pid') in found.machine
  with pytest.raises(subprocess.TimeoutExpired):
    child.wait(0.2)
