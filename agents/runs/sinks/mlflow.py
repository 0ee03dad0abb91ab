"""MLflow: figures and films of a run, where MLFLOW_TRACKING_URI says."""

import pathlib
from typing import Any

import numpy as np

from worldmodels.agents.runs import config_checks
from worldmodels.agents.runs import sink

# `mlflow` has the same module, and a page to look at it.
PACKAGES = {'mlflow': 'mlflow'}

_TAG = 'worldmodels.run'
_MOST = 500  # letters of a value of the config


class Sink(sink.Sink):
  """See the base class; a run that goes on is the same run there."""

  def __init__(self, directory: pathlib.Path, config: dict[str, Any]):
    import mlflow

    self._client = mlflow.MlflowClient()
    name = 'worldmodels'
    experiment = self._client.get_experiment_by_name(name)
    number = (
      experiment.experiment_id
      if experiment
      else self._client.create_experiment(name)
    )
    identity = sink.identity(directory)
    known = self._client.search_runs([number], f"tags.`{_TAG}` = '{identity}'")
    if known:
      self._run = known[0].info.run_id
      self._client.update_run(self._run, status='RUNNING')
      return
    run = self._client.create_run(
      number, tags={_TAG: identity}, run_name=directory.name
    )
    self._run = run.info.run_id
    for key, value in config_checks.flatten(config).items():
      self._client.log_param(self._run, key, str(value)[:_MOST])

  @staticmethod
  def errors() -> tuple[type[Exception], ...]:
    import mlflow

    return (mlflow.exceptions.MlflowException,)

  def write(self, env_steps: int, figures: dict[str, float]) -> None:
    for name, value in figures.items():
      self._client.log_metric(self._run, name, value, step=env_steps)

  def film(
    self, env_steps: int, name: str, frames: np.ndarray, fps: float
  ) -> None:
    folder = f'{name}/{env_steps}'
    with sink.film_file(frames, fps) as path:
      self._client.log_artifact(self._run, str(path), folder)

  def close(self) -> None:
    self._client.set_terminated(self._run)
