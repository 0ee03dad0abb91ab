"""Makes the charts of open-loop errors by horizon, and of what members doubt.

Errors are those of the newest evaluation of each run: worldmodels/prediction.py
and, of several members, worldmodels/disagreement.py.
"""

import dataclasses
import re
from collections.abc import Iterator, Sequence

from worldmodels.agents.reports.chart import Chart
from worldmodels.agents.reports.chart import Points
from worldmodels.agents.reports.chart import Series
from worldmodels.agents.reports.groups import Group
from worldmodels.agents.reports.records import Record

EPISODES = {'policy': "the policy's", 'random': 'random'}


@dataclasses.dataclass(frozen=True)
class _Kind:
  """A chart for each kind of episodes.

  Attributes:
    title: before the name of the episodes.
    unit: of what is drawn.
    keys: as of _curves.
    zero: whether the axis begins there.
  """

  title: str
  unit: str
  keys: tuple[tuple[str, str, str], ...]
  zero: bool = True


_REWARDS = _Kind(
  'error of the reward, ',
  'squared error of a reward',
  (
    ('reward', 'model', ''),
    ('reward_variance', 'mean reward', 'thin'),
    ('reward_disagreement', "members' disagreement", 'dotted'),
  ),
)


def _errors(seen: str) -> _Kind:
  of = 'an image' if seen == 'image' else seen
  return _Kind(
    'open-loop error, ',
    f'half the squared error of {of}, nats',
    (
      (seen, 'model', ''),
      (f'copy_{seen}', f'copy of the last {seen} seen', 'dashed'),
      (f'mean_{seen}', f'mean {seen}', 'thin'),
      (f'{seen}_disagreement', "members' disagreement", 'dotted'),
    ),
  )


def _ranks(seen: str) -> _Kind:
  return _Kind(
    'does disagreement tell the error? ',
    'rank correlation of the two over chunks',
    (
      (f'{seen}_disagreement_correlation', seen, ''),
      ('reward_disagreement_correlation', 'reward', 'dashed'),
    ),
    zero=False,
  )


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
    wanted = [_errors(seen)]
    if any(_line(x, kind, 'reward_disagreement') for x in records):
      wanted += [_REWARDS, _ranks(seen)]
    where = f'{EPISODES.get(kind, kind)} episodes'
    found += [
      Chart(
        f'{task}: {one.title}{where}',
        'steps after the last image seen',
        one.unit,
        list(_curves(made, kind, one.keys)),
        zero=one.zero,
      )
      for one in wanted
    ]
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
