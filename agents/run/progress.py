"""What a run says in the terminal: a bar, a line per episode, an end."""

import sys

import numpy as np
import tensorflow as tf
import tqdm

# At a terminal the bar moves; in a log it is a line now and then.
_SECONDS = 0.5 if sys.stderr.isatty() else 30

_SHOWN = (
    ('evaluation_return', 'evaluation', '.0f'),
    ('return', 'return', '.0f'),
    ('image_loss', 'image', '.2f'),
    ('reward_loss', 'reward', '.3f'),
    ('divergence', 'KL', '.1f'),
    ('update_seconds', 's/update', '.3f'),
)


class Progress:
  """The terminal of a run; stdout has lines, stderr the bar."""

  def __init__(self):
    self._bar = None

  def line(self, text):
    """Prints a line above the bar."""
    tqdm.tqdm.write(text, file=sys.stdout)
    sys.stdout.flush()

  def start(self, training, updates):
    """Says what is going to happen, where, and on what."""
    config, train = training.config, training.config.train
    steps = training.environment.step_limit
    devices = tf.config.list_logical_devices('GPU') or (
        tf.config.list_logical_devices('CPU'))
    size = sum(int(np.prod(variable.shape))
               for variable in training.agent.state_variables)
    self.line(f'task       {config.task}, action repeat '
              f'{training.environment.action_repeat}, quality '
              f'{training.environment.quality}, preset {config.preset}')
    self.line(f'device     {", ".join(device.name for device in devices)}')
    self.line(f'run        {training.directory.path}: '
              f'{train.episodes} episodes, {updates} updates of '
              f'{train.batch} x {train.length} images')
    if steps:
      self.line('store      ' + training.store.estimate(
          train.episodes * steps * training.environment.action_repeat,
          train.batch, train.length))
    self.line(f'agent      {size / 1e6:.1f} million numbers, '
              f'{size * 4 / 2 ** 20:.0f} MB per checkpoint')
    if training.updates:
      self.line(f'continues  after {training.updates} updates and '
                f'{training.store.next_index} episodes')
    self._bar = tqdm.tqdm(
        total=updates, initial=training.updates, unit='update',
        mininterval=_SECONDS, maxinterval=_SECONDS, dynamic_ncols=True,
        desc='seed episodes', file=sys.stderr, smoothing=0.02)

  def update(self, updates):
    """Moves the bar to `updates`."""
    self._bar.set_description('learning', refresh=False)
    self._bar.update(updates - self._bar.n)

  def note(self, text):
    """Shows what is being done beside the bar."""
    self._bar.set_description(text)

  def episode(self, counters, values, seconds):
    """Prints the line of an episode."""
    step = counters['env_steps']
    per_second = step / seconds if seconds else 0.0
    parts = [f'{_clock(seconds)} episode {counters["episodes"]:4d}',
             f'env_steps {step:7d} ({per_second:.0f}/s)']
    parts += [f'{name} {float(values[key]):{form}}'
              for key, name, form in _SHOWN if key in values]
    for group in ('random', 'policy'):
      errors = values.get(f'open_loop_{group}_image')
      if errors is not None:
        parts.append(f'open loop {group} ' + '/'.join(
            f'{errors[min(step, len(errors)) - 1]:.1f}'
            for step in (1, 5, 15)) + ' nats at 1/5/15')
    if values.get('skipped_updates'):
      parts.append(f'skipped {values["skipped_updates"]}')
    self.line('  '.join(parts))

  def end(self, training, values):
    """Says how it ended and what can be done with the run."""
    path = training.directory.path
    self.line(
        f'done       evaluation mean {values["last_evaluation_mean"]:.0f} '
        f'+- {values["last_evaluation_std"]:.0f} over '
        f'{len(values["last_evaluation_returns"])} episodes, '
        f'{_clock(training.metrics.wall_seconds)} in all')
    self.line(f'evaluate   python -m agents.run.evaluate --logdir={path}')
    self.line(f'watch      python -m agents.run.video --logdir={path} '
              '--out=dream.webm')
    self.line(f'curves     tensorboard --logdir={path}')

  def close(self):
    """Ends the bar."""
    if self._bar is not None:
      self._bar.close()


def _clock(seconds):
  minutes, seconds = divmod(int(seconds), 60)
  return f'{minutes:3d}:{seconds:02d}'
