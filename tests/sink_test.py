"""Sinks: figures and films of a run elsewhere, without stopping it."""

import importlib.util
import json
import pathlib
import sys
from unittest import mock

import numpy as np
import pytest

from worldmodels import errors
from worldmodels import kinds
from worldmodels.agents.runs import metrics
from worldmodels.agents.runs import sink
from worldmodels.agents.runs.run_directory import RunDirectory

FOLDER = 'worldmodels.agents.runs.sinks'
KINDS = ('mlflow', 'rerun', 'wandb')
MINE = """
import json
import pathlib


class Full(Exception):
  pass


class Notes:
  def __init__(self, directory, config):
    if config.get('task') == 'closed':
      raise Full('no account')
    self.path = directory / 'notes.jsonl'
    self.note('begun', config)

  @staticmethod
  def errors():
    return (Full,)

  def note(self, *values):
    with open(self.path, 'a') as file:
      file.write(json.dumps(values) + '\\n')

  def write(self, env_steps, figures):
    if env_steps == 13:
      raise Full('no room\\nat all')
    if env_steps == 14:
      raise ZeroDivisionError
    self.note(env_steps, figures)

  def film(self, env_steps, name, frames, fps):
    self.note(env_steps, name, list(frames.shape), fps)

  def close(self):
    self.note('closed')
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
  """The name of a sink in a user's project."""
  (tmp_path / 'my_sink.py').write_text(MINE)
  monkeypatch.syspath_prepend(tmp_path)
  yield 'my_sink:Notes'
  sys.modules.pop('my_sink', None)


def notes(path):
  lines = (path / 'notes.jsonl').read_text().splitlines()
  return [json.loads(line) for line in lines]


def test_metrics_go_to_a_sink_of_the_users(mine, tmp_path):
  """As TensorBoard names them, those that are finite, and the films."""
  run = tmp_path / 'run'
  run.mkdir()
  written = metrics.Metrics(RunDirectory(run), 10)
  written.sinks = sink.Sinks([mine], run, {'task': 'hill'})
  figures = {'return': 3.0, 'loss': float('nan'), 'open_loop_x': [1, 2, 3]}
  film = np.zeros([2, 8, 8, 3], np.uint8)
  counters = dict(env_steps=5, episodes=1, updates=2)
  written.write(counters, dict(figures, dream_video=film))
  written.close()
  begun, first, seen, closed = notes(run)
  assert begun == ['begun', {'task': 'hill'}] and closed == ['closed']
  assert first[0] == 5 and first[1]['return/return'] == 3.0
  assert first[1]['open_loop/x/01'] == 1 and 'loss/loss' not in first[1]
  assert first[1]['time/updates'] == 2
  assert seen == [5, 'video/dream', [2, 8, 8, 3], 10]


def test_without_sinks_nothing_is_imported():
  found = sink.Sinks()
  found.write(1, {'a': 1.0})
  found.close()
  assert not {*KINDS} & {*sys.modules}


def test_what_fails_is_given_up_with_a_line(mine, tmp_path):
  lines = []
  found = sink.Sinks([mine, mine], tmp_path, {}, lines.append)
  for step in (12, 13, 15):
    found.write(step, {'a': 1.0})
  found.close()
  assert lines == [f'no figures for {mine} from here on: no room at all']
  assert notes(tmp_path) == [['begun', {}], [12, {'a': 1.0}]]
  # A fault of its own is not hidden.
  with pytest.raises(ZeroDivisionError):
    sink.Sinks([mine], tmp_path, {}, lines.append).write(14, {})


def test_one_that_cannot_be_begun_is_one_line(mine, tmp_path):
  with pytest.raises(errors.OptionError) as error:
    sink.Sinks([mine], tmp_path, {'task': 'closed'})
  assert str(error.value) == f'--sinks is {mine!r}: no account'


def test_kinds_are_the_files_of_the_folder():
  assert tuple(kinds.names(FOLDER, 'Sink')) == KINDS
  for name in KINDS:
    assert issubclass(kinds.find(FOLDER, name, 'Sink'), sink.Sink)


def told(name, folder, monkeypatch):
  """Gives a stand-in for a package figures and a film; returns it.

  The film is a file that is there while it is told of, and then no more.
  """
  package, seen = mock.MagicMock(), []
  client = package.MlflowClient.return_value

  def look(*paths, **options):
    del options
    seen.extend(x for x in map(pathlib.Path, paths) if x.suffix == '.gif')
    assert all(path.read_bytes()[:4] == b'GIF8' for path in seen)
    return mock.DEFAULT

  package.Video.side_effect = look
  client.log_artifact.side_effect = lambda run, path, folder: look(path)
  client.get_experiment_by_name.return_value = None
  client.search_runs.return_value = []
  package.RecordingStream.return_value.save = lambda path: path.touch()
  monkeypatch.setitem(sys.modules, name, package)
  (folder / 'run').mkdir()
  config = {'task': 'hill', 'train': {'batch': 3}}
  made = kinds.find(FOLDER, name, 'Sink')(folder / 'run', config)
  made.write(50, {'return/return': 3.0, 'loss/kl': 0.5})
  made.film(50, 'video/dream', np.zeros([2, 8, 8, 3], np.uint8), 10)
  made.close()
  assert len(seen) == (name != 'rerun')
  assert not any(path.parent.exists() for path in seen)
  return package


def test_what_wandb_is_told(tmp_path, monkeypatch):
  package = told('wandb', tmp_path, monkeypatch)
  begun = package.init.call_args.kwargs
  assert begun['id'] == sink.identity(tmp_path / 'run')
  assert begun['resume'] == 'allow' and begun['name'] == 'run'
  assert begun['config']['task'] == 'hill'
  run = package.init.return_value
  run.define_metric.assert_called_once_with('*', step_metric='env_steps')
  first, second = (call.args[0] for call in run.log.call_args_list)
  assert first == {'return/return': 3.0, 'loss/kl': 0.5, 'env_steps': 50}
  assert second == {'video/dream': package.Video.return_value, 'env_steps': 50}
  run.finish.assert_called_once_with()


def test_what_mlflow_is_told(tmp_path, monkeypatch):
  package = told('mlflow', tmp_path, monkeypatch)
  client = package.MlflowClient.return_value
  client.create_experiment.assert_called_once_with('worldmodels')
  asked = client.search_runs.call_args.args[1]
  assert sink.identity(tmp_path / 'run') in asked
  run = client.create_run.return_value.info.run_id
  assert client.log_param.call_args_list == [
    mock.call(run, 'task', 'hill'),
    mock.call(run, 'train.batch', '3'),
  ]
  assert client.log_metric.call_args_list == [
    mock.call(run, 'return/return', 3.0, step=50),
    mock.call(run, 'loss/kl', 0.5, step=50),
  ]
  assert client.log_artifact.call_args.args[2] == 'video/dream/50'
  client.set_terminated.assert_called_once_with(run)


def test_what_rerun_is_told(tmp_path, monkeypatch):
  package = told('rerun', tmp_path, monkeypatch)
  recording = package.RecordingStream.return_value
  assert len(list((tmp_path / 'run' / 'rerun').glob('*.rrd'))) == 1
  assert (
    mock.call('env_steps', sequence=50) in recording.set_time.call_args_list
  )
  frames = [mock.call('frame', sequence=step) for step in (0, 1)]
  assert recording.set_time.call_args_list[-2:] == frames
  names = [call.args[0] for call in recording.log.call_args_list]
  assert names == ['return/return', 'loss/kl', 'video/dream', 'video/dream']
  assert [call.args[0] for call in package.Scalars.call_args_list] == [3.0, 0.5]
  recording.disable_timeline.assert_called_once_with('frame')
  recording.flush.assert_called_once_with()


@pytest.mark.parametrize('name', KINDS)
def test_a_package_that_is_missing_is_named(name, monkeypatch):
  monkeypatch.setattr(importlib.util, 'find_spec', lambda _: None)
  package = {'rerun': 'rerun-sdk'}.get(name, name)
  with pytest.raises(errors.OptionError) as error:
    sink.check('--sinks', [name])
  assert str(error.value) == (
    f'--sinks is {name!r}, which needs {package}: pip install {package}'
  )


@pytest.mark.parametrize(
  'name, says',
  [
    ('tensorboard', 'one of mlflow, rerun, wandb, or module:name'),
    ('gone.module:Sink', "no module 'gone'"),
    ('json:Sink', "has no class or function 'Sink'"),
    ('', "is ''; it is one of"),
  ],
)
def test_sinks_that_are_not_there_are_one_line(name, says):
  with pytest.raises(errors.OptionError) as error:
    sink.check('--sinks', [name])
  assert says in str(error.value) and str(error.value).startswith('--sinks is')


def test_train_names_them_before_anything_else(program, tmp_path):
  for module in ('tensorflow', 'keras'):
    (tmp_path / f'{module}.py').write_text('raise RuntimeError("too early")\n')
  done = program(
    *('train', f'--logdir={tmp_path / "run"}', '--sinks=tensorboard'),
    PYTHONPATH=str(tmp_path),
  )
  assert done.returncode == 1 and done.stderr.count('\n') == 1
  assert "error: --sinks is 'tensorboard'; it is one of" in done.stderr
  assert not (tmp_path / 'run').exists()


def test_a_run_has_one_name_elsewhere(tmp_path):
  found = sink.identity(tmp_path / 'a run: ü')
  assert found == sink.identity(tmp_path / 'b' / '..' / 'a run: ü')
  assert found != sink.identity(tmp_path / 'other' / 'a run: ü')
  assert found.isascii() and not {*' :/.'} & {*found}
