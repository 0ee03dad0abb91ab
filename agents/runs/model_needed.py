"""Says, before anything is started, that an agent has no world model."""

import pathlib

import ml_collections

from worldmodels.agents.runs import build
from worldmodels.agents.runs.stored_config import RunError


def has_model(config: ml_collections.ConfigDict) -> bool:
  """Returns whether the agent of a checked config has a world model."""
  return build.MODEL[0] in config


def check(
  config: ml_collections.ConfigDict, path: pathlib.Path, lacking: str
) -> None:
  """Raises RunError if the agent of a run has no world model.

  Args:
    config: of the run.
    path: of the run.
    lacking: what there is not without one, and what there is.
  """
  if not has_model(config):
    raise RunError(
      f'{path} is a run of {config.agent.kind!r}, an agent without a world '
      f'model: {lacking}'
    )
