"""How long a task may take, set by flags of each program that runs one.

They are those of agents/programs/time_limits.py.
"""

import json

import pytest

from worldmodels.agents.runs import checkpoint
from worldmodels.configs import planet
from worldmodels.spec import Spec

TASK = 'tests.strange_tasks:{}'


@pytest.fixture
def variables(tmp_path):
  """Of the environment, with a TensorFlow that cannot be imported."""
  folder = tmp_path / 'no_tensorflow'
  folder.mkdir()
  (folder / 'tensorflow.py').write_text('raise RuntimeError("too early")\n')
  return {'PYTHONPATH': str(folder)}


def flags_of(program, task, tmp_path):
  """The flags with which a program starts a task."""
  logdir = f'--logdir={tmp_path / "run"}'
  config = planet.get_config('debug')
  config.task = TASK.format(task)
  if program == 'check':
    return [f'--task={config.task}']
  if program == 'train':
    return ['--config=planet:debug', f'--config.task={config.task}', logdir]
  (tmp_path / 'run').mkdir()
  for name, content in (
    ('config', config.to_dict()),
    ('spec', Spec(actions=1).to_dict()),
  ):
    (tmp_path / 'run' / f'{name}.json').write_text(json.dumps(content))
  checkpoint.save(tmp_path / 'run' / 'checkpoints', [], dict(updates=5))
  return [logdir]


@pytest.mark.parametrize('name', ['train', 'evaluate', 'check'])
def test_a_task_may_take_so_long_to_start(name, program, tmp_path, variables):
  flags = flags_of(name, 'hangs_at_load', tmp_path)
  done = program(name, *flags, '--start_timeout=1', **variables)
  assert done.returncode == 1
  assert 'Traceback' not in done.stderr
  assert len(done.stderr.splitlines()) == (2 if name == 'evaluate' else 1)
  assert 'no answer for 1 s and was killed (a longer limit: ' in done.stderr
  assert '--start_timeout)' in done.stderr


def test_a_step_may_take_so_long(program, tmp_path, variables):
  flags = flags_of('check', 'hangs', tmp_path)
  done = program('check', *flags, '--step_timeout=1', **variables)
  assert done.returncode == 1
  assert 'no answer for 1 s and was killed (a longer limit: ' in done.stderr
  assert '--step_timeout)' in done.stderr


@pytest.mark.parametrize('name', ['train', 'evaluate', 'check', 'probe'])
@pytest.mark.parametrize(
  'flag', ['start_timeout=0', 'step_timeout=nan', 'step_timeout=604801']
)
def test_limits_are_whole_seconds(name, flag, program, tmp_path, variables):
  flags = flags_of(name, 'load', tmp_path)
  done = program(name, *flags, f'--{flag}', **variables)
  assert done.returncode == 2 and done.stderr.count('\n') == 1
  assert done.stderr.startswith(f'error: flag --{flag}: ')
