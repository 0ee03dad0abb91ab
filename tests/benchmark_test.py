"""The benchmark program runs, at sizes whose figures mean nothing."""

import json
import pathlib
import subprocess
import sys
import time

import pytest

from worldmodels.agents.benchmark import clock
from worldmodels.agents.benchmark import figures
from worldmodels.agents.programs import benchmark

ROOT = pathlib.Path(__file__).parent.parent
PARTS = {
  path.stem
  for path in (ROOT / 'agents/benchmark').glob('*.py')
  if 'def measure(' in path.read_text()
}

# A file of configs whose presets are all as small as they get.
CONFIGS = """
from worldmodels.configs import NAME

def get_config(preset):
  config = NAME.get_config('debug')
  config.task = 'hill'
  return config
"""


def run(*arguments):
  return subprocess.run(
    [sys.executable, '-m', 'worldmodels', 'benchmark', *arguments],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )


def test_every_part_can_be_asked_for():
  assert {*benchmark.PARTS, 'first'} == PARTS


@pytest.mark.parametrize(
  'parts, more, expected',
  [
    ('model', [], {'W1', 'W8', 'memory'}),
    ('plan,environment,replay', [], {'W3', 'W5', 'W6', 'W8', 'memory'}),
    ('loop', ['--preset=paper'], {'W7'}),
    ('start', [], {'start'}),
    ('behavior', [], {'W4'}),
  ],
)
def test_runs(parts, more, expected, tmp_path):
  figures = tmp_path / 'figures.json'
  for name in ('planet', 'dreamer'):
    (tmp_path / f'{name}.py').write_text(CONFIGS.replace('NAME', name))
  done = run(
    f'--work={parts}',
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


def test_a_part_that_does_not_exist():
  done = run('--work=speed')
  assert done.returncode == 1
  assert done.stderr.splitlines() == [
    f'error: --work=speed: it is one of {", ".join(benchmark.PARTS)}'
  ]


def test_a_figure_that_varies_or_was_disturbed_is_not_clean():
  steady = [1.0, 1.01, 1.02, 1.0, 0.99]
  assert clock.summary(steady, 0.01).clean
  assert clock.summary(steady, 0.01).seconds == 1.0
  assert not clock.summary(steady, 0.5).clean
  assert not clock.summary([1.0, 2.0, 3.0, 1.0, 2.5], 0.01).clean


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
  with clock.OtherLoad() as others:
    subprocess.run([sys.executable, '-c', start], check=True)
    while not done.exists():
      time.sleep(0.05)
  assert clock._own() - before < 0.7
  assert others.cores > 0


def test_a_figure_of_several_is_as_noisy_as_the_noisiest():
  steady = clock.summary([1.0, 1.0, 1.0], 0.01)
  wild = clock.summary([2.0, 9.0, 4.0], 0.3)
  for pair in ((steady, wild), (wild, steady)):
    assert not clock.noisiest(*pair).clean
    assert clock.noisiest(*pair).others == 0.3
  assert clock.noisiest(steady, wild).seconds == 1.0
  assert clock.noisiest(steady, steady).clean
  # And two calls are too few to be called steady.
  assert not clock.summary([1.0, 1.0], 0.0).clean


def test_a_share_of_a_ceiling():
  steady = clock.summary([2.0, 2.0, 2.0], 0.0)
  time_, share = figures.compared(
    'W1',
    'update',
    6e9,
    steady,
    figures.Rate('float32 product', 4.0, steady),
    ('>=', 0.7),
  )
  assert share['what'] == 'share of the float32 product ceiling'
  assert time_['value'] == 2000 and time_['gflop'] == 6
  assert time_['gflops'] == pytest.approx(3)
  assert share['value'] == pytest.approx(0.75) and share['met']
  noisy = clock.summary([2.0, 2.0, 2.0], 1.0)
  _, share = figures.compared(
    'W1', '', 6e9, steady, figures.Rate('', 4.0, noisy)
  )
  assert not share['clean']


def test_a_part_that_fails_leaves_the_others(tmp_path):
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
  assert 'these parts failed: environment (paper), start (cpu)' in done.stderr
  assert "unknown task 'hil'" in done.stderr
  assert json.loads(figures.read_text())['clean'] is False


def test_goals_are_met_or_missed():
  assert figures.figure('W1', 'x', 0.7, '', goal=('>=', 0.6))['met'] is True
  assert figures.figure('W1', 'x', 0.7, '', goal=('<=', 0.6))['met'] is False
  line = figures.figure(
    'W1', 'x', 0.5, 's', clock.summary([1.0, 9.0, 5.0], 0.0)
  )
  assert benchmark._text(line).startswith('~')
  assert '~' not in benchmark._text(figures.figure('W1', 'x', 0.5, 's'))
