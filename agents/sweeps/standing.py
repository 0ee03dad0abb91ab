"""How far a job is: read from its run, whoever has made that.

Nothing else is kept of it. So a run that was deleted is made again, one that
was trained elsewhere counts, and a kill loses nothing.
"""

import dataclasses
import functools
import os
import pathlib
from typing import Any

from ml_collections import config_dict

from worldmodels.agents.runs import config_checks
from worldmodels.agents.runs import stored_config
from worldmodels.agents.runs.run_directory import OPEN_KEYS
from worldmodels.agents.runs.schedule import Schedule
from worldmodels.agents.sweeps import jobs
from worldmodels.agents.sweeps.jobs import Job
from worldmodels.agents.sweeps.jobs import Stage
from worldmodels.data import reading

# Bytes at the end of metrics.jsonl that hold its last lines.
_TAIL = 1 << 16
_RETURNS = ('return', 'evaluation_return', 'last_evaluation_mean')
_COUNTERS = ('episodes', 'updates', 'env_steps')
_LONGEST = 300  # characters of a line of a log

Line = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Standing:
  """How far the run of a job is.

  Attributes:
    done, total: episodes or updates, see jobs.UNITS.
    seconds: that it has taken.
    value: the newest return, or image loss of a fit; None without one.
  """

  done: int
  total: int
  seconds: float
  value: float | None


def is_done(job: Job) -> bool:
  """Returns whether all stages of a job are done."""
  return next_stage(job) is None


def next_stage(job: Job) -> Stage | None:
  """Returns the first stage that is not done; None where all are."""
  lines = last_lines(job.path / 'metrics.jsonl')
  for place, stage in enumerate(job.stages):
    if place == 0:
      done = _is_made(job, lines)
    else:
      done = _is_written(job, stage, lines)
    if not done:
      return stage
  return None


def of(job: Job) -> Standing:
  """Returns how far the run of a job is."""
  unit = jobs.UNITS[job.stages[0].name]
  key = 'train.updates_total' if unit == 'updates' else 'train.episodes'
  lines = last_lines(job.path / 'metrics.jsonl')
  if not lines:
    return Standing(0, job.budget[key], 0.0, None)
  wanted = ('image_loss',) if unit == 'updates' else _RETURNS
  values = [
    line[name]
    for line in lines
    for name in wanted
    if reading.is_number(line.get(name))
  ]
  last = lines[-1]
  scored = _read(job.path / jobs.EVALUATION) or {}
  if scored.get('checkpoint') == last['updates']:
    values += [x for x in [scored.get('mean')] if reading.is_number(x)]
  seconds = last.get('wall_seconds')
  return Standing(
    last[unit],
    job.budget[key],
    float(seconds) if reading.is_number(seconds) else 0.0,
    values[-1] if values else None,
  )


def last_lines(path: pathlib.Path) -> list[Line]:
  """Returns the last lines of a file of metrics that are whole."""
  try:
    status = path.stat()
  except OSError:
    return []
  return _last_lines(path, status.st_size, status.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _last_lines(path: pathlib.Path, size: int, changed: int) -> list[Line]:
  """Returns them of a file that is as it was: a table is drawn often."""
  del size, changed
  try:
    with reading.open_regular(path) as file:
      file.seek(max(0, reading.size(file) - _TAIL))
      texts = file.read(_TAIL).splitlines(True)
  except (OSError, reading.FileError):
    return []
  found = []
  for text in texts:
    try:
      line = reading.parsed(text, path)
    except reading.FileError:
      continue  # The first one may be cut off, the last one half written.
    if isinstance(line, dict) and all(
      reading.is_count(line.get(key)) for key in _COUNTERS
    ):
      found.append(line)
  return found


def last_words(log: pathlib.Path) -> str:
  """Returns the last line of a log that says something."""
  try:
    with open(log, 'rb') as file:
      file.seek(max(0, os.fstat(file.fileno()).st_size - (1 << 14)))
      text = file.read().decode('utf-8', 'replace')
  except OSError:
    return ''
  for line in reversed(text.splitlines()):
    said = ''.join(x if x.isprintable() else ' ' for x in line).strip()
    if said and not said.startswith('#'):
      return said[:_LONGEST]
  return ''


def _is_made(job: Job, lines: list[Line]) -> bool:
  """Returns whether a run has been trained or fitted to its end."""
  if not lines:
    return False
  config = _read(job.path / 'config.json')
  train = config.get('train') if config else None
  if not isinstance(train, dict):
    return False
  # One that goes on for longer than it did is not at its end.
  for key, value in job.budget.items():
    if train.get(key.removeprefix('train.'), 0) != value:
      return False
  if not _is_of(job, config):
    return False  # Its program says which key is another.
  last, budget = lines[-1], job.budget
  if job.stages[0].name == 'fit':
    return last['updates'] == budget['train.updates_total']
  train = {key.removeprefix('train.'): value for key, value in budget.items()}
  schedule = Schedule(config_dict.ConfigDict(train), config_dict.ConfigDict())
  seconds = last.get('wall_seconds')
  whole = (
    last['episodes'] == budget['train.episodes']
    or schedule.spent(last['env_steps'])
    or (reading.is_number(seconds) and schedule.late(seconds))
  )
  return whole and 'last_evaluation_mean' in last


def _is_of(job: Job, config: Line) -> bool:
  """Returns whether the config of a run is the one that its job asks for.

  Keys that came later, and what is left to the task, are no difference.

  Args:
    job: of the run.
    config: in its config.json.
  """
  there = config_checks.flatten(stored_config.completed(config))
  asked = {
    key: list(value) if isinstance(value, tuple) else value
    for key, value in job.asked.items()
    if key in there
  }
  free = (*OPEN_KEYS, 'preset')
  if there.get('heads.image.kind') == 'none':  # Of a task without an image.
    free += ('heads.image.kind', 'overshooting.image')
  there = {key: there[key] for key in asked}
  return not stored_config.differing(there, asked, free)


def _is_written(job: Job, stage: Stage, lines: list[Line]) -> bool:
  """Returns whether a stage has written its file, of the newest checkpoint."""
  found = _read(job.path / stage.output)
  if found is None or found.get('checkpoint') != lines[-1]['updates']:
    return False
  if stage.output == jobs.EVALUATION:
    returns = found.get('returns')
    right = isinstance(returns, list) and all(map(reading.is_number, returns))
    asked = f'--episodes={len(returns)}' if right else ''
    return asked in stage.flags and reading.is_number(found.get('mean'))
  return isinstance(found.get('vectors'), dict)


def _read(path: pathlib.Path) -> Line | None:
  """Returns the object in a file of JSON; None where there is none."""
  try:
    found = reading.json_in(path)
  except (OSError, reading.FileError):
    return None
  return found if isinstance(found, dict) else None
