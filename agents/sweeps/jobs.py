"""The jobs of a sweep: one for each setting, task and seed.

A job is a run in a folder of its own, SWEEP/SETTING/TASK/seed_N, and the
commands that make it: each is `worldmodels` and what stands here. What comes of
a run does not depend on who has given them.
"""

import dataclasses
import pathlib
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from worldmodels import errors
from worldmodels.agents.runs import build
from worldmodels.agents.runs.run_directory import OPEN_KEYS

MOST = 10_000
# Files that a stage leaves in the run.
EVALUATION, PROBE = 'evaluation.json', 'probe.json'
UNITS = {'train': 'episodes', 'fit': 'updates'}

_OF_A_FOLDER = re.compile(r'[^A-Za-z0-9_.+-]')


@dataclasses.dataclass(frozen=True)
class Stage:
  """One command of a job.

  Attributes:
    name: of the program.
    flags: of it.
    output: name of the file in the run for what it prints; None for none.
  """

  name: str
  flags: tuple[str, ...]
  output: str | None = None

  @property
  def command(self) -> str:
    """The command, as a shell takes it."""
    return shlex.join(['worldmodels', self.name, *self.flags])


@dataclasses.dataclass(frozen=True)
class Job:
  """One run of a sweep.

  Attributes:
    setting, task, seed: which one.
    path: of the run.
    stages: in order; the first makes the run.
    budget: the OPEN_KEYS of its config: how long it goes on.
    asked: {key: value} of the config that it is to have.
  """

  setting: str
  task: str
  seed: int
  path: pathlib.Path
  stages: tuple[Stage, ...] = ()
  budget: Mapping[str, int] = dataclasses.field(default_factory=dict)
  asked: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  @property
  def name(self) -> str:
    """Setting, task and seed, in words."""
    return f'{self.setting} {self.task} seed {self.seed}'

  @property
  def log(self) -> pathlib.Path:
    """What its programs have printed: beside the run, which may not exist."""
    return self.path.with_name(f'{self.path.name}.log')

  @property
  def command(self) -> str:
    """All commands of the job, one after the other."""
    return ' && '.join(
      f'{stage.command} > {shlex.quote(str(self.path / stage.output))}'
      if stage.output
      else stage.command
      for stage in self.stages
    )


@dataclasses.dataclass(frozen=True)
class Setting:
  """What the runs of a setting have in common.

  Attributes:
    name: of the setting.
    config: value of --config.
    values: {key: value} that differ from it.
    resolved: the whole config, {key: value}.
  """

  name: str
  config: str
  values: Mapping[str, Any]
  resolved: Mapping[str, Any]

  @property
  def flags(self) -> tuple[str, ...]:
    """The flags --config and --config.KEY that make this config."""
    return (
      f'--config={self.config}',
      *(f'--config.{key}={_text(x)}' for key, x in self.values.items()),
    )

  @property
  def budget(self) -> dict[str, int]:
    """How long its runs go on."""
    return {key: self.resolved[key] for key in OPEN_KEYS}

  @property
  def has_model(self) -> bool:
    """Whether its agent has a world model, whose features can be probed."""
    return any(key.startswith(f'{build.MODEL[0]}.') for key in self.resolved)


def live(
  root: pathlib.Path,
  settings: Sequence[Setting],
  tasks: Sequence[str],
  seeds: Sequence[int],
  episodes: int,
  probes: bool,
  limits: Sequence[str] = (),
) -> list[Job]:
  """Returns jobs that train and evaluate, seed after seed.

  Args:
    root: of the sweep.
    settings: to try.
    tasks: to try each of them on.
    seeds: to try each of these with.
    episodes: of the evaluation at the end.
    probes: whether the true state is looked for in what their models have
      learned.
    limits: further flags of programs that start a task.
  """
  found = []
  for seed, task, setting in _each(settings, tasks, seeds):
    path = root / setting.name / folder(task) / f'seed_{seed}'
    logdir = f'--logdir={path}'
    chosen = (f'--config.task={task}', f'--config.seed={seed}')
    stages = [
      Stage('train', (*setting.flags, *chosen, logdir, *limits)),
      Stage(
        'evaluate', (logdir, f'--episodes={episodes}', *limits), EVALUATION
      ),
    ]
    if probes and setting.has_model:
      stages.append(Stage('probe', (logdir, *limits), PROBE))
    asked = {**setting.resolved, 'task': task, 'seed': seed}
    about = (setting.name, task, seed, path)
    found.append(Job(*about, tuple(stages), setting.budget, asked))
  return found


def stored(
  root: pathlib.Path,
  settings: Sequence[Setting],
  data: Mapping[str, pathlib.Path],
  named: bool,
  seeds: Sequence[int],
  updates: int,
  probes: bool,
  limits: Sequence[str] = (),
) -> list[Job]:
  """Returns jobs that fit a model to recorded episodes.

  Args:
    root: of the sweep.
    settings: to try.
    data: {task: path of its episodes}.
    named: whether the user has named the tasks, which the data need not know.
    seeds: to try each of these with.
    updates: of each run.
    probes: whether the true state is looked for in what they have learned.
    limits: further flags of programs that start a task.
  """
  found = []
  for seed, task, setting in _each(settings, list(data), seeds):
    path = root / setting.name / folder(task) / f'seed_{seed}'
    logdir = f'--logdir={path}'
    flags = (
      f'--data={data[task]}',
      *setting.flags,
      *((f'--config.task={task}',) if named else ()),
      f'--config.seed={seed}',
      f'--config.train.updates_total={updates}',
      logdir,
    )
    stages = [Stage('fit', flags)]
    if probes:
      stages.append(Stage('probe', (logdir, *limits), PROBE))
    budget = {**setting.budget, 'train.updates_total': updates}
    found.append(Job(setting.name, task, seed, path, tuple(stages), budget))
  return found


def folder(task: str) -> str:
  """Returns the name of the folder of a task: gymnasium:X is gymnasium_X."""
  return _OF_A_FOLDER.sub('_', task).lstrip('.')[:100] or '_'


def check(
  settings: Sequence[object], tasks: Sequence[str], seeds: Sequence[int]
) -> None:
  """Raises OptionError for what makes no folders of its own, or too many."""
  for option, values in (('--tasks', tasks), ('--seeds', seeds)):
    if not values:
      raise errors.OptionError(option, 'is empty; it names one or more')
    twice = [x for x in values if list(values).count(x) > 1]
    if twice:
      raise errors.OptionError(option, f'has {twice[0]} twice')
  folders: dict[str, str] = {}
  for task in tasks:
    other = folders.setdefault(folder(task), task)
    if other != task:
      raise errors.OptionError(
        '--tasks',
        f'has {other} and {task}, which would share the folder {folder(task)}',
      )
  count = len(settings) * len(tasks) * len(seeds)
  if count > MOST:
    raise errors.OptionError(
      '--settings',
      f'times tasks and seeds are {count:,} runs; at most {MOST:,}',
    )


def _each(
  settings: Sequence[Setting], tasks: Sequence[str], seeds: Sequence[int]
) -> list[tuple[int, str, Setting]]:
  """Lists all combinations; the first seed of all comes before the second."""
  return [
    (seed, task, setting)
    for seed in seeds
    for task in tasks
    for setting in settings
  ]


def _text(value: object) -> str:
  """Returns a value as a flag takes it."""
  return value if isinstance(value, str) else repr(value)
