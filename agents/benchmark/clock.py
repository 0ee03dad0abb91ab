"""Times a function, and measures the other load of the machine."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from worldmodels.agents.benchmark.options import Options

# Beyond these a figure is not called clean: cores that others kept busy, and
# the middle half of the repeats as a share of their median.
MOST_OTHERS = 0.1
MOST_SPREAD = 0.15


class Timing(NamedTuple):
  """The time of a function, and how far it can be trusted.

  Attributes:
    seconds: the median.
    spread: of the middle half, as a share of the median.
    others: cores that other processes kept busy.
    clean: whether it was steady and undisturbed.
  """

  seconds: float
  spread: float
  others: float
  clean: bool


def median(
  function: Callable[[], Any], options: Options, warmup: int = 2
) -> Timing:
  """Times `function`.

  Args:
    function: called without arguments; returns when its work is done.
    options: the least number of timed calls, and the least time that they take
      together. The system counts time in hundredths of a second: how busy it
      was with others during less cannot be told.
    warmup: calls before, which are not timed.
  """
  for _ in range(warmup):
    function()
  seconds = []
  with OtherLoad() as others:
    while (
      len(seconds) < options.repeats
      or sum(seconds) < options.sizes['least_seconds']
    ):
      start = time.perf_counter()
      function()
      seconds.append(time.perf_counter() - start)
  return summary(seconds, others.cores)


def summary(seconds: Sequence[float], others: float) -> Timing:
  """Returns the timing of measured times and of the other load beside them."""
  middle = statistics.median(seconds)
  spread = 0.0
  if len(seconds) > 2:
    quarters = statistics.quantiles(seconds, n=4, method='inclusive')
    spread = (quarters[2] - quarters[0]) / middle
  clean = len(seconds) > 2 and others <= MOST_OTHERS and spread <= MOST_SPREAD
  return Timing(middle, spread, others, clean)


def noisiest(*timings: Timing) -> Timing:
  """Returns the first timing, as noisy as the noisiest of them."""
  return timings[0]._replace(
    spread=max(timing.spread for timing in timings),
    others=max(timing.others for timing in timings),
    clean=all(timing.clean for timing in timings),
  )


class OtherLoad:
  """Context that measures the cores kept busy by other processes.

  The time that the whole machine worked and that its host took away, less the
  time that this process and its descendants worked.

  Attributes:
    cores: mean over the time in the context.
  """

  def __enter__(self) -> 'OtherLoad':
    self._start, self._before = time.perf_counter(), _others()
    return self

  def __exit__(self, *exception: object) -> None:
    wall = time.perf_counter() - self._start
    self.cores = max(0.0, (_others() - self._before) / wall)


def _others() -> float:
  """Returns processor seconds of others since the start of the machine."""
  return _machine() - _own()


def _machine() -> float:
  """Returns processor seconds of the cores that this process may use."""
  names = {f'cpu{core}' for core in os.sched_getaffinity(0)}
  total = 0
  with open('/proc/stat') as file:
    for line in file:
      name, *values = line.split()
      if name in names:
        user, nice, system, _, _, irq, softirq, steal = map(int, values[:8])
        total += user + nice + system + irq + softirq + steal
  return total / _ticks()


def _own() -> float:
  """Returns processor seconds of this process and all its descendants."""
  # Of every process: its parent, and its time with that of its dead children.
  parents, ticks = {}, {}
  for name in filter(str.isdigit, os.listdir('/proc')):
    try:
      with open(f'/proc/{name}/stat') as file:
        fields = file.read().rpartition(')')[2].split()
    except OSError:  # It ended meanwhile; its parent has its time.
      continue
    parents[int(name)] = int(fields[1])
    ticks[int(name)] = sum(map(int, fields[11:15]))
  # Of ours, generation by generation.
  total, level = 0, {os.getpid()}
  while level:
    total += sum(ticks[process] for process in level)
    level = {child for child, parent in parents.items() if parent in level}
  return total / _ticks()


def _ticks() -> int:
  return os.sysconf('SC_CLK_TCK')
