"""A process of Ray ends with its node, and no other does."""

import os
import shutil
import signal
import subprocess
import sys

import pytest

# It says who it is, and who is left once its parent has gone.
CHILD = """
import os, sys, time
from worldmodels.agents.cluster import orphans
orphans._LOOK_SECONDS = 0.05
parent = os.getppid()
orphans.end_with_raylet()
print(os.getpid(), flush=True)
while os.getppid() == parent:
  time.sleep(0.01)
time.sleep(1)
print('left', flush=True)
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='processes of Linux')
@pytest.mark.parametrize('name, left', [('raylet', ''), ('another', 'left\n')])
def test_ends_with_a_raylet_alone(tmp_path, name, left):
  program = tmp_path / name
  shutil.copy(shutil.which('sh'), program)
  # A shell of that name starts the process: `wait` keeps the shell there.
  parent = subprocess.Popen(
    [program, '-c', '"$0" -c "$1" & echo; wait', sys.executable, CHILD],
    stdout=subprocess.PIPE,
    text=True,
  )
  with parent:
    assert parent.stdout.readline() == '\n'
    assert int(parent.stdout.readline()) != parent.pid
    os.kill(parent.pid, signal.SIGKILL)
    assert parent.stdout.read() == left
