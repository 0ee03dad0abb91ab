"""From a config to what it names: environments and agents."""

import importlib
import inspect
import pkgutil

import ml_collections

import agents
from data import workers


class ConfigError(ValueError):
  """A value of the config that nothing can be built from; one line."""


def check(config):
  """Raises ConfigError for values that contradict each other."""
  train = config.train
  positive = {
      'train.batch': train.batch, 'train.updates': train.updates,
      'train.seed_episodes': train.seed_episodes,
      'train.checkpoints': train.checkpoints,
      'evaluate.every': config.evaluate.every,
      'evaluate.episodes': config.evaluate.episodes,
      'evaluate.last_episodes': config.evaluate.last_episodes,
      'evaluate.context': config.evaluate.context,
      'evaluate.horizon': config.evaluate.horizon,
  }
  for key in ('planner.horizon', 'planner.iterations', 'behaviour.horizon',
              'critic.slow_every'):
    group, _, name = key.partition('.')
    if name in config.get(group, {}):  # Not every agent or planner has it.
      positive[key] = config[group][name]
  for key, value in positive.items():
    if value < 1:
      raise ConfigError(f'{key} is {value}; it is at least 1')
  if not 0 <= config.seed < 2 ** 32:
    raise ConfigError(f'seed is {config.seed}; it is 0 to 2**32 - 1')
  least_zero = {'train.first_updates': train.first_updates,
                'store.capacity': config.store.capacity}
  if 'behaviour' in config:
    least_zero['behaviour.starts'] = config.behaviour.starts
  for key, value in least_zero.items():
    if value < 0:
      raise ConfigError(f'{key} is {value}; it is at least 0')
  for key in ('image', 'reward'):
    if config.heads[key].kind == 'none':
      raise ConfigError(f'heads.{key}.kind is none; every model has that head')
  if train.episodes < train.seed_episodes:
    raise ConfigError(
        f'train.episodes is {train.episodes}; it is at least '
        f'train.seed_episodes ({train.seed_episodes})')
  if train.length <= config.overshooting.steps + 1:
    raise ConfigError(
        f'train.length is {train.length}; it is more than '
        f'overshooting.steps + 1 ({config.overshooting.steps + 1})')
  planner = config.get('planner', {})
  if 'elites' in planner and not 1 <= planner.elites <= planner.candidates:
    raise ConfigError(
        f'planner.elites is {planner.elites}; it is 1 to planner.candidates '
        f'({planner.candidates})')


def environment(config, seed=0):
  """Starts the config's environment in a process of its own."""
  options = config.environment
  return workers.start(
      config.task, seed, size=options.size,
      action_repeat=options.action_repeat, quality=options.quality,
      vectors=tuple(options.vectors))


def agent(config, environment):
  """Makes the config's agent for what the environment shows and takes."""
  return agent_for(config, environment.action_size, vectors_of(environment),
                   environment.discrete)


def vectors_of(environment):
  """Returns {key: size} of what is observed beside the image."""
  return {key: spec.shape[0]
          for key, spec in environment.observation_spec().items()
          if key != 'image'}


def agent_for(config, actions, vectors, discrete=False):
  """Makes the config's agent.

  Args:
    config: of the run.
    actions: A.
    vectors: {key: size} of the vectors that are observed beside the image.
    discrete: the actions are one-hot vectors.
  """
  names = [module.name for module in pkgutil.iter_modules(agents.__path__)]
  if config.agent not in names:
    raise ConfigError(f'agent is {config.agent!r}; no such file in agents/')
  module = importlib.import_module(f'agents.{config.agent}')
  if not hasattr(getattr(module, 'Agent', None), 'train'):
    raise ConfigError(f'agent is {config.agent!r}; there is nothing in '
                      f'agents/{config.agent}.py that learns')
  model = {key: config[key].to_dict() for key in (
      'encoder', 'rssm', 'heads', 'kl', 'overshooting')}
  # An agent is given what it names: groups and values of the config.
  given = dict(
      config, actions=actions, discrete=discrete, vectors=vectors, model=model,
      size=config.environment.size)
  wanted = inspect.signature(module.Agent).parameters
  try:
    return module.Agent(**{
        key: _plain(given[key]) for key in wanted if key in given})
  except ValueError as error:
    raise ConfigError(f'config: {error}') from error


def _plain(value):
  """A group of the config as a dict, and any other value as it is."""
  is_group = isinstance(value, ml_collections.ConfigDict)
  return value.to_dict() if is_group else value
