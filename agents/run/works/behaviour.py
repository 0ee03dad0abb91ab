"""W4: one update of Dreamer's: the model as in W1, and an actor and a critic.

They imagine 15 steps from every state of the batch; their heads, and that of
the reward, have four layers of 400.
"""

from agents.run import build

from . import ceiling
from . import clock
from . import flops
from . import model
from . import rows

PRECISIONS = ('bfloat16', 'float32')
# danijar/dreamer took 6.2 s where float32 products went at 345 GFLOP/s
# (docs/performance.md): so many GFLOP of products in the same time.
REFERENCE = 6.2 * 345
GOAL = ('>=', 2.5)


def measure(setting):
  """Returns the rows of W4 at both precisions."""
  top = ceiling.rate(ceiling.PRODUCT, 'float32', setting)
  result = []
  batch, length = setting.sizes['updates']['W1']
  for precision in PRECISIONS:
    agent = build.agent_for(published(setting, precision), 1, {})
    timing = clock.median(
        model.update(agent, batch, length), setting, warmup=3)
    count = batch * flops.count(model.update(agent, 1, length))
    result += rows.compared(
        'W4', f'update {batch} x {length} and behaviour, {precision}', count,
        timing, ('float32 product', top))
    result.append(rows.row(
        'W4', f'times as fast as danijar/dreamer, {precision}',
        REFERENCE / (timing['seconds'] * top[0]), '',
        clock.both(timing, top[1]),
        GOAL if precision == 'bfloat16' else None))
  return result


def published(setting, precision):
  """Returns the config of the published figure."""
  config = setting.dreamer()
  for group in (config.heads.reward, config.actor, config.critic):
    group.update(units=400, layers=4)
  config = model.precise(config, precision)
  config.actor.precision = config.critic.precision = config.rssm.precision
  return config
