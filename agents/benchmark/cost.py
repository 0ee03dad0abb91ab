"""What a cluster would do: the cost model at many sizes, as figures.

First how many collectors it takes until each resource limits them, for several
numbers of learners; then what collectors and learners do together, simulated,
and what collectors do whose learners are never late.
Nothing is timed here: the figures are those of --measured, else those of
docs/cluster_figures.md, and --assume says others.
"""

import dataclasses
import json
import math
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence

from worldmodels import errors
from worldmodels.agents.benchmark import cluster_simulation
from worldmodels.agents.benchmark import cost_model
from worldmodels.agents.benchmark.cost_model import Cluster
from worldmodels.agents.benchmark.figures import Figure
from worldmodels.agents.benchmark.figures import figure
from worldmodels.agents.benchmark.options import Options

# A figure with this key is one of the attributes of Cluster.
FEEDS = 'cost_model'
_COUNTS = ('episode_steps', 'versions_kept', 'ahead', 'per_node')
_MOST_AHEAD = 100
_MAY_BE_NONE = (
  *('lease_ms', 'take_ms', 'append_ms', 'publish_ms', 'load_ms', 'fixed_ms'),
  *('all_reduce_ms', 'gradient_bytes', 'batch_bytes', 'parameter_bytes'),
  *('episode_bytes', 'versions_kept'),
)


def measure(options: Options) -> Iterator[Figure]:
  """Yields how many collectors are enough, and what they do together."""
  cluster, sizes = options.cluster, options.sizes['cluster']
  for learners in sizes['learners']:
    yield figure(
      'cost',
      f'an update of {_count(learners, "learner")}',
      cluster.update_seconds(learners) * 1e3,
      'ms',
    )
  yield figure(
    'cost',
    'learners with whom an update is shortest',
    cluster.best_learners(max(sizes['learners'])),
    'learners',
  )
  for learners in sizes['learners']:
    yield from _breaking_points(cluster, learners)
  for learners in sizes['learners']:
    for collectors in sizes['collectors']:
      who = _count(learners, 'learner')
      yield _together(cluster, collectors, learners, who)
  # What breaks next where learners are not what does.
  for collectors in sizes['collectors']:
    yield _together(_following(cluster), collectors, 1, 'learners that follow')


def cluster_of(measured: str | None, assumed: Sequence[str]) -> Cluster:
  """Returns the cluster that flags describe.

  Args:
    measured: file of --json with figures for the model, or an object {name:
      number} in JSON; None for the default ones.
    assumed: NAME=VALUE of attributes of Cluster, which count more.

  Raises:
    OptionError: there is no such file, name or value.
  """
  values = {} if measured is None else _read(measured)
  for text in assumed:
    name, sign, value = text.partition('=')
    if not sign:
      raise errors.OptionError('--assume', f'has {text!r}; it is NAME=VALUE')
    values[name] = value
  checked = dict(_checked(values))
  if not checked:
    return Cluster()
  cluster = dataclasses.replace(Cluster(), **checked)
  if cluster.fixed_ms > cluster.update_ms:
    raise errors.OptionError(
      '--assume',
      f'has fixed_ms of {cluster.fixed_ms:g}; it is a part of update_ms, which '
      f'is {cluster.update_ms:g}',
    )
  if cluster.updates_per_episode < 1:
    raise errors.OptionError(
      'updates_per_step',
      f'is {cluster.updates_per_step:g}; an episode of {cluster.episode_steps} '
      'steps has to allow an update',
    )
  room = cluster.store_gb * 1e9 - (
    cluster.versions_kept * cluster.parameter_bytes
  )
  if room < cluster.episode_bytes:
    raise errors.OptionError(
      '--assume',
      f'has store_gb of {cluster.store_gb:g}; beside the parameters it does '
      'not hold one episode',
    )
  return cluster


def _read(path: str) -> Mapping[str, object]:
  """Returns {attribute: value} of a file."""
  try:
    found = json.loads(pathlib.Path(os.path.expanduser(path)).read_text())
  except OSError as error:
    problem = f'is {path!r}, which cannot be read: {error.strerror}'
    raise errors.OptionError('--measured', problem) from error
  except ValueError as error:
    problem = f'is {path!r}, which is no JSON: {error}'
    raise errors.OptionError('--measured', problem) from error
  if isinstance(found, dict) and isinstance(found.get('figures'), list):
    found = {
      line[FEEDS]: line.get('value')
      for line in found['figures']
      if isinstance(line, dict) and FEEDS in line
    }
    if not found:
      raise errors.OptionError(
        '--measured',
        f'is {path!r}, which has no figure for the model: `worldmodels '
        'benchmark --work=collectors --json=FILE` writes some',
      )
  if not isinstance(found, dict):
    raise errors.OptionError(
      '--measured', f'is {path!r}; it holds no object of figures'
    )
  return found


def _checked(
  values: Mapping[str, object],
) -> Iterator[tuple[str, float | int]]:
  """Yields names and numbers that Cluster takes."""
  names = [field.name for field in dataclasses.fields(Cluster)]
  for name, value in values.items():
    if name not in names:
      raise errors.OptionError(
        f'{name!r}', f'is no figure of the model: {", ".join(names)}'
      )
    one = name in _COUNTS or name == 'lead'
    least = 0 if name in _MAY_BE_NONE else 1 if one else None
    most = _MOST_AHEAD if name == 'ahead' else math.inf
    try:
      if isinstance(value, bool):
        raise TypeError
      number = float(value)
      if not math.isfinite(number):
        raise ValueError
      if name in _COUNTS and number != int(number):
        raise ValueError
    except (TypeError, ValueError, OverflowError) as error:
      kind = 'a whole number' if name in _COUNTS else 'a number'
      raise errors.OptionError(name, f'is {value!r}; it is {kind}') from error
    if number <= 0 if least is None else number < least:
      bound = 'more than 0' if least is None else f'at least {least}'
      raise errors.OptionError(name, f'is {number:g}; it is {bound}')
    if number > most:
      raise errors.OptionError(name, f'is {number:g}; it is at most {most}')
    yield name, int(number) if name in _COUNTS else number


def _breaking_points(cluster: Cluster, learners: int) -> Iterable[Figure]:
  """Returns the collectors that each resource is enough for, fewest first."""
  points = {
    text: cluster.breaking_point(name, learners)
    for name, text in (
      cost_model.RESOURCES | {cost_model.OBJECT_STORE: 'object store, full'}
    ).items()
    if name != 'collectors'
  }
  found = {text: point for text, point in points.items() if point is not None}
  for text, point in sorted(found.items(), key=lambda pair: pair[1]):
    yield figure(
      'cost', f'{_count(learners, "learner")}: {text}', point, 'collectors'
    )


def _following(cluster: Cluster) -> Cluster:
  """Returns a cluster whose learners always keep up with its collectors."""
  return dataclasses.replace(
    cluster, update_ms=1e-6, fixed_ms=0.0, publish_ms=0.0
  )


def _together(
  cluster: Cluster, collectors: int, learners: int, who: str
) -> Figure:
  """Returns what they do, in agent steps per second, and what limits them."""
  outcome = cluster_simulation.simulate(cluster, collectors, learners)
  name, bound = cluster.bound(collectors, learners)
  one = cluster.limits(1, learners)['collectors']
  return figure(
    'cost',
    f'{_count(collectors, "collector")}, {who}: {cost_model.RESOURCES[name]}',
    outcome.steps_per_second,
    'agent steps/s',
    bound=bound,
    linear=outcome.steps_per_second / (collectors * one),
    updates=outcome.updates_per_second,
    age=outcome.age,
    stored_gb=outcome.stored_bytes / 1e9,
  )


def _count(number: int, thing: str) -> str:
  return f'{number} {thing}{"" if number == 1 else "s"}'
