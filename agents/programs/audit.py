"""Audits the model of a run: what it predicts of the agent, and what came.

  worldmodels audit --logdir=RUN

The agent plays episodes without noise. From states along them its model
predicts the returns of the next 1 to --horizon steps: of the agent acting in
the model, of the actions that were really taken, and of fresh plans. Beside
them stand the errors of single steps, and the bounds of the simulation lemma,
classic and tight, beside the gap that they bound. docs/audit.md explains them.

  worldmodels audit --logdir=RUN --recorded          without an environment
  worldmodels audit --logdir=RUN > RUN/audit.json    for `worldmodels report`
  worldmodels audit --maze --out=maze.svg            exact, in a small world

The last line is one JSON object, alone on stdout; everything else goes to
stderr.
"""

import json
import pathlib
import sys
from typing import Any

import ml_collections
from absl import flags

from worldmodels import errors
from worldmodels import tabular
from worldmodels.agents.programs import checkpoint_flag
from worldmodels.agents.programs import run_config
from worldmodels.agents.programs import time_limits
from worldmodels.agents.reports import audits
from worldmodels.agents.reports import raster
from worldmodels.agents.reports import svg
from worldmodels.agents.reports.chart import Chart
from worldmodels.agents.runs import build
from worldmodels.agents.runs import out_file
from worldmodels.agents.runs import restore
from worldmodels.agents.runs import selection
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.data import atomic

_LOGDIR = flags.DEFINE_string('logdir', None, 'Directory of the run.')
_MAZE = flags.DEFINE_bool(
  'maze', False, 'Audits models of the Dyna maze in place of a run, exactly.'
)
_EPISODES = flags.DEFINE_integer(
  'episodes', 4, 'How many to play.', lower_bound=1, upper_bound=1000
)
_STARTS = flags.DEFINE_integer(
  'starts',
  64,
  'States along them that predictions start from, at most.',
  lower_bound=1,
  upper_bound=4096,
)
_CONTEXT = flags.DEFINE_integer(
  'context',
  5,
  'Agent_steps that are observed before the first prediction.',
  lower_bound=1,
  upper_bound=10_000,
)
_HORIZON = flags.DEFINE_integer(
  'horizon', 15, 'Agent_steps predicted.', lower_bound=1, upper_bound=1000
)
_DREAMS = flags.DEFINE_integer(
  'dreams',
  8,
  'Draws that a prediction is averaged over.',
  lower_bound=1,
  upper_bound=1000,
)
_GAMMA = flags.DEFINE_float(
  'gamma',
  None,
  "Discount per agent_step; by default that of the run's learner, else 1.",
  lower_bound=0,
  upper_bound=1,
)
_SEED = flags.DEFINE_integer(
  'seed', 0, 'Of the draws.', lower_bound=0, upper_bound=2**20
)
_CHECKPOINT = checkpoint_flag.define('audit')
_RECORDED = flags.DEFINE_bool(
  'recorded',
  False,
  'Takes the newest held-out episodes of the policy, and predicts what their '
  'actions lead to: the policy itself has learned on.',
)
_OUT = flags.DEFINE_string('out', None, 'Picture to write: .png or .svg.')
_LIMITS = time_limits.define()
_CONFIG = run_config.define()

# Of the arguments: see launch.py.
TAKE, INTERNAL = run_config.take, (run_config.FLAG,)

# Of all starts together: their states are kept.
_MOST_STEPS = 100_000
# Shares of all states that models of the maze mix each step with.
_SHARES = (0.01, 0.02, 0.05, 0.1, 0.2)


def main(argv: list[str]) -> None:
  """Audits and prints."""
  del argv
  if (_LOGDIR.value is None) == (not _MAZE.value):
    raise errors.OptionError(
      '--logdir', 'names a run; give it, or --maze, and not both'
    )
  if _STARTS.value * _HORIZON.value > _MOST_STEPS:
    raise errors.OptionError(
      '--starts',
      f'is {_STARTS.value}, each of --horizon={_HORIZON.value} steps; all '
      f'together have at most {_MOST_STEPS}',
    )
  out = None
  if _OUT.value is not None:
    out = out_file.check('--out', _OUT.value, ('.png', '.svg'))
  if _MAZE.value:
    found, charts = _maze()
  else:
    found = _run(RunDirectory(_LOGDIR.value))
    charts = audits.charts(found, found['task'])
  if out is not None:
    _draw(out, charts)
  print(json.dumps(found))


def _maze() -> tuple[dict[str, Any], list[Chart]]:
  """Returns exact audits of models of the maze, and their chart."""
  maze = tabular.dyna_maze()
  rows = []
  for share in _SHARES:
    rows.append(
      {
        key: float(f'{value:.6g}')
        for key, value in tabular.audit(maze, maze.blurred(share)).items()
      }
    )
  _say(audits.maze_table(rows, maze.gamma))
  start = float(f'{maze.best()[1][maze.start]:.6g}')
  found = dict(
    world='dyna_maze', gamma=maze.gamma, start_value=start, models=rows
  )
  return found, [audits.maze_chart(rows)]


def _run(directory: RunDirectory) -> dict[str, Any]:
  """Audits a run; returns what is printed."""
  config, differing = _CONFIG(directory)
  spec = directory.spec()
  restore.check(directory, _CHECKPOINT.value)
  recorded = _recorded(directory, config) if _RECORDED.value else None
  if recorded is None and config.task == build.NO_TASK:
    build.environment(config)  # Says so.
  _say('starting TensorFlow, which takes some seconds')

  from worldmodels.agents.runs import acting
  from worldmodels.agents.runs import audit
  from worldmodels.agents.runs import forecasts
  from worldmodels.agents.runs import operations

  operations.make_deterministic(config)
  agent, counters = restore.agent(
    directory, config, spec, _CHECKPOINT.value, _say
  )
  forecasts.plans(agent, config)  # Or says that nothing can be audited.
  gamma = _GAMMA.value
  if gamma is None:
    gamma = float(config.get('learner', {}).get('gamma', 1.0))
  episodes, source = recorded or (None, 'played')
  if episodes is None:
    episodes = acting.play(
      agent, config, directory, _EPISODES.value, _say, **_LIMITS()
    )
  figures = audit.measure(
    agent,
    config,
    episodes,
    context=_CONTEXT.value,
    horizon=_HORIZON.value,
    count=_STARTS.value,
    dreams=_DREAMS.value,
    gamma=gamma,
    seed=_SEED.value,
    own=recorded is None,
  )
  returns = [float(episode['reward'].sum()) for episode in episodes]
  found = dict(
    task=config.task,
    checkpoint=counters['updates'],
    episodes=source,
    returns=[round(value, 3) for value in returns],
    context=_CONTEXT.value,
    horizon=_HORIZON.value,
    **figures,
  )
  if differing:
    found['config'] = differing
  _say(audits.table(found))
  return found


def _recorded(
  directory: RunDirectory, config: ml_collections.ConfigDict
) -> tuple[list[dict[str, Any]], str]:
  """Returns the newest held-out episodes of the policy, and what they are."""
  if config.train.updates_total > 0:
    raise errors.OptionError(
      '--recorded',
      'takes episodes of the agent itself; this run was fitted to those of '
      'others',
    )
  return selection.of_policy(
    directory,
    config.train.seed_episodes,
    _EPISODES.value,
    _CONTEXT.value + 1,
    _say,
  )


def _draw(out: pathlib.Path, charts: list[Chart]) -> None:
  if out.suffix.lower() == '.svg':
    content = svg.draw([charts]).encode('utf-8', 'replace')
  else:
    content = raster.png(raster.draw([charts]))
  atomic.write_bytes(out, content)
  _say(f'{out}: {len(charts)} charts')


def _say(line: str) -> None:
  print(line, file=sys.stderr, flush=True)
