"""Configs that do not suit their tasks, for bad_input_test."""

import ml_collections

from worldmodels.configs import planet


def get_config(preset: str) -> ml_collections.ConfigDict:
  """Returns the config of `preset`."""
  return globals()[preset]()


def velocity():
  """Predicts a vector, whose name in environment.vectors was forgotten."""
  config = planet.get_config('debug')
  config.task = 'hill'
  config.heads.velocity = dict(kind='normal', scale=1.0, units=16, layers=1)
  return config
