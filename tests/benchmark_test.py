"""The benchmark program runs, at sizes whose figures mean nothing."""

import dataclasses
import functools
import json
import pathlib
import subprocess
import sys
import time

import pytest
import warm

from worldmodels.agents.benchmark import clock
from worldmodels.agents.benchmark import figures
from worldmodels.agents.benchmark import model
from worldmodels.agents.benchmark import options
from worldmodels.agents.benchmark import start
from worldmodels.agents.programs import benchmark
from worldmodels.agents.runs import build
from worldmodels.configs import planet
from worldmodels.spec import Spec

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
  config.overshooting.steps = 0  # Less to translate.
  config.heads.image.share = 1.0
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


@pytest.fixture
def tiny(tmp_path):
  """Flags of configs and sizes that are as small as they get."""
  for name in ('planet', 'dreamer'):
    (tmp_path / f'{name}.py').write_text(CONFIGS.replace('NAME', name))
  return [
    *('--sizes=tiny', '--repeats=2', '--task=hill'),
    f'--configs={tmp_path}/planet.py',
    f'--dreamer_configs={tmp_path}/dreamer.py',
  ]


def check(lines, expected):
  """Looks at the figures of parts."""
  assert {line['work'] for line in lines} == expected
  for line in lines:
    assert line['value'] is not None
    if 'gflops' in line:
      assert line['gflop'] > 0


def test_it_measures_each_part_in_a_process_and_writes_a_table(tiny, tmp_path):
  figures = tmp_path / 'figures.json'
  done = run('--work=environment,replay', f'--json={figures}', *tiny)
  assert done.returncode == 0, done.stderr
  written = json.loads(figures.read_text())
  lines = written['figures']
  check(lines, {'W5', 'W6', 'memory'})
  assert all(line['what'] in done.stdout for line in lines)
  assert written['clean'] == all(line.get('clean', True) for line in lines)
  assert ('NOT a clean run' in done.stdout) != written['clean']


@pytest.mark.parametrize(
  'preset,parts,expected',
  [
    ('paper', 'model,plan,behavior', {'W1', 'W3', 'W4', 'memory'}),
    ('paper', 'loop', {'W7'}),
    ('cpu', 'model,plan,ensemble', {'W8', 'W9'}),
    ('cpu', 'first', set()),  # Its process is what is timed.
  ],
)
def test_parts_that_compute(preset, parts, expected, tiny):
  """In the process that the program starts for them."""
  done = warm.run(
    ['worldmodels', 'benchmark', '--child', f'--preset={preset}']
    + [f'--work={parts}', *tiny],
    cwd=ROOT,
    timeout=280,
  )
  assert done.returncode == 0, done.stderr
  check(list(map(json.loads, done.stdout.splitlines())), expected)


def test_a_start_is_timed_from_the_process_to_its_end(tmp_path):
  asked = []

  def command(*part, code='pass'):
    asked.append(part)
    return [sys.executable, '-S', '-c', code]

  given = options.Options(
    *(options.SIZES['tiny'], 2, None, None),
    command=functools.partial(command, code='import time; time.sleep(0.2)'),
  )
  helped, begun = start.measure(given)
  assert asked == [('first', 'cpu')]
  assert helped['what'] == '--help' and helped['value'] > 0.05
  assert 0.2 <= begun['value'] < 20 and begun['work'] == 'start'
  failing = functools.partial(command, code='import sys; sys.exit("no")')
  with pytest.raises(RuntimeError, match='ended with 1: no'):
    start.measure(dataclasses.replace(given, command=failing))


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


@pytest.mark.parametrize(
  'spec',
  [
    Spec(actions=2, discrete=True),
    Spec(actions=3, image=None, vectors={'speed': 2, 'place': 1}),
  ],
)
def test_an_update_of_another_task_is_timed_too(spec):
  config = build.chosen(planet.get_config('debug'), spec)
  agent = build.agent(config, spec)
  model.update(agent, 3, config.train.length)()
