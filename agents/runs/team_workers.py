"""Processes that learn as one: each has its rows of a batch, the first leads.

What the others need is the directory of the run and what the first one tells
them: of what run they are, and before each stretch of updates from which
checkpoint, to which count and of which episodes. They read the batches from the
store themselves and change nothing.

All that goes between them goes through the strategy, as sums to which all but
the first add zeros.
"""

import contextlib
import faulthandler
import json
import os
import signal
import struct
import sys
import threading
import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import keras
import ml_collections
import numpy as np
import tensorflow as tf

from worldmodels import errors
from worldmodels.agents.runs import stored_config
from worldmodels.agents.runs import team
from worldmodels.agents.runs import team_place
from worldmodels.agents.runs import team_processes
from worldmodels.data.store import Store
from worldmodels.spec import Spec

# For all to have come; for an exchange of an update; to end once another one
# has ended.
_START_SECONDS, _UPDATE_SECONDS, _END_SECONDS = 600, 300, 20
_FOREVER = 1e7  # While the first one collects, the others wait.
_RUN, _LEARN, _END = 1, 2, 3
_LOST = (
  tf.errors.AbortedError,
  tf.errors.CancelledError,
  tf.errors.DeadlineExceededError,
  tf.errors.FailedPreconditionError,
  tf.errors.InternalError,
  tf.errors.UnavailableError,
)


class TeamError(errors.UserError):
  """Learners cannot go on together; the message is one line."""


class Order(NamedTuple):
  """A stretch of updates.

  Attributes:
    updates: that have been done.
    until: how many there are to be.
    limit: how many of the episodes, from the first, are learned from.
    episodes: what is known of those by `fingerprint`.
    weights: what is known of the weights by `measure`.
  """

  updates: int
  until: int
  limit: int
  episodes: int
  weights: float


_NUMBERS = len(Order._fields) + 1  # of an order: weights are two


class Workers(team.Mirrored):
  """The learners of several processes.

  Args:
    place: of this process.
    processes: that this one has started.

  Raises:
    PlaceError: this machine has no devices for its learners.
    TeamError: the other processes do not come, or this one cannot be reached.
  """

  fixed = True

  def __init__(
    self,
    place: team_place.Place,
    processes: team_processes.Processes | None = None,
  ):
    self.leads = place.number == 0
    self._processes = processes
    self._limit_devices(place)
    cluster = tf.train.ClusterSpec({'worker': list(place.addresses)})
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
      cluster, task_type='worker', task_id=place.number, rpc_layer='grpc'
    )
    late = threading.Timer(
      _START_SECONDS,
      give_up,
      [
        f'waited {_START_SECONDS} s for learners: not all of '
        f'{", ".join(place.addresses)} came'
      ],
    )
    late.daemon = True
    late.start()
    if processes is not None:
      processes.watch(lambda said: give_up(self._lost(said)))
    with self.explained(), _same_handler(signal.SIGTERM):
      strategy = _strategy(resolver, place.addresses[place.number])
    first = place.number * place.local
    self._set(strategy, place.learners, place.local, first)
    self._summed = tf.function(
      self._sum_of, reduce_retracing=True, autograph=False
    )
    with self.explained():
      self._sum([0])
    late.cancel()

  def scope(self) -> contextlib.AbstractContextManager:
    """Returns the scope in which agents that learn are made."""
    # Of one replica there is one copy, which a checkpoint makes alike.
    if self._local == 1:
      return contextlib.nullcontext()
    return super().scope()

  # ---------------------------------------------------------- of the first ----

  def lead(self, config: ml_collections.ConfigDict, spec: Spec) -> None:
    """Tells the others what run this is."""
    said = json.dumps([config.to_dict(), spec.to_dict()]).encode()
    self._sum([_RUN, len(said)])
    self._sum(list(said))

  def begin(
    self,
    updates: int,
    until: int,
    store: Store,
    limit: int | None,
    variables: Sequence[keras.Variable],
  ) -> None:
    """Tells the others of the next updates; see the base class."""
    if not self.leads or updates >= until:
      return  # Without an update nothing would hold new episodes back.
    limit = store.episodes if limit is None else limit
    weights = _as_numbers(measure(variables))
    order = updates, until, limit, fingerprint(store, limit), *weights
    self._sum([_LEARN, *order])

  def end(self) -> None:
    """Tells the others that there is nothing more to learn."""
    self._sum([_END] + [0] * _NUMBERS)
    if self._processes is not None:
      self._processes.end(at_once=False)

  # --------------------------------------------------------- of the others ----

  def told(self) -> tuple[ml_collections.ConfigDict, Spec]:
    """Waits to be told of the run: its config and spec."""
    _, size = self._sum([0, 0])
    config, spec = json.loads(bytes(self._sum([0] * size)))
    config = ml_collections.ConfigDict(stored_config.completed(config))
    return config, Spec.from_dict(spec)

  def hear(self) -> Order | None:
    """Waits for the next updates; None where there are no more."""
    kind, *order = self._sum([0] * (1 + _NUMBERS))
    if kind == _END:
      return None
    return Order(*order[:-2], _as_float(*order[-2:]))

  # ---------------------------------------------------------------- of all ----

  @contextlib.contextmanager
  def explained(self) -> Iterator[None]:
    """Turns what TensorFlow raises where a process has ended into one line."""
    try:
      yield
    except _LOST as error:
      _end_within(_END_SECONDS)
      ended = '' if self._processes is None else self._processes.ended()
      raise TeamError(self._lost(ended)) from error

  def _lost(self, said: str) -> str:
    said = said or 'another learner has ended, or cannot be reached'
    return (
      f'{said}; nothing that a checkpoint holds is lost: the same command '
      'continues, also with another --learners'
    )

  def _sum(self, numbers: Sequence[int]) -> list[int]:
    """Returns the sums of numbers over the processes."""
    with self.explained():
      found = self._summed(tf.constant(numbers, tf.int64))
    return [int(x) // self._local for x in found.numpy()]

  def _sum_of(self, numbers: tf.Tensor) -> tf.Tensor:
    def summed(numbers: tf.Tensor) -> tf.Tensor:
      return tf.distribute.get_replica_context().all_reduce(
        tf.distribute.ReduceOp.SUM,
        tf.identity(numbers),  # On a device: an argument is on none.
        tf.distribute.experimental.CommunicationOptions(
          timeout_seconds=_FOREVER
        ),
      )

    return self._local_results(self._strategy.run(summed, (numbers,)))[0]

  def _limit_devices(self, place: team_place.Place) -> None:
    """Leaves this process as many GPUs as it has learners."""
    gpus = tf.config.list_physical_devices('GPU')
    if place.local > max(1, len(gpus)):
      raise team_place.PlaceError(
        f'--learners={place.learners} are {place.local} on this machine, '
        f'where TensorFlow finds {len(gpus)} GPUs'
      )
    if gpus:
      tf.config.set_visible_devices(gpus[: place.local], 'GPU')


def _strategy(
  resolver: tf.distribute.cluster_resolver.ClusterResolver, address: str
) -> tf.distribute.Strategy:
  """Starts the server of this process, and waits for those of the others.

  Raises:
    TeamError: it cannot listen at its address.
  """
  options = tf.distribute.experimental.CommunicationOptions(
    timeout_seconds=_UPDATE_SECONDS
  )
  try:
    return tf.distribute.MultiWorkerMirroredStrategy(resolver, options)
  except tf.errors.UnknownError as error:
    if 'start gRPC server' not in str(error):
      raise
    raise TeamError(
      f'cannot listen at {address}: another program has this port, or the '
      'address is of another machine'
    ) from error


def _as_numbers(value: float) -> tuple[int, int]:
  """Returns the bits of a float as two numbers below 2**32.

  They are summed over the learners of a machine, which 64 bits would not bear.
  """
  return struct.unpack('<2I', struct.pack('<d', value))


def _as_float(low: int, high: int) -> float:
  """Returns the float of these bits."""
  return struct.unpack('<d', struct.pack('<2I', low, high))[0]


def fingerprint(store: Store, limit: int) -> int:
  """Returns a number of the first episodes of a store, for comparison."""
  known = [store.numbers[:limit], store.lengths[:limit]]
  return zlib.crc32(json.dumps(known).encode())


def measure(variables: Sequence[keras.Variable]) -> float:
  """Returns the sum of the sizes of all numbers, for comparison."""
  return float(sum(np.abs(x.numpy()).sum(dtype=np.float64) for x in variables))


@contextlib.contextmanager
def _same_handler(number: int) -> Iterator[None]:
  """Leaves a signal what it was: TensorFlow takes it for a preemption."""
  before = signal.getsignal(number)
  try:
    yield
  finally:
    signal.signal(number, before)


def _end_within(seconds: float) -> None:
  """Ends this process by then, whatever TensorFlow still waits for."""
  file = open(os.devnull, 'w')  # noqa: SIM115 (it is written to at the end)
  faulthandler.dump_traceback_later(seconds, exit=True, file=file)


def give_up(said: str) -> None:
  """Ends this process, whose main thread waits for others in vain."""
  with contextlib.suppress(OSError):
    print(f'error: {said}', file=sys.stderr, flush=True)
  os._exit(1)
