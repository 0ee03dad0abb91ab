import pathlib
import re
import subprocess
import sys

import numpy as np
import pytest

from data import check
from data import environments

ROOT = pathlib.Path(__file__).parent.parent


def run(*arguments, cwd=ROOT, **options):
  return subprocess.run(
    [sys.executable, '-m', 'data.check', *arguments],
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
    (['--task=hill', 'quickly'], "unexpected argument 'quickly'"),
  ],
)
def test_a_problem_is_one_line(arguments, message):
  done = run(*arguments)
  assert done.returncode == 1
  assert re.search(message, done.stderr)
  assert done.stderr.count('\n') == 1


def test_a_task_outside_the_checkout_is_checked(tmp_path):
  source = (ROOT / 'data' / 'tasks' / 'hill.py').read_text()
  (tmp_path / 'my_lab.py').write_text(source + "\nprint('stray words')\n")
  done = run('--task=my_lab:load', cwd=tmp_path, env={'PYTHONPATH': str(ROOT)})
  assert done.returncode == 0, done.stderr
  assert 'printed      stray words' in done.stdout


def test_random_choices_are_one_hot_and_unlike():
  episode = check.play(environments.make('juggle'), 0)
  actions = episode['action']
  assert actions.shape == (51, 3) and actions.dtype == np.float32
  assert not actions[0].any()  # The reset has none.
  np.testing.assert_array_equal(actions[1:].sum(1), 1)
  assert (actions[1:].max(1) == 1).all()
  assert actions[1:].sum(0).min() > 5


# ---------------------------------------------------------- what it finds ----


def found(function, **options):
  env = environments.make(f'tests.strange_tasks:{function}', **options)
  episodes = [check.play(env, seed) for seed in range(2)]
  return check.problems(episodes, check.play(env, 0, 3), check.play(env, 1, 3))


def test_images_that_no_seed_decides_are_found():
  (problem,) = found('random_pixels')
  assert problem == 'the same seed and actions give another image'


def test_images_that_nothing_decides_are_found():
  assert found('load') == [
    'another seed and other actions give the same images'
  ]


def test_an_episode_without_an_end_is_found(monkeypatch):
  env = environments.make('tests.strange_tasks:endless')
  episode = check.play(env, 0, 5)
  other = {**episode, 'image': episode['image'] + 1}
  (problem,) = check.problems([episode], episode, other)
  assert 'has not ended' in problem


def test_other_faults_are_found():
  episode = check.play(environments.make('hill'), 0)
  dark = {**episode, 'image': episode['image'] * 0}
  other = {**episode, 'image': episode['image'] + 1}
  assert check.problems([episode], episode, other) == []
  assert 'the image never changes' in check.problems([dark], dark, other)
  late = {**episode, 'reward': np.roll(episode['reward'], 1)}
  assert 'the same seed and actions give another reward' in check.problems(
    [episode], late, other
  )
  grown = {**episode, 'discount': episode['discount'] * 2}
  assert 'a discount is 2.0 or 2.0' in check.problems([grown], grown, other)
