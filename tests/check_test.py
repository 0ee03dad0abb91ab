import pathlib
import re

import numpy as np
import pytest
from conftest import run_program

from worldmodels.agents.programs import check
from worldmodels.agents.runs import animation

ROOT = pathlib.Path(__file__).parent.parent


def run(*arguments, cwd=ROOT, **variables):
  return run_program('check', *arguments, cwd=cwd, timeout=120, **variables)


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


def test_the_episodes_are_filmed_side_by_side(tmp_path):
  out = tmp_path / 'check.webm'
  done = run('--task=tests.strange_tasks:ends', f'--out={out}')
  assert f'film         {out}, ' in done.stdout
  # Presets have a discount head unless the task says ends_early = False.
  assert 'suggestion' not in done.stdout
  frames = list(animation.decode(out.read_bytes(), '.webm'))
  assert len(frames) == 3 and frames[0].shape == (192, 388, 3)


def test_an_episode_that_is_over_stands_still_in_the_film():
  short = np.full((2, 4, 4, 3), 90, np.uint8)
  long = np.full((5, 4, 4, 3), 200, np.uint8)
  frames = check.film([{'image': short}, {'image': long}])
  assert frames.shape == (5, 12, 28, 3)
  assert (frames[:2, :, :12] == 90).all() and (frames[2:, :, :12] == 30).all()
  assert (frames[:, :, 16:] == 200).all() and not frames[:, :, 12:16].any()


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
    (['--task=hill', '--camera=side'], "'side', but task 'hill' draws itself"),
    (['--task=hill', '--out=check.avi'], "ends in '.avi'"),
    (
      [strange('grows'), '--vectors=taken'],
      r'shape \[3\] but \[2\] in its obs',
    ),
    ([strange('huge_reward')], 'strange_tasks:huge_reward.*that float32 holds'),
    ([strange('Named'), '--vectors=mask'], "'mask' has a name that episodes"),
  ],
)
def test_a_problem_is_one_line(arguments, message):
  done = run(*arguments)
  assert done.returncode == 1
  assert re.search(message, done.stderr)
  assert done.stderr.count('\n') == 1


@pytest.mark.parametrize(
  'arguments, message',
  [
    (['--task=hill', 'quickly'], "unexpected argument 'quickly'"),
    ([], '--task is missing'),
    (['--task=hill', '--size=0'], '--size=0'),
    (['--task=hill', '--step_limit=-1'], '--step_limit=-1'),
    (['--task=hill', f'--seed={2**32}'], f'--seed={2**32}'),
    (['--task=hill', '--camra=2'], "unknown command line flag 'camra'"),
  ],
)
def test_a_wrong_command_is_one_line(arguments, message):
  done = run(*arguments)
  assert done.returncode == 2  # As of every program.
  assert message.lower() in done.stderr.lower() and not done.stdout
  assert done.stderr.count('\n') == 1


@pytest.mark.parametrize(
  'arguments, problem',
  [
    (
      [strange('chance')],
      'the same seed and actions give episodes of unlike l',
    ),
    # The random numbers of the process are of no seed.
    (
      [strange('drawing')],
      'the same seed and actions give episodes of unlike l',
    ),
    ([strange('unit_image')], 'no values but 0 and 1: multiply it by 255'),
    (
      [strange('endless'), '--action_repeat=50'],
      'an episode has not ended after 1000 env_steps, and was cut: give the',
    ),
  ],
)
def test_a_problem_of_its_episodes_is_named(arguments, problem):
  done = run(*arguments)
  assert done.returncode == 1 and not done.stderr
  lines = [x for x in done.stdout.splitlines() if problem in x]
  assert len(lines) == 1 and lines[0].startswith('problem      ')
  cut = (
    'suggestion   an episode does not end by itself: cut it with --config.env'
  )
  assert (cut in done.stdout) == ('was cut' in problem)


def test_a_limit_can_be_set():
  done = run(strange('endless'), '--step_limit=30')
  assert 'length       15 agent steps (limit: 15)\n' in done.stdout
  assert 'has not ended' not in done.stdout


def test_a_task_outside_the_checkout_is_checked(tmp_path):
  source = (ROOT / 'data' / 'tasks' / 'hill.py').read_text()
  (tmp_path / 'my_lab.py').write_text(source + "\nprint('stray words')\n")
  done = run('--task=my_lab:load', cwd=tmp_path, PYTHONPATH=str(ROOT))
  assert done.returncode == 0, done.stderr
  assert 'printed      stray words' in done.stdout
