"""What a collector on Ray holds: an environment in a worker, and who acts.

It is what a local collector has, agents/runs/collect.py, in a process of its
own. Episodes at random need no TensorFlow, which is imported for the first one
of the agent. Ray makes an actor of the class here; nothing in this file knows
it.
"""

import dataclasses
import functools
import os
import socket
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import ml_collections
import numpy as np

from worldmodels import checkout
from worldmodels import errors
from worldmodels.agents.cluster import orphans
from worldmodels.agents.cluster import processes
from worldmodels.agents.cluster import random_actions
from worldmodels.agents.cluster.leases import Job
from worldmodels.agents.cluster.processes import Process
from worldmodels.agents.runs import build
from worldmodels.agents.runs import rollouts
from worldmodels.data import workers
from worldmodels.spec import Spec

if TYPE_CHECKING:
  from worldmodels.agents.learning_agent import LearningAgent


@dataclasses.dataclass(frozen=True)
class Settings:
  """All that a collector is made from.

  Attributes:
    config: of the run, as a dict, with all kinds chosen.
    spec: of the task, as a dict.
    limits: `timeout` and `start_timeout` of workers.start.
    folder: that the program was started in; tasks may lie there.
  """

  config: dict[str, Any]
  spec: dict[str, Any]
  limits: dict[str, float]
  folder: str


@dataclasses.dataclass(frozen=True)
class Outcome:
  """What became of a job.

  Attributes:
    episode: {key: [L, ...]}, or None.
    error: one line that says why there is none.
    lines: to be printed: what went wrong and was mended.
    seconds: that it took.
    process: in which it was done.
  """

  episode: rollouts.Episode | None
  error: str
  lines: tuple[str, ...]
  seconds: float
  process: Process


class Actor:
  """Collects episodes, one at a time.

  Args:
    settings: of the run.
  """

  def __init__(self, settings: Settings):
    orphans.end_with_raylet()
    if os.path.isdir(settings.folder):
      os.chdir(settings.folder)
      sys.path.insert(0, settings.folder)
    checkout.hide()
    self._config = ml_collections.ConfigDict(settings.config)
    self._spec = Spec.from_dict(settings.spec)
    self._limits = settings.limits
    self._environment = None
    self._agent = None
    self._version = None
    self._lines: list[str] = []

  def place(self) -> Process:
    """Returns the process that this is in."""
    return processes.of(os.getpid())

  def collect(
    self,
    job: Job,
    version: int,
    parameters: Sequence[np.ndarray] | None,
  ) -> Outcome:
    """Collects an episode.

    Args:
      job: says which.
      version: of the parameters: updates that made them.
      parameters: of the agent's acting_variables; None to act at random.
    """
    start, self._lines = time.monotonic(), []
    episode, error = None, ''
    try:
      acts = self._acts(version, parameters)
      collector = rollouts.Collector(
        acts, [self._started()], self._lines.append
      )
      ((_, episode),) = collector.collect(
        [job.number], lambda number: job.seed, job.explore
      )
    except (errors.UserError, OSError, MemoryError) as raised:
      error = f'{raised}' or type(raised).__name__
      self._close()
    seconds = time.monotonic() - start
    return Outcome(episode, error, tuple(self._lines), seconds, self.place())

  def _started(self) -> workers.Worker:
    """Returns the environment, started by the first job that needs it."""
    if self._environment is None:
      self._environment = build.environment(self._config, **self._limits)
      found = build.spec_of(self._environment)
      if found != self._spec:
        self._close()
        raise build.ConfigError(
          f'{self._config.task} is another task at {socket.gethostname()}: '
          f'{self._spec.to_dict()} asked, {found.to_dict()} there'
        )
    return self._environment

  def _close(self) -> None:
    """Ends the environment; the next job starts it anew."""
    if self._environment is not None:
      self._environment.close()
      self._environment = None

  def _acts(
    self, version: int, parameters: Sequence[np.ndarray] | None
  ) -> Callable[[int, bool, int], rollouts.Act]:
    """Returns who acts, as rollouts.Collector takes it."""
    if parameters is None:
      return functools.partial(random_actions.acts, self._spec)
    from worldmodels.agents.runs import collect

    if self._agent is None:
      self._agent = self._made()
    if version != self._version:
      variables = self._agent.acting_variables
      for variable, value in zip(variables, parameters, strict=True):
        variable.assign(value)
      self._version = version
    return functools.partial(collect.actions_of, self._agent)

  def _made(self) -> 'LearningAgent':
    """Makes the agent, on one core: the others have collectors too."""
    import tensorflow as tf

    from worldmodels.agents.runs import operations

    tf.config.set_visible_devices([], 'GPU')
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    operations.make_deterministic(self._config)
    return build.agent(self._config, self._spec)
