"""Tasks of Gymnasium from pixels on two cores: presets.

  --config=gymnasium:pendulum   PlaNet on Pendulum-v1
  --config=gymnasium:cartpole   Dreamer on CartPole-v1
  --config=gymnasium:debug      every part of the program in a minute

Both are the recipe `cpu` (configs/planet.py, configs/dreamer.py) with what the
task asks for; docs/tasks.md has the reasons. `small` does not carry over: its
network is for images in which what matters is large and bright.
"""

from ml_collections import config_dict

from worldmodels.configs import dreamer
from worldmodels.configs import planet


def get_config(preset: str = 'pendulum') -> config_dict.ConfigDict:
  """Returns the config of `preset`."""
  if preset not in PRESETS:
    raise ValueError(
      f'no preset {preset!r} of gymnasium; there are {", ".join(PRESETS)}'
    )
  return PRESETS[preset]()


def pendulum() -> config_dict.ConfigDict:
  """Returns PlaNet for Pendulum-v1: swing a pendulum up with a weak motor."""
  config = planet.cpu()
  config.preset = 'gymnasium:pendulum'
  config.task = 'gymnasium:Pendulum-v1'
  # The pendulum reaches half as far as the picture: it fills what is left. Two
  # steps of 50 ms are an action, so that one sees it move, and 12 of them are
  # longer than a swing to the other side takes.
  config.environment.update(action_repeat=2, crop=(125, 125, 125, 125))
  # 75 x 80 updates of 0.1 seconds are 10 minutes.
  config.train.update(episodes=80, updates=80)
  config.evaluate.update(every=15, episodes=2, context=5, horizon=20)
  # No episode ends before its time. Rewards are from -33 to 0 for two steps,
  # not from 0 to 8 as those of cartpole.
  config.heads.discount.kind = 'none'
  config.heads.reward.std = 8.0
  # The motor cannot lift it in one go: chance has to show the way up first.
  config.exploration = 0.3
  return config


def cartpole() -> config_dict.ConfigDict:
  """Returns Dreamer for CartPole-v1: keep a pole from falling."""
  config = dreamer.cpu()
  config.preset = 'gymnasium:cartpole'
  config.task = 'gymnasium:CartPole-v1'
  # Above and below there is nothing, and far left and right the cart seldom is:
  # the angle is small, and each pixel of it counts. Two steps of 20 ms.
  config.environment.update(action_repeat=2, crop=(150, 50, 100, 100))
  # Episodes of random choices have about 11 actions, so there are more of them,
  # and chunks are short. 120 x 32 updates of 0.13 seconds are 9 minutes; later
  # episodes take seconds each.
  config.train.update(
    episodes=140, seed_episodes=20, updates=32, batch=16, length=16
  )
  # What matters most is the last row of an episode.
  config.train.margin = 0.5
  config.evaluate.update(every=20, episodes=2, context=3, horizon=8)
  # Every reward is the same: only the end says what is good, and it is rare.
  config.heads.discount.update(kind='bernoulli', scale=10.0)
  config.heads.reward.update(scale=10.0, relative=0.0)
  config.overshooting.update(steps=6, kl=0.5, reward=1.0)
  # A fall takes 10 to 25 actions. The value sees further than the planner.
  config.learner.update(horizon=15, gamma=0.98, starts=128)
  config.planner.update(horizon=8, iterations=3, candidates=64, elites=8)
  return config


def debug() -> config_dict.ConfigDict:
  """Returns a tiny config that runs every part and learns next to nothing."""
  config = planet.debug()
  config.preset = 'gymnasium:debug'
  config.task = 'gymnasium:CartPole-v1'
  config.evaluate.update(context=2, horizon=3)
  config.train.length = 6
  return config


PRESETS = {'pendulum': pendulum, 'cartpole': cartpole, 'debug': debug}
