"""Probabilistic ensembles, trajectory sampling (Chua et al., 2018): presets.

Three versions of model-based reinforcement learning, with the same count of
episodes and of updates, on cartpole_balance from pixels on two cores:

  --config=pets:open_loop   fits once to random episodes, follows whole plans
  --config=pets:mpc         fits once, and plans anew at every step
  --config=pets:aggregate   plans anew, and learns from what came of it

  --config=pets:small_open_loop, small_mpc, small: the same on the task `hill`
  --config=pets:vectors     like the paper: of vectors alone, no memory
  --config=pets:debug       every part of the program in a minute

What is not named here is as in configs/planet.py. [P] is the paper (PETS), [C]
its code (kchua/handful-of-trials), [X] our experiments (docs/uncertainty.md).
"""

from ml_collections import config_dict

from worldmodels.configs import planet


def get_config(preset: str = 'aggregate') -> config_dict.ConfigDict:
  """Returns the config of `preset`."""
  if preset not in PRESETS:
    raise ValueError(
      f'no preset {preset!r} of pets; there are {", ".join(PRESETS)}'
    )
  return PRESETS[preset]()


def _ensemble(config: config_dict.ConfigDict) -> config_dict.ConfigDict:
  """Makes a config of PlaNet one of PE-TSinf."""
  config.dynamics.update(kind='ensemble', members=5)  # [P]
  # One particle for each member; the paper has 20, for 4 each.
  config.planner.update(particles=5, propagation='tsinf', sample=True)
  return config


def _once(
  config: config_dict.ConfigDict, steps: int | None = None
) -> config_dict.ConfigDict:
  """Fits once: all episodes but the last are random, all updates before it.

  Args:
    config: of a run that aggregates.
    steps: of a plan that is followed to its end; None plans at every step.
  """
  train = config.train
  later = train.episodes - train.seed_episodes
  updates = train.first_updates + later * train.updates
  train.update(seed_episodes=train.episodes - 1, first_updates=updates - 1)
  # One more is done before the last episode, which the model then collects.
  train.update(updates=1, overlap=False)
  config.evaluate.every = 1
  if steps is not None:
    config.planner.update(horizon=steps, replan=steps)
  return config


def aggregate() -> config_dict.ConfigDict:
  """Returns the version that learns from its own episodes (DAgger's loop)."""
  config = _ensemble(planet.cpu())
  config.preset = 'pets:aggregate'
  config.train.episodes = 40
  return config


def mpc() -> config_dict.ConfigDict:
  """Returns the version that fits once, and plans at every step."""
  config = _once(aggregate())
  config.preset = 'pets:mpc'
  return config


def open_loop() -> config_dict.ConfigDict:
  """Returns the version that fits once, and follows whole plans."""
  # An episode of dm_control's cartpole has 125 actions of 8 steps.
  config = _once(aggregate(), steps=125)
  config.preset = 'pets:open_loop'
  return config


def small() -> config_dict.ConfigDict:
  """Returns `aggregate` for the task hill, in a minute or two."""
  config = _ensemble(planet.small())
  config.preset = 'pets:small'
  return config


def small_mpc() -> config_dict.ConfigDict:
  """Returns `mpc` for the task hill."""
  config = _once(small())
  config.preset = 'pets:small_mpc'
  return config


def small_open_loop() -> config_dict.ConfigDict:
  """Returns `open_loop` for the task hill, whose episodes have 50 actions."""
  config = _once(small(), steps=50)
  config.preset = 'pets:small_open_loop'
  return config


def vectors() -> config_dict.ConfigDict:
  """Returns PETS of vectors alone, in the way of its paper.

  What differs: the reward is learned, where the paper has it given, and so is
  the state, by a posterior, of which the vectors are predicted. Members share
  all data, where the paper draws some for each, and have one hidden layer. The
  paper plans 25 steps ahead with 20 particles, which takes seconds for an
  action on two cores.
  """
  config = small()
  config.preset = 'pets:vectors'
  config.task = 'cartpole_swingup'
  config.environment.update(image='none', vectors=('position', 'velocity'))
  config.train.update(episodes=15, seed_episodes=1, updates=400, batch=32)
  config.train.update(length=16, first_updates=0)
  config.evaluate.update(every=5, episodes=1, last_episodes=10)
  # Each member steps from sample and action alone: no recurrent path [P].
  config.dynamics.update(recurrent=False, stoch=16, hidden=200)  # [P]
  config.dynamics.activation = 'silu'  # [P] swish
  config.planner.update(horizon=15, iterations=5, candidates=400)  # [C]: 25
  config.planner.update(elites=40, warm_start=True)  # [C]
  config.exploration = 0.0  # [P]
  return config


def debug() -> config_dict.ConfigDict:
  """Returns a tiny config that runs every part and learns next to nothing."""
  config = _ensemble(planet.debug())
  config.preset = 'pets:debug'
  config.dynamics.members = 3
  config.planner.particles = 3
  return config


PRESETS = {
  'open_loop': open_loop,
  'mpc': mpc,
  'aggregate': aggregate,
  'small_open_loop': small_open_loop,
  'small_mpc': small_mpc,
  'small': small,
  'vectors': vectors,
  'debug': debug,
}
