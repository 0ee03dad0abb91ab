"""A Ray of two nodes on this machine, the second of which may be killed.

  python tests/two_nodes.py [SLOTS]

It prints its address. At each line of standard input it kills the raylet of the
second node, as by kill -9, starts another node in its place, and prints a line;
when standard input ends, it ends. Who joins it needs the variables of JOIN.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile

JOIN = {
  'RAY_AUTH_TOKEN': '0' * 64,
  'RAY_AUTH_MODE': 'token',
  'RAY_USAGE_STATS_ENABLED': '0',
}
# On loopback, and with the priority of the learner.
_LOOPBACK = {
  'RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER': '0',
  'RAY_worker_niceness': '0',
}
# A node that is lost is missed after seconds and not after a minute.
_HEALTH = {
  'RAY_health_check_initial_delay_ms': '0',
  'RAY_health_check_period_ms': '1000',
  'RAY_health_check_timeout_ms': '5000',
  'RAY_health_check_failure_threshold': '3',
}
_OPTIONS = dict(
  object_store_memory=100 * 2**20,
  include_dashboard=False,
  node_ip_address='127.0.0.1',
)


class Nodes:
  """The nodes, in a process of their own.

  Attributes:
    address: of the head.
    pid: of the process.
  """

  def __init__(self, slots=2):
    told = tempfile.TemporaryFile('w+')
    self._process = subprocess.Popen(
      [sys.executable, __file__, str(slots)],
      stdin=subprocess.PIPE,
      stdout=subprocess.PIPE,
      stderr=told,
      text=True,
      env={**os.environ, **JOIN},
    )
    self.pid = self._process.pid
    self.address = self._process.stdout.readline().strip()
    if not self.address:
      self._process.wait()
      told.seek(0)
      raise RuntimeError(f'the nodes did not start: {told.read()[-2000:]}')
    told.close()

  def lose_one(self):
    """Kills the raylet of the second node; another node takes its place."""
    self._process.stdin.write('\n')
    self._process.stdin.flush()
    assert self._process.stdout.readline()

  def close(self):
    """Ends all of them."""
    self._process.stdin.close()
    self._process.wait()
    self._process.stdout.close()

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    self.close()


def main(slots=2):
  """Starts the nodes; does what standard input says."""
  os.environ.update(JOIN | _LOOPBACK | _HEALTH)
  import ray.cluster_utils

  answers = os.fdopen(os.dup(1), 'w')
  os.dup2(2, 1)  # What Ray prints is no answer.
  with (
    tempfile.TemporaryDirectory(prefix='ray-', dir='/tmp') as folder,
    contextlib.ExitStack() as stack,
  ):
    # A cluster notes its address there, and does not make the folder.
    os.environ['RAY_TMPDIR'] = folder
    os.mkdir(os.path.join(folder, 'ray'))
    options = dict(_OPTIONS, num_cpus=int(slots), temp_dir=folder)
    cluster = ray.cluster_utils.Cluster(
      initialize_head=True, head_node_args=options
    )
    stack.callback(cluster.shutdown)
    second = cluster.add_node(**options)
    print(cluster.address, file=answers, flush=True)
    for _ in sys.stdin:
      (raylet,) = second.all_processes['raylet']
      os.kill(raylet.process.pid, signal.SIGKILL)
      second = cluster.add_node(**options)
      print('another', file=answers, flush=True)


if __name__ == '__main__':
  main(*sys.argv[1:])
