"""Scores a planner that has the simulator itself for a model: nothing learned.

  worldmodels oracle --config=planet:cpu --config.task=cartpole_swingup

Plays episodes of the task. The planner of the config tries its candidates in
the simulator, which is put back each time; --config.planner.KEY=VALUE is
another one. So search is told from model: an agent that gets less with the same
planner lacks a model, and a planner that gets little here lacks candidates or a
horizon.

Prints one JSON object; everything else goes to stderr.
"""

import json
import sys
import time
from typing import Any

from worldmodels import errors
from worldmodels.agents.programs import config_flag
from worldmodels.agents.programs import played_flags
from worldmodels.agents.programs import time_limits
from worldmodels.agents.runs import build
from worldmodels.agents.runs import scored
from worldmodels.agents.runs import seeds
from worldmodels.data import limits

CONFIG = 'planet:cpu'

_CONFIG = config_flag.define(
  'Config of the package, or file of configs, and a preset of it, whose task '
  f'and planner count; by default {CONFIG}.'
)
_EPISODES = played_flags.episodes(3)
_SEED = played_flags.seed(
  'Of the episodes, which are those of `evaluate`, and of the planner.'
)
_PARALLEL = played_flags.parallel(', a core for each')
_LIMITS = time_limits.define()

# Of the group `planner`: what a simulator without a critic has no use for.
_UNUSED = dict(value=False, proposals=0, sample=False, particles=1)


def main(argv: list[str]) -> None:
  """Plays and prints."""
  del argv
  config = _CONFIG.value
  if 'planner' not in config:
    raise errors.UserError(
      f'the agent {config.agent.kind!r} has no planner; --config=planet:cpu '
      'has one'
    )
  environments = []
  try:
    for _ in range(min(_PARALLEL.value, _EPISODES.value)):
      environments.append(build.environment(config, **_LIMITS()))
    spec = build.spec_of(environments[0])
    planner = _options(build.chosen(config, spec).planner.to_dict())
    if environments[0].step_limit is None:
      _say(limits.NO_LIMIT)
    from worldmodels.agents import oracle
    from worldmodels.agents.runs import evaluation

    agent = oracle.Oracle(spec=spec, planner=planner, simulators=environments)
    _say(
      f'{config.task}: plans {agent.planner.horizon} agent_steps ahead in the '
      'simulator'
    )
    played = seeds.of_played(_EPISODES.value, _SEED.value)
    start, steps = time.monotonic(), []
    returns = evaluation.returns(
      agent,
      environments,
      played,
      _say,
      [lambda episode: steps.append(len(episode['reward']) - 1)],
    )
    seconds = time.monotonic() - start
    found = scored.summary(environments[0], played, returns) | {
      'planner': planner,
      'seconds_per_step': round(seconds / max(1, sum(steps)), 4),
    }
    print(json.dumps(found))
  finally:
    for environment in environments:
      environment.close()


def _options(planner: dict[str, Any]) -> dict[str, Any]:
  """Returns the options of a planner without those that are of no use."""
  used = planner | {key: x for key, x in _UNUSED.items() if key in planner}
  dropped = [f'{key}={x}' for key, x in planner.items() if x != used[key]]
  if dropped:
    _say(f'of no use here, and left out: {", ".join(dropped)}')
  return used


def _say(line: str) -> None:
  print(line, file=sys.stderr, flush=True)
