"""Holds a command on a node: an actor starts it, waits for it, ends with it.

All of this runs on the node. The command is a process of its own, which the
kernel ends when the process of the actor ends, and that one Ray ends with the
program that made the actor, or with its node.
"""

import contextlib
import dataclasses
import os
import pathlib
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO

from worldmodels.agents.cluster import core_shares
from worldmodels.agents.cluster import node
from worldmodels.agents.cluster import orphans
from worldmodels.agents.sweeps import local
from worldmodels.data import claim
from worldmodels.data import reading

# For whoever has trained in a run before: a machine that was lost keeps its
# locks until the server of the files gives up on it.
CLAIM_SECONDS = 120.0

# When a node dies, Ray's processes on it kill what they have started, and end
# soon after: what the command has ended by is then not its own.
DYING_SECONDS = 5.0

# What Ray sets for its own processes.
_OF_RAY = 'RAY_'
_BREAKPOINT = 'PYTHONBREAKPOINT'
_THREADS = 'OMP_NUM_THREADS'


@dataclasses.dataclass(frozen=True)
class Order:
  """A command that is to be run.

  Attributes:
    program: its name.
    flags: of it.
    log: gets what it prints, after what is there.
    output: gets what it prints on stdout instead; None for none.
    run: that it works in, which somebody may still have.
    folder: to start it in, where it is there.
    cores: that it gets.
    slots: {number of a node: processors that Ray says it has}.
    shares_gpu: whether others may have the same GPU.
    start: makes of (program, flags) the arguments of a process, which ends
      when the one that calls it does.
    token: that the node has to see.
    code: that the node has to have.
  """

  program: str
  flags: tuple[str, ...]
  log: pathlib.Path
  output: pathlib.Path | None
  run: pathlib.Path
  folder: str
  cores: int
  slots: Mapping[str, int]
  shares_gpu: bool
  start: Callable[[str, Sequence[str]], list[str]]
  token: node.Token
  code: str


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What came of a command.

  Attributes:
    status: its exit status, negative for a signal; None where it was not run.
    said: what is wrong with this node then.
    left: {name: bytes} of the files in its run.
  """

  status: int | None
  said: str = ''
  left: Mapping[str, int] = dataclasses.field(default_factory=dict)


class Holder:
  """Runs one command; two methods at a time, in threads."""

  def __init__(self):
    orphans.end_with_raylet()
    self._process: subprocess.Popen | None = None
    self._lock = threading.Lock()
    self._stopped = threading.Event()

  def where(self) -> tuple[str, str]:
    """Returns what the node is called, and its number."""
    return node.name(), node.number()

  def run(self, order: Order) -> Outcome:
    """Runs the command to its end."""
    said = node.complaint(order.token, order.code)
    if said:
      return Outcome(None, said)
    self._await_claim(order.run)
    cores = core_shares.Cores(order.cores, order.slots.get(node.number()))
    try:
      with self._lock:
        if self._stopped.is_set():
          return Outcome(-signal.SIGINT)
        self._process = _started(order, cores.numbers)
      status = self._process.wait()
      if status < 0:
        self._stopped.wait(DYING_SECONDS)
      return Outcome(status, left=node.sizes(order.run))
    except OSError as error:
      said = f'cannot run it: {error.filename}: {error.strerror}'
      return Outcome(None, said)
    finally:
      cores.leave()

  def stop(self) -> None:
    """Asks the command to stop, as Ctrl-C does."""
    self._stopped.set()
    with self._lock:
      if self._process is not None and self._process.poll() is None:
        self._process.send_signal(signal.SIGINT)

  def _await_claim(self, run: pathlib.Path) -> None:
    """Waits for the claim of whoever trained in a run before, for a while."""
    end = time.monotonic() + CLAIM_SECONDS
    while run.is_dir() and time.monotonic() < end:
      try:
        claim.Claim(run, 'is training in').release()
      except claim.ClaimError:
        if self._stopped.wait(0.5):
          return
      except (OSError, reading.FileError):
        return  # The program says what is wrong.
      else:
        return


def _started(order: Order, cores: Sequence[int]) -> subprocess.Popen:
  """Starts the process of a command.

  Raises:
    OSError: a file cannot be written.
  """
  with contextlib.ExitStack() as stack:
    said: IO[bytes] = stack.enter_context(open(order.log, 'ab'))
    found = said
    if order.output is not None:
      found = stack.enter_context(open(order.output, 'wb'))
    # Ray has its processes hold back Ctrl-C, and children inherit that.
    held = signal.pthread_sigmask(signal.SIG_SETMASK, ())
    try:
      process = subprocess.Popen(
        order.start(order.program, order.flags),
        stdin=subprocess.DEVNULL,
        stdout=found,
        stderr=said,
        cwd=order.folder if os.path.isdir(order.folder) else None,
        env=_variables(order),
        process_group=0,
      )
    finally:
      signal.pthread_sigmask(signal.SIG_SETMASK, held)
  with contextlib.suppress(ProcessLookupError):
    os.sched_setaffinity(process.pid, cores)
  return process


def _variables(order: Order) -> Mapping[str, str]:
  """Returns the variables of the command: those of the node, without Ray's."""
  found = {k: v for k, v in os.environ.items() if not k.startswith(_OF_RAY)}
  if found.get(_BREAKPOINT, '').startswith('ray.'):
    del found[_BREAKPOINT]
  if found.get(_THREADS) == str(order.cores):
    del found[_THREADS]
  found['PYTHONPATH'] = local.search_path()
  if order.shares_gpu:
    found[local.GROWTH] = 'true'
  return found
