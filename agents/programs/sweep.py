"""Trains many runs: settings, tasks and seeds, several at once.

  worldmodels sweep --config=dreamer:small --seeds=0,1 --jobs=2 --logdir=DIR
  worldmodels sweep --settings=FILE.toml --tasks=hill,juggle --logdir=DIR
  worldmodels sweep --settings=FILE.toml --episodes=RUN --updates=999 --logdir=D
  worldmodels sweep --tasks=hill,juggle --cluster=HOST:PORT --logdir=DIR

Each run is a folder DIR/SETTING/TASK/seed_N as `train` makes it, trained and
then evaluated; with --episodes the model alone is fitted to recorded episodes.
The same command goes on after whatever has stopped it. DIR/table.csv,
DIR/table.md and DIR/report.html say what came of it: docs/sweeps.md.
"""

import contextlib
import pathlib
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import ml_collections
from absl import flags

from worldmodels import errors
from worldmodels.agents.programs import config_flag
from worldmodels.agents.programs import sweep_places
from worldmodels.agents.programs import time_limits
from worldmodels.agents.programs import usage
from worldmodels.agents.runs import build
from worldmodels.agents.runs import config_checks
from worldmodels.agents.runs import paths
from worldmodels.agents.sweeps import directory
from worldmodels.agents.sweeps import episodes
from worldmodels.agents.sweeps import jobs
from worldmodels.agents.sweeps import outcome
from worldmodels.agents.sweeps import settings
from worldmodels.agents.sweeps import standing
from worldmodels.data import resolve

CONFIG = 'planet:cpu'
STOPPED = 'stopped; the same command continues'
WAITS = 'for the updates that the runs are in'

_CONFIG = config_flag.define(
  'Config of the package, or file of configs, and a preset of it; by default '
  f'{CONFIG}.'
)
_SETTINGS = flags.DEFINE_string(
  'settings',
  None,
  'File of settings, .toml or .json: names, and keys of the config to change.',
)
_TASKS = flags.DEFINE_list(
  'tasks', None, 'Tasks, with commas between; by default that of the config.'
)
_SEEDS = flags.DEFINE_list(
  'seeds', None, 'Seeds, with commas between; by default that of the config.'
)
_JOBS = flags.DEFINE_integer(
  'jobs',
  None,
  'Runs at a time, each on cores of its own; by default 1, and with --cluster '
  'as many as there is room for.',
  lower_bound=1,
  upper_bound=256,
)
_LOGDIR = flags.DEFINE_string(
  'logdir',
  None,
  'Directory of the sweep, new or to be continued.',
  required=True,
)
_EPISODES = flags.DEFINE_list(
  'episodes',
  None,
  'Runs, or other recorded episodes, to fit the model to instead of training; '
  'one for each task.',
)
_UPDATES = flags.DEFINE_integer(
  'updates',
  None,
  'Updates of each fit, with --episodes.',
  lower_bound=1,
  upper_bound=10**9,
)
_EVALUATION = flags.DEFINE_integer(
  'evaluation_episodes',
  10,
  'Episodes of the evaluation of each run that was trained.',
  lower_bound=1,
  upper_bound=100_000,
)
_PROBE = flags.DEFINE_bool(
  'probe',
  None,
  'Probes what was learned for the true state of the task; by default with '
  '--settings or --episodes.',
)
_LIMITS = time_limits.define()
sweep_places.define()


def main(argv: list[str]) -> None:
  """Runs the sweep to its end; raises an error where a run has failed.

  What does not suit is found before anything is begun.
  """
  del argv
  sweep_places.check()
  root = sweep_places.path(paths.expanded('--logdir', _LOGDIR.value))
  chosen = _settings()
  seeds = _seeds(_CONFIG.value)
  if _EPISODES.value is None:
    if _UPDATES.value is not None:
      raise errors.OptionError('--updates', 'goes with --episodes')
    made, data = _live(root, chosen, seeds), {}
    _check_tasks(made)
  else:
    made, data = _stored(root, chosen, seeds)
  place = directory.SweepDirectory(root)
  left = sum(not standing.is_done(job) for job in made)
  with contextlib.ExitStack() as stack:
    where = stack.enter_context(sweep_places.entered(_JOBS.value, left))
    place.begin(chosen, made, {k: str(x.absolute()) for k, x in data.items()})
    stack.callback(place.leave)
    for task, path in data.items():
      if _PROBE.value is not False and episodes.can_have_states(path):
        out = root / directory.EPISODES / jobs.folder(task)
        episodes.add_states(path, out, print, **_LIMITS())
    failed = outcome.of(place, made, where(root), _command(), usage.version())
  if failed:
    raise errors.UserError(
      f'{len(failed)} of {len(made)} runs failed: {"; ".join(failed[:3])}'
      f'{" ..." if len(failed) > 3 else ""}; the same command tries them again'
    )


def _settings() -> list[jobs.Setting]:
  """Returns the settings, each with a config that is sound."""
  given = flags.FLAGS.read_flags_from_files(sys.argv, force_gnu=False)
  config = config_flag.take(given[1:])[0] or CONFIG
  common = config_flag.chosen()
  for key in ('task', 'seed'):
    common.pop(key, None)
  if _SETTINGS.value is None:
    file, _, preset = config.partition(':')
    named = {jobs.folder(f'{pathlib.Path(file).stem}_{preset}'): {}}
  else:
    named = settings.read(paths.expanded('--settings', _SETTINGS.value))
  return [_setting(name, config, common, own) for name, own in named.items()]


def _setting(
  name: str, config: str, common: Mapping[str, Any], own: Mapping[str, Any]
) -> jobs.Setting:
  """Returns a setting.

  Raises:
    UserError: nothing can be made of it; the message names it.
  """
  values = {**common, **own}
  base = str(values.pop(settings.CONFIG, config))
  try:
    made = config_flag.changed(base, values)
    if made.train.updates_total:
      raise build.ConfigError('train.updates_total belongs to --updates')
  except errors.UserError as error:
    if _SETTINGS.value is None:
      raise
    raise settings.SettingsError(
      f'--settings={_SETTINGS.value}, {name}: {error}'
    ) from error
  resolved = config_checks.flatten(made.to_dict())
  return jobs.Setting(name, base, values, resolved)


def _seeds(config: ml_collections.ConfigDict) -> list[int]:
  """Returns the seeds of the sweep."""
  if _SEEDS.value is None:
    return [config.seed]
  for text in _SEEDS.value:
    if not (text.isascii() and text.isdecimal() and len(text) < 11):
      raise errors.OptionError(
        '--seeds', f'has {text!r}; they are whole numbers from 0'
      )
  seeds = [int(text) for text in _SEEDS.value]
  for seed in seeds:
    if seed >= 2**32:
      raise errors.OptionError('--seeds', f'has {seed}; they are below 2**32')
  return seeds


def _live(
  root: pathlib.Path, chosen: Sequence[jobs.Setting], seeds: Sequence[int]
) -> list[jobs.Job]:
  """Returns the jobs of runs that are trained."""
  tasks = [_CONFIG.value.task] if _TASKS.value is None else _TASKS.value
  jobs.check(chosen, tasks, seeds)
  probes = _PROBE.value
  if probes is None:
    probes = _SETTINGS.value is not None
  return jobs.live(
    *(root, chosen, tasks, seeds, _EVALUATION.value, probes), _limits()
  )


def _stored(
  root: pathlib.Path, chosen: Sequence[jobs.Setting], seeds: Sequence[int]
) -> tuple[list[jobs.Job], dict[str, pathlib.Path]]:
  """Returns the jobs of fits, and the episodes of each task."""
  if _UPDATES.value is None:
    raise errors.OptionError('--updates', 'is missing: of each fit')
  if _EVALUATION.present:
    raise errors.OptionError(
      '--evaluation_episodes', 'is of runs that act; fits of --episodes do not'
    )
  given = [paths.expanded('--episodes', path) for path in _EPISODES.value]
  data = episodes.by_task(given, _TASKS.value)
  jobs.check(chosen, list(data), seeds)
  probes = _PROBE.value is not False
  shown = dict(data)
  if probes:
    for task, path in data.items():
      if episodes.can_have_states(path):
        shown[task] = root / directory.EPISODES / jobs.folder(task)
  made = jobs.stored(
    *(root, chosen, shown, _TASKS.value is not None, seeds),
    *(_UPDATES.value, probes, _limits()),
  )
  return made, data


def _check_tasks(made: Sequence[jobs.Job]) -> None:
  """Raises an error for the name of a task that does not exist.

  A task of the user's is left to its run: it may fail, and the others go on.
  """
  left = [job.task for job in made if not standing.is_done(job)]
  for task in dict.fromkeys(left):
    if ':' in task or task in resolve.own_tasks():
      continue
    job = next(job for job in made if job.task == task)
    config = _CONFIG.value.copy_and_resolve_references()
    config.task, config.seed = task, job.seed
    build.environment(config, **_LIMITS()).close()


def _limits() -> list[str]:
  """Returns the flags of time limits that are not as they come."""
  return [
    f'--{name}={flags.FLAGS[name].value}'
    for name in ('start_timeout', 'step_timeout')
    if flags.FLAGS[name].present
  ]


def _command() -> str:
  return shlex.join(['worldmodels', 'sweep', *sys.argv[1:]])
