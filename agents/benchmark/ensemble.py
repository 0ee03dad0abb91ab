"""W9: what an ensemble costs, beside one member: an update, and an action."""

from worldmodels import cores
from worldmodels.agents.agent import WorldModelAgent
from worldmodels.agents.benchmark import clock
from worldmodels.agents.benchmark import figures
from worldmodels.agents.benchmark import model
from worldmodels.agents.benchmark import plan
from worldmodels.agents.benchmark.figures import Figure
from worldmodels.agents.benchmark.options import Options
from worldmodels.agents.runs import build

MEMBERS = 5
GOAL = ('<=', 1.6)  # of the update of one member


def measure(options: Options) -> list[Figure]:
  """Returns the figures of W9."""
  cores.halve_threads()  # As `worldmodels train` does with that preset.
  train = options.config().train
  # By turns: what is slower for a while is so for both.
  agents = {count: _agent(options, count) for count in (1, MEMBERS)}
  updates = {
    count: model.update(agent, train.batch, train.length)
    for count, agent in agents.items()
  }
  timings = {
    count: clock.median(update, options, warmup=3)
    for count, update in updates.items()
  }
  again = clock.median(updates[1], options)
  one = min(timings[1], again, key=lambda timing: timing.seconds)
  several = timings[MEMBERS]
  found = [
    figures.figure(
      'W9',
      f'update of {count} members',
      timing.seconds * 1e3,
      'ms',
      timing,
    )
    for count, timing in ((1, one), (MEMBERS, several))
  ]
  found.append(
    figures.figure(
      'W9',
      f'update of {MEMBERS} members over that of one',
      several.seconds / one.seconds,
      '',
      clock.noisiest(several, one),
      GOAL,
    )
  )
  return found + _actions(options)


def _agent(options: Options, count: int) -> WorldModelAgent:
  config = options.config()
  config.dynamics.update(kind='ensemble', members=count)
  return build.agent(config, model.SPEC)


def _actions(options: Options) -> list[Figure]:
  """Returns the time of a plan, without and with particles of all members."""
  found = []
  for particles in (1, MEMBERS):
    config = options.config()
    config.dynamics.update(kind='ensemble', members=MEMBERS)
    if particles > 1:
      config.planner.update(
        particles=particles, propagation='tsinf', sample=True
      )
    timing = clock.median(plan.of(config), options)
    found.append(
      figures.figure(
        'W9',
        f'one action of {MEMBERS} members, {particles} particles',
        timing.seconds * 1e3,
        'ms',
        timing,
      )
    )
  return found
