"""Compares planners on one trained model, at the same time for each action.

Each kind has the options of its paper, and as many candidates as that time
allows; its elites are the same share of them as there. What a planner is told
beside that, horizon, draws of states, proposals and value, is the run's.
"""

import inspect
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import ml_collections
import tensorflow as tf

from worldmodels import kinds
from worldmodels.agents import suited
from worldmodels.agents.agent import WorldModelAgent
from worldmodels.agents.runs import build
from worldmodels.agents.runs import evaluation
from worldmodels.data import workers
from worldmodels.spec import Spec

# Of a planner of the run's that stays as it is.
OWN = 'own'
_LEAST, _FIRST, _MOST = 4, 64, 1_000_000  # candidates
_TRIALS = 7  # counts that are timed until one is near enough
_NEAR = 0.05  # of the time that is asked for
_CALLS = 12  # that a time per action is the median of


class Row(NamedTuple):
  """A planner, and what it did.

  Attributes:
    kind: of the planner, or OWN.
    warm_start: whether its plans start from those before.
    candidates: of each refit; 0 if it has none.
    milliseconds: for each action.
    returns: of the episodes.
  """

  kind: str
  warm_start: bool
  candidates: int
  milliseconds: float
  returns: list[float]

  @property
  def mean(self) -> float:
    """Mean of the returns."""
    return statistics.fmean(self.returns)

  @property
  def std(self) -> float:
    """Deviation of the returns."""
    return statistics.pstdev(self.returns)


class Comparison:
  """A run's agent, to be given one planner after the other.

  Args:
    restored: agent of the run, with its acting weights.
    config: of the run, whose agent plans.
    spec: of its task.
    log: called with a line for each thing that takes its time.
  """

  def __init__(
    self,
    restored: WorldModelAgent,
    config: ml_collections.ConfigDict,
    spec: Spec,
    log: Callable[[str], Any],
  ):
    self._restored, self._config, self._spec = restored, config, spec
    self._log = log

  def rows(
    self,
    names: Sequence[str],
    warm_starts: Sequence[bool],
    milliseconds: float,
    environment: workers.Worker,
    seeds: Sequence[int],
  ) -> Iterator[Row]:
    """Yields a row for each planner and start.

    Args:
      names: kinds of planners; OWN for the run's as it is.
      warm_starts: False, True or both.
      milliseconds: for each action of all, but of OWN.
      environment: where they act.
      seeds: of the episodes.
    """
    for name in names:
      for warm_start in warm_starts:
        agent, candidates, taken = self._agent(name, warm_start, milliseconds)
        title = f'{name}{", warm" if warm_start else ""}'
        self._log(f'{title}: {candidates} candidates, {taken:.0f} ms an action')
        returns = evaluation.returns(agent, [environment], seeds, self._log)
        yield Row(name, warm_start, candidates, taken, returns)

  def _agent(
    self, name: str, warm_start: bool, target: float
  ) -> tuple[WorldModelAgent, int, float]:
    """Returns an agent with a planner, its candidates and milliseconds."""
    if name == OWN:
      config = self._config.copy_and_resolve_references()
      config.planner.warm_start = warm_start
      agent = self._made(config)
      return agent, config.planner.get('candidates', 0), self._time(agent)
    if 'candidates' not in _keywords(name):
      agent = self._made(planned(self._config, name, warm_start, 0))
      return agent, 0, self._time(agent)

    def timed(count: int) -> tuple[WorldModelAgent, float]:
      config = planned(self._config, name, warm_start, count)
      agent = self._made(config)
      return agent, self._time(agent)

    return _sized(timed, target)

  def _made(self, config: ml_collections.ConfigDict) -> WorldModelAgent:
    agent = build.agent(config, self._spec)
    agent.copy_from(self._restored)
    return agent

  def _time(self, agent: WorldModelAgent) -> float:
    """Returns the milliseconds that an action takes: the median.

    Where a plan is followed for some steps (`replan`), of a step of those.
    """
    followed = self._config.planner.get('replan', 1)
    observation = {
      key: tf.zeros([1, *self._spec.shape(key)]) for key in self._spec.vectors
    }
    if self._spec.image is not None:
      observation['image'] = tf.zeros([1, *self._spec.image], tf.uint8)
    observation['is_first'] = tf.constant([False])
    state, seconds = agent.initial(1), []
    for number in range(_CALLS + 2):
      start = time.perf_counter()
      for step in range(followed):
        action, state = agent.policy(
          observation, state, tf.constant(False), tf.constant([number, step])
        )
        action.numpy()  # It is there.
      seconds.append((time.perf_counter() - start) / followed)
    return 1e3 * statistics.median(seconds[2:])


def planned(
  config: ml_collections.ConfigDict,
  kind: str,
  warm_start: bool,
  candidates: int,
) -> ml_collections.ConfigDict:
  """Returns the config of a run with another planner.

  Args:
    config: of the run; it stays as it is.
    kind: of the planner.
    warm_start: whether its plans start from those before.
    candidates: of each refit.
  """
  keywords = _keywords(kind)
  options = {
    name: keyword.default
    for name, keyword in keywords.items()
    if keyword.default is not keyword.empty
  }
  if {'elites', 'candidates'} <= options.keys():
    share = options['elites'] / options['candidates']
    options['elites'] = min(candidates, max(2, round(share * candidates)))
  options |= dict(kind=kind, warm_start=warm_start)
  if 'candidates' in keywords:
    options['candidates'] = candidates
  if not suited.takes_proposals(kind):
    options['proposals'] = 0
  config = config.copy_and_resolve_references()
  with config.unlocked():
    config.planner.update(options)
  return config


def _sized(
  timed: Callable[[int], tuple[Any, float]], target: float
) -> tuple[Any, int, float]:
  """Looks for the count of candidates that takes so long.

  Args:
    timed: makes something of a count; returns it and its milliseconds.
    target: milliseconds.

  Returns:
    what comes nearest to it, its count and its milliseconds.
  """
  times, count, best, nearest = {}, _FIRST, None, math.inf
  while len(times) < _TRIALS and count not in times and nearest >= _NEAR:
    made, taken = timed(count)
    times[count] = taken
    if _apart(taken, target) < nearest:
      best, nearest = (made, count, taken), _apart(taken, target)
    count = _guess(times, target)
  return best


def _guess(times: dict[int, float], target: float) -> int:
  """Returns the count to try next, given the milliseconds of those before."""
  below = max((n for n in times if times[n] < target), default=0)
  above = min((n for n in times if times[n] >= target and n > below), default=0)
  # On the line through the two that are nearest, and not too far from them.
  nearest = sorted(times, key=lambda tried: _apart(times[tried], target))
  last = nearest[0]
  guess = last * target / times[last]
  if len(times) > 1:
    slope = (times[last] - times[nearest[1]]) / (last - nearest[1])
    if slope > 0:
      guess = last + (target - times[last]) / slope
    elif below:
      last, guess = below, below * target / times[below]
  if below and above and not below < round(guess) < above:
    guess = math.sqrt(below * above)
  guess = min(max(guess, last / 16, _LEAST), 16 * last, _MOST)
  return round(guess)


def _apart(one: float, two: float) -> float:
  return abs(math.log(one / two))


def table(rows: Sequence[Row]) -> str:
  """Returns a table of Markdown, as docs/planners.md has it."""
  lines = [
    '| planner | start | candidates | ms per action | return | +- |',
    '|---|---|---:|---:|---:|---:|',
  ]
  for row in rows:
    start = 'warm' if row.warm_start else 'cold'
    lines.append(
      f'| `{row.kind}` | {start} | {row.candidates} | {row.milliseconds:.0f} '
      f'| {row.mean:.1f} | {row.std:.1f} |'
    )
  return '\n'.join(lines)


def _keywords(kind: str) -> dict[str, inspect.Parameter]:
  """Returns the keywords of a planner, whatever it calls the others."""
  plan = kinds.find('worldmodels.agents.planners', kind, 'plan')
  parameters = inspect.signature(plan).parameters.items()
  return {name: x for name, x in parameters if x.kind == x.KEYWORD_ONLY}
