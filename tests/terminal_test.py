import json
import os
import re
import shutil
import subprocess
import sys
import time
import types

import keras
import numpy as np
import pytest

from worldmodels.agents.runs import terminal
from worldmodels.agents.runs import time_left
from worldmodels.configs import planet
from worldmodels.data import limits
from worldmodels.data.store import Store
from worldmodels.spec import Spec

COUNTERS = {'env_steps': 4000, 'episodes': 9, 'updates': 400}
FIGURES = {
  'return': 123.4,
  'image_loss': 5.678,
  'reward_loss': 0.0123,
  'divergence': 3.0,
  'update_seconds': 0.1234,
}
ERRORS = {
  'open_loop_random_image': np.arange(1.0, 21.0),
  'open_loop_policy_image': 100 * np.arange(1.0, 21.0),
}
WIDEST = {
  'return': -12345.678,
  'image_loss': 123456.789,
  'reward_loss': 12345.678,
  'divergence': 1e9,
  'update_seconds': 1234.5,
  'skipped_updates': 123,
  'evaluation_return': -12345.678,
  'open_loop_random_image': np.full(20, 12345.678),
  'open_loop_policy_image': np.full(20, 12345.678),
}


def config_of(**train):
  config = planet.get_config('debug')
  config.task = 'hill'
  config.train.update(train)
  return config


def started(
  path,
  bar,
  updates=0,
  step_limit=50,
  model=True,
  seen=('image',),
  ends_early=False,
  **train,
):
  """Returns a terminal after its start."""
  agent = types.SimpleNamespace(
    model=model,
    spec=Spec(1),
    trainable_variables=[keras.Variable(np.zeros([1000, 217]))],
    state_variables=[keras.Variable(np.zeros([1024, 1024]))],
  )
  environment = types.SimpleNamespace(
    action_repeat=2,
    quality='fast',
    step_limit=step_limit,
    ends_early=ends_early,
    observation_spec=lambda: dict.fromkeys(seen),
  )
  store = Store(path / 'store', metadata={'size': 64}, log=str)
  shown = terminal.Terminal(bar)
  config = config_of(**train)
  shown.start(config, environment, store, agent, ['CPU'], updates)
  return shown


def test_the_line_of_an_episode_stands_below_the_names(capsys):
  shown = terminal.Terminal()
  shown.episode(COUNTERS, FIGURES | {'skipped_updates': 2}, 125.0)
  names, line = capsys.readouterr().out.splitlines()
  expected = {
    'time': '2:05',
    'episode': '9',
    'env_steps': '4000',
    'return': '123.40',
    'image': '5.68',
    'reward': '0.012',
    'KL': '3.00',
    's/update': '0.123',
  }
  for name, value in expected.items():
    end = names.index(f' {name}') + 1 + len(name)
    assert line[:end].endswith(f' {value}'), (name, line)
  assert line.endswith('skipped 2')


def test_columns_align_and_their_names_come_back(capsys):
  shown = terminal.Terminal()
  for number in range(45):
    figures = {key: value * 7.0**number for key, value in FIGURES.items()}
    counters = dict(env_steps=10 ** (number % 8), episodes=number, updates=1)
    shown.episode(counters, figures, 90.0 * number)
  lines = capsys.readouterr().out.splitlines()
  names = [index for index, line in enumerate(lines) if 'episode' in line]
  assert names == [0, 21, 42]
  assert {len(line) for line in lines} == {len(lines[0])}
  assert all(len(line.split()) in (8, 9) for line in lines)


def test_a_budget_lasts_longer_where_episodes_end_early(tmp_path, capsys):
  budget = dict(env_steps=1000, episodes=100)  # Ten episodes of 100 env_steps.
  shown = started(tmp_path, False, **budget)
  updates = shown._updates
  assert f'{updates} updates' in capsys.readouterr().out
  shown = started(tmp_path, True, ends_early=True, **budget)
  assert f'at least {updates} updates' in ' '.join(
    capsys.readouterr().out.split()
  )
  each = config_of().train.updates
  counters = dict(env_steps=200, episodes=10, updates=1)  # Of 20 each.
  shown.episode(counters, FIGURES, 5.0)
  assert shown._updates == shown._bar.total == updates + 40 * each
  shown.close()


@pytest.mark.parametrize('bar', [False, True])
def test_lines_fit(bar, tmp_path, capsys):
  shown = started(tmp_path, bar, episodes=10**7)
  counters = dict(env_steps=10**9, episodes=10**6, updates=10**8)
  shown.episode(counters, WIDEST, 360000.0)
  shown.close()
  lines = capsys.readouterr().out.splitlines()
  assert len(lines) > 8
  assert max(map(len, lines)) <= 100, max(lines, key=len)


def test_ordinary_lines_fit_a_narrow_terminal(capsys):
  shown = terminal.Terminal()
  shown.episode(COUNTERS, FIGURES | ERRORS | {'evaluation_return': 5.0}, 1.0)
  assert max(map(len, capsys.readouterr().out.splitlines())) <= 80


def test_an_evaluation_stands_below_the_returns(capsys):
  shown = terminal.Terminal()
  shown.episode(COUNTERS, FIGURES | ERRORS | {'evaluation_return': 99.61}, 1.0)
  names, _, evaluation, errors = capsys.readouterr().out.splitlines()
  assert evaluation.split() == ['evaluation', '99.61']
  assert len(evaluation) == names.index('return') + len('return')
  assert 'nats at step 1/5/15:' in errors
  assert 'random 1.0/5.0/15.0  policy 100.0/500.0/1500' in errors


def test_no_step_beyond_the_horizon_is_named(capsys):
  short = {key: error[:8] for key, error in ERRORS.items()}
  terminal.Terminal().episode(COUNTERS, short, 1.0)
  line = capsys.readouterr().out
  assert 'step 1/5: random 1.0/5.0  policy 100.0/500.0' in line


def test_what_is_not_known_is_not_shown(capsys):
  terminal.Terminal().episode(COUNTERS, {'return': 1.0}, 0.0)
  names, line = capsys.readouterr().out.splitlines()
  assert 'image' not in names and 'skipped' not in line
  terminal.Terminal().episode(COUNTERS, {}, 0.0)
  assert not capsys.readouterr().out


def test_closing_without_a_bar_is_no_error():
  terminal.Terminal().close()


@pytest.mark.parametrize('goes_on', [False, True])
def test_what_begins_is_said_before_anything_is_loaded(goes_on, capsys):
  terminal.announce(config_of(), 'runs/hill', goes_on)
  lines = capsys.readouterr().out.splitlines()
  assert lines[0].split(maxsplit=1) == [
    'run',
    f'runs/hill, {"to be continued" if goes_on else "new"}',
  ]
  assert 'hill' in lines[1] and 'TensorFlow' in lines[1]


def test_train_says_so_before_anything_is_loaded(program, tmp_path):
  """To load it would fail here, and the task does so before."""
  (tmp_path / 'tensorflow.py').write_text('raise RuntimeError("too early")')
  task, run = 'tests.strange_tasks:float_image', tmp_path / 'run'
  path = os.pathsep.join([str(tmp_path), os.environ.get('PYTHONPATH', '')])
  done = program(
    *('train', '--config=planet:debug', f'--config.task={task}'),
    f'--logdir={run}',
    PYTHONPATH=path,
  )
  assert done.returncode == 1 and 'its image is float32' in done.stderr
  said = ' '.join(done.stdout.split())
  assert said.startswith(f'run {run}, new starting {task}, then TensorFlow')


def test_it_can_be_said_without_tensorflow():
  code = (
    'import sys; from worldmodels.agents.runs import terminal; '
    'print("tensorflow" in sys.modules)'
  )
  done = subprocess.run(
    [sys.executable, '-c', code], capture_output=True, text=True, check=True
  )
  assert done.stdout.strip() == 'False'


@pytest.mark.parametrize('updates', [0, 10])
def test_the_start_says_what_is_going_to_happen(updates, tmp_path, capsys):
  started(tmp_path, True, updates).close()
  out, err = capsys.readouterr()
  for part in (
    'hill, action repeat 2, quality fast, preset debug',
    'device     CPU',
    '5 episodes, 15 updates of 3 x 12 images',
    '217,000 parameters, 4.0 MB per checkpoint',
    'store      ',
  ):
    assert part in out, part
  assert (f'after {updates} updates, 0 episodes' in out) == bool(updates)
  assert f'{updates}/15' in err and '/15' not in out


def test_the_bar_says_what_is_done_and_how_long_it_takes(
  tmp_path, capsys, monkeypatch
):
  monkeypatch.setattr(terminal.tqdm.tqdm, 'mininterval', 0, raising=False)
  clock = iter(range(10**6))
  monkeypatch.setattr(
    terminal,
    'TimeLeft',
    lambda *args: time_left.TimeLeft(*args, clock.__next__),
  )
  shown = started(tmp_path, True)
  shown.random(1, 4)
  assert 'random episode 1 of 4' in capsys.readouterr().err
  shown.building()
  shown.update(1)
  assert 'building the training step' in capsys.readouterr().err
  shown.update(2)
  shown.note('last evaluation, episode 1 of 10')
  err = capsys.readouterr().err
  assert 'last evaluation, episode 1 of 10' in err
  # At a second of the clock for each update, and two for each look at it.
  shown.update(3)
  shown.line('above')
  out, err = capsys.readouterr()
  assert out.endswith('above\n') and '\r' not in out
  assert '3/15 updates, 0:' in err and 'left' in err
  shown.close()


def test_a_run_that_goes_on_is_not_at_its_seed_episodes(tmp_path, capsys):
  shown = started(tmp_path, True, updates=10)
  shown.building()
  shown.close()
  err = capsys.readouterr().err
  assert 'building' in err and 'random' not in err and 'seed' not in err


def test_a_pipe_gets_plain_lines(tmp_path, capsys):
  shown = started(tmp_path, None)  # What pytest captures is no terminal.
  shown.random(1, 4)
  shown.building()
  for episode in range(3):
    for update in range(5):
      shown.update(5 * episode + update + 1)
    shown.episode(
      dict(env_steps=50, episodes=episode + 3, updates=5), FIGURES, 9
    )
  shown.note('last evaluation, episode 1 of 10')
  shown.close()
  out, err = capsys.readouterr()
  assert not err and '\r' not in out
  rows = [line for line in out.splitlines() if '123.40' in line]
  assert len(rows) == 3
  # The time left as well, since there is no bar that has it.
  assert all(re.match(r' +0:09 +0:00 +\d ', row) for row in rows), rows


def test_a_pipe_hears_of_what_takes_long(tmp_path, capsys, monkeypatch):
  shown = started(tmp_path, False)
  capsys.readouterr()
  now = time.monotonic()
  monkeypatch.setattr(terminal.time, 'monotonic', lambda: now)
  for seconds, said in ((20, False), (31, True), (40, False), (62, True)):
    monkeypatch.setattr(terminal.time, 'monotonic', lambda at=now + seconds: at)
    shown.note(f'at {seconds}')
    assert (capsys.readouterr().out == f'at {seconds}\n') == said


def test_a_pipe_hears_that_updates_and_steps_go_on(
  tmp_path, capsys, monkeypatch
):
  """A plan may take seconds, an update of a wide model too."""
  shown = started(tmp_path, False)
  capsys.readouterr()
  said, now = [], time.monotonic()

  def at(seconds):
    monkeypatch.setattr(terminal.time, 'monotonic', lambda: now + seconds)

  for seconds in range(0, 170, 11):
    at(seconds)
    if 70 <= seconds < 130:
      shown.update(seconds)
    shown.acting(seconds)
    said += capsys.readouterr().out.splitlines()
  assert said == [
    'acting, step 33 of 50',
    'acting, step 66 of 50',
    'learning, 99 of 15 updates',
    'acting, step 132 of 50',
    'acting, step 165 of 50',
  ]


def test_the_bar_shows_the_step_where_nothing_else_moves(
  tmp_path, capsys, monkeypatch
):
  monkeypatch.setattr(terminal.tqdm.tqdm, 'mininterval', 0, raising=False)
  shown = started(tmp_path, True, step_limit=None)
  shown.update(3)
  shown.acting(7)
  assert 'acting' not in capsys.readouterr().err
  now = time.monotonic()
  monkeypatch.setattr(terminal.time, 'monotonic', lambda: now + 2)
  shown.acting(8)
  assert 'acting, step 8' in capsys.readouterr().err
  shown.close()


def test_what_is_learned_from_without_images_is_steps(tmp_path, capsys):
  started(tmp_path, False, seen=('position',)).close()
  assert 'updates of 3 x 12 steps' in capsys.readouterr().out


def test_the_start_says_that_nobody_names_a_limit(tmp_path, capsys):
  started(tmp_path, False, step_limit=None).close()
  out = capsys.readouterr().out
  assert max(map(len, out.splitlines())) <= 80 and 'store' not in out
  said = ' '.join(out.partition('limit      ')[2].split())
  assert said.startswith(limits.NO_LIMIT + ' agent ')


def test_the_end_says_which_commands_go_on(tmp_path, capsys):
  values = dict(
    last_evaluation_mean=81.6,
    last_evaluation_std=4.4,
    last_evaluation_returns=[1.0, 2.0],
  )
  terminal.Terminal().end(tmp_path / 'a run', values, 3661.0)
  lines = capsys.readouterr().out.splitlines()
  # The last line is the result.
  assert 'mean 81.60 +- 4.40 over 2 episodes, 1:01:01 in all' in lines[-1]
  quoted = f"--logdir='{tmp_path}/a run'"  # As a shell wants it.
  assert [line.split(maxsplit=1)[1] for line in lines[:-1]] == [
    f'worldmodels evaluate {quoted}',
    f'worldmodels video {quoted} --out=dream.webm',
    f'tensorboard {quoted}',
  ]


def test_a_shell_takes_the_commands_as_they_are_printed(
  debug_run, program, tmp_path
):
  """Of a run that is done already, whose path has what a shell reads."""
  run = tmp_path / "my düne [1] $HOME's runs" / 'a  b'
  shutil.copytree(debug_run, run)
  done = program(
    'train', '--config=planet:debug', '--config.task=hill', f'--logdir={run}'
  )
  assert done.returncode == 0, done.stderr
  printed = {
    line.split()[0]: line.split(maxsplit=1)[1]
    for line in done.stdout.splitlines()
    if line.startswith(('evaluate ', 'watch ', 'curves '))
  }
  for name in ('worldmodels', 'tensorboard'):
    (tmp_path / name).write_text('#!/bin/sh\nprintf "%s\\0" "$@"\n')
    (tmp_path / name).chmod(0o755)
  given = {}
  for name, line in printed.items():
    shell = subprocess.run(
      ['bash', '-c', line],
      cwd=tmp_path,
      env={**os.environ, 'PATH': f'{tmp_path}:{os.environ["PATH"]}'},
      capture_output=True,
      text=True,
      check=True,
    )
    given[name] = shell.stdout.split('\0')[:-1]
  assert given == {
    'evaluate': ['evaluate', f'--logdir={run}'],
    'watch': ['video', f'--logdir={run}', '--out=dream.webm'],
    'curves': [f'--logdir={run}'],
  }
  done = program(*given['evaluate'], '--episodes=1')
  assert done.returncode == 0, done.stderr
  assert json.loads(done.stdout)['checkpoint'] == 15


def test_of_an_agent_without_a_model_a_film_of_its_acting_is_offered(
  tmp_path, capsys
):
  values = dict(
    last_evaluation_mean=1.0,
    last_evaluation_std=0.0,
    last_evaluation_returns=[1.0],
  )
  for model, says in ((None, '--real --out=acting.webm'), ('a', '--out=dream')):
    shown = started(tmp_path, False, model=model)
    capsys.readouterr()
    shown.end(tmp_path, values, 1.0)
    (line,) = (x for x in capsys.readouterr().out.splitlines() if 'video' in x)
    assert says in line


def test_numbers_of_variables_are_counted():
  variables = [keras.Variable(np.zeros(x)) for x in ([2, 3], [4], [])]
  assert terminal.count(variables) == 11
