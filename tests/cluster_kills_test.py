"""What collects on a cluster is killed five times: every number is there once.

cluster_kills.py does that with whole trainings, fifty times, outside CI.
"""

import os
import subprocess
import sys

import cluster_kills
import numpy as np
import processes
import pytest
import random_collection
import resume_test
import two_nodes

from worldmodels.agents.benchmark import sleeping

pytestmark = pytest.mark.timeout(300)


class Collection(cluster_kills.Program):
  """A program that collects at random, see random_collection.py."""

  episodes = 16
  seconds = 3.0

  @staticmethod
  def prepare(folder):
    """There is nothing to prepare."""

  def started(self):
    """Starts Python, as a user does."""
    command = [sys.executable, '-m', 'tests.random_collection', self._address]
    command += [str(self.path), str(self.episodes)]
    return subprocess.Popen(
      [*command, str(cluster_kills.COLLECTORS)],
      cwd=cluster_kills.ROOT,
      env={**os.environ, **two_nodes.JOIN},
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      text=True,
    )

  def check(self):
    """Raises unless each episode is there once, as its number has it."""
    paths = resume_test.numbered(self.path)
    assert len(paths) == self.episodes
    for number, path in paths.items():
      task = sleeping.load(random_collection.seed(number))
      expected = task.reset().observation['image']
      image = resume_test.arrays(path)['image']
      assert image.shape == (101, 64, 64, 3)
      assert np.array_equal(image, np.broadcast_to(expected, image.shape))
    assert not list(self.path.rglob('*.tmp'))


@pytest.fixture
def descendants():
  """Orphans stay descendants of this process; none of them may be left."""
  processes.keep_orphans()
  before = set(processes.below())
  yield
  left = processes.settled(lambda pid, _: pid in before)
  processes.keep_orphans(False)  # Other tests have orphans of their own.
  assert not left, left


def test_five_kills(tmp_path, descendants):
  lines = []
  cluster_kills.campaign(Collection, tmp_path, 5, seed=3, say=lines.append)
  for kind in cluster_kills.VICTIMS:
    assert any(line.endswith(f's: {kind}') for line in lines), kind
  told = (tmp_path / 'run1.log').read_text()
  print('\n'.join(lines), told)
  assert told.endswith('done\n')
