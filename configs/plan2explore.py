"""Plan2Explore (Sekar et al., 2020) with PlaNet's planner: presets.

  --config=plan2explore:cpu     as planet:cpu, collected by curiosity
  --config=plan2explore:small   the same of planet:small
  --config=plan2explore:debug   every part of the program in a minute

What is not named here is as in configs/planet.py. [P] is the paper, [C] its
code (ramanans1/plan2explore).
"""

from ml_collections import config_dict

from worldmodels.configs import planet


def get_config(preset: str = 'cpu') -> config_dict.ConfigDict:
  """Returns the config of `preset`."""
  if preset not in PRESETS:
    raise ValueError(
      f'no preset {preset!r} of plan2explore; there are {", ".join(PRESETS)}'
    )
  return PRESETS[preset]()


def cpu() -> config_dict.ConfigDict:
  """Returns the recipe for two cores."""
  return _curious(planet.cpu())


def small() -> config_dict.ConfigDict:
  """Returns a config that explores small tasks in minutes."""
  config = _curious(planet.small())
  config.curiosity.units = 64
  return config


def debug() -> config_dict.ConfigDict:
  """Returns a tiny config that runs every part and learns next to nothing."""
  config = _curious(planet.debug())
  config.curiosity.update(members=3, units=24, layers=1)
  return config


def _curious(config: config_dict.ConfigDict) -> config_dict.ConfigDict:
  """Makes a config of PlaNet one that collects by disagreement."""
  config.agent.kind = 'plan2explore'
  config.curiosity = config_dict.create(
    members=5,  # [0, 1000] networks; 0: those of ensemble dynamics [P: 5]
    units=128,  # [1, 65536] per layer
    layers=2,  # [0, 64] hidden ones
    activation='elu',  # {activations} of those
    initializer='he_normal',  # {initializers} of the weights
    optimizer=dict(
      rate=8e-4,  # (0, 1] learning rate of Adam
      epsilon=1e-5,  # (0, 1] of Adam
      clip=100.0,  # (0, 1e9] global norm of the gradient
    ),
  )
  return config


PRESETS = {'cpu': cpu, 'small': small, 'debug': debug}
