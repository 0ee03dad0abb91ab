"""Actor-critic from pixels without a model: what a world model has to beat.

  --config=model_free:cpu     for two cores: 19,000 updates of 128
  --config=model_free:small   learns the task `hill` in a minute or two
  --config=model_free:debug   every part of the program in a minute

What is not named here is as in configs/planet.py, what actor and critic have as
in configs/dreamer.py. [RAD] is Laskin et al. (2020) with the values of its
code, [DrQ2] Yarats et al. (2022), [S] Haarnoja et al. (2018). How this differs
from them stands in docs/model_free.md.
"""

from ml_collections import config_dict

from worldmodels.configs import planet


def get_config(preset: str = 'cpu') -> config_dict.ConfigDict:
  """Returns the config of `preset`."""
  if preset not in PRESETS:
    raise ValueError(
      f'no preset {preset!r} of model_free; there are {", ".join(PRESETS)}'
    )
  return PRESETS[preset]()


def cpu() -> config_dict.ConfigDict:
  """Returns the recipe for two cores."""
  config = _without_model(planet.cpu())
  config.train.update(
    episodes=100, updates=200, batch=128, length=6, overlap=False
  )
  return config


def small() -> config_dict.ConfigDict:
  """Returns a config that learns `hill`, without OpenGL, in minutes."""
  config = _without_model(planet.small())
  config.train.update(
    episodes=30, updates=50, first_updates=100, batch=32, length=6
  )
  config.learner.actor.units = config.learner.critic.units = 128
  config.encoder.channels = (16, 16, 16)
  return config


def debug() -> config_dict.ConfigDict:
  """Returns a tiny config that runs every part and learns next to nothing."""
  config = _without_model(planet.debug())
  config.train.update(length=6, overlap=False)
  config.encoder.channels = (4, 8)
  config.learner.features = 8
  config.learner.actor.units = config.learner.critic.units = 24
  return config


def _without_model(config: config_dict.ConfigDict) -> config_dict.ConfigDict:
  """Makes a config of PlaNet one of this agent."""
  for key in ('dynamics', 'heads', 'kl', 'overshooting', 'planner'):
    del config[key]
  del config.exploration, config.exploration_color  # the actor's own
  # So a transition is as likely at the ends of an episode, where one that the
  # task ends tells so, as in its middle: a third of frames and steps.
  config.train.margin = 1 / 3
  config.agent = config_dict.create(
    kind='model_free',
    frames=3,  # [1, 64] images of a stack; one shows no velocity [RAD]
    shift=3,  # [0, 64] pixels that images move by, at most [DrQ2: 4 of 84]
  )
  config.encoder = config_dict.create(
    kind='convolutional',
    bits=8,
    center=False,
    channels=(32, 32, 32),  # [RAD: four, kernels of 3, only the first strides]
    kernel=4,
    padding='same',
    activation='relu',  # [RAD]
    initializer='he_normal',
    normalization='none',
    precision='mixed_bfloat16',
  )
  config.optimizer.update(
    rate=1e-3,  # of encoder and critics [RAD]
    epsilon=1e-8,
    clip=100.0,
    average=0.0,
  )
  network = dict(
    units=256,  # [RAD, DrQ2: 1024]
    layers=2,
    activation='relu',
    initializer='he_normal',
    normalization='none',
    precision='float32',
  )
  config.learner = config_dict.create(
    gamma=0.99,  # [RAD]
    steps=3,  # [1, 100] agent_steps whose rewards a return has [DrQ2]
    features=50,  # [1, 65536] units between what is seen and a network [RAD]
    target_entropy=-1.0,  # [-100, 100] nats for each number of an action [S]
    choice_entropy=0.3,  # [0, 1] of discrete ones, of the largest there is
    temperature=0.1,  # (0, 1e6] at the start: what a nat is worth [RAD]
    temperature_rate=1e-3,  # (0, 1] learning rate of it
    actor=dict(
      kind='auto',
      continuous='tanh_normal',  # [S]
      distributions=dict(
        tanh_normal=dict(
          mean_scale=5.0, init_std=1.0, min_std=1e-3, mode_samples=0
        ),
        truncated_normal=dict(init_std=1.0, min_std=0.1),
        bounded_normal=dict(min_std=0.1, max_std=1.0),
        one_hot=dict(unimix=0.01),
      ),
      **network,
      optimizer=dict(
        rate=1e-3, epsilon=1e-8, clip=100.0, warmup=0, average=0.0
      ),
    ),
    critic=dict(
      kind='normal',
      std=1.0,
      bins=255,
      limit=20.0,
      slow_share=0.01,  # [DrQ2; RAD: at every second update]
      **network,
    ),
  )
  return config


PRESETS = {'cpu': cpu, 'small': small, 'debug': debug}
