"""Times a function, and says how busy the machine was with other things."""

import os
import statistics
import time

# Beyond these a figure is not called clean: cores that others kept busy, and
# the middle half of the repeats as a share of their median.
MOST_OTHERS = 0.1
MOST_SPREAD = 0.15


def median(function, setting, warmup=2):
  """Times `function`.

  Args:
    function: called without arguments; returns when its work is done.
    setting: a Setting: the least number of timed calls, and the least time
      that they take together. The system counts time in hundredths of a
      second: what others did beside a shorter work cannot be told.
    warmup: calls before, which are not timed.

  Returns:
    dict of seconds (the median), spread (of the middle half, as a share of the
    median), others (cores that other processes kept busy), clean (bool).
  """
  for _ in range(warmup):
    function()
  seconds = []
  with Others() as others:
    while (len(seconds) < setting.repeats
           or sum(seconds) < setting.sizes['least_seconds']):
      start = time.perf_counter()
      function()
      seconds.append(time.perf_counter() - start)
  return summary(seconds, others.cores)


def summary(seconds, others):
  """The dict of `median` for times that were taken elsewhere."""
  middle = statistics.median(seconds)
  spread = 0.0
  if len(seconds) > 2:
    quarters = statistics.quantiles(seconds, n=4, method='inclusive')
    spread = (quarters[2] - quarters[0]) / middle
  return dict(seconds=middle, spread=spread, others=others, clean=(
      len(seconds) > 2 and others <= MOST_OTHERS and spread <= MOST_SPREAD))


def both(*timings):
  """The dict of a figure made of several: as noisy as the noisiest."""
  return dict(
      timings[0], spread=max(timing['spread'] for timing in timings),
      others=max(timing['others'] for timing in timings),
      clean=all(timing['clean'] for timing in timings))


class Others:
  """Context that measures the cores kept busy by other processes.

  What the whole machine worked, and the time that its host took away, less
  what this process and its descendants worked.

  Attributes:
    cores: mean over the time in the context.
  """

  def __enter__(self):
    self._start, self._before = time.perf_counter(), _others()
    return self

  def __exit__(self, *exception):
    wall = time.perf_counter() - self._start
    self.cores = max(0.0, (_others() - self._before) / wall)


def _others():
  """Seconds of processor time since the start of the machine, not ours."""
  return _machine() - _own()


def _machine():
  """Of the cores that this process may use."""
  names = {f'cpu{core}' for core in os.sched_getaffinity(0)}
  total = 0
  with open('/proc/stat') as file:
    for line in file:
      name, *values = line.split()
      if name in names:
        user, nice, system, _, _, irq, softirq, steal = map(int, values[:8])
        total += user + nice + system + irq + softirq + steal
  return total / _ticks()


def _own():
  """Of this process and its descendants, those that ended included."""
  parents, ticks = {}, {}
  for name in filter(str.isdigit, os.listdir('/proc')):
    try:
      with open(f'/proc/{name}/stat') as file:
        fields = file.read().rpartition(')')[2].split()
    except OSError:  # It ended meanwhile; its parent has its time.
      continue
    parents[int(name)] = int(fields[1])
    ticks[int(name)] = sum(map(int, fields[11:15]))
  total, level = 0, {os.getpid()}
  while level:
    total += sum(ticks[process] for process in level)
    level = {child for child, parent in parents.items() if parent in level}
  return total / _ticks()


def _ticks():
  return os.sysconf('SC_CLK_TCK')
