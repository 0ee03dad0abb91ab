"""At which sizes the works are measured, and from which presets."""

import dataclasses
import runpy

# The published works. `tiny` runs every part of the program in seconds.
SIZES = {
    'full': dict(
        least_seconds=2.0,  # of the calls of a figure
        ceiling=dict(product=2048, images=512),
        updates={'W1': (50, 50), 'W2': (16, 32)},  # batch, length
        plan=dict(horizon=12, iterations=10, candidates=1000, elites=100),
        agent_steps=100,
        store=dict(few=(100, 1000), many=(5000, 125),  # episodes, rows
                   batch=50, length=50, batches=100, update_seconds=0.2),
        loop=dict(episodes=9, seed_episodes=3, updates=10, batch=16, length=32,
                  horizon=12, iterations=5, candidates=100, elites=10),
        preset=dict(episodes=9, seed_episodes=3),
    ),
    'tiny': dict(
        least_seconds=0.0,
        ceiling=dict(product=64, images=2),
        updates={'W1': (2, 8)},
        plan=dict(horizon=3, iterations=2, candidates=8, elites=2),
        agent_steps=5,
        store=dict(few=(2, 20), many=(4, 10), batch=2, length=5, batches=3,
                   update_seconds=0.01),
        loop=dict(episodes=4, seed_episodes=1, updates=1, batch=2, length=8,
                  horizon=3, iterations=2, candidates=8, elites=2),
        preset=dict(episodes=4, seed_episodes=1, updates=1),
    ),
}


@dataclasses.dataclass(frozen=True)
class Setting:
  """What a work needs to know.

  Attributes:
    sizes: a value of SIZES.
    repeats: least number of timed calls of each figure.
    configs: path of the file of configs of PlaNet.
    dreamer_configs: path of that of Dreamer.
    preset: which figures, those at PlaNet's sizes (`paper`: W1 to W7) or those
      of the preset `cpu` (W8). Each has a process of its own.
    task: of the environments; None is the work's own.
  """

  sizes: dict
  repeats: int
  configs: str
  dreamer_configs: str
  preset: str = 'paper'
  task: str | None = None

  def config(self):
    """Returns the preset of the file, free to be changed."""
    return runpy.run_path(self.configs)['get_config'](self.preset)

  def dreamer(self):
    """Returns the preset of Dreamer's file, free to be changed."""
    return runpy.run_path(self.dreamer_configs)['get_config'](self.preset)
