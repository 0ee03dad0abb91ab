"""W4: one update of Dreamer's: the model as in W1, and an actor and a critic.

They imagine 15 steps from every state of the batch; their heads, and that of
the reward, have four layers of 400.
"""

import ml_collections

from worldmodels.agents.benchmark import ceiling
from worldmodels.agents.benchmark import clock
from worldmodels.agents.benchmark import figures
from worldmodels.agents.benchmark import flops
from worldmodels.agents.benchmark import model
from worldmodels.agents.benchmark.figures import Figure
from worldmodels.agents.benchmark.options import Options
from worldmodels.agents.runs import build

PRECISIONS = ('bfloat16', 'float32')
# danijar/dreamer took 6.2 s where float32 products went at 345 GFLOP/s
# (docs/performance.md): so many GFLOP of products in the same time.
REFERENCE = 6.2 * 345
GOAL = ('>=', 2.5)


def measure(options: Options) -> list[Figure]:
  """Returns the figures of W4 at both precisions."""
  top = ceiling.rate(ceiling.PRODUCT, 'float32', options)
  result = []
  batch, length = options.sizes['updates']['W1']
  for precision in PRECISIONS:
    agent = build.agent(published(options, precision), model.SPEC)
    timing = clock.median(model.update(agent, batch, length), options, warmup=3)
    count = batch * flops.count(model.update(agent, 1, length))
    result += figures.compared(
      'W4',
      f'update {batch} x {length} and behavior, {precision}',
      count,
      timing,
      top,
    )
    result.append(
      figures.figure(
        'W4',
        f'times as fast as danijar/dreamer, {precision}',
        REFERENCE / (timing.seconds * top.gflops),
        '',
        clock.noisiest(timing, top.timing),
        GOAL if precision == 'bfloat16' else None,
      )
    )
  return result


def published(options: Options, precision: str) -> ml_collections.ConfigDict:
  """Returns the config of the published figure."""
  config = options.dreamer()
  for group in (
    config.heads.reward,
    config.learner.actor,
    config.learner.critic,
  ):
    group.update(units=400, layers=4)
  config = model.precise(config, precision)
  for group in (config.learner.actor, config.learner.critic):
    group.precision = config.dynamics.precision
  return config
