"""The folder of a sweep.

  sweep.json           the settings, and which runs there are
  SETTING/TASK/seed_N  a run; beside it seed_N.log, what its programs printed
  claim.json           while it goes on: by whom; see data/claim.py
  episodes/TASK        of stored episodes, with the true states of the task
  table.csv, table.md  what came of the runs
  report.html          their curves; scores.csv, a row for each evaluation

sweep.json says what a setting is, so that two sweeps do not mix, and what is in
the tables. How far a run is stands in the run alone: see standing.py.
"""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from worldmodels import errors
from worldmodels.agents.runs.run_directory import OPEN_KEYS
from worldmodels.agents.sweeps import jobs
from worldmodels.agents.sweeps.jobs import Job
from worldmodels.agents.sweeps.jobs import Setting
from worldmodels.data import atomic
from worldmodels.data import claim
from worldmodels.data import reading

NAME = 'sweep.json'
TABLE, MARKDOWN = 'table.csv', 'table.md'
REPORT, SCORES = 'report.html', 'scores.csv'
EPISODES = 'episodes'
_OURS = (claim.NAME, TABLE, MARKDOWN, REPORT, SCORES, EPISODES)


class SweepError(errors.UserError, ValueError):
  """The folder is of no such sweep; the message is one line."""


class SweepDirectory:
  """The folder of a sweep.

  Attributes:
    path: of the folder.
    runs: {path of a run: {setting, task, seed, command}}, those of earlier
      commands as well.

  Args:
    path: of the folder, new or of a sweep that goes on.
  """

  def __init__(self, path: pathlib.Path):
    self.path = path
    self.runs: dict[pathlib.Path, dict[str, Any]] = {}
    self._claim: claim.Claim | None = None

  def begin(
    self,
    settings: Sequence[Setting],
    made: Sequence[Job],
    data: Mapping[str, str],
  ) -> None:
    """Claims the folder and notes what is to be done; else changes nothing.

    Args:
      settings: of the sweep.
      made: its jobs.
      data: {task: path} of stored episodes; nothing of live runs.

    Raises:
      SweepError: it is of another sweep, or of something else; or another
        program is sweeping in it.
      OSError: it cannot be written.
    """
    self._check(settings, data)  # Nothing is written into what is not ours.
    self.path.mkdir(parents=True, exist_ok=True)
    try:
      self._claim = claim.Claim(self.path, 'is sweeping in')
    except claim.ClaimError as error:
      raise SweepError(str(error)) from error
    stored = self._check(settings, data)
    for setting in settings:
      stored['settings'][setting.name] = _noted(setting)
    stored['data'].update(data)
    for job in made:
      run = dict(setting=job.setting, task=job.task, seed=job.seed)
      place = str(job.path.relative_to(self.path))
      there = stored['runs'].get(place, run)
      if there.get('task') != job.task:
        raise SweepError(
          f'{self.path / place} is of task {there.get("task")!r}, and that of '
          f'{job.task!r} would be there too: give another --logdir'
        )
      stored['runs'][place] = run | {'command': job.command}
    self.runs = {self.path / x: run for x, run in stored['runs'].items()}
    text = json.dumps(stored, indent=1) + '\n'
    atomic.write_bytes(self.path / NAME, text.encode())

  def leave(self) -> None:
    """Ends the claim."""
    if self._claim is not None:
      self._claim.release()

  def _check(
    self, settings: Sequence[Setting], data: Mapping[str, str]
  ) -> dict[str, Any]:
    """Returns what is noted here; raises SweepError if it does not suit."""
    path = self.path
    if path.exists() and not path.is_dir():
      raise SweepError(f'--logdir={path} is no directory')
    for name in ('config.json', 'metrics.jsonl'):
      if (path / name).is_file():
        raise SweepError(
          f'{path} is a run, not the folder of a sweep: give another --logdir'
        )
    stored = self._read()
    if stored is None:
      self._check_empty(settings)
      return {'settings': {}, 'data': {}, 'runs': {}}
    if stored['runs'] and bool(stored['data']) != bool(data):
      kinds = ('runs of a task', 'fits of stored episodes')
      raise SweepError(
        f'{path} is a sweep of {kinds[bool(stored["data"])]}, not of '
        f'{kinds[bool(data)]}: give another --logdir'
      )
    for task, source in data.items():
      there = stored['data'].get(task, source)
      if there != source:
        raise SweepError(
          f'{path} is a sweep of the episodes of {there}, not of {source}: '
          'give another --logdir'
        )
    for setting in settings:
      self._check_setting(setting, stored['settings'].get(setting.name))
    return stored

  def _check_setting(self, setting: Setting, there: Any) -> None:  # noqa: ANN401 (of a file)
    """Raises SweepError where a setting is not what it was."""
    if there is None:
      return
    asked = _noted(setting)
    if not isinstance(there, dict):
      raise _damaged(self.path / NAME, f'{setting.name} is no setting')
    for key in sorted(there.keys() | asked.keys()):
      if there.get(key) != asked.get(key) and key not in OPEN_KEYS:
        values = [x.get(key, 'as it comes') for x in (there, asked)]
        raise SweepError(
          f'{self.path} has another setting {setting.name!r} ({key}: '
          f'{values[0]} there, {values[1]} asked): give it another name, or '
          'another --logdir'
        )

  def _check_empty(self, settings: Sequence[Setting]) -> None:
    """Raises SweepError for a directory that holds something else."""
    if not self.path.is_dir():
      return
    known = {*_OURS, *(setting.name for setting in settings)}
    for entry in self.path.iterdir():
      left = entry.name.startswith((f'{NAME}.', f'{claim.NAME}.'))
      if entry.name not in known and not left:
        raise SweepError(
          f'{self.path} is not empty and holds no {NAME}: not the folder of a '
          'sweep'
        )

  def _read(self) -> dict[str, Any] | None:
    """Returns what sweep.json says; None where there is none."""
    path = self.path / NAME
    try:
      found = reading.json_in(path)
    except (FileNotFoundError, NotADirectoryError):
      return None
    except reading.FileError as error:
      raise _damaged(path, str(error)) from error
    groups = ('settings', 'data', 'runs')
    if not isinstance(found, dict) or not all(
      isinstance(found.get(group), dict) for group in groups
    ):
      raise _damaged(path, 'it does not say what the sweep is')
    for place, run in found['runs'].items():
      if not isinstance(run, dict) or not (
        isinstance(run.get('setting'), str)
        and isinstance(run.get('task'), str)
        and isinstance(run.get('command'), str)
        and reading.is_count(run.get('seed'))
        and place == _place(run)
      ):
        raise _damaged(path, f'{place[:80]!r} is no run')
    return {group: found[group] for group in groups}


def _place(run: Mapping[str, Any]) -> str:
  return f'{run["setting"]}/{jobs.folder(run["task"])}/seed_{run["seed"]}'


def _noted(setting: Setting) -> dict[str, Any]:
  """Returns what a setting is, as JSON has it."""
  values = {'config': setting.config, **setting.values}
  return json.loads(json.dumps(values))


def _damaged(path: pathlib.Path, why: str) -> SweepError:
  why = why.removeprefix(f'{path} is damaged: ')
  return SweepError(
    f'{path} is damaged: {why}; remove it, and the same command goes on with '
    'the runs that are there'
  )
