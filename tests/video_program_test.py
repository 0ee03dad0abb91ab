"""What `worldmodels video` writes and prints; film_test has the frames."""

import shutil

import numpy as np

from worldmodels.agents.runs import animation
from worldmodels.data.store import Store


def film(wheel_program, run, out, *flags):
  return wheel_program('video', f'--logdir={run}', f'--out={out}', *flags)


def test_films_and_measures(debug_run, wheel_program, tmp_path):
  out = tmp_path / 'dream.webm'
  before = sorted(path for path in debug_run.rglob('*'))
  done = film(
    wheel_program, debug_run, out, '--episodes=2', '--horizon=15', '--scale=2'
  )
  assert done.returncode == 0 and not done.stderr, done.stderr
  frames = list(animation.decode(out.read_bytes(), '.webm'))
  assert len(frames) == 20
  assert frames[0].shape[0] > 3 * 128 and frames[0].shape[1] > 2 * 128
  assert 'heldout' in done.stdout and 'never trained on' in done.stdout
  rows = [line.split() for line in done.stdout.splitlines()]
  rows = [row for row in rows if len(row) == 6 and row[0].isdigit()]
  assert [row[0] for row in rows] == ['1', '5', '10', '15']
  values = np.array(rows, float)
  assert np.isfinite(values).all() and (values > 0).all()
  assert '20 frames' in done.stdout and str(out) in done.stdout
  assert sorted(path for path in debug_run.rglob('*')) == before


def test_short_training_episodes_and_no_environment(
  debug_run, wheel_program, tmp_path
):
  """Neither held-out episodes nor the task are there any more."""
  run = tmp_path / 'run'
  shutil.copytree(debug_run, run)
  shutil.rmtree(run / 'heldout')
  config = run / 'config.json'
  config.write_text(config.read_text().replace('"hill"', '"gone.task:load"'))
  store = Store(run / 'episodes')
  whole = store.episode(0)
  store.append({key: value[:12] for key, value in whole.items()})
  out = tmp_path / 'dream.gif'
  done = film(
    wheel_program, run, out, '--episodes=2', '--scale=1', '--checkpoint=5'
  )
  assert done.returncode == 0, done.stderr
  assert 'trained on: no held-out episode has 6 rows' in done.stdout
  assert 'horizon: 7, not 45' in done.stdout and '12 rows' in done.stdout
  assert 'checkpoint: 5 updates' in done.stdout
  assert len(list(animation.decode(out.read_bytes(), '.gif'))) == 12


def test_where_all_episodes_are_short_less_is_observed(
  debug_run, wheel_program, tmp_path
):
  run = tmp_path / 'run'
  shutil.copytree(debug_run, run)
  whole = Store(run / 'heldout').episode(0)
  shutil.rmtree(run / 'heldout')
  shutil.rmtree(run / 'episodes')  # Else long ones of those are filmed.
  store = Store(run / 'heldout')
  for length in (4, 3):
    store.append({key: value[:length] for key, value in whole.items()})
  out = tmp_path / 'dream.gif'
  done = film(wheel_program, run, out, '--scale=1')
  assert done.returncode == 0, done.stderr
  assert 'context: 2, not 5: the shortest of these episodes has 3' in (
    done.stdout
  )
  assert len(list(animation.decode(out.read_bytes(), '.gif'))) == 3
  done = film(
    wheel_program, run, out, '--context=5'
  )  # If it is asked for by name.
  assert done.returncode == 1 and done.stderr.count('\n') == 1


def test_episodes_that_are_too_short_for_it(debug_run, wheel_program, tmp_path):
  """Other things that cannot be filmed are in bad_input_test.py."""
  done = film(wheel_program, debug_run, tmp_path / 'dream.gif', '--context=60')
  assert done.returncode == 1 and done.stderr.startswith('error: ')
  assert done.stderr.count('\n') == 1 and 'at least 61 rows' in done.stderr
  assert not list(tmp_path.iterdir())
