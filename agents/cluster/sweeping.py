"""Runs the commands of a sweep on the nodes of a Ray cluster.

`Cluster` is what `local.Local` is on one machine. Each command has an actor,
which Ray puts on a node that has room and ends when this program ends, however
that ends (holder.py). A command whose node or actor was lost starts again on
another: what it has trained stands in its run, and it goes on from there. All
else of a sweep is as on one machine: runs and logs lie in the same files, on a
file system that all nodes see.
"""

import os
import pathlib
import signal
import time
from collections.abc import Callable, Sequence

from worldmodels.agents.cluster import engine
from worldmodels.agents.cluster import holder
from worldmodels.agents.cluster import node
from worldmodels.agents.cluster import places
from worldmodels.agents.cluster import survey

# Losses one after the other, each sooner than that, that are too many.
LOSSES, SOON_SECONDS = 5, 600.0

_WAITING_SECONDS = 30.0  # for a place, until that is said
# For the file system to show what another machine has written.
_SEEN_SECONDS = 90.0
_HEAD_SECONDS, _LOST_SECONDS = 5.0, 20.0  # between two looks; without an answer
_LOGDIR = '--logdir='


class Cluster:
  """Places for commands on the nodes of a cluster.

  Args:
    of: Ray, entered.
    size: what each command gets.
    start: makes of (program, flags) the arguments of a process, which ends
      when the one that calls it does; importable by its name.
    token: that nodes have to see.
  """

  def __init__(
    self,
    of: engine.Engine,
    size: places.Size,
    start: Callable[[str, Sequence[str]], list[str]],
    token: node.Token,
  ):
    self.engine = of
    self.size = size
    self._start = start
    self._token = token
    self._commands: list[Command] = []
    self._news: list[str] = []
    self._refused: dict[str, str] = {}  # {number of a node: what is wrong}
    self._looked = self._answered = time.monotonic()

  @property
  def says(self) -> str:
    """How many commands run at a time, and on what."""
    return survey.says(self.engine, self.size)

  @property
  def free(self) -> bool:
    """Whether a command can be started: one at a time waits for a node."""
    return len(self._commands) < self.size.jobs and not any(
      command.waits() for command in self._commands
    )

  def news(self) -> list[str]:
    """Returns what there is to say of the cluster since it was last asked."""
    for command in self._commands:
      command.tell_waiting()
    news, self._news = self._news, []
    return news

  def check(self) -> list[places.Node]:
    """Asks all nodes whether they can run commands; returns those that can.

    Raises:
      ClusterError: none of them can.
    """
    there = survey.nodes(self.engine)
    said = survey.ask(self.engine, there, self._token)
    for x in (x for x in there if said[x.number]):
      self.refuse(x.number, x.name, said[x.number])
    survey.check(self.engine, self._refused)
    return [x for x in there if not said[x.number]]

  def start(
    self,
    program: str,
    flags: Sequence[str],
    log: pathlib.Path,
    output: pathlib.Path | None,
  ) -> 'Command':
    """Starts a program of `worldmodels` on a node; see local.Local.start."""
    with open(log, 'ab'):  # What cannot be written is found here.
      pass
    run = next(x for x in flags if x.startswith(_LOGDIR))
    order = holder.Order(
      program=program,
      flags=tuple(flags),
      log=log,
      output=output,
      run=pathlib.Path(run.removeprefix(_LOGDIR)),
      folder=os.getcwd(),
      cores=self.size.cores,
      slots={x.number: x.cores for x in survey.nodes(self.engine)},
      shares_gpu=0 < self.size.gpus < 1,
      start=self._start,
      token=self._token,
      code=node.identity(),
    )
    command = Command(self, order)
    self._commands.append(command)
    return command

  def leave(self, command: 'Command') -> None:
    """Frees the place of a command that has ended."""
    command.kill()
    self._commands.remove(command)

  def place(self) -> tuple[object, object]:
    """Makes an actor for a command; returns it, and where it is to be."""
    self.await_head()
    options = dict(
      num_cpus=self.size.cores,
      num_gpus=self.size.gpus,
      max_restarts=0,
      max_task_retries=0,
      max_concurrency=2,
      scheduling_strategy='SPREAD',
    )
    if self._refused:
      options['label_selector'] = {
        survey.NODE: f'!in({", ".join(self._refused)})'
      }
    actor = self.engine.ray.remote(holder.Holder).options(**options).remote()
    return actor, actor.where.remote()

  def say(self, text: str) -> None:
    """Has something told."""
    self._news.append(f'{time.strftime("%H:%M:%S")} {text}')

  def refuse(self, number: str, name: str, said: str) -> None:
    """Gives a node no command from now on."""
    if number not in self._refused:
      self._refused[number] = said
      self.say(f'without   {name}: it {said}')

  def await_head(self) -> None:
    """Waits for the head to answer; raises ClusterError after a while.

    Where an actor is asked for without a head, Ray waits for a minute, and then
    ends this process without a word.
    """
    while not self.engine.answers():
      self.look()
      time.sleep(_HEAD_SECONDS / 10)

  def look(self) -> None:
    """Raises ClusterError where nothing can go on.

    The head has not answered for a while; or nothing runs any more, and all
    nodes were refused, as when the code was changed that a node has.
    """
    now = time.monotonic()
    if now - self._looked < _HEAD_SECONDS:
      return
    self._looked = now
    if self.engine.answers():
      self._answered = time.monotonic()
      if all(command.waits() for command in self._commands):
        survey.check(self.engine, self._refused)
    elif now - self._answered > _LOST_SECONDS:
      raise engine.ClusterError(
        f'the head of the cluster at {self.engine.address} has ended, and the '
        'runs with it; the same command continues, on a cluster that is there'
      )


class Command:
  """A command on some node."""

  def __init__(self, of: Cluster, order: holder.Order):
    self._of = of
    self._order = order
    self._ray = of.engine.ray
    self._status: int | None = None
    self._losses = 0
    self._stopping = False
    self._begin()

  def waits(self) -> bool:
    """Returns whether it has no node yet."""
    if self._status is None and not self._node:
      if self._ray.wait([self._where], timeout=0)[0]:
        try:
          self._node, self._number = self._ray.get(self._where)
        except self._ray.exceptions.RayError:
          return False  # `ended` sees to it.
    return self._status is None and not self._node

  def ended(self) -> int | None:
    """Returns its exit status, negative for a signal; None while it runs."""
    if self._status is not None:
      return self._status
    if not self._stopping:
      self._of.look()
    self.waits()
    if self._outcome is None and self._ray.wait([self._answer], timeout=0)[0]:
      try:
        self._outcome = self._ray.get(self._answer)
      except self._ray.exceptions.RayError as error:
        self._lost(error)
      else:
        self._since = time.monotonic()
    if self._outcome is not None:
      self._take(self._outcome)
    return self._status

  def _take(self, outcome: holder.Outcome) -> None:
    """Takes what came of it, once its files are seen here as they are there."""
    waited = time.monotonic() - self._since
    if outcome.status is None:
      self._of.refuse(self._number, self._node, outcome.said)
      self._again(f'{self._node} {outcome.said}')
    elif self._stopping or waited > _SEEN_SECONDS:
      self._status = outcome.status
    elif node.sizes(self._order.run).items() >= outcome.left.items():
      self._status = outcome.status

  def stop(self) -> None:
    """Asks it to stop, as Ctrl-C does."""
    self._stopping = True
    if self.waits():  # Nobody would answer.
      self.kill()
      self._status = -signal.SIGINT
    else:
      self._holder.stop.remote()

  def kill(self) -> None:
    """Ends it at once."""
    self._ray.kill(self._holder)

  def tell_waiting(self) -> None:
    """Says that it waits for a node, once it has for a while."""
    waited = time.monotonic() - self._since
    if not self._told and waited > _WAITING_SECONDS and self.waits():
      self._told = True
      size = self._of.size
      gpus = f' and {size.gpus:g} GPUs' * bool(size.gpus)
      self._of.say(
        f'waits     {self._order.run}: for a node with {size.cores} free '
        f'cores{gpus}'
      )

  def _begin(self) -> None:
    self._since = time.monotonic()
    self._node = self._number = ''
    self._told = False
    self._outcome: holder.Outcome | None = None
    self._holder, self._where = self._of.place()
    self._answer = self._holder.run.remote(self._order)

  def _lost(self, error: Exception) -> None:
    """Starts it again, unless it is lost again and again."""
    self.kill()  # An actor that cannot be reached may yet live.
    lacks = survey.missing(error)
    if lacks:
      # The node is not known: none of its actors can be made.
      self._end(lacks)
      return
    soon = time.monotonic() - self._since < SOON_SECONDS
    self._losses = self._losses + 1 if soon else 1
    why = f'lost on {self._node or "its node"}: {survey.cause(error)}'
    if self._losses < LOSSES or self._stopping:
      self._again(why)
    else:
      self._end(f'{why}; {LOSSES} times one after the other')

  def _again(self, why: str) -> None:
    if self._stopping:
      self._status = 1
      return
    self._note(f'# {why}; it starts again')
    self._of.say(f'again     {self._order.run}: {why}')
    self._begin()

  def _end(self, said: str) -> None:
    """Ends it as a program ends that has said why."""
    self._note(f'error: {said}')
    self._status = 1

  def _note(self, text: str) -> None:
    with open(self._order.log, 'a') as log:
      log.write(f'{text}\n')
