"""Too little memory is one line: what was asked for, and what would fit."""

import io

import numpy as np
import pytest
import tensorflow as tf

from worldmodels.agents.programs import launch
from worldmodels.agents.runs import memory
from worldmodels.configs import model_free
from worldmodels.configs import planet

CPU = (
  'OOM when allocating tensor with shape[1000000,50,24] and type float on '
  '/job:localhost/replica:0/task:0/device:CPU:0 by allocator cpu [Op:Fill]'
)
NUMPY = (
  'Unable to allocate 572. GiB for an array with shape (1000000, 50, 64, 64, 3)'
  ' and data type uint8'
)


def exhausted(text):
  return tf.errors.ResourceExhaustedError(None, None, text)


@pytest.mark.parametrize(
  'message, size',
  [
    (CPU, 4_800_000_000),
    (NUMPY, 614_400_000_000),
    ('with shape[8] and type bfloat16 on', 16),
    ('with shape (3,) and data type float64', 24),
    ('std::bad_alloc', None),
  ],
)
def test_what_was_asked_for(message, size):
  assert memory.asked_bytes(message) == size


def test_what_there_is():
  assert 1e6 < memory.free_bytes() < 1e14
  assert memory.free_bytes('GPU:0') is None


@pytest.mark.parametrize(
  'error, keys, line',
  [
    (
      exhausted(CPU),
      {'train.batch': 50, 'train.length': 40},
      'out of memory: no room for an update; an array of 4.8 GB was asked for, '
      '3.8 GB are free: train.batch is 50, --config.train.batch=5 may fit (or '
      'lower train.length)',
    ),
    (
      exhausted(CPU.replace('CPU', 'GPU')),
      {'planner.candidates': 1},
      'out of memory: no room for an update; an array of 4.8 GB was asked for: '
      'planner.candidates is 1, --config.planner.candidates=1 may fit',
    ),
    (
      MemoryError(),
      {'evaluate.episodes': 1, 'evaluate.horizon': 45},
      'out of memory: no room for an update; 3.8 GB are free: evaluate.horizon '
      'is 45, --config.evaluate.horizon=22 may fit',
    ),
    (
      MemoryError(),
      {},
      'out of memory: no room for an update; 3.8 GB are free: ask for smaller '
      'batches, horizons or layers',
    ),
  ],
)
def test_one_line(error, keys, line, monkeypatch):
  monkeypatch.setattr(
    memory, 'free_bytes', lambda device: None if device else 3.84e9
  )
  assert memory.explain(error, 'an update', keys) == line


def test_what_a_control_group_can_take_back_is_free(monkeypatch, tmp_path):
  files = {
    '/sys/fs/cgroup/memory.max': '16000',
    '/sys/fs/cgroup/memory.current': '15600',
    '/sys/fs/cgroup/memory.stat': 'anon 5000\ninactive_file 9000\nslab_recla'
    'imable 100\n',
  }
  real = open

  def opened(path, *more, **options):
    if path in files:
      return io.StringIO(files[path])
    return real(path, *more, **options)

  monkeypatch.setattr('builtins.open', opened)
  assert memory.free_bytes() == 16000 - 15600 + 9100
  del files['/sys/fs/cgroup/memory.stat']
  files['/sys/fs/cgroup/memory.stat'] = 'odd'
  assert memory.free_bytes() == 400


def test_what_may_fit_is_a_config(monkeypatch):
  monkeypatch.setattr(memory, 'free_bytes', lambda device: 4e9)
  keys = {'planner.candidates': 16, 'planner.horizon': 9}
  error, least = MemoryError(), {'planner.candidates': 15}
  line = memory.explain(error, 'acting', keys, least)
  assert '--config.planner.candidates=15 may fit' in line
  line = memory.explain(error, 'acting', keys, {'planner.candidates': 16})
  assert '--config.planner.horizon=4 may fit' in line
  config = planet.get_config('cpu')
  with pytest.raises(memory.OutOfMemoryError) as caught:
    with memory.during('an update', config, ('train.length',)):
      raise MemoryError
  assert '--config.train.length=16 may fit' in str(caught.value)
  config.train.length = 12
  with pytest.raises(memory.OutOfMemoryError) as caught:
    with memory.during('an update', config, ('train.length',)):
      raise MemoryError
  fits = config.overshooting.steps + 2
  assert f'--config.train.length={fits} may fit' in str(caught.value)
  config = model_free.get_config('cpu')
  fits = config.agent.frames + config.learner.steps
  config.train.length = fits + 1
  with pytest.raises(memory.OutOfMemoryError) as caught:
    with memory.during('an update', config, ('train.length',)):
      raise MemoryError
  assert f'--config.train.length={fits} may fit' in str(caught.value)


def check_that_keys_are_named(allocate):
  """Asks for too large an array in an update; looks at the line about it."""
  config = planet.get_config('debug')
  with pytest.raises(memory.OutOfMemoryError) as caught:
    with memory.during('an update', config, memory.LEARNING + ('no.key',)):
      allocate([2**20, 2**26])
  line = str(caught.value)
  assert 'train.batch is 3, --config.train.batch=1 may fit' in line
  assert 'GB was asked for' in line and 'GB are free' in line
  assert 'no.key' not in line and '\n' not in line


def test_who_is_at_work_names_the_keys():
  """TensorFlow refuses after ten seconds: in agents_test.py."""
  check_that_keys_are_named(np.empty)


def test_other_errors_are_as_they_were():
  config = planet.get_config('debug')
  for error in (ValueError('x'), tf.errors.InternalError(None, None, 'x')):
    with pytest.raises(type(error)):
      with memory.during('an update', config, memory.LEARNING):
        raise error


def test_the_keys_are_of_every_config():
  for preset in planet.PRESETS:
    config = planet.get_config(preset)
    for key in memory.LEARNING + memory.ACTING + memory.MEASURING:
      assert memory._value(config, key) > 0


def test_a_program_says_so_wherever_it_was(monkeypatch, capsys):
  def main(argv):
    raise MemoryError('Unable to allocate')

  def run(guarded, flags_parser):
    guarded(['program'])

  monkeypatch.setattr(launch.app, 'run', run)
  monkeypatch.setattr(launch.scratch, 'make', lambda: None)
  monkeypatch.setattr(launch.atexit, 'register', lambda *unused: None)
  monkeypatch.setattr(launch, 'quiet', lambda folder: None)
  monkeypatch.setattr(launch.stopping, 'Listener', lambda *unused: None)
  with pytest.raises(SystemExit, match='1'):
    launch.run(main)
  told = capsys.readouterr().err
  assert told.startswith('error: out of memory: ') and told.count('\n') == 1
