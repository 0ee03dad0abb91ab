"""Writes a small copy of a run, to be shown and shared.

  worldmodels export --logdir=RUN --out=DIR

The copy has the weights that act, the config, the figures and a few episodes:
about a megabyte. It can be evaluated and filmed, not trained on.
"""

from absl import flags

from worldmodels.agents.programs import checkpoint_flag
from worldmodels.agents.runs import export
from worldmodels.agents.runs import restore
from worldmodels.agents.runs.run_directory import RunDirectory

_LOGDIR = flags.DEFINE_string(
  'logdir', None, 'Directory of the run.', required=True
)
_OUT = flags.DEFINE_string('out', None, 'Directory to make.', required=True)
_EPISODES = flags.DEFINE_integer(
  'episodes',
  4,
  'Held-out ones to take along.',
  lower_bound=1,
  upper_bound=1000,
)
_CHECKPOINT = checkpoint_flag.define('take')


def main(argv: list[str]) -> None:
  """Writes the copy."""
  del argv
  out = export.check_out(_OUT.value)
  directory = RunDirectory(_LOGDIR.value)
  config = directory.load()
  restore.check(directory, _CHECKPOINT.value)
  spec = directory.spec()
  print('starting TensorFlow, which takes some seconds')
  agent, counters = restore.agent(directory, config, spec, _CHECKPOINT.value)
  updates = counters['updates']
  export.write(directory, out, agent, updates, _EPISODES.value)
  size = sum(x.stat().st_size for x in out.rglob('*') if x.is_file())
  print(f'{out}: checkpoint of {updates} updates, {size / 1e6:.2f} MB')
