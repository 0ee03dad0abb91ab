"""Rerun: figures and films of a run in RUN/rerun/*.rrd, for its viewer.

Each start of a run writes a file; the viewer shows those of one run as one:
`rerun RUN/rerun/*.rrd`.
"""

import pathlib
import time
from typing import Any

import numpy as np

from worldmodels.agents.runs import sink

PACKAGES = {'rerun': 'rerun-sdk'}


class Sink(sink.Sink):
  """See the base class."""

  def __init__(self, directory: pathlib.Path, config: dict[str, Any]):
    import rerun

    del config  # The run has it beside this.
    folder = directory / 'rerun'
    folder.mkdir(exist_ok=True)
    self._rerun = rerun
    self._recording = rerun.RecordingStream(
      'worldmodels', recording_id=sink.identity(directory)
    )
    self._recording.save(folder / f'{time.time_ns()}.rrd')

  def write(self, env_steps: int, figures: dict[str, float]) -> None:
    self._recording.set_time('env_steps', sequence=env_steps)
    for name, value in figures.items():
      self._recording.log(name, self._rerun.Scalars(value))

  def film(
    self, env_steps: int, name: str, frames: np.ndarray, fps: float
  ) -> None:
    del fps
    self._recording.set_time('env_steps', sequence=env_steps)
    for step, frame in enumerate(frames):
      self._recording.set_time('frame', sequence=step)
      self._recording.log(name, self._rerun.Image(frame).compress())
    self._recording.disable_timeline('frame')

  def close(self) -> None:
    self._recording.flush()
