"""Starts a local Ray or joins one, and leaves it as it was found.

The only place that does. A Ray of ours listens on loopback alone, asks for a
token that no file holds, sends no statistics, starts no dashboard, keeps quiet
and ends with this process, however that ends. One that is joined goes on. Ray
is the optional extra `cluster`; nothing of it is imported before `Engine` is
entered.
"""

import atexit
import contextlib
import functools
import importlib.util
import os
import re
import secrets
import signal
import socket
from collections.abc import Iterator
from types import ModuleType
from typing import Self

from worldmodels import checkout
from worldmodels import errors
from worldmodels.agents.cluster import folders
from worldmodels.agents.cluster import ray_failures
from worldmodels.agents.cluster.ray_failures import ClusterError

# The object store of a Ray of ours, in MiB: episodes and parameters on the way.
STORE_MB = 256

_NAMESPACE = 'worldmodels'
_ADDRESS = re.compile(r'([^\s:/\[\]]+|\[[0-9a-fA-F:]+\]):(\d{1,5})')
_REACH_SECONDS = 5  # for somebody to answer at an address
# Ray's name for it is of other systems, where it does so by itself: its
# processes listen on loopback, and on nothing else.
_LOOPBACK = {'RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER': '0'}
_QUIET = {'RAY_USAGE_STATS_ENABLED': '0'}
# Else what works is at a lower priority (15) than who waits for it, and on a
# machine that both share it hardly works at all.
_FAIR = {'RAY_worker_niceness': '0'}
# Some of its processes try for so long to reach a head that has ended, a
# minute if nobody says otherwise, and end then.
_BRIEF = {
  'RAY_gcs_rpc_server_reconnect_timeout_s': '10',
  'RAY_py_gcs_connect_timeout_s': '5',
}


def check(address: str = '', flag: str = '--cluster') -> None:
  """Checks, without importing Ray, that it is there and an address is one.

  Args:
    address: HOST:PORT of the head of a cluster, or none.
    flag: that has the address.

  Raises:
    ClusterError: Ray is not installed.
    OptionError: that is no address.
  """
  try:
    found = importlib.util.find_spec('ray')
  except (ImportError, ValueError):
    found = None
  if found is None:
    raise ClusterError(
      'Ray is not installed: it comes with the extra `cluster`, '
      "pip install 'worldmodels-tf[cluster]'"
    )
  if address:
    _parts(address, flag)


class Engine:
  """Ray, from entering to leaving: `with Engine() as engine: engine.ray...`.

  To be entered in the main thread, which lives as long as the process: what
  was started ends when the thread that started it does.

  Attributes:
    ray: the module, once it is entered.
    address: HOST:PORT of the head.
    local: whether it was started here.

  Args:
    address: HOST:PORT of a cluster to join; none starts one here.
    slots: logical processors of one that is started, each of which may take
      an actor or a task that asks for one; None for the cores there are.
    store_mb: MiB of its object store; None for STORE_MB.
    flag: that has the address.
  """

  ray: ModuleType

  def __init__(
    self,
    address: str = '',
    *,
    slots: int | None = None,
    store_mb: int | None = None,
    flag: str = '--cluster',
  ):
    check(address, flag)
    self.address = address
    self.local = not address
    self._slots = slots or len(os.sched_getaffinity(0))
    self._store_mb = store_mb or STORE_MB
    self._flag = flag
    self._leave = contextlib.ExitStack()
    self._status = 0

  def __enter__(self) -> Self:
    with contextlib.ExitStack() as stack:
      if self.local:
        self._start(stack)
      else:
        self._join(stack)
      self._leave = stack.pop_all()
    return self

  def __exit__(self, kind: type[BaseException] | None, *unused: object) -> None:
    if kind is not None:
      stopped = issubclass(kind, KeyboardInterrupt)
      self._status = 128 + signal.SIGINT if stopped else 1
    self.close()

  def close(self) -> None:
    """Leaves, and ends what was started; may be called twice."""
    self._leave.close()

  def answers(self) -> bool:
    """Returns whether the head answers in time; a stopped one does not."""
    try:
      _reach(self.address, self._flag)
    except ClusterError:
      return False
    return ray_failures.answers(self.ray, _REACH_SECONDS)

  def _start(self, stack: contextlib.ExitStack) -> None:
    """Starts a Ray of our own."""
    folder = stack.enter_context(folders.made())
    stack.enter_context(
      _environment(
        _QUIET
        | _LOOPBACK
        | _FAIR
        | _BRIEF
        | {'RAY_AUTH_TOKEN': os.environ.get('RAY_AUTH_TOKEN') or _token()}
        # What Ray does without it depends on its version.
        | {'RAY_AUTH_MODE': 'token'}
        # What the processes of Ray are to find: this package, of a checkout.
        | {'PYTHONPATH': _with_package(os.environ.get('PYTHONPATH', ''))}
      )
    )
    self.ray = ray = ray_failures.imported()
    ray_failures.hush(ray)
    stack.callback(ray.shutdown)
    group = os.getpgrp()
    try:
      context = ray.init(
        address='local',
        num_cpus=self._slots,
        object_store_memory=self._store_mb * 2**20,
        include_dashboard=False,
        _temp_dir=str(folder),
        **_options(),
      )
    except ray_failures.failures(ray) as error:
      raise ClusterError(
        f'Ray does not start: {ray_failures.line(error)}'
      ) from error
    self.address = context.address_info['gcs_address']
    # Ray has left the group, to which a terminal sends Ctrl-C.
    with contextlib.suppress(OSError):
      os.setpgid(0, group)

  def _join(self, stack: contextlib.ExitStack) -> None:
    """Joins the cluster at the address."""
    _reach(self.address, self._flag)
    loopback = _LOOPBACK if _only_on_loopback(self.address) else {}
    stack.enter_context(_environment(_QUIET | loopback))
    self.ray = ray = ray_failures.imported()
    ray_failures.hush(ray)
    stack.callback(self._part)
    paths = {'PYTHONPATH': _with_package('')}
    try:
      ray.init(
        address=self.address,
        runtime_env={'env_vars': paths} if paths['PYTHONPATH'] else None,
        **_options(),
      )
    except ray_failures.failures(ray) as error:
      raise ClusterError(
        f'{self._flag}={self.address} cannot be joined: '
        f'{ray_failures.line(error)}'
        f'{ray_failures.hint(error)}'
      ) from error

  def _part(self) -> None:
    """Parts from a cluster, and does not wait for one that does not answer.

    Ray would, now and at the end of this process.
    """
    try:
      _reach(self.address, self._flag)
      silent = not ray_failures.answers(self.ray, _REACH_SECONDS)
    except ClusterError as error:  # Ray knows of one that has ended.
      silent = not isinstance(error.__cause__, ConnectionRefusedError)
    if silent:
      atexit.unregister(self.ray.shutdown)
      ray_failures.end_with(self._status)
    else:
      self.ray.shutdown()


def _options() -> dict[str, object]:
  """Returns what is told to Ray whether it is started or joined."""
  return dict(
    namespace=_NAMESPACE, log_to_driver=False, logging_level='critical'
  )


def _parts(address: str, flag: str) -> tuple[str, int]:
  """Returns (host, port) of an address; raises OptionError if it is none."""
  found = _ADDRESS.fullmatch(address)
  if not found or not 0 < int(found[2]) < 2**16:
    raise errors.OptionError(
      flag,
      f'is {address!r}; it is HOST:PORT of the head of a Ray cluster that this '
      'machine is part of, such as 127.0.0.1:6379',
    )
  return found[1].strip('[]'), int(found[2])


def _reach(address: str, flag: str) -> None:
  """Raises ClusterError unless somebody answers: Ray would wait for minutes."""
  try:
    socket.create_connection(_parts(address, flag), _REACH_SECONDS).close()
  except OSError as error:
    cause = error.strerror or str(error)
    raise ClusterError(
      f'{flag}={address}: nobody answers there ({cause}): start the head '
      'with `ray start --head`, or leave the flag out'
    ) from error


def _only_on_loopback(address: str) -> bool:
  """Returns whether a head is one that other machines cannot reach.

  Ray takes 127.0.0.1 for the address that this machine has in its network,
  where a head like that of `_start` does not listen.
  """
  host, port = _parts(address, '')
  if host not in ('127.0.0.1', 'localhost', '::1'):
    return False
  try:  # Of this machine too.
    socket.create_connection(('127.0.0.2', port), _REACH_SECONDS).close()
  except OSError:
    return True
  return False


@functools.cache
def _token() -> str:
  """Returns what who talks to a Ray of ours has to know: one for a process."""
  return secrets.token_hex(32)


def _with_package(path: str) -> str:
  """Returns a PYTHONPATH with this package, where it is not installed."""
  return os.pathsep.join(filter(None, [*checkout.roots(), path]))


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
  """Sets environment variables, which Ray is told by alone, for a while."""
  before = {key: os.environ.get(key) for key in [*variables, 'RAY_AUTH_MODE']}
  os.environ.update(variables)
  try:
    yield
  finally:
    for key, value in before.items():
      if value is None:
        os.environ.pop(key, None)
      else:
        os.environ[key] = value
