import types

import keras
import numpy as np
import pytest

from worldmodels.agents.runs import terminal
from worldmodels.configs import planet
from worldmodels.data.store import Store

COUNTERS = {'env_steps': 4000, 'episodes': 9, 'updates': 400}


def test_the_line_of_an_episode_names_what_it_shows(capsys):
  terminal.Terminal().episode(
    COUNTERS,
    {
      'return': 123.4,
      'evaluation_return': 99.6,
      'image_loss': 5.678,
      'update_seconds': 0.1234,
      'skipped_updates': 2,
      'open_loop_random_image': [1.0, 2.0, 3.0],
    },
    125.0,
  )
  line = capsys.readouterr().out
  for part in (
    '2:05',
    'episode    9',
    'env_steps    4000 (32/s)',
    'return 123',
    'evaluation 100',
    'image 5.68',
    's/update 0.123',
    'skipped 2',
    'random 1.0/3.0/3.0 nats',
  ):
    assert part in line, part
  assert len(line.splitlines()) == 1


def test_what_is_not_known_is_not_shown(capsys):
  terminal.Terminal().episode(COUNTERS, {}, 0.0)
  line = capsys.readouterr().out
  assert 'return' not in line and 'skipped' not in line


def test_closing_without_a_bar_is_no_error():
  terminal.Terminal().close()


@pytest.mark.parametrize('updates', [0, 10])
def test_the_start_says_what_is_going_to_happen(updates, tmp_path, capsys):
  config = planet.get_config('debug')
  config.task = 'hill'
  environment = types.SimpleNamespace(
    action_repeat=2, quality='fast', step_limit=50
  )
  shown = terminal.Terminal()
  store = Store(tmp_path / 'store', metadata={'size': 64}, log=str)
  shown.start(config, tmp_path, environment, store, 2**21, updates, 40)
  shown.note('thinking')
  shown.update(updates + 5)
  shown.close()
  out, err = capsys.readouterr()
  for part in (
    'hill, action repeat 2, quality fast, preset debug',
    f'{tmp_path}: {config.train.episodes} episodes, 40 updates of',
    '2.1 million numbers, 8 MB per checkpoint',
    'store      ',
  ):
    assert part in out, part
  assert (f'after {updates} updates and 0 episodes' in out) == bool(updates)
  assert f'{updates + 5}/40' in err and '/40' not in out


def test_the_end_says_which_commands_go_on(tmp_path, capsys):
  values = dict(
    last_evaluation_mean=81.6,
    last_evaluation_std=4.4,
    last_evaluation_returns=[1.0, 2.0],
  )
  terminal.Terminal().end(tmp_path / 'a run', values, 61.0)
  lines = capsys.readouterr().out.splitlines()
  assert 'mean 82 +- 4 over 2 episodes' in lines[0] and '1:01' in lines[0]
  quoted = f"--logdir='{tmp_path}/a run'"  # As a shell wants it.
  assert [line.split(maxsplit=1)[1] for line in lines[1:]] == [
    f'worldmodels evaluate {quoted}',
    f'worldmodels video {quoted} --out=dream.webm',
    f'tensorboard {quoted}',
  ]


def test_numbers_of_variables_are_counted():
  variables = [keras.Variable(np.zeros(x)) for x in ([2, 3], [4], [])]
  assert terminal.count(variables) == 11
