"""PlaNet (Hafner et al., 2019): presets.

  --config=planet:paper   faithful to PlaNet's code; a GPU and a day
  --config=planet:cpu     learns on two cores within 45 minutes
  --config=planet:small   learns the task `hill` in a minute or two
  --config=planet:debug   every part of the program in a minute

[P] is the paper, [C] its code (google-research/planet), [X] our experiments
(docs/experiments.md). Any key can be set as --config.dynamics.deter=64.
"""

from ml_collections import config_dict


def get_config(preset: str = 'cpu') -> config_dict.ConfigDict:
  """Returns the config of `preset`."""
  if preset not in PRESETS:
    raise ValueError(
      f'no preset {preset!r} of planet; there are {", ".join(PRESETS)}'
    )
  return PRESETS[preset]()


def paper() -> config_dict.ConfigDict:
  """Returns PlaNet as its code runs it; where the paper differs: [P]."""
  config = config_dict.ConfigDict()
  config.preset = 'paper'  # the function that made it, or FILE:FUNCTION
  config.task = 'cartpole_swingup'  # docs/running.md: all names, and your own
  config.seed = 0  # [0, 4294967295] of everything that is random

  # The comment beside a key begins with its range, which is stated once: an
  # interval of numbers, (0, 1] without the 0, or {choices}. A folder there is
  # for its files and for module:name of one's own; `auto` is left to the task.
  config.agent = config_dict.create(
    kind='planet',  # {agents/}
    sample_states=True,  # states are drawn while acting; else the means [C]
  )
  config.environment = config_dict.create(
    action_repeat=0,  # [0, 1000] env_steps per agent_step; 0: the task's
    size=64,  # [8, 1024] pixels, height and width [P]
    quality='exact',  # {exact, near, fast} of the rendering
    camera='auto',  # name or index, -1 MuJoCo's free one; auto: the task's
    vectors=(),  # names of observations to have beside the image
    step_limit=0,  # [0, inf) env_steps until an episode is cut; 0: the task's
    image='auto',  # {auto, observed, rendered, none} none: vectors alone
    crop=(),  # [0, 100000] pixels off Gymnasium's: top, bottom, left, right
    gray=False,  # make the colors of Gymnasium's pictures alike
  )
  config.store = config_dict.create(
    capacity=0,  # [0, inf) env_steps kept on disk; 0 keeps all [C]
    memory_mb=1024,  # [1, inf) MB that compressed episodes may use
  )
  config.train = config_dict.create(
    episodes=1000,  # [1, inf) in all, the seed episodes included [P]
    env_steps=0,  # [0, inf) no further episode after so many; 0: no limit
    minutes=0.0,  # [0, 1e7] no further episode after so many; 0: no limit
    seed_episodes=5,  # [1, inf) of random actions [P]
    updates=100,  # [1, 1000000] gradient steps per episode [P: C = 100]
    first_updates=0,  # [0, 1000000] further ones before the first episode
    batch=50,  # [1, 65536] chunks [P]
    length=50,  # [2, 10000] agent_steps per chunk [P]
    margin=0.0,  # [0, 1] of a chunk: so far chunks are drawn beyond both ends
    recency=0.0,  # [0, 1] of the chunks are the likelier the newer they are
    overlap=False,  # collect an episode while learning from those before it
    checkpoints=3,  # [1, 1000] kept
    deterministic_ops=False,  # the same bits on a GPU as well, but slower
    updates_total=0,  # [0, inf) in all, of `fit`; `train` counts episodes
    heldout_share=0.1,  # (0, 0.5] of recorded episodes, of `fit`; at least one
  )
  config.evaluate = config_dict.create(
    every=10,  # [1, inf) episodes between evaluations [C: 10]
    episodes=1,  # [1, 10000] per evaluation during training [C]
    last_episodes=10,  # [1, 10000] of the evaluation at the end [P]
    context=5,  # [1, 10000] observed agent_steps before the predicted ones
    horizon=45,  # [1, 10000] predicted agent_steps
  )
  config.encoder = config_dict.create(
    kind='convolutional',  # {worldmodels/encoders/} [P]
    bits=5,  # [1, 8] color depth [P]
    center=False,  # subtract the mean image of the seed episodes
    nats=0.0,  # [0, 1e6] that the mean image costs: scales pixels; 0: do not
    channels=(32, 64, 128, 256),  # [1, 4096] each [P]
    kernel=4,  # [1, 64] pixels, of stride 2 [P]
    padding='valid',  # {valid, same} [C]
    activation='relu',  # {activations} [P]
    initializer='glorot_uniform',  # {initializers} of the weights [C]
    normalization='none',  # {none, layer} over channels, before activation
    precision='float32',  # {float32, mixed_bfloat16} of the convolutions
  )
  config.dynamics = config_dict.create(
    kind='rssm',  # {worldmodels/dynamics/}
    latent='gaussian',  # {gaussian, deterministic, categorical} [P: figure 4]
    recurrent=True,  # False: PlaNet's stochastic model (figure 4)
    deter=200,  # [1, 65536] units of the recurrent path [P]
    stoch=30,  # [1, 65536] size of what is drawn; of categoricals, how many
    hidden=200,  # [1, 65536] units of the dense layers [P]
    cell='gru',  # {gru, layer_norm_gru} as GRUBlockCell [C]
    min_std=0.1,  # [0, 100] least standard deviation [C; not in P]
    classes=32,  # [2, 65536] of each categorical
    unimix=0.01,  # [0, 1) uniform share of their probabilities (DreamerV3)
    activation='relu',  # {activations} of the dense layers [P]
    initializer='glorot_uniform',  # {initializers} of the dense layers [C]
    fans='layer',  # {layer, part} whose inputs it counts: of sums each part [C]
    precision='float32',  # {float32, mixed_bfloat16} of all products
    members=5,  # [1, 100] of ensemble: transitions learned side by side
  )
  config.heads = config_dict.create(
    image=dict(
      kind='convolutional',  # {none, worldmodels/heads/} none: no image [P]
      scale=1.0,  # [0, 1e6] weight in the loss [P]
      share=1.0,  # (0, 1] of the frames reconstructed at each update
      start=1,  # {1, 4} side of the decoder's first map [P]
      linear=1024,  # [0, 65536] units of the dense layer before it [P]
      channels=(128, 64, 32),  # [1, 4096] each [P]
      activation='relu',  # {activations} [P]
      initializer='glorot_uniform',  # {initializers} [C]
      normalization='none',  # {none, layer} as that of the encoder
      precision='float32',  # {float32, mixed_bfloat16} of the convolutions
    ),
    reward=dict(
      kind='normal',  # {worldmodels/heads/} [P]
      scale=10.0,  # [0, 1e6] weight in the loss [C; P: 1]
      units=300,  # [1, 65536] per layer [C; P: 200]
      layers=3,  # [0, 64] hidden ones [C; P: 2]
      std=1.0,  # (0, 1000] of the Gaussian [P]
      relative=0.0,  # [0, 1e6] loss per variance plus this; 0: plain
      bins=255,  # [3, 65535] of two_hot: numbers; an odd count
      limit=20.0,  # (0, 80] of two_hot: the largest symlog
      activation='relu',  # {activations} [P]
      initializer='glorot_uniform',  # {initializers} [C]
      normalization='none',  # {none, layer} before the activation [P]
      precision='float32',  # {float32, mixed_bfloat16} of the products
    ),
    discount=dict(
      kind='auto',  # {auto, none, worldmodels/heads/} for early ends
      scale=5.0,  # [0, 1e6] of its log likelihood
      units=64,  # [1, 65536] per layer
      layers=2,  # [0, 64] hidden ones
      activation='elu',  # {activations} of the layers
      initializer='he_normal',  # {initializers} of the weights
      normalization='none',  # {none, layer} before the activation
      precision='float32',  # {float32, mixed_bfloat16} of the products
    ),
  )
  config.kl = config_dict.create(
    scale=1.0,  # [0, 1e6] weight in the loss [P]
    free_nats=3.0,  # [0, 1e6] that cost nothing [P]
    free='step',  # {step, mean, side} which of the published forms
    prior_scale=1.0,  # [0, 1e6] balance (DreamerV2): the prior's share
    posterior_scale=1.0,  # [0, 1e6] the posterior's; 1 and 1: the plain KL
  )
  config.overshooting = config_dict.create(
    steps=0,  # [0, 10000] distance predicted from every state; 0: none [C]
    kl=0.0,  # [0, 1e6] weight of the KL of those predictions
    reward=0.0,  # [0, 1e6] weight of their reward likelihood
    image=0.0,  # [0, 1e6] weight of their image likelihood, on a few frames
  )
  config.optimizer = config_dict.create(
    rate=1e-3,  # (0, 1] learning rate of Adam [P]
    epsilon=1e-4,  # (0, 1] of Adam [P]
    clip=1000.0,  # (0, 1e9] global norm of the gradient [P]
    warmup=0,  # [0, 1000000000] updates over which the rate rises from zero
    average=0.0,  # [0, 1) decay of the average that acts; 0: none
  )
  config.planner = config_dict.create(
    kind='auto',  # {auto, agents/planners/} auto: cem or categorical_cem
    horizon=12,  # [1, 10000] agent_steps [P]
    iterations=10,  # [1, 10000] refits of the candidates [P]
    candidates=1000,  # [1, 1000000] sequences of actions [P]
    elites=100,  # [1, 1000000] the best, that are fitted [P]
    spread=1.0,  # (0, 100] standard deviation of the first candidates [P]
    min_std=0.0,  # [0, 100] of later ones
    sample=True,  # states are drawn in planning; else the means [C]
    warm_start=False,  # from the plan before, moved on by a step [P: none]
    replan=1,  # [1, 10000] agent_steps that a plan is followed [P]
    particles=1,  # [1, 10000] dreams that each sequence is judged by
    propagation='expectation',  # {expectation, ts1, tsinf} of them (PETS)
    common=False,  # all candidates meet the same draws
    risk='mean',  # {mean, optimism, pessimism, disagreement} of all of them
    risk_weight=1.0,  # [0, 1e6] of deviation or disagreement
    # Of some kinds alone, with what their papers have: docs/planners.md.
    temperature=2.0,  # (0, 1e9] of mppi: what scores are divided by
    color=3.0,  # [0, 10] of icem: 0 for noise that is white
    decay=1.25,  # [1, 1000] of icem: candidates are divided by it
    keep=0.3,  # [0, 1] of icem: share of the elites that are tried again
    momentum=0.1,  # [0, 1) of icem: share of the Gaussian before
    rate=0.1,  # (0, 10] of gradients: length of a step of actions
    min_probability=0.01,  # [0, 1] of choices: the least of each
  )
  config.exploration = 0.3  # [0, 1] standard deviation of noise on actions [P]
  config.exploration_color = 'white'  # {white, pink} of that noise [P: white]
  return config


def cpu() -> config_dict.ConfigDict:
  """Returns the recipe for two cores: docs/experiments.md says why."""
  config = paper()
  config.preset = 'cpu'
  config.task = 'cartpole_balance'
  config.environment.quality = 'fast'
  config.train.update(episodes=100, updates=200, overlap=True)
  config.train.update(batch=8, length=32)
  config.evaluate.update(every=10, episodes=2, context=5, horizon=20)
  config.encoder = config_dict.create(
    kind='spatial_softmax',  # [X]
    bits=8,
    center=True,  # [X]
    channels=(16,),  # one: places on a map of 32x32 [X]
    kernel=4,
    points=24,  # [1, 4096] feature maps, each of which gives a place
    coordinates=False,  # give the convolutions each pixel's place
    presence=False,  # tell how strongly each feature is there
    standardize=True,  # take contrast out of the maps [X]
    further=(),  # [1, 4096] channels of convolutions beside the places
    embeds='both',  # {auto, places, maps, both} maps: what `further` makes
    sharpness=2.0,  # (0, 1000] of the softmax, at the start [X]
    nats=0.0,
    whiten=0.0,  # [0, 1000] floor of what pixels are divided by; 0: do not
    activation='elu',
    initializer='he_normal',
    precision='mixed_bfloat16',
  )
  config.dynamics.update(
    deter=128, stoch=20, hidden=128, cell='layer_norm_gru', activation='elu'
  )
  config.dynamics.update(initializer='he_normal', fans='part')  # [X]
  config.heads.image = config_dict.create(
    kind='keypoints',  # [X]
    scale=4.0,
    share=0.25,  # [X]
    points=32,  # [1, 4096] blobs [X]
    side=32,  # [1, 512] of the map with the blobs [X]
    width=0.06,  # (0, 10] of a blob, on a map from -1 to 1
    hidden=200,  # [0, 65536] units of the layer before them; 0: none
    canvas=(),  # [1, 4096] of maps beside the blobs, from 4 x 4 to `side`
    draws='both',  # {auto, blobs, both} blobs, and the canvas
    channels=(),  # of transposed convolutions before the last
    activation='elu',
    initializer='he_normal',
    precision='mixed_bfloat16',
  )
  config.heads.reward.update(
    scale=10.0, units=128, layers=2, activation='elu', initializer='he_normal'
  )
  config.kl.update(free_nats=0.0, prior_scale=1.0, posterior_scale=0.3)
  config.overshooting.update(steps=6, kl=0.5, reward=5.0)
  config.optimizer.update(rate=8e-4, epsilon=1e-5, clip=100.0, average=0.998)
  config.planner.update(horizon=12, iterations=4, candidates=120, elites=15)
  config.planner.sample = False
  config.agent.sample_states = False
  config.exploration = 0.2
  return config


def small() -> config_dict.ConfigDict:
  """Returns a config that learns `hill` in a minute or two: the guard."""
  config = cpu()
  config.preset = 'small'
  config.task = 'hill'
  config.train.update(episodes=18, seed_episodes=6, updates=50, batch=16)
  config.train.update(length=16, first_updates=100, overlap=False)
  config.evaluate.update(every=12, episodes=2, last_episodes=6)
  config.evaluate.update(context=5, horizon=15)
  config.encoder.update(channels=(8, 16), points=16)
  config.dynamics.update(deter=64, stoch=8, hidden=64)
  config.heads.image.update(
    scale=1.0, points=16, side=16, width=0.12, hidden=64, channels=(16,)
  )
  config.kl.update(posterior_scale=1.0)
  config.heads.reward.update(units=64)
  config.overshooting.update(steps=4)
  config.optimizer.update(rate=1e-3, average=0.0)
  config.planner.update(horizon=8, iterations=3, candidates=80, elites=10)
  config.exploration = 0.3
  return config


def debug() -> config_dict.ConfigDict:
  """Returns a tiny config that runs every part and learns next to nothing."""
  config = cpu()
  config.preset = 'debug'
  config.train.update(episodes=5, seed_episodes=2, updates=5)
  config.train.update(batch=3, length=12)
  config.evaluate.update(every=2, episodes=1, last_episodes=2)
  config.evaluate.update(context=3, horizon=6)
  config.encoder.update(channels=(4, 8), points=8)
  config.dynamics.update(deter=24, stoch=8, hidden=24)
  config.heads.image.update(
    points=8, side=16, width=0.12, hidden=24, channels=(8,)
  )
  config.heads.reward.update(units=24)
  config.overshooting.update(steps=3)
  config.planner.update(horizon=4, iterations=2, candidates=12, elites=4)
  return config


PRESETS = {'paper': paper, 'cpu': cpu, 'small': small, 'debug': debug}
