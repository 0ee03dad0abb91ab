import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent


def run(*arguments, cwd=ROOT, **options):
  return subprocess.run(
    [sys.executable, '-m', 'worldmodels', 'check', *arguments],
    cwd=cwd,
    capture_output=True,
    text=True,
    timeout=120,
    check=False,
    **options,
  )


def strange(function):
  return f'--task=tests.strange_tasks:{function}'


def test_a_sound_task_is_described():
  done = run('--task=hill', '--vectors=position,velocity')
  assert done.returncode == 0, done.stderr
  report = dict(
    re.split(r' {2,}', line, maxsplit=1) for line in done.stdout.splitlines()
  )
  assert report['action'] == '1 in [-1, 1], held for 1 steps'
  assert report['observation'] == (
    'image uint8 [64, 64, 3], position float32 [1], velocity float32 [1]'
  )
  assert report['length'] == '50 agent steps (limit: 50)'
  assert report['discount'].startswith('1 at the end')
  assert report['size'] == '0.63 MB per episode'
  assert 2 < float(report['return'].split()[0]) < 20
  assert 'problem' not in report and 'sound' in report


def test_choices_are_described():
  done = run('--task=juggle')
  assert done.returncode == 0, done.stderr
  assert 'action       one of 3, held for 1 steps\n' in done.stdout
  (mean,) = re.findall(r'return +(\S+) of random actions', done.stdout)
  assert 3 < float(mean) < 20


@pytest.mark.parametrize(
  'arguments, message',
  [
    ([strange('float_image')], 'image is float32'),
    ([strange('nan_reward')], 'reward is nan'),
    ([strange('raises')], 'ZeroDivisionError: the pole broke'),
    ([strange('exits')], 'died: exit status 3'),
    (['--task=no_lab.reacher:load'], "no module 'no_lab'"),
    (['--task=hill', '--vectors=token'], "no vector 'token'"),
  ],
)
def test_a_problem_is_one_line(arguments, message):
  done = run(*arguments)
  assert done.returncode == 1
  assert re.search(message, done.stderr)
  assert done.stderr.count('\n') == 1


def test_a_wrong_command_is_one_line():
  done = run('--task=hill', 'quickly')
  assert done.returncode == 2  # As of every program.
  assert "unexpected argument 'quickly'" in done.stderr
  assert done.stderr.count('\n') == 1


def test_a_task_outside_the_checkout_is_checked(tmp_path):
  source = (ROOT / 'data' / 'tasks' / 'hill.py').read_text()
  (tmp_path / 'my_lab.py').write_text(source + "\nprint('stray words')\n")
  done = run('--task=my_lab:load', cwd=tmp_path, env={'PYTHONPATH': str(ROOT)})
  assert done.returncode == 0, done.stderr
  assert 'printed      stray words' in done.stdout
