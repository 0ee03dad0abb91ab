"""W1, W2: one world-model update of PlaNet's sizes. W8: the preset's own."""

import resource
from collections.abc import Callable, Sequence
from typing import Any

import ml_collections
import numpy as np
import tensorflow as tf

from worldmodels import losses
from worldmodels.agents.agent import WorldModelAgent
from worldmodels.agents.benchmark import ceiling
from worldmodels.agents.benchmark import clock
from worldmodels.agents.benchmark import figures
from worldmodels.agents.benchmark import flops
from worldmodels.agents.benchmark import replay
from worldmodels.agents.benchmark.figures import Figure
from worldmodels.agents.benchmark.options import Options
from worldmodels.agents.runs import build
from worldmodels.agents.runs import operations
from worldmodels.spec import Spec
from worldmodels.states import State
from worldmodels.states import Tensor

# Of the task: images of 64x64, and one action.
SPEC = Spec(actions=1)
# Shares of the ceiling that are aimed at.
GOALS = {'bfloat16': 0.6, 'float32': 0.8}


def measure(options: Options) -> list[Figure]:
  """Returns the figures of W1 and W2 at both precisions, or of W8."""
  return _paper(options) if options.preset == 'paper' else _preset(options)


def published(options: Options, precision: str) -> ml_collections.ConfigDict:
  """Returns the config of the published figures, computed in `precision`.

  The preset `paper` follows PlaNet's code; the figures are of the paper's
  reward head, two layers of 200.
  """
  config = options.config()
  config.heads.reward.update(units=200, layers=2)
  return precise(config, precision)


def precise(
  config: ml_collections.ConfigDict, precision: str
) -> ml_collections.ConfigDict:
  """Returns the config with convolutions and products in a precision."""
  policy = 'float32' if precision == 'float32' else 'mixed_bfloat16'
  for group in (
    config.encoder,
    config.heads.image,
    config.dynamics,
    config.heads.reward,
  ):
    group.precision = policy
  return config


def update(
  agent: WorldModelAgent, batch: int, length: int
) -> Callable[[], None]:
  """Returns a function that does one update on one resident batch."""
  data = _batch(agent.spec, batch, length)
  seed = tf.constant([0, 0])
  return lambda: ceiling.done(agent.train(data, seed)['loss'])


def _paper(options: Options) -> list[Figure]:
  result = []
  for precision, goal in GOALS.items():
    top = ceiling.rate(ceiling.CONVOLUTION, precision, options)
    for work, (batch, length) in options.sizes['updates'].items():
      agent = build.agent(published(options, precision), SPEC)
      timing = clock.median(update(agent, batch, length), options, warmup=3)
      # Linear in the batch, and eager: one member is enough, and is quick.
      count = batch * flops.count(update(agent, 1, length))
      result += figures.compared(
        work,
        f'update {batch} x {length}, {precision}',
        count,
        timing,
        top,
        ('>=', goal),
      )
      if (work, precision) == ('W1', 'bfloat16'):
        peak = _peak_resident() / 2**30
        result.append(
          figures.figure('memory', 'W1 peak resident size', peak, 'GiB')
        )
  return result


def _preset(options: Options) -> list[Figure]:
  config = options.config()
  operations.share_cores(config)  # As `worldmodels train` does.
  batch, length = config.train.batch, config.train.length
  agent = build.agent(config, SPEC)
  # The whole update.
  whole = update(agent, batch, length)
  timing = clock.median(whole, options, warmup=3)
  # Not linear in the batch: a share of the frames is rounded up.
  count = flops.count(whole)
  top = ceiling.rate(ceiling.CONVOLUTION, 'bfloat16', options)
  result = figures.compared(
    'W8', f'update {batch} x {length} of the preset', count, timing, top
  )
  images = batch * length / timing.seconds
  result.append(
    figures.figure(
      'W8', 'images through the update', images, '1/s', timing, ('>=', 6000)
    )
  )
  # What it consists of.
  for name, function in _parts(agent, config).items():
    timing = clock.median(function, options, warmup=3)
    result.append(
      figures.figure(
        'W8', f'of it {name}, alone', timing.seconds * 1e3, 'ms', timing
      )
    )
  return result + replay.inputs(options, batch, length)


def _batch(spec: Spec, batch: int, length: int) -> dict[str, Tensor]:
  """Makes a batch [B, T, ...] of noise, as a task shows and takes it."""
  random = np.random.default_rng(0)
  lead, size = (batch, length), spec.actions
  seen = {}
  if spec.image is not None:
    seen['image'] = random.integers(0, 256, [*lead, *spec.image], np.uint8)
  if spec.discrete:
    action = np.eye(size)[random.integers(size, size=lead)]
  else:
    action = random.uniform(-1, 1, [*lead, size])
  for key, numbers in spec.vectors.items():
    seen[key] = random.normal(size=[*lead, numbers]).astype(np.float32)
  return {
    **{key: tf.constant(value) for key, value in seen.items()},
    'action': tf.constant(action.astype(np.float32)),
    'reward': tf.constant(random.random(lead, np.float32)),
    'discount': tf.ones(lead),
    'is_first': tf.zeros(lead, tf.bool),
    'mask': tf.ones(lead),
  }


def _parts(
  agent: WorldModelAgent, config: ml_collections.ConfigDict
) -> dict[str, Callable[[], None]]:
  """Returns functions of the parts of an update, forward and backward.

  Run one by one they are slower together than the update is, which overlaps
  them.
  """
  # Inputs of each part.
  batch, length = config.train.batch, config.train.length
  model, data = agent.model, _batch(agent.spec, batch, length)
  embed = tf.random.stateless_normal(
    [batch, length, model.encoder.embed], [0, 1]
  )
  seed = tf.constant([0, 1])
  state, _ = model.dynamics.observe(embed, data['action'], data['is_first'])
  features = model.features(state)
  frames = losses.count_of(batch * length, model.share['image'])
  drawn = tf.reshape(features, [batch * length, -1])[:frames]

  def observe(embed: Tensor) -> tuple[Tensor, Tensor]:
    posterior, prior = model.dynamics.observe(
      embed, data['action'], data['is_first'], seed=seed
    )
    return model.features(posterior), model.features(prior)

  # The parts.
  reward, image = model.head('reward'), model.head('image')
  parts = {
    'encoder': _both_ways(
      lambda image: model.encoder({'image': image}),
      [data['image']],
      model.encoder.trainable_variables,
    ),
    'dynamics': _both_ways(
      observe, [embed], model.dynamics.trainable_variables
    ),
    'reward head': _both_ways(
      reward.mean, [features], reward.trainable_variables
    ),
    'decoder': _both_ways(image.mean, [drawn], image.trainable_variables),
    'optimizer': _optimizer(agent),
  }
  if config.overshooting.steps:
    parts['overshooting'] = _both_ways(
      lambda state: model.overshoot(data, state, seed),
      [state],
      model.dynamics.trainable_variables,
    )
  return parts


def _both_ways(
  function: Callable[..., Any],
  inputs: Sequence[Tensor | State],
  variables: Sequence[Any],
) -> Callable[[], None]:
  """Returns a function that runs `function` and its gradient.

  Args:
    function: of `inputs`.
    inputs: tensors and states.
    variables: that the gradient is taken by, beside all floats of the inputs.
  """
  variables = [variable.value for variable in variables]
  floats = [x for x in tf.nest.flatten(inputs) if x.dtype.is_floating]

  @tf.function(autograph=False)
  def run() -> list[Tensor]:
    with tf.GradientTape() as tape:
      tape.watch(floats)
      outputs = tf.nest.flatten(function(*inputs))
      total = tf.add_n([tf.reduce_sum(tf.square(x)) for x in outputs])
    return tape.gradient(
      total, variables + floats, unconnected_gradients='zero'
    )

  return lambda: ceiling.done(run())


def _optimizer(agent: WorldModelAgent) -> Callable[[], None]:
  """Returns a function that applies a gradient, norm and clipping included."""
  variables = [v.value for v in agent.model.trainable_variables]

  @tf.function(autograph=False)
  def run() -> Tensor:
    with tf.GradientTape() as tape:
      loss = tf.add_n([tf.reduce_sum(variable) for variable in variables])
    return agent.optimizer.minimize(loss, tape)

  return lambda: ceiling.done(run())


def _peak_resident() -> int:
  """Returns the bytes of memory that this process had at most."""
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
