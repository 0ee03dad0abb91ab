"""W10, W11: collectors on Ray beside a local one, and what goes to and fro.

W10 is of a task that sleeps, with actions at random and without TensorFlow: so
it tells what the cluster costs, whatever the number of cores. W11 is of the
preset's agent on a task that takes time. Figures with a name of the cost model
are what `--work=cost --measured=FILE` takes.
"""

import contextlib
import functools
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence

import ml_collections
import numpy as np

from worldmodels.agents.benchmark import clock
from worldmodels.agents.benchmark import transfers
from worldmodels.agents.benchmark.cost import FEEDS
from worldmodels.agents.benchmark.figures import Figure
from worldmodels.agents.benchmark.figures import figure
from worldmodels.agents.benchmark.options import Options
from worldmodels.agents.cluster import actor
from worldmodels.agents.cluster import collector
from worldmodels.agents.cluster import engine
from worldmodels.agents.cluster import pool
from worldmodels.agents.cluster import random_actions
from worldmodels.agents.runs import build
from worldmodels.agents.runs import rollouts
from worldmodels.data import rows
from worldmodels.data import workers
from worldmodels.spec import Spec

TASK = 'cartpole_balance'
LINEAR, OVERHEAD = 0.9, 0.05  # what is aimed at
_LIMIT = 600.0  # s that an episode may take

Collector = rollouts.Collector | collector.Collector


def measure(options: Options) -> Iterator[Figure]:
  """Yields the figures of W10, or of W11."""
  yield from (
    _sleeping(options) if options.preset == 'paper' else _acting(options)
  )


def _sleeping(options: Options) -> Iterator[Figure]:
  """Yields agent steps per second of the task that sleeps."""
  sizes, config = options.sizes['cluster'], options.config()
  config.task = sizes['task']
  counts = sizes['counts']
  with _Here(config) as here, engine.Engine(slots=max(counts)) as ray:
    # One of them beside the local one, in turns.
    local = here.collector(functools.partial(random_actions.acts, here.spec))
    with _remote(ray, 1, config, here.spec) as remote:
      alone, one = _in_turns([(local, 1), (remote, 1)], options, here.played)
    what = f'sleeping {1e3 * sizes["sleep"]:g} ms a step, at random'
    yield _rate(f'{what}, local', alone)
    yield _rate(f'{what}, 1 collector', one)
    yield _overhead('W10', one, alone)
    # More of them.
    for count in counts[1:]:
      with _remote(ray, count, config, here.spec) as remote:
        before = time.process_time()
        (many,) = _in_turns([(remote, count)], options, here.played)
        spent = time.process_time() - before
      yield _rate(f'{what}, {count} collectors', many)
      yield figure(
        'W10',
        f'share of {count} times one',
        one.seconds / (count * many.seconds),
        '',
        clock.noisiest(one, many),
        ('>=', LINEAR),
      )
  episodes = count * (_rounds(options) * sizes['episodes'] + 1)
  yield figure(
    'W10',
    f"the learner's processor, for an episode of {count} collectors",
    1e3 * spent / episodes,
    'ms',
  ) | {FEEDS: 'lease_ms'}


def _acting(options: Options) -> Iterator[Figure]:
  """Yields agent steps per second of an agent, and what it costs to send."""
  from worldmodels.agents.benchmark import model
  from worldmodels.agents.runs import collect
  from worldmodels.agents.runs import operations

  config = options.config()
  config.task = options.task or TASK
  operations.share_cores(config)  # As `worldmodels train` does.
  cores = len(os.sched_getaffinity(0))
  with _Here(config) as here, engine.Engine(slots=cores) as ray:
    config = build.chosen(config, here.spec, here.environment.ends_early)
    agent = build.agent(config, here.spec)
    values = [np.array(variable) for variable in agent.acting_variables]
    # Who acts.
    local = here.collector(functools.partial(collect.actions_of, agent))
    acts = pool.Payload(1, ray.ray.put(values))
    with _remote(ray, 1, config, here.spec, acts) as remote:
      alone, one = _in_turns([(local, 1), (remote, 1)], options, here.played)
    yield _rate(f'{config.task}, the agent acts, local', alone)
    line = _rate(f'{config.task}, the agent acts, 1 collector', one)
    yield line | {FEEDS: 'steps_per_second'}
    yield _overhead('W11', one, alone)
    if cores > 1:
      with _remote(ray, cores, config, here.spec, acts) as remote:
        (many,) = _in_turns([(remote, cores)], options, here.played)
      yield _rate(f'{config.task}, the agent acts, {cores} collectors', many)
    # What is sent.
    ((_, episode),) = local.collect([0], int, True)
    yield from transfers.measure_with(
      ray, rows.complete(episode), values, options
    )
  yield transfers.fed(
    'W11', 'episode_steps', here.steps, 'agent steps', 'an episode'
  )
  batch, length = config.train.batch, config.train.length
  steps = config.train.updates / here.steps
  yield transfers.fed(
    'W11', 'updates_per_step', steps, '', 'updates for an agent step'
  )
  yield transfers.fed(
    *('W11', 'updates_per_version', config.train.updates),
    *('updates', 'an episode allows'),
  )
  size = batch * length * here.spec.pixels
  yield transfers.fed('W11', 'batch_bytes', size, 'bytes', 'images of a batch')
  # An update of it, and of half of it: what is left when there is no batch.
  whole, half = (
    clock.median(model.update(agent, some, length), options, warmup=3)
    for some in (batch, max(1, batch // 2))
  )
  shared = (whole.seconds - half.seconds) * batch / (batch - batch // 2)
  fixed = min(max(whole.seconds - shared, 0.0), whole.seconds)
  yield transfers.fed(
    'W11', 'update_ms', 1e3 * whole.seconds, 'ms', 'an update', whole
  )
  yield transfers.fed(
    *('W11', 'fixed_ms', 1e3 * fixed, 'ms', 'of it, however small the batch'),
    clock.noisiest(whole, half),
  )


class _Here:
  """A context with the environment that a local collector has.

  Attributes:
    environment: a worker.
    spec: of the task.
    played: agent steps of each episode that was collected.
  """

  def __init__(self, config: ml_collections.ConfigDict):
    self._config = config

  def __enter__(self) -> '_Here':
    self.environment = build.environment(self._config)
    self.spec: Spec = build.spec_of(self.environment)
    self.played: list[int] = []
    return self

  @property
  def steps(self) -> float:
    """Agent steps of an episode: the mean of all that were played."""
    return statistics.fmean(self.played)

  def __exit__(self, *unused: object) -> None:
    self.environment.close()

  def collector(
    self, acts: Callable[[int, bool, int], rollouts.Act]
  ) -> rollouts.Collector:
    """Returns a local collector."""
    return rollouts.Collector(acts, [self.environment], _say)


def _say(text: str) -> None:
  """Says how it goes; stdout is for the figures."""
  print(text, file=sys.stderr, flush=True)


@contextlib.contextmanager
def _remote(
  ray: engine.Engine,
  count: int,
  config: ml_collections.ConfigDict,
  spec: Spec,
  payload: pool.Payload | None = None,
) -> Iterator[collector.Collector]:
  """Has collectors on Ray, all of which are there."""
  limits = dict(
    timeout=workers.STEP_SECONDS, start_timeout=workers.START_SECONDS
  )
  settings = actor.Settings(
    config.to_dict(), spec.to_dict(), limits, os.getcwd()
  )
  made = pool.Pool(ray, count, settings, _LIMIT, _say)
  with contextlib.closing(made):
    while made.idle < count:
      made.poll(1.0)
    yield collector.Collector(
      *(made, 'episode', lambda: payload or pool.Payload(), payload is None)
    )


def _in_turns(
  collectors: Sequence[tuple[Collector, int]],
  options: Options,
  played: list[int],
) -> list[clock.Timing]:
  """Times the episodes of collectors, which take turns.

  Args:
    collectors: each with how many episodes it collects at once.
    options: of the benchmark.
    played: gets the agent steps of each episode.

  Returns:
    of each the seconds for an agent step, all of them together.
  """
  sizes = options.sizes['cluster']
  for made, count in collectors:
    _collect(made, count)  # Each starts its environment.
  seconds = [[] for _ in collectors]
  with clock.OtherLoad() as others:
    for _ in range(_rounds(options)):
      for times, (made, count) in zip(seconds, collectors, strict=True):
        episodes = count * sizes['episodes']
        start = time.perf_counter()
        steps = _collect(made, episodes)
        times.append((time.perf_counter() - start) / sum(steps))
        played += steps
  return [clock.summary(times, others.cores) for times in seconds]


def _collect(made: Collector, episodes: int) -> list[int]:
  """Collects so many episodes; returns the agent steps of each."""
  collected = made.collect(range(episodes), int, True)
  return [len(episode['reward']) - 1 for _, episode in collected]


def _rounds(options: Options) -> int:
  """Returns how often episodes are timed: a third of what is quick."""
  return max(2, options.repeats // 3)


def _rate(what: str, timing: clock.Timing) -> Figure:
  work = 'W10' if 'at random' in what else 'W11'
  return figure(work, what, 1 / timing.seconds, 'agent steps/s', timing)


def _overhead(work: str, one: clock.Timing, local: clock.Timing) -> Figure:
  return figure(
    work,
    'time of 1 collector beyond the local one, as a share',
    one.seconds / local.seconds - 1,
    '',
    clock.noisiest(one, local),
    ('<=', OVERHEAD),
  )
