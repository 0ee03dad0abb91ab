"""The benchmark program runs, at sizes whose figures mean nothing."""

import json
import pathlib
import subprocess
import sys
import time

import pytest

from agents.run import benchmark
from agents.run.works import clock
from agents.run.works import rows

ROOT = pathlib.Path(__file__).parent.parent
WORKS = {
  path.stem
  for path in (ROOT / 'agents/run/works').glob('*.py')
  if 'def measure(' in path.read_text()
}

# A file of configs whose presets are all as small as they get.
CONFIGS = f"""
import runpy

def get_config(preset):
  config = runpy.run_path('{ROOT}/configs/NAME.py')['get_config']('debug')
  config.task = 'hill'
  return config
"""


def run(*arguments):
  return subprocess.run(
    [sys.executable, '-m', 'agents.run.benchmark', *arguments],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )


def test_every_work_can_be_asked_for():
  assert {*benchmark.WORKS, 'first'} == WORKS


@pytest.mark.parametrize(
  'works, more, expected',
  [
    ('model', [], {'W1', 'W8', 'memory'}),
    ('plan,environment,replay', [], {'W3', 'W5', 'W6', 'W8', 'memory'}),
    ('loop', ['--preset=paper'], {'W7'}),
    ('start', [], {'start'}),
    ('behaviour', [], {'W4'}),
  ],
)
def test_runs(works, more, expected, tmp_path):
  figures = tmp_path / 'figures.json'
  for name in ('planet', 'dreamer'):
    (tmp_path / f'{name}.py').write_text(CONFIGS.replace('NAME', name))
  done = run(
    f'--work={works}',
    '--sizes=tiny',
    '--repeats=2',
    '--task=hill',
    f'--configs={tmp_path}/planet.py',
    f'--dreamer_configs={tmp_path}/dreamer.py',
    f'--json={figures}',
    *more,
  )
  assert done.returncode == 0, done.stderr
  written = json.loads(figures.read_text())
  lines = written['figures']
  assert {line['work'] for line in lines} == expected
  for line in lines:
    assert line['value'] is not None
    assert line['what'] in done.stdout
    if 'gflops' in line:
      assert line['gflop'] > 0
  assert written['clean'] == all(line.get('clean', True) for line in lines)
  assert ('NOT a clean run' in done.stdout) != written['clean']


def test_a_work_that_does_not_exist():
  done = run('--work=speed')
  assert done.returncode == 1
  assert done.stderr.splitlines() == [
    f'error: --work=speed: it is one of {", ".join(benchmark.WORKS)}'
  ]


def test_a_figure_that_varies_or_was_disturbed_is_not_clean():
  steady = [1.0, 1.01, 1.02, 1.0, 0.99]
  assert clock.summary(steady, 0.01)['clean']
  assert clock.summary(steady, 0.01)['seconds'] == 1.0
  assert not clock.summary(steady, 0.5)['clean']
  assert not clock.summary([1.0, 2.0, 3.0, 1.0, 2.5], 0.01)['clean']


def test_time_of_a_child_is_our_own(tmp_path):
  burn = (
    'import time, sys\n'
    'while time.process_time() < 0.5: pass\n'
    'print("done", flush=True); sys.stdin.read()'
  )
  before = clock._own()
  with subprocess.Popen(
    [sys.executable, '-c', burn],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
  ) as child:
    child.stdout.readline()
    assert clock._own() - before >= 0.4  # While it lives,
    child.stdin.close()
  assert clock._own() - before >= 0.4  # and when it has ended.


def test_time_of_a_stranger_is_not_ours(tmp_path):
  done = tmp_path / 'done'
  burn = (
    'import pathlib, time\n'
    'while time.process_time() < 1: pass\n'
    f'pathlib.Path({str(done)!r}).touch()'
  )
  # Started by a process that ends at once, it is nobody's child.
  command = f'[sys.executable, "-c", {burn!r}]'
  start = f'import subprocess, sys; subprocess.Popen({command})'
  before = clock._own()
  with clock.Others() as others:
    subprocess.run([sys.executable, '-c', start], check=True)
    while not done.exists():
      time.sleep(0.05)
  assert clock._own() - before < 0.7
  assert others.cores > 0


def test_a_figure_of_several_is_as_noisy_as_the_noisiest():
  steady = clock.summary([1.0, 1.0, 1.0], 0.01)
  wild = clock.summary([2.0, 9.0, 4.0], 0.3)
  for pair in ((steady, wild), (wild, steady)):
    assert not clock.both(*pair)['clean']
    assert clock.both(*pair)['others'] == 0.3
  assert clock.both(steady, wild)['seconds'] == 1.0
  assert clock.both(steady, steady)['clean']
  # And two calls are too few to be called steady.
  assert not clock.summary([1.0, 1.0], 0.0)['clean']


def test_a_share_of_a_ceiling():
  steady = clock.summary([2.0, 2.0, 2.0], 0.0)
  time_, share = rows.compared(
    'W1', 'update', 6e9, steady, ('float32 product', (4.0, steady)), ('>=', 0.7)
  )
  assert time_['value'] == 2000 and time_['gflop'] == 6
  assert time_['gflops'] == pytest.approx(3)
  assert share['value'] == pytest.approx(0.75) and share['met']
  noisy = clock.summary([2.0, 2.0, 2.0], 1.0)
  _, share = rows.compared('W1', '', 6e9, steady, ('', (4.0, noisy)))
  assert not share['clean']


def test_a_work_that_fails_leaves_the_others(tmp_path):
  figures = tmp_path / 'figures.json'
  done = run(
    '--work=environment,start',
    '--sizes=tiny',
    '--repeats=1',
    '--task=hil',
    f'--configs={tmp_path}/absent.py',
    f'--json={figures}',
  )
  assert done.returncode == 1
  assert 'these works failed: environment (paper), start (cpu)' in done.stderr
  assert "unknown task 'hil'" in done.stderr
  assert json.loads(figures.read_text())['clean'] is False


def test_goals_are_met_or_missed():
  assert rows.row('W1', 'x', 0.7, '', goal=('>=', 0.6))['met'] is True
  assert rows.row('W1', 'x', 0.7, '', goal=('<=', 0.6))['met'] is False
  line = rows.row('W1', 'x', 0.5, 's', clock.summary([1.0, 9.0, 5.0], 0.0))
  assert benchmark._text(line).startswith('~')
  assert '~' not in benchmark._text(rows.row('W1', 'x', 0.5, 's'))
