"""Makes the environment, the spec and the agent of a config."""

import collections
from typing import TYPE_CHECKING, Any

import ml_collections
import numpy as np

from worldmodels import errors
from worldmodels import kinds
from worldmodels.agents import suited
from worldmodels.data import workers
from worldmodels.spec import Spec

if TYPE_CHECKING:
  from worldmodels.agents.learning_agent import LearningAgent


NO_TASK = 'none'  # of runs that learn from recorded data alone
# Groups that make a world model, beside the encoder; an agent without one has
# none of them.
MODEL = ('dynamics', 'heads', 'kl', 'overshooting')


class ConfigError(errors.UserError, ValueError):
  """A value of the config that cannot be used; the message is one line."""


def environment(
  config: ml_collections.ConfigDict, seed: int = 0, **limits: float
) -> workers.Worker:
  """Starts the config's environment in a process of its own.

  Args:
    config: of a run.
    seed: of the task.
    **limits: `timeout` and `start_timeout` of workers.start.
  """
  if config.task == NO_TASK:
    raise ConfigError(
      'task is none: this run was fitted to recorded data, and nothing says '
      'what task they are of; `worldmodels video` needs none'
    )
  options = config.environment
  return workers.start(
    config.task,
    seed,
    size=options.size,
    action_repeat=options.action_repeat,
    quality=options.quality,
    camera=options.camera,
    vectors=tuple(options.vectors),
    step_limit=options.step_limit,
    image=options.image,
    crop=tuple(options.crop),
    gray=options.gray,
    **limits,
  )


def spec_of(environment: workers.Worker) -> Spec:
  """Returns the spec of an environment."""
  shown = environment.observation_spec()
  image = shown.pop('image', None)
  return Spec(
    actions=environment.action_size,
    discrete=environment.discrete,
    image=None if image is None else tuple(map(int, image.shape)),
    vectors={key: int(np.prod(spec.shape)) for key, spec in shown.items()},
  )


def chosen(
  config: ml_collections.ConfigDict, spec: Spec, ends_early: bool = False
) -> ml_collections.ConfigDict:
  """Returns the config with kinds for a task in the place of `auto`.

  Args:
    config: as configs/*.py make it; it stays as it is.
    spec: of the task.
    ends_early: whether its episodes may end before their time.

  Where the task shows no image the model learns from its vectors: each of them
  gets a head, and the head of the image is left out.
  """
  config = config.copy_and_resolve_references()
  if spec.image is None and 'heads' in config:
    config.overshooting.image, config.heads.image.kind = 0.0, 'none'
    with config.unlocked():
      for key in spec.vectors:
        if '.' in key:
          raise ConfigError(
            f'a head cannot be called {key!r}, which has a dot: rename that '
            'vector of the task, or name in environment.vectors those to have'
          )
        if key not in config.heads:
          config.heads[key] = suited.vector_head(config.heads.reward.to_dict())
  embeds, draws = suited.eyes(spec)
  for group, key, value in (
    (config.get('encoder', {}), 'embeds', embeds),
    (config.get('heads', {}).get('image', {}), 'draws', draws),
  ):
    if group.get(key) == suited.AUTO:
      group[key] = value
  discount = config.get('heads', {}).get('discount')
  if discount is not None:
    discount.kind = suited.discount(discount.kind, ends_early)
  planner = config.get('planner')
  if planner is not None:
    planner.kind = suited.planner(planner.kind, spec.discrete)
    if 'proposals' in planner:
      planner.proposals = suited.proposals(
        planner.proposals, planner.kind, spec
      )
  actor = config.get('learner', {}).get('actor')
  if actor is not None and actor.get('kind') == suited.AUTO:
    actor.kind = suited.distribution(
      actor.kind, actor.continuous, spec.discrete
    )
  return config


def learning_agent(
  config: ml_collections.ConfigDict, spec: Spec
) -> 'LearningAgent':
  """Makes the agent of a run that is about to learn, and tries it.

  Raises:
    ConfigError: nothing can be made of the config, or a part that is the
      user's raises or returns what it should not.
  """
  made = agent(config, spec)
  from worldmodels.agents.runs import trial

  try:
    trial.check(made, config)
  except errors.OptionError as error:
    raise ConfigError(str(error)) from error
  return made


def agent(config: ml_collections.ConfigDict, spec: Spec) -> 'LearningAgent':
  """Makes the config's agent for a task.

  What the config leaves to `auto` is chosen by the spec; it has no discount
  head then, unless `chosen` was told before that episodes end early.

  Raises:
    ConfigError: nothing can be made of the config.
  """
  from worldmodels.agents.runs import demands

  groups = chosen(config, spec).to_dict()
  given = {}
  if 'dynamics' in groups:
    parts = ('encoder', *MODEL)
    given['model'] = {key: groups.pop(key) for key in parts}
  own = groups.pop('agent')
  try:
    with errors.group('agent'):
      found = kinds.find('worldmodels.agents', own['kind'], 'Agent')
      if not hasattr(found, 'train'):
        raise errors.OptionError(
          'kind', f'is {own["kind"]!r}, which learns nothing'
        )
    with demands.Parts(config, spec).explained():
      made = _make(groups | own, spec, given)
      paths = collections.Counter(x.path for x in made.state_variables)
  except errors.OptionError as error:
    raise ConfigError(str(error)) from error
  path, count = paths.most_common(1)[0]
  if count > 1:
    raise ConfigError(
      f'{count} variables are called {path!r}: give the layers that have them '
      'names of their own'
    )
  return made


def _make(
  groups: dict[str, Any], spec: Spec, given: dict[str, Any]
) -> 'LearningAgent':
  """Calls the class of an agent with its groups of options."""
  try:
    return kinds.make('worldmodels.agents', 'Agent', groups, spec=spec, **given)
  except errors.OptionError as error:
    if error.option != 'kind':
      raise
    raise errors.OptionError('agent.kind', error.problem) from error
  except ValueError as error:
    raise ConfigError(f'config: {error}') from error
