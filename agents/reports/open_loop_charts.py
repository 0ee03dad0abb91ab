"""Makes the charts of open-loop errors by horizon, and of what members doubt.

Errors are those of the newest evaluation of each run: worldmodels/prediction.py
and, of several members, worldmodels/disagreement.py.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from worldmodels.agents.reports.chart import Chart
from worldmodels.agents.reports.chart import Points
from worldmodels.agents.reports.chart import Series
from worldmodels.agents.reports.records import Record

EPISODES = {'policy': "the policy's", 'random': 'random'}
_STEPS = 'steps after the last image seen'


class Group(Protocol):
  """Runs of one color; see figures.py."""

  records: Sequence[Record]
  color: str


def charts(task: str, made: Sequence[Group]) -> list[Chart]:
  """Makes the charts of each kind of episodes that was measured.

  Args:
    task: its name.
    made: groups of runs.

  Returns:
    for each kind the error of the image, or of the first vector where there are
    no images; of runs of several members also the error of the reward, and how
    well disagreement ranks both errors.
  """
  records = [record for group in made for record in group.records]
  found = []
  for kind, seen in _measured(records).items():
    where = f'{EPISODES.get(kind, kind)} episodes'
    found.append(_errors(task, made, kind, seen, where))
    if any(_line(x, kind, 'reward_disagreement') for x in records):
      found.append(_rewards(task, made, kind, where))
      found.append(_ranks(task, made, kind, seen, where))
  return found


def _measured(records: Sequence[Record]) -> dict[str, str]:
  """Returns {kind of episodes: what is seen of it}, the known kinds first."""
  keys = dict.fromkeys(
    key for record in records for line in record.lines for key in line
  )
  images = [re.fullmatch(r'open_loop_(\w+)_(image)', key) for key in keys]
  images = [x for x in images if x and not re.search('(copy|mean)$', x[1])]
  vectors = [re.fullmatch(r'open_loop_(\w+?)_copy_(\w+)', key) for key in keys]
  vectors = [x for x in vectors if x and x[2] != 'reward']
  found = {}
  for kind, seen in (match.groups() for match in [*images, *vectors]):
    if any(_line(record, kind, seen) for record in records):
      found.setdefault(kind, seen)
  known = [kind for kind in EPISODES if kind in found]
  order = [*known, *sorted(found.keys() - EPISODES.keys())]
  return {kind: found[kind] for kind in order}


def _line(record: Record, kind: str, key: str) -> Points:
  """Returns the newest figures of a run by horizon; none if it has none."""
  key = f'open_loop_{kind}_{key}'
  line = record.last(key)
  return [
    (step, float('nan') if value is None else float(value))
    for step, value in enumerate(line[key] if line else (), 1)
  ]


def _curves(
  made: Sequence[Group], kind: str, keys: Sequence[tuple[str, str, str]]
) -> Iterator[Series]:
  """Yields the curves of all runs.

  Args:
    made: groups of runs.
    kind: of episodes.
    keys: (key, what it is, how it is drawn) of each; the first is named by its
      run, and the others, of the same episodes, once for all.
  """
  named = set()
  for group in made:
    for record in group.records:
      for index, (key, name, how) in enumerate(keys):
        points = _line(record, kind, key)
        if not points:
          continue
        if not index:
          label = f'{name} of {record.label}'
          yield Series(label, points, group.color, 2.5, dots=True)
          continue
        label = '' if key in named else f'{name} ({how}, in its color)'
        named.add(key)
        style = dict(dashed=how == 'dashed', dots=how == 'dotted')
        width = 1.5 if how == 'dashed' else 1.0
        yield Series(label, points, group.color, width, **style)


def _errors(
  task: str, made: Sequence[Group], kind: str, seen: str, where: str
) -> Chart:
  keys = (
    (seen, 'model', ''),
    (f'copy_{seen}', f'copy of the last {seen} seen', 'dashed'),
    (f'mean_{seen}', f'mean {seen}', 'thin'),
    (f'{seen}_disagreement', "members' disagreement", 'dotted'),
  )
  of = 'an image' if seen == 'image' else seen
  return Chart(
    f'{task}: open-loop error, {where}',
    _STEPS,
    f'half the squared error of {of}, nats',
    list(_curves(made, kind, keys)),
    zero=True,
  )


def _rewards(task: str, made: Sequence[Group], kind: str, where: str) -> Chart:
  keys = (
    ('reward', 'model', ''),
    ('reward_variance', 'mean reward', 'thin'),
    ('reward_disagreement', "members' disagreement", 'dotted'),
  )
  return Chart(
    f'{task}: error of the reward, {where}',
    _STEPS,
    'squared error of a reward',
    list(_curves(made, kind, keys)),
    zero=True,
  )


def _ranks(
  task: str, made: Sequence[Group], kind: str, seen: str, where: str
) -> Chart:
  keys = (
    (f'{seen}_disagreement_correlation', seen, ''),
    ('reward_disagreement_correlation', 'reward', 'dashed'),
  )
  return Chart(
    f'{task}: does disagreement tell the error? {where}',
    _STEPS,
    'rank correlation of the two over chunks',
    list(_curves(made, kind, keys)),
  )
