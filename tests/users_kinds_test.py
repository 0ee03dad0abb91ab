"""Kinds of a user's project, one file each, named `module:name`.

tests/users_project is such a project: dynamics, two planners and a learner of
about 50 lines each. Two runs use two of them each: they are trained, continued,
evaluated and filmed from the root of the project, as a user would.
"""

import json
import os
import pathlib
import subprocess
import sys

import pytest

PROJECT = pathlib.Path(__file__).parent / 'users_project'
# Of the preset `small`, what it takes to see that everything runs.
SHORT = (
  *('--config.task=hill', '--config.train.updates=5'),
  *('--config.train.first_updates=5', '--config.evaluate.last_episodes=1'),
  *('--config.train.seed_episodes=2', '--config.evaluate.episodes=1'),
)
RUNS = {
  'planet': (
    '--config.dynamics.kind=my_lab.motion:Dynamics',
    '--config.planner.kind=my_lab.search:plan',
  ),
  'dreamer': (
    '--config.learner.kind=my_lab.climbing:Learner',
    '--config.planner.kind=my_lab.descent:plan',
  ),
}

pytestmark = pytest.mark.timeout(900)


def run(program, *flags):
  """Runs a program from the root of the project."""
  done = subprocess.run(
    [sys.executable, '-m', 'worldmodels', program, *map(str, flags)],
    cwd=PROJECT,
    # A checkout that is not installed is found all the same.
    env=os.environ | {'PYTHONPATH': str(PROJECT.parent.parent)},
    capture_output=True,
    text=True,
    timeout=600,
    check=False,
  )
  assert done.returncode == 0, done.stdout + done.stderr
  return done.stdout


@pytest.mark.parametrize('agent', RUNS)
def test_they_are_trained_continued_evaluated_and_filmed(agent, tmp_path):
  logdir = f'--logdir={tmp_path / "run"}'
  flags = [f'--config={agent}:small', *RUNS[agent], *SHORT, logdir]
  run('train', *flags, '--config.train.episodes=3')
  printed = run('train', *flags, '--config.train.episodes=4')
  assert 'continues  after 10 updates, 3 episodes' in printed
  found = json.loads(run('evaluate', logdir, '--episodes=2'))
  assert found['checkpoint'] == 15 and 0 < found['mean'] < 50
  out = tmp_path / 'dream.webp'
  printed = run('video', logdir, f'--out={out}', '--episodes=1')
  assert out.stat().st_size and 'open-loop error' in printed


@pytest.mark.parametrize(
  'flag,says',
  [
    ('dynamics.kind=my_lab.gone:Dynamics', "no module 'my_lab.gone', looked"),
    ('dynamics.kind=my_lab.motion:Motion', "no class or function 'Motion'"),
    ('planner.kind=my_lab.serch:plan', "no module 'my_lab.serch'"),
    ('learner.kind=climbing', "is 'climbing'; it is one of actor_critic, or"),
  ],
)
def test_what_is_not_there_is_named(flag, says, tmp_path):
  done = subprocess.run(
    [sys.executable, '-m', 'worldmodels', 'train', '--config=dreamer:small']
    + [f'--config.{flag}', '--config.task=hill', f'--logdir={tmp_path}/run'],
    cwd=PROJECT,
    env=os.environ | {'PYTHONPATH': str(PROJECT.parent.parent)},
    capture_output=True,
    text=True,
    timeout=600,
    check=False,
  )
  group = flag.partition('=')[0]
  # What can be known without the user's modules is known at once.
  assert done.returncode == (1 if ':' in flag else 2), done.stderr
  assert done.stderr.count('\n') == 1, done.stderr
  assert done.stderr.startswith(f'error: {group} ') and says in done.stderr
