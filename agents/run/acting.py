"""An agent's episodes in the real environment, whatever workers do."""

import os

import tensorflow as tf

from data import workers

from . import rollout

# How often the same episode is tried before the run gives up.
ATTEMPTS = 3


def share_cores():
  """Gives an operation half of the cores; before TensorFlow computes anything.

  Candidates are imagined in chains side by side (`imagination.score`), whose
  small operations are faster alone on a core than all of them on all cores.
  """
  cores = len(os.sched_getaffinity(0))
  tf.config.threading.set_intra_op_parallelism_threads(max(1, cores // 2))


def episodes(agent, environments, seeds, explore, log):
  """Runs one episode in each environment.

  A worker that died, hung or raised is started anew, and the episodes are
  begun again from their seeds: they come out as they would have.

  Args:
    agent: has `initial` and `policy`.
    environments: workers, one for each episode.
    seeds: of the episodes; the noise of the policy comes from the first.
    explore: adds exploration noise.
    log: called with a line for each failure.

  Returns:
    list of episodes {key: [L, ...]}.

  Raises:
    WorkerError: it failed ATTEMPTS times.
  """
  for attempt in range(1, ATTEMPTS + 1):
    try:
      act = rollout.agent_actor(agent, len(seeds), explore, seeds[0])
      return rollout.rollouts(act, environments, seeds)
    except workers.WorkerError as error:
      if attempt == ATTEMPTS:
        raise
      log(f'{error}; the episode starts over ({attempt} of {ATTEMPTS - 1})')
      for environment in environments:
        environment.restart()
