"""Films what a run imagines, and measures it.

  worldmodels video --logdir=RUN --out=dream.webm

The model observes the first steps of recorded episodes, then imagines the
others from the actions alone. The film shows truth, model and error; the table
has the error by horizon beside that of a copy of the last image seen and of
the mean image. No environment is needed.

  worldmodels video --logdir=RUN --real      the agent acting in its task
  worldmodels video --logdir=RUN --plan      its plans, and what then happened
  worldmodels video --logdir=RUN --episode=FILE.npz      a chosen recording
  worldmodels video --logdir=RUN --actions=FILE.npy      under other actions

With a planner (--config.planner.KEY=VALUE, --config.acting=planner) or an
objective the film shows that planner at work inside the model: it sees the
first steps of the recorded episodes, then plans and acts in its dream.
"""

import contextlib
import math
import pathlib

import ml_collections
import numpy as np
from absl import flags

from worldmodels import errors
from worldmodels.agents.programs import checkpoint_flag
from worldmodels.agents.programs import objective_flags
from worldmodels.agents.programs import run_config
from worldmodels.agents.programs import time_limits
from worldmodels.agents.runs import animation
from worldmodels.agents.runs import model_needed
from worldmodels.agents.runs import recordings
from worldmodels.agents.runs import restore
from worldmodels.agents.runs import selection
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.run_directory import RunError
from worldmodels.spec import Spec

_LOGDIR = flags.DEFINE_string(
  'logdir', None, 'Directory of the run.', required=True
)
_OUT = flags.DEFINE_string(
  'out', 'dream.webm', f'File to write: {", ".join(animation.ENDINGS)}.'
)
_EPISODES = flags.DEFINE_integer(
  'episodes', 4, 'How many to show.', lower_bound=1, upper_bound=16
)
_CONTEXT = flags.DEFINE_integer(
  'context', 5, 'Agent_steps that are observed.', lower_bound=1
)
_HORIZON = flags.DEFINE_integer(
  'horizon', 45, 'Agent_steps that are imagined.', lower_bound=1
)
_FPS = flags.DEFINE_float(
  'fps', 10, 'Agent_steps per second.', lower_bound=0.1, upper_bound=100
)
_SCALE = flags.DEFINE_integer(
  'scale', 3, 'Enlarges the pixels.', lower_bound=1, upper_bound=16
)
_CHECKPOINT = checkpoint_flag.define('film')
_REAL = flags.DEFINE_bool(
  'real', False, 'Films the agent acting in its task, without noise.'
)
_PLAN = flags.DEFINE_bool(
  'plan', False, 'Films plans of the agent beside what then happened.'
)
_EPISODE = flags.DEFINE_string(
  'episode', None, 'File .npz of the recorded episode to film.'
)
_ACTIONS = flags.DEFINE_string(
  'actions',
  None,
  'File .npy of other actions [H, A] or [M, H, A] to imagine.',
)
_LIMITS = time_limits.define()
_CONFIG = run_config.define()
_OBJECTIVE = objective_flags.define()

# Of the arguments: see launch.py.
TAKE, INTERNAL = run_config.take, (run_config.FLAG,)

# Bounds do not keep out what is not a number, which is neither above nor below.
flags.register_validator(
  'fps',
  lambda value: value is None or math.isfinite(value),
  'it is a number from 0.1 to 100',
)


def main(argv: list[str]) -> None:
  """Films and measures."""
  del argv
  _check_flags()
  out = animation.check_out(_OUT.value)
  directory = RunDirectory(_LOGDIR.value)
  config, _ = _CONFIG(directory)
  if not _REAL.value:
    model_needed.check(
      *(config, directory.path),
      'it imagines nothing that could be filmed; --real films it acting',
    )
  restore.check(directory, _CHECKPOINT.value)
  spec = directory.spec()
  objective = _OBJECTIVE(config, spec)
  steered = flags.FLAGS[run_config.FLAG].present or objective is not None
  plans = steered and config.get('acting', 'planner') == 'planner'
  if steered and not (plans or _REAL.value or _PLAN.value):
    raise errors.OptionError(
      '--config.acting',
      f'is {config.acting}: the actor is filmed by --real and --plan alone',
    )
  acts = _REAL.value or _PLAN.value or _ACTIONS.value is not None or plans
  if acts if spec.image is None else spec.image[2] != 3:
    raise RunError(f'{directory.path} is of a task without an image to film')
  if _REAL.value or _PLAN.value:
    _film_acting(out, directory, config, spec, objective)
    return
  others = None
  if _ACTIONS.value is not None:
    others = recordings.actions(_ACTIONS.value, spec)
  chosen = _choose(directory, selection.random_of(config), spec)
  print(f'episodes: {chosen.source}')
  shortest = min(len(episode['reward']) for episode in chosen.episodes)
  context = min(_CONTEXT.value, shortest - 1)
  if context < _CONTEXT.value:
    print(
      f'context: {context}, not {_CONTEXT.value}: the shortest of these '
      f'episodes has {shortest} rows'
    )
  length = min(context + _HORIZON.value, shortest)
  if others is not None:
    length = min(length, context + others.shape[1])
  if length == shortest < context + _HORIZON.value:
    print(
      f'horizon: {length - context}, not {_HORIZON.value}: the shortest of '
      f'these episodes has {shortest} rows, and {context} are observed'
    )

  print('starting TensorFlow, which takes some seconds')

  from worldmodels.agents.runs import dream_film
  from worldmodels.agents.runs import error_table
  from worldmodels.agents.runs import operations
  from worldmodels.agents.runs import planned

  operations.make_deterministic(config)
  agent, counters = restore.agent(directory, config, spec, _CHECKPOINT.value)
  names = planned.ROWS if plans else dream_film.rows(agent.model)
  if others is not None:
    names = ['other 1'] * (2 + len(others))
  dream_film.check_size(spec, length, _SCALE.value, chosen.titles, names)
  print(f'checkpoint: {counters["updates"]} updates')
  if objective is not None:
    objective.use(agent)
  starts = [
    {key: value[:length] for key, value in episode.items()}
    for episode in chosen.episodes
  ]
  batch = selection.cut(starts, length)
  if others is None:
    drawn = batch, context, _SCALE.value, chosen.titles
    if plans:
      with _explained(objective):
        frames, told = planned.film_of(agent, *drawn)
      print(told)
    else:
      frames = dream_film.compose(agent.model, *drawn)
    batch = selection.cut(chosen.episodes, length)
    print(error_table.table(agent.model, batch, context))
  else:
    from worldmodels.agents.runs import scenes

    others = others[:, : length - context]
    frames, told = scenes.others(
      agent.model, batch, context, others, _SCALE.value, chosen.titles
    )
    print(told)
  _write(out, frames)


def _film_acting(
  out: pathlib.Path,
  directory: RunDirectory,
  config: ml_collections.ConfigDict,
  spec: Spec,
  objective: objective_flags.Choice | None,
) -> None:
  """Films the agent in its task, or its plans there."""
  print(f'starting TensorFlow, then {config.task}, which takes some seconds')

  from worldmodels.agents.runs import operations
  from worldmodels.agents.runs import scenes

  operations.make_deterministic(config)
  agent, counters = restore.agent(directory, config, spec, _CHECKPOINT.value)
  print(f'checkpoint: {counters["updates"]} updates')
  if objective is not None:
    objective.use(agent)
  with _explained(objective):
    frames, told = scenes.of_acting(
      agent,
      config,
      directory,
      count=_EPISODES.value,
      context=_CONTEXT.value if _PLAN.value else None,
      horizon=_HORIZON.value if _PLAN.value or _HORIZON.present else None,
      scale=_SCALE.value,
      log=print,
      **_LIMITS(),
    )
  print(told)
  _write(out, frames)


def _explained(
  objective: objective_flags.Choice | None,
) -> contextlib.AbstractContextManager:
  """Turns the error of an objective that is not finite into one line."""
  if objective is None:
    return contextlib.nullcontext()
  from worldmodels.agents import objectives

  return objectives.explained(objective.name)


def _check_flags() -> None:
  """Raises OptionError for flags of two films at once, or of another film."""
  chosen = [
    f'--{flag.name}'
    for flag in (_REAL, _PLAN, _EPISODE, _ACTIONS)
    if flag.value
  ]
  if len(chosen) > 1 and chosen != ['--episode', '--actions']:
    raise errors.OptionError(
      chosen[1], f'is of another film than {chosen[0]}: give one of them'
    )
  for names, useless, why in (
    (['context'], _REAL.value, '--real films every step'),
    (['episodes'], _EPISODE.value, '--episode names the one'),
    (
      ['start_timeout', 'step_timeout'],
      not (_REAL.value or _PLAN.value),
      'only --real and --plan start the task',
    ),
    (
      [run_config.FLAG, *objective_flags.NAMES],
      _ACTIONS.value,
      'nobody plans where --actions are taken',
    ),
  ):
    for flag in (flags.FLAGS[name] for name in names):
      if useless and flag.present:
        name = flag.name
        if name == run_config.FLAG:
          name = f'config.{flag.value[0].partition("=")[0]}'
        raise errors.OptionError(f'--{name}', f'would change nothing: {why}')


def _write(out: pathlib.Path, frames: np.ndarray) -> None:
  """Writes a film and says so."""
  animation.write(out, frames, _FPS.value)
  length, height, width, _ = frames.shape
  print(
    f'{out}: {length} frames of {width}x{height}, '
    f'{out.stat().st_size / 1e6:.2f} MB'
  )


def _choose(
  directory: RunDirectory, random: int | None, spec: Spec
) -> selection.Selection:
  """Chooses episodes; short ones only if there are no others.

  Args:
    directory: of the run.
    random: how many of the held-out episodes are of random actions.
    spec: of the run.

  Raises:
    RunError: there is none, or none that is longer than the context asked for.
  """
  if _EPISODE.value is not None:
    shortest = _CONTEXT.value + 1 if _CONTEXT.present else 2
    title, episode = recordings.episode(_EPISODE.value, spec, shortest)
    return selection.Selection([episode], [title], _EPISODE.value)
  count = _EPISODES.value
  try:
    return selection.latest(directory, random, count, _CONTEXT.value + 1)
  except RunError:
    if _CONTEXT.present:
      raise
    return selection.latest(directory, random, count)
