"""An agent out of a run, to be evaluated or looked at.

Nothing of the run is changed: it may go on training meanwhile.
"""

from agents import checkpoint as checkpoints

from . import build
from . import run_directory


def check(directory, checkpoint=None):
  """Sees to it, without TensorFlow, that there is something to restore.

  Args:
    directory: a RunDirectory.
    checkpoint: updates of the one that is wanted; None for the newest.

  Raises:
    RunError: the run has no checkpoint yet.
    CheckpointError: it has not got this one, or none that is whole.
  """
  if not checkpoints.listing(directory.checkpoints):
    raise run_directory.RunError(
      f'{directory.path} has no checkpoint yet: train it first'
    )
  checkpoints.check(directory.checkpoints, checkpoint)


def agent(directory, config, actions, vectors, checkpoint=None, log=print,
          discrete=False):
  """Makes the agent of a run and restores it.

  Args:
    directory: a RunDirectory.
    config: of the run.
    actions: A.
    vectors: {key: size} of the vectors that are observed beside the image.
    checkpoint: updates of the one that is wanted; None for the newest that is
      whole.
    log: called with a line for each damaged checkpoint.
    discrete: the actions are one-hot vectors.

  Returns:
    (agent, counters of the checkpoint).

  Raises:
    RunError: the run has no checkpoint yet.
    CheckpointError: it has not got this one, it is damaged, or it belongs to
      another agent.
  """
  check(directory, checkpoint)
  restored = build.agent_for(config, actions, vectors, discrete)
  counters = checkpoints.restore(
    directory.checkpoints, restored.state_variables, log, checkpoint
  )
  restored.adopt(restored)
  return restored, counters
