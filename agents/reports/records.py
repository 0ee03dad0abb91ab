"""Reads what runs have left, whatever of it is there.

A report is made of runs that go on, of runs of earlier versions, and of records
without a checkpoint. So a config is any object of JSON here, and of a line of
metrics.jsonl what is a number counts.
"""

import dataclasses
import pathlib
from collections.abc import Sequence
from typing import Any

from worldmodels import errors
from worldmodels.agents.reports import run_files
from worldmodels.agents.reports.run_files import METRICS
from worldmodels.agents.reports.run_files import RecordError
from worldmodels.agents.runs import examples
from worldmodels.data import reading

# Bytes of metrics.jsonl: a line of an episode has a few thousand.
_LARGEST = 1 << 28
COUNTERS = ('env_steps', 'episodes', 'updates', 'wall_seconds')
# What else than its last evaluation a run may be scored by, and names of it.
EVALUATION = 'evaluation.json'
# What is said of a model by its newest audit.
AUDIT = 'audit.json'

Line = dict[str, Any]


@dataclasses.dataclass
class Record:
  """What a run has left.

  Attributes:
    path: of its directory.
    metrics: path of its file of figures.
    label: a short name, unlike that of the others in the report.
    config: its config.json; empty if there is none.
    lines: of metrics.jsonl, each with the COUNTERS.
    versions: the starts in versions.json; empty if there are none.
    evaluation: what `evaluate` printed, where it was kept; else empty.
    audit: what `audit` printed, where it was kept; else empty.
    own_config: whether that config is of this run, and of no other beside it.
    notes: in words, what is missing or damaged.
  """

  path: pathlib.Path
  metrics: pathlib.Path
  label: str = ''
  config: Line = dataclasses.field(default_factory=dict)
  lines: list[Line] = dataclasses.field(default_factory=list)
  versions: list[Line] = dataclasses.field(default_factory=list)
  evaluation: Line = dataclasses.field(default_factory=dict)
  audit: Line = dataclasses.field(default_factory=dict)
  own_config: bool = True
  notes: list[str] = dataclasses.field(default_factory=list)

  @property
  def whole(self) -> bool:
    """Whether it is a run's own directory, and not one file of figures."""
    return self.metrics.name == METRICS

  @property
  def task(self) -> str:
    """Name of the task."""
    return str(self.config.get('task') or 'unknown task')

  @property
  def kind(self) -> str:
    """Agent and preset, such as `planet:cpu`, or what the preset says."""
    agent = self.config.get('agent', 'unknown agent')
    if isinstance(agent, dict):
      agent = agent.get('kind', 'unknown agent')
    preset = self.config.get('preset')
    if isinstance(preset, str) and ':' in preset:
      return preset  # Of a file with a name of its own: `pets:small`.
    return f'{agent}:{preset}' if preset else str(agent)

  @property
  def seed(self) -> str:
    """Seed of the run; of a single file of figures it may not be known."""
    return str(self.config.get('seed', '')) if self.own_config else ''

  def curve(self, key: str) -> list[Line]:
    """Returns the lines with a figure of this name that is a number."""
    return [line for line in self.lines if reading.is_number(line.get(key))]

  def last(self, key: str) -> Line | None:
    """Returns the last line with a list of numbers of this name."""
    for line in reversed(self.lines):
      values = line.get(key)
      if isinstance(values, list) and values:
        if all(value is None or reading.is_number(value) for value in values):
          return line
    return None

  def score(self) -> tuple[float, float | None, int, str] | None:
    """Returns what the run is scored by.

    Returns:
      (mean, standard deviation or None, episodes, where it is from): of
      `evaluate`, else of the evaluation at its end, else of the newest one.
    """
    found = self.evaluation
    if reading.is_number(found.get('mean')) and not self._is_passed(found):
      return _score(found, 'mean', 'std', 'returns', 'evaluate')
    if ends := self.curve('last_evaluation_mean'):
      keys = (f'last_evaluation_{x}' for x in ('mean', 'std', 'returns'))
      return _score(ends[-1], *keys, 'end of the run')
    if newest := self.curve('evaluation_return'):
      evaluate = self.config.get('evaluate')
      count = evaluate.get('episodes') if isinstance(evaluate, dict) else None
      count = count if reading.is_count(count) else 0
      return newest[-1]['evaluation_return'], None, count, 'newest evaluation'
    return None

  def _is_passed(self, evaluation: Line) -> bool:
    """Returns whether the run has evaluated itself after an evaluation."""
    of = evaluation.get('checkpoint')
    keys = ('last_evaluation_mean', 'evaluation_return')
    later = [line['updates'] for key in keys for line in self.curve(key)]
    return reading.is_count(of) and max(later, default=0) > of


def read(paths: Sequence[str]) -> list[Record]:
  """Reads runs.

  Args:
    paths: of directories of runs, of files of metrics, or of directories that
      hold some of these.

  Returns:
    A Record of each, no one twice.

  Raises:
    RecordError: there is nothing of a run. One of several that is damaged is
      left out, and its record has a note.
    OptionError: there are no paths.
    OSError: it cannot be read.
  """
  if not paths:
    raise errors.OptionError('--logdir', 'is empty; it names runs')
  found = [x for path in paths for x in run_files.find(examples.located(path))]
  places = {metrics.resolve(): metrics for metrics in reversed(found)}
  records = []
  for metrics in dict.fromkeys(places[x.resolve()] for x in found):
    record = Record(metrics.parent, metrics)
    records.append(record)
    try:
      _fill(record)
    except (errors.UserError, OSError) as error:
      if len(places) == 1:
        raise
      record.notes.append(f'no figures: {error}')
  name(records)
  return records


def _fill(record: Record) -> None:
  """Reads what there is of a run."""
  metrics = record.metrics
  # Beside a single file of figures: FILE_config.json and so on.
  own = '' if record.whole else f'{metrics.stem}_'

  def beside(name: str, kind: type) -> Any:  # noqa: ANN401 (of `kind`)
    return record_json(record, metrics.parent / f'{own}{name}', kind)

  record.config = beside('config.json', dict)
  record.own_config = record.whole or bool(record.config)
  if not record.own_config:
    record.config = record_json(record, metrics.parent / 'config.json', dict)
  starts = beside('versions.json', list)
  record.versions = [start for start in starts if isinstance(start, dict)]
  record.evaluation = beside(EVALUATION, dict)
  if record.whole:
    record.audit = record_json(record, metrics.parent / AUDIT, dict)
  if not record.config:
    record.notes.append('there is no config.json')
  elif not record.own_config:
    record.notes.append(
      f'of {metrics.name}; the config is that of {METRICS} beside it, from '
      'which this run may differ'
    )
  record.lines = _lines(record)


def record_json(record: Record, path: pathlib.Path, kind: type) -> Any:  # noqa: ANN401 (of `kind`)
  """Returns what a file holds; where it is no such thing, notes that.

  Args:
    record: gets the note.
    path: of a file of JSON.
    kind: dict or list.

  Returns:
    Its value, or an empty one.
  """
  try:
    found = reading.json_in(path)
  except FileNotFoundError:
    return kind()
  except reading.FileError as error:
    record.notes.append(str(error))
    return kind()
  if isinstance(found, kind):
    return found
  record.notes.append(f'{path} is damaged: it is no {kind.__name__}')
  return kind()


def _lines(record: Record) -> list[Line]:
  """Returns the lines of a record that have all counters."""
  try:
    content = reading.bytes_in(record.metrics, _LARGEST)
  except FileNotFoundError:
    record.notes.append('there are no figures yet')
    return []
  texts = content.splitlines(True)
  lines, wrong = [], 0
  for text in texts:
    line = _line(text, record.metrics)
    if line is not None:
      lines.append(line)
    elif text is not texts[-1] or text.endswith(b'\n'):
      wrong += 1  # The last one may be half written.
  if not lines and (wrong or not record.whole):
    raise RecordError(f'{record.metrics} has no line that a run has written')
  if wrong:
    record.notes.append(
      f'{wrong} of {len(texts)} lines of {record.metrics.name} are damaged and '
      'left out'
    )
  if not texts:
    record.notes.append('there are no figures yet')
  return lines


def _line(text: bytes, path: pathlib.Path) -> Line | None:
  try:
    line = reading.parsed(text, path)
  except reading.FileError:
    return None
  good = isinstance(line, dict) and all(
    reading.is_number(line.get(key)) and line[key] >= 0 for key in COUNTERS
  )
  return line if good else None


def _score(
  line: Line, mean: str, std: str, returns: str, source: str
) -> tuple[float, float | None, int, str]:
  spread, values = line.get(std), line.get(returns)
  return (
    float(line[mean]),
    float(spread) if reading.is_number(spread) else None,
    len(values) if isinstance(values, list) else 0,
    source,
  )


def name(records: Sequence[Record]) -> None:
  """Gives each record the shortest end of its path that no other has."""
  parts = []
  for record in records:
    path = record.path.resolve()
    parts.append(
      path.parts if record.whole else (*path.parts, record.metrics.stem)
    )
  for record, own in zip(records, parts):
    count = 1 if record.whole else 2
    while (
      count < len(own) and sum(x[-count:] == own[-count:] for x in parts) > 1
    ):
      count += 1
    record.label = '/'.join(own[-count:])
