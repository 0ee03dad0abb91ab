"""Weights & Biases: figures and films of a run, on its pages.

What `wandb login` and variables such as WANDB_MODE=offline say holds.
"""

import pathlib
from typing import Any

import numpy as np

from worldmodels.agents.runs import sink

PACKAGES = {'wandb': 'wandb'}


class Sink(sink.Sink):
  """See the base class; a run that goes on is the same run there."""

  def __init__(self, directory: pathlib.Path, config: dict[str, Any]):
    import wandb

    self._wandb = wandb
    self._run = wandb.init(
      project='worldmodels',
      id=sink.identity(directory),
      name=directory.name,
      dir=str(directory),
      config=config,
      resume='allow',
      # What the terminal shows is for the terminal.
      settings=wandb.Settings(console='off'),
    )
    # Not its own count of steps, which may not go back where a run goes on.
    self._run.define_metric('*', step_metric='env_steps')

  @staticmethod
  def errors() -> tuple[type[Exception], ...]:
    import wandb

    return (wandb.errors.Error,)

  def write(self, env_steps: int, figures: dict[str, float]) -> None:
    self._run.log({**figures, 'env_steps': env_steps})

  def film(
    self, env_steps: int, name: str, frames: np.ndarray, fps: float
  ) -> None:
    with sink.film_file(frames, fps) as path:  # `log` takes a copy.
      film = self._wandb.Video(str(path), format='gif')
      self._run.log({name: film, 'env_steps': env_steps})

  def close(self) -> None:
    self._run.finish()
