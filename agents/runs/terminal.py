"""Prints the progress of a run: what it is, a line per episode, its end.

At a terminal a bar below the lines shows the time left. In a pipe or a file
there are lines alone.
"""

import pathlib
import shlex
import sys
import textwrap
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ml_collections
import numpy as np
import tqdm

from worldmodels.agents.runs import figures
from worldmodels.agents.runs.schedule import Schedule
from worldmodels.agents.runs.silence import Silence
from worldmodels.agents.runs.time_left import TimeLeft
from worldmodels.data import limits
from worldmodels.data import workers
from worldmodels.data.store import Store

if TYPE_CHECKING:
  from worldmodels.agents.learning_agent import LearningAgent

_WIDTH = 80  # of a line at the start or the end, in columns
_NAME = 11  # of what a line at the start or the end is about
# Seconds without an update or a note, after which the step of an episode shows.
_MOMENT = 1.0
# The names of the columns stand above each so many episodes.
_ROWS = 20

# Key, name, width and format of the columns that an episode may have.
_COLUMNS = (
  ('return', 'return', 9, '.2f'),
  ('image_loss', 'image', 9, '.2f'),
  ('reward_loss', 'reward', 8, '.3f'),
  ('divergence', 'KL', 8, '.2f'),
  ('update_seconds', 's/update', 10, '.3f'),
  ('age', 'age', 7, '.0f'),
)
_LEFT = f'{"time":>8}{"left":>9}{"episode":>8}{"env_steps":>10}'


class Terminal:
  """The terminal of a run; stdout has lines, stderr the bar.

  Args:
    bar: whether there is a bar; by default where both are a terminal.
  """

  def __init__(self, bar: bool | None = None):
    if bar is None:
      bar = sys.stdout.isatty() and sys.stderr.isatty()
    self._shows_bar = bar
    self._bar = None
    self._left = None
    self._dreams = True
    self._columns = ()
    self._rows = 0
    self._silence = Silence()
    self._shown = time.monotonic()
    self._steps = None
    self._updates = 0  # at the end

  def line(self, text: str) -> None:
    """Prints a line, above the bar if there is one."""
    if self._bar is None:
      print(text)
    else:
      self._bar.write(text, file=sys.stdout)
    sys.stdout.flush()
    self._silence.end()

  def start(
    self,
    config: ml_collections.ConfigDict,
    environment: workers.Worker,
    store: Store,
    agent: 'LearningAgent',
    devices: Sequence[str],
    updates: int,
  ) -> None:
    """Prints task, device and sizes of the run.

    Args:
      config: of the run.
      environment: of its task.
      store: of its episodes.
      agent: that learns.
      devices: names of what TensorFlow computes on.
      updates: that are done already.
    """
    train, steps = config.train, environment.step_limit
    self._schedule = Schedule(train, config.evaluate)
    held = steps and steps * environment.action_repeat
    likely = self._schedule.likely(held)
    self._steps = steps
    self._updates = likely.updates_before(likely.train.episodes)
    # Episodes that end early leave room for more of them; minutes may not do.
    more = train.env_steps and environment.ends_early
    self._entry(
      'task',
      f'{config.task}, action repeat {environment.action_repeat}, quality '
      f'{environment.quality}, preset {config.preset}',
    )
    self._entry('device', ', '.join(devices))
    self._entry(
      'length',
      f'{train.episodes} episodes'
      f'{figures.budget(train.env_steps, train.minutes)}, '
      f'{figures.bound(more, train.minutes)}{self._updates} updates of '
      f'{train.batch} x {train.length} '
      + ('images' if 'image' in environment.observation_spec() else 'steps'),
    )
    if steps:
      frames = likely.train.episodes * held
      needed = store.estimate(
        frames, train.batch, train.length, agent.spec.observed_bytes
      )
      self._entry('store', needed)
    else:
      self._entry('limit', limits.NO_LIMIT)
    self._dreams = agent.model is not None
    parameters = count(agent.trainable_variables)
    size = 4 * count(agent.state_variables) / 2**20
    self._entry(
      'agent',
      f'{figures.rounded(parameters)} parameters, {size:.1f} MB per checkpoint',
    )
    if updates:
      self._entry(
        'continues', f'after {updates} updates, {store.next_index} episodes'
      )
    self._left = TimeLeft(likely, updates)
    if self._shows_bar:
      self._bar = tqdm.tqdm(
        total=self._updates,
        initial=updates,
        mininterval=0.5,
        dynamic_ncols=True,
        desc='starting',
        file=sys.stderr,
        bar_format='{desc} {percentage:3.0f}% |{bar}| '
        '{n_fmt}/{total_fmt} updates{postfix}',
      )

  def random(self, done: int, count: int) -> None:
    """Shows how many of the random episodes are done."""
    self._left.random(done)
    self.note(f'random episode {done} of {count}')

  def building(self) -> None:
    """Says that the first update has begun, which takes long."""
    self._left.begin()
    self.note('building the training step')

  def update(self, updates: int) -> None:
    """Moves the bar to `updates`; without one a line says so now and then."""
    self._left.update(updates)
    self._shown = time.monotonic()
    if self._bar is None:
      self.note(f'learning, {updates} of {self._updates} updates')
    else:
      self._bar.set_description('learning', refresh=False)
      left = self._left.seconds()
      if left is not None:
        self._bar.set_postfix_str(f'{figures.clock(left)} left', refresh=False)
      self._bar.update(updates - self._bar.n)

  def note(self, text: str) -> None:
    """Shows a note beside the bar; without one now and then as a line."""
    self._shown = time.monotonic()
    if self._bar is not None:
      self._bar.set_postfix_str('', refresh=False)
      self._bar.set_description(text)
    elif self._silence.is_long():
      self.line(text)

  def acting(self, step: int) -> None:
    """Shows the step that an episode is at, where nothing else was shown."""
    if time.monotonic() - self._shown > _MOMENT:
      of = f' of {self._steps}' if self._steps else ''
      self.note(f'acting, step {step}{of}')

  def episode(
    self, counters: dict[str, int], values: dict[str, Any], seconds: float
  ) -> None:
    """Prints the line of an episode, and those of an evaluation.

    Args:
      counters: dict of env_steps, episodes, updates.
      values: {name: figure}; what is not there is not shown.
      seconds: that the run has taken so far.
    """
    if 'return' in values:
      left = None
      if self._left is not None:
        self._expect(counters['env_steps'], counters['episodes'], seconds)
        self._left.episode(counters['episodes'], values.get('acting_seconds'))
        left = self._left.seconds()
      self._head(values)
      times = [
        figures.clock(seconds),
        '' if left is None else figures.clock(left),
      ]
      text = (
        f'{times[0]:>8}{times[1]:>9}'
        f'{counters["episodes"]:8d}{counters["env_steps"]:10d}'
      )
      for key, _, width, form in self._columns:
        text += figures.cell(values[key], width, form)
      if values.get('skipped_updates'):
        text += f'  skipped {values["skipped_updates"]}'
      self.line(text)
    if 'evaluation_return' in values:
      _, _, width, form = _COLUMNS[0]
      shown = figures.cell(values['evaluation_return'], width, form)
      self.line(f'{"evaluation":>{len(_LEFT)}}{shown}')
    self._open_loop(values)

  def end(
    self, path: pathlib.Path, values: dict[str, Any], seconds: float
  ) -> None:
    """Prints the result, and the commands to go on with."""
    logdir = f'--logdir={shlex.quote(str(path))}'
    # As they are, to be copied.
    self.line(f'evaluate   worldmodels evaluate {logdir}')
    film = '--out=dream.webm' if self._dreams else '--real --out=acting.webm'
    self.line(f'watch      worldmodels video {logdir} {film}')
    self.line(f'curves     tensorboard {logdir}')
    # The last line, in one, for who looks at nothing else.
    self.line(f'{"done":{_NAME}}{figures.result(values, seconds)}')

  def close(self) -> None:
    """Ends the bar."""
    if self._bar is not None:
      self._bar.close()
      self._bar = None

  def _open_loop(self, values: dict[str, Any]) -> None:
    """Prints the error some steps after the last one seen."""
    text = figures.open_loop(values)
    if text:
      self.line(text)

  def _expect(self, env_steps: int, episodes: int, seconds: float) -> None:
    """Takes in how long episodes are: budgets last so long."""
    each = env_steps / max(1, episodes)
    likely = self._schedule.likely(each, episodes, env_steps, seconds)
    self._left.expect(likely)
    self._updates = likely.updates_before(likely.train.episodes)
    if self._bar is not None:
      self._bar.total = self._updates

  def _entry(self, name: str, text: str) -> None:
    self.line(_entry(name, text))

  def _head(self, values: dict[str, Any]) -> None:
    """Prints the names of the columns, if it is time to."""
    columns = tuple(column for column in _COLUMNS if column[0] in values)
    if columns != self._columns or self._rows % _ROWS == 0:
      names = ''.join(f'{name:>{width}}' for _, name, width, _ in columns)
      self.line(_LEFT + names)
      self._columns, self._rows = columns, 0
    self._rows += 1


def announce(
  config: ml_collections.ConfigDict, path: pathlib.Path, goes_on: bool
) -> None:
  """Prints what is going to be trained where, before anything is loaded.

  Args:
    config: of the run.
    path: of its directory.
    goes_on: whether there is something to continue from.
  """
  print(_entry('run', f'{path}, {"to be continued" if goes_on else "new"}'))
  text = f'{config.task}, then TensorFlow, which takes some seconds'
  print(_entry('starting', text), flush=True)


def count(variables: Sequence[Any]) -> int:
  """Counts the numbers that variables hold."""
  return sum(int(np.prod(variable.shape)) for variable in variables)


def _entry(name: str, text: str) -> str:
  """Returns what is said about `name`, in as many lines as it needs."""
  lines = textwrap.wrap(
    text, _WIDTH - _NAME, break_long_words=False, break_on_hyphens=False
  )
  return f'{name:{_NAME}}' + ('\n' + ' ' * _NAME).join(lines)
