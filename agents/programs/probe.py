"""Says how much of the true state of a task a model has learned to see.

  worldmodels probe --logdir=RUN

A linear fit from the model's features to each vector of the task, fitted to
episodes that were learned from and measured in those that were held out. The
vectors are those that were recorded; where there are none, the task gives them
when the episodes are played again. Prints one JSON object; everything else goes
to stderr.
"""

import json
import sys

from absl import flags

from worldmodels.agents.programs import checkpoint_flag
from worldmodels.agents.programs import time_limits
from worldmodels.agents.runs import model_needed
from worldmodels.agents.runs import restore
from worldmodels.agents.runs.run_directory import RunDirectory

_LOGDIR = flags.DEFINE_string(
  'logdir', None, 'Directory of the run.', required=True
)
_CHECKPOINT = checkpoint_flag.define('probe')
_LIMITS = time_limits.define()


def main(argv: list[str]) -> None:
  """Probes and prints."""
  del argv
  directory = RunDirectory(_LOGDIR.value)
  config, spec = directory.load(), directory.spec()
  model_needed.check(config, directory.path, 'it has no features to fit to')
  restore.check(directory, _CHECKPOINT.value)
  _say('starting TensorFlow, which takes some seconds')
  from worldmodels.agents.runs import operations
  from worldmodels.agents.runs import probing

  operations.make_deterministic(config)
  agent, counters = restore.agent(
    directory, config, spec, _CHECKPOINT.value, _say
  )
  found = probing.probe(*(agent.model, directory, config, _say), **_LIMITS())
  about = {'task': config.task, 'checkpoint': counters['updates']}
  print(json.dumps(about | found))


def _say(line: str) -> None:
  print(line, file=sys.stderr, flush=True)
