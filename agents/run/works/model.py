"""W1, W2: one world-model update of PlaNet's sizes. W8: the preset's own."""

import resource

import numpy as np
import tensorflow as tf

from agents.run import build
from agents.run import loop
from worldmodels import world_model

from . import ceiling
from . import clock
from . import flops
from . import replay
from . import rows

# Shares of the ceiling that are aimed at.
GOALS = {'bfloat16': 0.6, 'float32': 0.8}


def measure(setting):
  """Returns the rows of W1 and W2 at both precisions, or of W8."""
  return _paper(setting) if setting.preset == 'paper' else _preset(setting)


def _paper(setting):
  result = []
  for precision, goal in GOALS.items():
    top = ceiling.rate(ceiling.CONVOLUTION, precision, setting)
    for work, (batch, length) in setting.sizes['updates'].items():
      agent = build.agent_for(published(setting, precision), 1, {})
      timing = clock.median(update(agent, batch, length), setting, warmup=3)
      # Linear in the batch, and eager: one member is enough, and is quick.
      count = batch * flops.count(update(agent, 1, length))
      result += rows.compared(
          work, f'update {batch} x {length}, {precision}', count, timing,
          (f'{precision} convolution', top), ('>=', goal))
      if (work, precision) == ('W1', 'bfloat16'):
        result.append(rows.row(
            'memory', 'W1 peak resident size', peak_resident() / 2 ** 30,
            'GiB'))
  return result


def published(setting, precision):
  """Returns the config of the published figures, computed in `precision`.

  The preset `paper` follows PlaNet's code; the figures are of the paper's
  reward head, two layers of 200.
  """
  config = setting.config()
  config.heads.reward.update(units=200, layers=2)
  return precise(config, precision)


def precise(config, precision):
  """Returns the config with convolutions and products in a precision."""
  policy = 'float32' if precision == 'float32' else 'mixed_bfloat16'
  for group in (config.encoder, config.heads.image, config.rssm,
                config.heads.reward):
    group.precision = policy
  return config


def _preset(setting):
  config = setting.config()
  loop.share_cores(config)  # As agents.run.train does.
  batch, length = config.train.batch, config.train.length
  agent = build.agent_for(config, 1, {})
  one_update = update(agent, batch, length)
  timing = clock.median(one_update, setting, warmup=3)
  # Not linear in the batch: a share of the frames is rounded up.
  count = flops.count(one_update)
  top = ceiling.rate(ceiling.CONVOLUTION, 'bfloat16', setting)
  result = rows.compared(
      'W8', f'update {batch} x {length} of the preset', count, timing,
      ('bfloat16 convolution', top))
  result.append(rows.row(
      'W8', 'images through the update', batch * length / timing['seconds'],
      '1/s', timing, ('>=', 6000)))
  for name, part in _parts(agent, config).items():
    timing = clock.median(part, setting, warmup=3)
    result.append(rows.row('W8', f'of it {name}, alone',
                           timing['seconds'] * 1e3, 'ms', timing))
  return result + replay.inputs(setting, batch, length)


def update(agent, batch, length):
  """Returns a function that does one update on one resident batch."""
  data = _batch(batch, length)
  seed = tf.constant([0, 0])
  return lambda: ceiling.done(agent.train(data, seed)['loss'])


def _batch(batch, length):
  random = np.random.default_rng(0)
  lead = (batch, length)
  return {
      'image': tf.constant(
          random.integers(0, 256, [*lead, 64, 64, 3], np.uint8)),
      'action': tf.constant(
          random.uniform(-1, 1, [*lead, 1]).astype(np.float32)),
      'reward': tf.constant(random.random(lead, np.float32)),
      'discount': tf.ones(lead),
      'is_first': tf.zeros(lead, tf.bool),
      'mask': tf.ones(lead),
  }


def _parts(agent, config):
  """Functions of the parts of an update, forward and backward.

  Run one by one they are slower together than the update is, which overlaps
  them.
  """
  batch, length = config.train.batch, config.train.length
  model, data = agent.model, _batch(batch, length)
  embed = tf.random.stateless_normal(
      [batch, length, model.encoder.embed], [0, 1])
  seed = tf.constant([0, 1])
  state, _ = model.rssm.observe(embed, data['action'], data['is_first'])
  frames = world_model.count_of(batch * length, model.share['image'])
  features = tf.reshape(model.rssm.features(state),
                        [batch * length, -1])[:frames]

  def observe(embed):
    posterior, prior = model.rssm.observe(
        embed, data['action'], data['is_first'], seed=seed)
    return model.rssm.features(posterior), model.rssm.features(prior)

  parts = {
      'encoder': _both_ways(
          lambda image: model.encoder({'image': image}),
          [data['image']], model.encoder.trainable_variables),
      'RSSM': _both_ways(observe, [embed], model.rssm.trainable_variables),
      'reward head': _both_ways(
          model.head('reward').mean, [model.rssm.features(state)],
          model.head('reward').trainable_variables),
      'decoder': _both_ways(
          model.head('image').mean, [features],
          model.head('image').trainable_variables),
      'optimizer': _optimizer(agent),
  }
  if config.overshooting.steps:
    parts['overshooting'] = _both_ways(
        lambda deter: list(model.overshoot(
            data, dict(state, deter=deter), seed).values()),
        [state['deter']], model.rssm.trainable_variables)
  return parts


def _both_ways(function, inputs, variables):
  """A function that runs `function` and its gradient."""
  variables = [variable.value for variable in variables]

  @tf.function
  def run():
    floats = [x for x in inputs if x.dtype.is_floating]
    with tf.GradientTape() as tape:
      tape.watch(floats)
      outputs = tf.nest.flatten(function(*inputs))
      total = tf.add_n([tf.reduce_sum(tf.square(x)) for x in outputs])
    return tape.gradient(total, variables + floats,
                         unconnected_gradients='zero')

  return lambda: ceiling.done(run())


def _optimizer(agent):
  """A function that applies one gradient, norm and clipping included."""
  variables = [v.value for v in agent.model.trainable_variables]

  @tf.function
  def run():
    with tf.GradientTape() as tape:
      loss = tf.add_n([tf.reduce_sum(variable) for variable in variables])
    return agent.optimizer.minimize(loss, tape)

  return lambda: ceiling.done(run())


def peak_resident():
  """Bytes of memory that this process had at most."""
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
