"""Runs that differ in their seed alone: they share a color and a name."""

import dataclasses
import json
from collections.abc import Sequence

from worldmodels.agents.reports.chart import COLORS
from worldmodels.agents.reports.records import Record
from worldmodels.agents.runs.run_directory import OPEN_KEYS


@dataclasses.dataclass(frozen=True)
class Group:
  """Runs that differ in their seed alone.

  Attributes:
    records: of the runs.
    color: of all their curves.
  """

  records: list[Record]
  color: str

  def name(self, shown: Sequence[Record]) -> str:
    """Names for a legend those of the runs that have a curve."""
    first = shown[0]
    if len(shown) == 1:
      return f'{first.label} ({first.kind})'
    return f'{first.kind}, mean of {len(shown)} seeds ({first.label}, …)'


def groups(records: Sequence[Record]) -> list[Group]:
  """Groups runs by their config without seed and length, in order.

  A run of 80 episodes is the beginning of one of 100.
  """
  found: dict[str, list[Record]] = {}
  for record in records:
    config = {k: v for k, v in record.config.items() if k != 'seed'}
    if isinstance(config.get('train'), dict):
      length = {key.removeprefix('train.') for key in OPEN_KEYS}
      train = config['train'].items()
      config['train'] = {k: v for k, v in train if k not in length}
    alone = not config or not record.own_config
    key = str(record.metrics) if alone else json.dumps(config, sort_keys=True)
    found.setdefault(key, []).append(record)
  return [
    Group(members, COLORS[index % len(COLORS)])
    for index, members in enumerate(found.values())
  ]
