"""Dreamer (Hafner et al., 2020) and its successors: presets.

  --config=dreamer:paper   Dreamer as its code runs it; a GPU
  --config=dreamer:v2      as DreamerV2 runs DMC vision; a GPU
  --config=dreamer:v3      as DreamerV3 (2023, size S) does; a GPU
  --config=dreamer:v2_small, v3_small: the same, narrower
  --config=dreamer:cpu     learns on two cores in forty minutes
  --config=dreamer:small   learns the task `hill` in minutes
  --config=dreamer:debug   every part of the program in a minute

What is not named here is as in configs/planet.py. [P] is the paper (version
3), [C] its code (danijar/dreamer), [C2] that of DreamerV2, [P3] the paper of
DreamerV3 (version 1), [X] our experiments (docs/experiments.md).
"""

from ml_collections import config_dict

from worldmodels.configs import planet


def get_config(preset: str = 'cpu') -> config_dict.ConfigDict:
  """Returns the config of `preset`."""
  if preset not in PRESETS:
    raise ValueError(
      f'no preset {preset!r} of dreamer; there are {", ".join(PRESETS)}'
    )
  return PRESETS[preset]()


def _as_dreamer(config: config_dict.ConfigDict) -> config_dict.ConfigDict:
  """Makes a config of PlaNet one of Dreamer, with the values of [C]."""
  config.agent.kind = 'dreamer'
  config.acting = 'policy'  # {policy, planner} the latter may use the learner
  config.exploring = 'policy'  # {policy, planner, both} who collects episodes
  config.dreaming = 'trained'  # {trained, averaged} weights dreamt with
  config.learner = config_dict.create(
    kind='actor_critic',  # {agents/learners/}
    horizon=15,  # [1, 10000] imagined agent_steps [P]
    gamma=0.99,  # [0, 1] discount per agent_step [P]
    lambda_=0.95,  # [0, 1] of the lambda-returns [P]
    starts=0,  # [0, inf) states of a batch to start from; 0: all [P]
    gradient='pathwise',  # {pathwise, reinforce, mixed} [P]
    mix=0.9,  # [0, 1] share of reinforce in mixed [C2]
    entropy=0.0,  # [0, 1e6] weight of the actor's entropy [C]
    normalize=0.0,  # [0, 1e6] least divisor of returns; 0: none
    normalize_decay=0.99,  # [0, 1) of the average of their spread (DreamerV3)
    actor=dict(
      kind='auto',  # {auto, agents/action_distributions/} by the actions
      continuous='tanh_normal',  # {agents/action_distributions/} of auto [P]
      distributions=dict(
        tanh_normal=dict(
          mean_scale=5.0,  # (0, 1000] bound of the mean before the tanh [C]
          init_std=5.0,  # (0, 80] before the tanh, at the start [C]
          min_std=1e-4,  # [0, 100] floor of it [C]
          mode_samples=100,  # [0, 10000] draws; the mode is the likeliest [C]
        ),
        truncated_normal=dict(
          init_std=1.0,  # (0, 100] at the start; at most twice that [C2]
          min_std=0.1,  # (0, 100] added to it [C2]
        ),
        bounded_normal=dict(
          min_std=0.1,  # (0, 100] lower bound of the standard deviation [P3]
          max_std=1.0,  # (0, 100] upper bound [P3]
        ),
        one_hot=dict(
          unimix=0.01,  # [0, 1) uniform share of the probabilities [P3]
        ),
      ),
      units=400,  # [1, 65536] per layer [C; P: 300]
      layers=4,  # [0, 64] hidden ones [C; P: 3]
      activation='elu',  # {activations} [P]
      initializer='glorot_uniform',  # {initializers} of the weights [C]
      normalization='none',  # {none, layer}
      precision='float32',  # {float32, mixed_bfloat16} of the products
      optimizer=dict(
        rate=8e-5,  # (0, 1] learning rate of Adam [P]
        epsilon=1e-7,  # (0, 1] of Adam [C]
        clip=100.0,  # (0, 1e9] global norm of the gradient [P]
        warmup=0,  # [0, 1000000000] updates while the rate rises from zero
        average=0.0,  # [0, 1) decay of the average that acts; 0: none
      ),
    ),
    critic=dict(
      kind='normal',  # {worldmodels/heads/}
      std=1.0,  # (0, 1000] of the Gaussian [C]
      bins=255,  # [3, 65535] of two_hot: numbers; an odd count [P3]
      limit=20.0,  # (0, 80] of two_hot: the largest symlog [P3]
      units=400,  # [1, 65536] per layer [C; P: 300]
      layers=3,  # [0, 64] hidden ones [P]
      activation='elu',  # {activations} [P]
      initializer='glorot_uniform',  # {initializers} of the weights [C]
      normalization='none',  # {none, layer}
      precision='float32',  # {float32, mixed_bfloat16} of the products
      slow='none',  # {none, target, regularizer} a slow copy [P: none]
      slow_every=1,  # [1, 1000000] updates between its moves
      slow_share=1.0,  # (0, 1] of the way that it moves
      optimizer=dict(
        rate=8e-5,  # (0, 1] learning rate of Adam [P]
        epsilon=1e-7,  # (0, 1] of Adam [C]
        clip=100.0,  # (0, 1e9] global norm of the gradient [P]
        warmup=0,  # [0, 1000000000] updates while the rate rises from zero
        average=0.0,  # [0, 1) decay of that which values plans; 0: none
      ),
    ),
  )
  config.planner.update(
    proposals=0,  # [-1, 1000000] of the actor's tried; -1: by task and planner
    value=False,  # the critic's value counts at the horizon (TD-MPC2)
  )
  return config


def paper() -> config_dict.ConfigDict:
  """Returns Dreamer as its code runs it; where the paper differs: [P]."""
  config = _as_dreamer(planet.paper())
  config.environment.action_repeat = 2  # for all tasks [P]
  config.train.episodes = 5000  # 5e6 env_steps [P, C]
  config.encoder.bits = 8  # [C]
  config.dynamics.activation = 'elu'  # [C]
  config.heads.reward.update(
    scale=1.0, units=400, layers=2, activation='elu'
  )  # [C; P: 3 x 300]
  config.kl.free = 'mean'  # [C]
  config.optimizer.update(rate=6e-4, epsilon=1e-7, clip=100.0)  # [P, C]
  return config


def v2() -> config_dict.ConfigDict:
  """Returns DreamerV2 with the values its code has for DMC vision [C2]."""
  config = paper()
  config.preset = 'v2'
  config.train.update(episodes=2000, batch=16, length=50)
  config.encoder.update(channels=(48, 96, 192, 384), activation='elu')
  config.heads.image.update(
    linear=1536, channels=(192, 96, 48), activation='elu'
  )
  config.dynamics.update(latent='categorical', stoch=32, classes=32, unimix=0.0)
  config.dynamics.update(deter=200, hidden=200, cell='layer_norm_gru')
  config.heads.reward.update(units=400, layers=4)
  config.kl.update(
    free_nats=1.0, free='mean', prior_scale=0.8, posterior_scale=0.2
  )
  config.optimizer.update(rate=3e-4, epsilon=1e-5)
  config.learner.actor.continuous = 'truncated_normal'
  config.learner.actor.optimizer.update(rate=8e-5, epsilon=1e-5)
  config.learner.critic.update(layers=4, slow='target', slow_every=100)
  config.learner.critic.optimizer.update(rate=8e-5, epsilon=1e-5)
  config.learner.entropy = 1e-4
  config.exploration = 0.0  # the actor's own
  return config


def v3() -> config_dict.ConfigDict:
  """Returns DreamerV3 (2023), size S, with its values for DMC vision [P3]."""
  config = v2()
  config.preset = 'v3'
  config.train.update(
    episodes=1000, batch=16, length=64, updates=250
  )  # 512 replayed steps for each agent_step
  norm = dict(
    activation='silu', normalization='layer', initializer='glorot_normal'
  )
  config.encoder.update(channels=(32, 64, 128, 256), padding='same', **norm)
  config.heads.image.update(
    start=4, linear=0, channels=(256, 128, 64, 32), **norm
  )
  config.dynamics.update(deter=512, hidden=512, unimix=0.01)
  config.dynamics.update(activation='silu', initializer='glorot_normal')
  config.heads.image.scale = 2.0  # The published loss has no half in it.
  config.heads.reward.update(kind='two_hot', units=512, layers=2, **norm)
  config.heads.discount.update(
    kind='bernoulli', scale=1.0, units=512, layers=2, **norm
  )
  config.kl.update(free='side', prior_scale=0.5, posterior_scale=0.1)
  config.optimizer.update(rate=1e-4, epsilon=1e-8, clip=1000.0)
  config.learner.actor.update(
    continuous='bounded_normal', units=512, layers=2, **norm
  )
  config.learner.actor.optimizer.update(rate=3e-5, epsilon=1e-5)
  config.learner.critic.update(
    kind='two_hot',
    units=512,
    layers=2,
    slow='regularizer',
    slow_every=1,
    slow_share=0.02,
    **norm,
  )
  config.learner.critic.optimizer.update(rate=3e-5, epsilon=1e-5)
  config.learner.update(gamma=1.0 - 1.0 / 333.0, entropy=3e-4, normalize=1.0)
  return config


def v2_small() -> config_dict.ConfigDict:
  """Returns DreamerV2 at about a tenth of its numbers."""
  return _quarter(v2(), 'v2_small')


def v3_small() -> config_dict.ConfigDict:
  """Returns DreamerV3 at about a tenth of the numbers of its size S."""
  return _quarter(v3(), 'v3_small')


def _quarter(
  config: config_dict.ConfigDict, preset: str
) -> config_dict.ConfigDict:
  """Makes networks narrower, and nothing else."""
  config.preset = preset
  for group in (config.encoder, config.heads.image):
    group.channels = tuple(max(8, depth // 4) for depth in group.channels)
  config.dynamics.update(deter=128, hidden=128, stoch=16, classes=16)
  for group in (
    config.heads.reward,
    config.heads.discount,
    config.learner.actor,
    config.learner.critic,
  ):
    group.units = 128
  config.heads.image.linear = min(config.heads.image.linear, 384)
  return config


def cpu() -> config_dict.ConfigDict:
  """Returns the recipe for two cores: docs/experiments.md says why."""
  config = _as_dreamer(planet.cpu())
  config.train.episodes = 80
  # What is new is little of what there is, and where behavior is now [X].
  config.train.recency = 0.5
  network = dict(units=128, layers=2, initializer='he_normal')
  config.learner.actor.update(continuous='truncated_normal', **network)
  config.learner.actor.optimizer.update(rate=3e-4, epsilon=1e-5, average=0.998)
  config.learner.critic.update(kind='two_hot', bins=63, limit=8.0, **network)
  config.learner.critic.update(slow='target', slow_every=1, slow_share=0.02)
  config.learner.critic.optimizer.update(rate=3e-4, epsilon=1e-5)
  config.learner.update(
    horizon=12,
    gamma=0.97,
    starts=128,  # half of them [X]
    entropy=0.02,  # or the actor is sure before the model knows [X]
    normalize=1.0,
  )
  # Of what its actor does alone a replay is too much alike to improve on [X].
  config.exploring = 'planner'
  # The newest weights are not those that act: behavior lags behind them [X].
  config.dreaming = 'averaged'
  config.planner.update(horizon=5, iterations=4, candidates=64, elites=8)
  config.planner.update(value=True, proposals=-1)
  # Heads and critic have learned from draws: in dreams from mean to mean a
  # planner finds what is not there. The same draws for all candidates [X].
  config.planner.update(sample=True, common=True, particles=4)
  config.acting = 'planner'
  config.exploration = 0.2
  # Convolutions and a canvas where there are bodies on a floor that moves [X].
  config.encoder.update(further=(32, 64, 64), embeds='auto', nats=47.0)
  config.heads.image.update(scale=1.0, canvas=(64, 32, 16, 16), draws='auto')
  # The rewards of a body that cannot move yet are tiny [X].
  config.heads.reward.update(scale=30.0, relative=0.02)
  config.overshooting.reward = 15.0
  return config


def small() -> config_dict.ConfigDict:
  """Returns a config that learns `hill`, without OpenGL, in minutes."""
  return _shrink(planet.small())


def debug() -> config_dict.ConfigDict:
  """Returns a tiny config that runs every part and learns next to nothing."""
  config = _shrink(planet.debug())
  config.learner.actor.update(units=24)
  config.learner.critic.update(units=24)
  config.learner.update(horizon=3, starts=8)
  return config


def _shrink(config: config_dict.ConfigDict) -> config_dict.ConfigDict:
  """Makes a config of PlaNet one of Dreamer, with the learner of `cpu`."""
  config, wide = _as_dreamer(config), cpu()
  for key in ('learner', 'exploring', 'exploration', 'exploration_color'):
    config[key] = wide[key]
  config.planner.value = wide.planner.value
  return config


PRESETS = {
  'paper': paper,
  'v2': v2,
  'v3': v3,
  'v2_small': v2_small,
  'v3_small': v3_small,
  'cpu': cpu,
  'small': small,
  'debug': debug,
}
