"""`worldmodels sweep`: what it refuses before anything, and a real run."""

import csv
import json
import shutil

import pytest
from conftest import run_program


@pytest.fixture
def no_tensorflow(tmp_path):
  """Variables under which TensorFlow cannot be imported."""
  folder = tmp_path / 'no_tensorflow'
  folder.mkdir()
  for name in ('tensorflow', 'keras'):
    (folder / f'{name}.py').write_text('raise RuntimeError("too early")\n')
  return {'PYTHONPATH': str(folder)}


SETTINGS = {
  'good': '[a]\n[b]\nkl.scale = 2.0\n',
  'key': '[a]\n[b]\nkl.scael = 2.0\n',
  'value': '[a]\ntrain.batch = 0\n',
  'config': '[a]\nconfig = "dreamer:cup"\n',
}


@pytest.mark.parametrize(
  'flags,says',
  [
    (['--settings=KEY'], ", b: no key 'kl.scael' in the config; did you mean"),
    (['--settings=VALUE'], ', a: train.batch is 0; it is'),
    (['--settings=CONFIG'], ', a: --config=dreamer:cup: ValueError: no preset'),
    (['--tasks=hil'], "unknown task 'hil': did you mean hill"),
    (['--seeds=0,-1'], "--seeds has '-1'; they are whole numbers from 0"),
    (['--episodes=RUN', '--updates=3', '--tasks=juggle'], 'are of hill'),
    (
      ['--episodes=RUN', '--updates=3', '--evaluation_episodes=5'],
      '--evaluation_episodes is of runs that act',
    ),
    (['--config.train.updates_total=3'], 'belongs to --updates'),
  ],
)
def test_what_does_not_suit_is_found_before_anything(
  flags, says, debug_run, no_tensorflow, tmp_path
):
  for name, text in SETTINGS.items():
    (tmp_path / f'{name}.toml').write_text(text)
    flags = [x.replace(name.upper(), f'{tmp_path}/{name}.toml') for x in flags]
  flags = [x.replace('=RUN', f'={debug_run}') for x in flags]
  done = run_program(
    *('sweep', '--config=planet:debug', f'--logdir={tmp_path / "sweep"}'),
    *flags,
    **no_tensorflow,
  )
  assert done.returncode in (1, 2) and not done.stdout, done.stdout
  assert says in done.stderr and done.stderr.startswith('error: ')
  assert done.stderr.count('\n') == 1
  assert not (tmp_path / 'sweep').exists()


def test_a_sweep_goes_on_with_a_run_that_is_there(
  debug_run, wheel_program, tmp_path
):
  """Which `train` has made: it is evaluated and probed; another one fails."""
  logdir = tmp_path / 'a sweep, mine'
  run = logdir / 'planet_debug' / 'hill' / 'seed_0'
  shutil.copytree(debug_run, run)
  flags = (
    *('--config=planet:debug', '--tasks=hill,gone.task:load', '--probe'),
    *('--evaluation_episodes=1', f'--logdir={logdir}'),
  )
  done = wheel_program('sweep', *flags)
  assert done.returncode == 1, done.stdout
  assert done.stderr.startswith('error: 1 of 2 runs failed: planet_debug gone.')
  assert 'the same command tries them again' in done.stderr
  assert done.stderr.count('\n') == 1
  assert 'done     planet_debug hill seed 0' in done.stdout
  with open(logdir / 'table.csv', newline='') as file:
    rows = {row['task']: row for row in csv.DictReader(file)}
  evaluation = json.loads((run / 'evaluation.json').read_text())
  assert float(rows['hill']['return']) == pytest.approx(
    evaluation['mean'], 1e-4
  )
  assert evaluation['episodes'] == 1 and float(rows['hill']['probe_position'])
  assert float(rows['hill']['image_of_mean_1']) > 0
  assert rows['hill']['machine'] and int(rows['hill']['cores'])
  assert rows['gone.task:load']['state'] == 'failed'
  assert "no module 'gone'" in rows['gone.task:load']['said']
  assert (logdir / 'report.html').exists()
  # Without it all is done, and nothing is begun.
  done = wheel_program('sweep', *flags, '--tasks=hill')
  assert done.returncode == 0, done.stderr
  assert 'running' not in done.stdout and '1 runs: 1 done' in done.stdout
