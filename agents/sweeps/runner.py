"""Runs the jobs of a sweep: each from where it is, as many at once as allowed.

One that fails is left, with the last line of its log, and the others go on.
"""

import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

from worldmodels.agents.sweeps import local
from worldmodels.agents.sweeps import standing
from worldmodels.agents.sweeps.jobs import Job
from worldmodels.agents.sweeps.jobs import Stage

WAITING, RUNNING, DONE, FAILED = 'waiting', 'running', 'done', 'failed'
_POLL_SECONDS = 0.2
_UNFINISHED = '.part'  # after the name of a file that a stage is printing


@dataclasses.dataclass
class Entry:
  """A job, and what is known of it.

  Attributes:
    job: to be done.
    state: one of those above.
    stage: that is under way, or that failed.
    said: why it failed.
  """

  job: Job
  state: str = WAITING
  stage: str = ''
  said: str = ''


class Runner:
  """Runs jobs.

  Attributes:
    entries: of the jobs, in order.

  Args:
    jobs: to be done; those that are done already are not begun.
    place: where their commands run, such as Local.
    tell: called with an entry whenever its state or stage has changed.
    look: called again and again while they run.
  """

  def __init__(
    self,
    jobs: Sequence[Job],
    place: local.Local,
    tell: Callable[[Entry], Any] = lambda entry: None,
    look: Callable[[], Any] = lambda: None,
  ):
    self.entries = [Entry(job) for job in jobs]
    self._place = place
    self._tell = tell
    self._look = look
    self._running: list[tuple[Entry, Stage, local.Command]] = []

  def run(self) -> None:
    """Runs all; at the end of this, however it ends, none runs any more."""
    for entry in self.entries:
      if standing.is_done(entry.job):
        entry.state = DONE
    waiting = [entry for entry in self.entries if entry.state == WAITING]
    try:
      while waiting or self._running:
        while waiting and self._place.free:
          self._go_on(waiting.pop(0))
        self._look()
        if self._running:
          time.sleep(_POLL_SECONDS)
        for item in [*self._running]:
          status = item[2].ended()
          if status is not None:
            self._running.remove(item)
            self._place.leave(item[2])
            self._end(*item[:2], status)
    finally:
      local.stop([command for *_, command in self._running])
      for entry in self.entries:
        if entry.state == RUNNING:  # To be continued.
          entry.state, entry.stage = WAITING, ''
    self._look()

  def _go_on(self, entry: Entry, after: Stage | None = None) -> None:
    """Starts the next stage of a job; without one it is done.

    Args:
      entry: of the job.
      after: the stage that has just ended well.
    """
    stage = standing.next_stage(entry.job)
    if stage is None:
      self._change(entry, DONE, '')
    elif stage == after:
      self._change(entry, FAILED, stage.name, 'it has left nothing of its end')
    else:
      self._change(entry, RUNNING, stage.name)
      try:
        command = self._start(entry.job, stage)
      except OSError as error:
        self._change(
          entry, FAILED, stage.name, f'{error.filename}: {error.strerror}'
        )
      else:
        self._running.append((entry, stage, command))

  def _start(self, job: Job, stage: Stage) -> local.Command:
    job.path.parent.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now().astimezone().isoformat(' ', 'seconds')
    with open(job.log, 'a') as log:
      log.write(f'# {now} {stage.command}\n')
    output = stage.output and _unfinished(job, stage)
    return self._place.start(stage.name, stage.flags, job.log, output)

  def _end(self, entry: Entry, stage: Stage, status: int) -> None:
    """Does what follows on the end of a command."""
    if status:
      said = standing.last_words(entry.job.log).removeprefix('error: ')
      how = _how(status)
      self._change(
        *(entry, FAILED, stage.name), '; '.join(filter(None, [how, said]))
      )
      return
    if stage.output:
      with contextlib.suppress(OSError, ValueError):
        printed = _unfinished(entry.job, stage)
        json.loads(printed.read_bytes())
        os.replace(printed, entry.job.path / stage.output)
    self._go_on(entry, stage)

  def _change(
    self, entry: Entry, state: str, stage: str, said: str = ''
  ) -> None:
    entry.state, entry.stage, entry.said = state, stage, said
    self._tell(entry)


def _unfinished(job: Job, stage: Stage) -> pathlib.Path:
  return job.path / f'{stage.output}{_UNFINISHED}'


def _how(status: int) -> str:
  """Says how a command has ended that has not said it itself."""
  if status >= 0:
    return ''
  try:
    name = signal.Signals(-status).name
  except ValueError:
    name = f'signal {-status}'
  hint = ', as where memory runs out' * (-status == signal.SIGKILL)
  return f'ended by {name}{hint}'
