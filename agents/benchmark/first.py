"""One update of the preset `cpu`, from nothing: `start` times it."""

from worldmodels.agents.benchmark import model
from worldmodels.agents.benchmark.figures import Figure
from worldmodels.agents.benchmark.options import Options
from worldmodels.agents.runs import build
from worldmodels.agents.runs import operations


def measure(options: Options) -> list[Figure]:
  """Does the update; returns no figures."""
  config = options.config()
  operations.share_cores(config)  # As `worldmodels train` does.
  agent = build.agent(config, model.SPEC)
  model.update(agent, config.train.batch, config.train.length)()
  return []
