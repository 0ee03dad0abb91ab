"""One update of the preset `cpu`, from nothing: `start` times it."""

from agents.run import build
from agents.run import loop

from . import model


def measure(setting):
  """Does the update; returns no rows."""
  config = setting.config()
  loop.share_cores(config)  # As agents.run.train does.
  agent = build.agent_for(config, 1, {})
  model.update(agent, config.train.batch, config.train.length)()
  return []
