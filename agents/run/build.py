"""From a config to what it names: environments and agents."""

import importlib
import pkgutil

import agents
from data import workers


def environment(config, seed=0):
  """Starts the config's environment in a process of its own."""
  options = config.environment
  return workers.start(
      config.task, seed, size=options.size,
      action_repeat=options.action_repeat, quality=options.quality,
      vectors=tuple(options.vectors))


def agent(config, environment):
  """Makes the config's agent for what the environment shows and takes."""
  vectors = {key: spec.shape[0]
             for key, spec in environment.observation_spec().items()
             if key != 'image'}
  names = [module.name for module in pkgutil.iter_modules(agents.__path__)]
  if config.agent not in names:
    raise ValueError(f'agent is {config.agent!r}; no such file in agents/')
  module = importlib.import_module(f'agents.{config.agent}')
  return module.Agent(
      actions=environment.action_size,
      model={key: config[key].to_dict() for key in (
          'encoder', 'rssm', 'heads', 'kl', 'overshooting')},
      optimizer=config.optimizer.to_dict(),
      planner=config.planner.to_dict(),
      exploration=config.exploration,
      vectors=vectors,
      size=config.environment.size)
