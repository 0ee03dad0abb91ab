"""Scores a run: episodes without exploration noise, in the real environment.

  worldmodels evaluate --logdir=RUN --episodes=10

Prints one JSON object; everything else goes to stderr. The same command on the
same machine gives the same returns.

Another planner may act, and another objective be planned for, without training:
--config.planner.KEY=VALUE and --config.acting=planner are laid over the config
of the run. Then the JSON also has what differs, and the sum of the objective
over each of the real episodes.
"""

import json
import sys
from typing import Any

from absl import flags

from worldmodels.agents.programs import checkpoint_flag
from worldmodels.agents.programs import objective_flags
from worldmodels.agents.programs import played_flags
from worldmodels.agents.programs import run_config
from worldmodels.agents.programs import time_limits
from worldmodels.agents.runs import action_scale
from worldmodels.agents.runs import build
from worldmodels.agents.runs import restore
from worldmodels.agents.runs import scored
from worldmodels.agents.runs import seeds
from worldmodels.agents.runs import witness
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.data import limits

_LOGDIR = flags.DEFINE_string(
  'logdir', None, 'Directory of the run.', required=True
)
_EPISODES = played_flags.episodes(10)
_SEED = played_flags.seed('Of the episodes and of the planner.')
_CHECKPOINT = checkpoint_flag.define('evaluate')
_PARALLEL = played_flags.parallel()
_RECORD = flags.DEFINE_list(
  'record',
  [],
  'Vectors of the task that the model does not see: their means over the last '
  'half of each episode are printed.',
)
_LIMITS = time_limits.define()
_CONFIG = run_config.define()
_OBJECTIVE = objective_flags.define()

# Of the arguments: see launch.py.
TAKE, INTERNAL = run_config.take, (run_config.FLAG,)


def main(argv: list[str]) -> None:
  """Evaluates and prints."""
  del argv
  directory = RunDirectory(_LOGDIR.value)
  config, differing = _CONFIG(directory)
  restore.check(directory, _CHECKPOINT.value)
  objective = _OBJECTIVE(config, directory.spec())
  record = witness.Witness(config, directory.spec(), _RECORD.value)
  _say(f'starting {config.task}, then TensorFlow, which takes some seconds')
  environments = []
  try:
    for _ in range(min(_PARALLEL.value, _EPISODES.value)):
      environments.append(build.environment(record.config, **_LIMITS()))
    spec = record.spec(build.spec_of(environments[0]))
    directory.check_spec(spec)
    if said := action_scale.other(directory, environments[0].bounds):
      _say(said)
    from worldmodels import cores
    from worldmodels.agents.runs import evaluation
    from worldmodels.agents.runs import objective_sums
    from worldmodels.agents.runs import operations

    cores.halve_threads()
    operations.make_deterministic(config)

    agent, counters = restore.agent(
      directory, config, spec, _CHECKPOINT.value, _say
    )
    updates = counters['updates']
    _say(f'{directory.path}: {config.task}, checkpoint of {updates} updates')
    _say_differing(differing)
    sums = objective_sums.Sums(agent, objective, _say)
    if environments[0].step_limit is None:
      _say(limits.NO_LIMIT)
    played = seeds.of_played(_EPISODES.value, _SEED.value)
    with sums.explained():
      returns = evaluation.returns(
        agent, environments, played, _say, (sums.add, record.add)
      )
    found = {'task': config.task, 'checkpoint': updates}
    found |= scored.summary(environments[0], played, returns)
    if differing:
      found['config'] = differing
    print(json.dumps(found | sums.summary() | record.summary()))
  finally:
    for environment in environments:
      environment.close()


def _say_differing(differing: dict[str, Any]) -> None:
  """Says what of the config is not that of the run."""
  if differing:
    listed = ', '.join(f'{key}={value}' for key, value in differing.items())
    _say(f'other than the run: {listed}')


def _say(line: str) -> None:
  print(line, file=sys.stderr, flush=True)
