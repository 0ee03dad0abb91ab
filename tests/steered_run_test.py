"""A trained run under another planner and objective, from the command line.

With the wheel, in the folder of a user's project.
"""

import json

import cv2
import numpy as np
import pytest

from worldmodels.agents.runs import animation
from worldmodels.data.store import Store

GOALS = """
def twice(states, decoded):
  return 2.0 * decoded['reward']

def far(states, decoded):
  return decoded['reward'] - 100.0

def broken(states, decoded):
  return float('nan') * decoded['reward']

CALLS = []

def later(states, decoded):
  CALLS.append(1)  # The trial is the first.
  return (1.0 if len(CALLS) < 2 else float('nan')) * decoded['reward']
"""
PLANS = '''
import tensorflow as tf
from worldmodels.problem import Plan

def plan(problem, seed, *, height: float = 0.5):
  """Pushes, as hard as it is told to; it does not look at what is worth it."""
  return Plan(height * tf.ones_like(problem.start))
'''


@pytest.fixture
def project(tmp_path):
  """A user's project, outside of the checkout."""
  (tmp_path / 'my_goals.py').write_text(GOALS)
  (tmp_path / 'my_plans.py').write_text(PLANS)
  return tmp_path


def start(wheel_program, project, name, run, *flags):
  return wheel_program(name, f'--logdir={run}', *flags, cwd=project)


def test_evaluates_another_planner_and_sums_the_objective(
  debug_run, wheel_program, project
):
  before = {path: path.stat().st_mtime_ns for path in debug_run.rglob('*')}
  done = start(
    *(wheel_program, project, 'evaluate', debug_run, '--episodes=2'),
    *('--config.planner.kind=my_plans:plan', '--config.planner.height=1'),
    '--objective=my_goals:twice',
  )
  assert done.returncode == 0 and 'Traceback' not in done.stderr, done.stderr
  found = json.loads(done.stdout)
  assert found['config'] == {
    'planner.height': 1.0,
    'planner.kind': 'my_plans:plan',
  }
  assert 'other than the run: planner.height=1.0, planner.kind=' in done.stderr
  # To the letter: what the task really gave is what the objective is told.
  assert found['objective']['name'] == 'my_goals:twice'
  np.testing.assert_allclose(
    found['objective']['sums'], 2 * np.array(found['returns']), atol=2e-3
  )
  np.testing.assert_allclose(
    [found['objective']['mean'], found['objective']['std']],
    [2 * found['mean'], 2 * found['std']],
    atol=4e-3,
  )
  after = {path: path.stat().st_mtime_ns for path in debug_run.rglob('*')}
  assert after == before


def test_evaluates_another_planner_of_the_package(
  debug_run, wheel_program, project
):
  """As docs/planners.md has it; the options that it lacks are its own."""
  done = start(
    *(wheel_program, project, 'evaluate', debug_run, '--episodes=1'),
    *('--config.planner.kind=mppi', '--config.planner.candidates=500'),
  )
  assert done.returncode == 0 and 'Traceback' not in done.stderr, done.stderr
  found = json.loads(done.stdout)
  assert found['config'] == {
    'planner.candidates': 500,
    'planner.kind': 'mppi',
  }
  assert 0 < found['mean'] < 50 and 'objective' not in found


@pytest.mark.parametrize(
  'objective', ['--goal=goal.png', '--objective=my_goals:far']
)
def test_films_the_planner_in_its_dream(
  objective, debug_run, wheel_program, project
):
  image = Store(debug_run / 'heldout', reading=True).episode(0)['image'][20]
  goal = project / 'goal.png'
  assert cv2.imwrite(str(goal), image[..., ::-1])
  done = start(
    *(
      wheel_program,
      project,
      'video',
      debug_run,
      '--episodes=2',
      '--horizon=6',
    ),
    *(objective, '--config.planner.candidates=16', '--scale=1'),
    '--out=goal.gif',
  )
  assert done.returncode == 0 and not done.stderr, done.stderr
  lines = [x for x in done.stdout.splitlines() if x.startswith('objective of')]
  assert [line.split(':')[0] for line in lines] == [
    'objective of 6 imagined steps, planned',
    'objective of 6 imagined steps, recorded actions',
  ]
  sums = [float(line.split('mean ')[1].split()[0]) for line in lines]
  assert all(value < 0 for value in sums)
  frames = animation.decode((project / 'goal.gif').read_bytes(), '.gif')
  assert len(list(frames)) == 11 and 'open-loop error' in done.stdout


@pytest.mark.parametrize('flags', [(), ('--real',), ('--plan',)], ids=str)
def test_an_objective_that_comes_to_be_no_number_is_one_line(
  flags, debug_run, wheel_program, project
):
  """It was one when it was tried."""
  done = start(
    *(wheel_program, project, 'video', debug_run, '--episodes=1'),
    *('--objective=my_goals:later', *flags, '--scale=1', '--out=a.gif'),
  )
  assert done.returncode == 1 and 'Traceback' not in done.stderr
  (line,) = done.stderr.splitlines()
  assert 'not finite, or has another shape, for a state that the pl' in line
  assert not (project / 'a.gif').exists()


@pytest.mark.parametrize(
  'name,flag,says',
  [
    (
      'evaluate',
      '--config.train.updates=3',
      'train.updates belongs to the run',
    ),
    ('evaluate', '--config=planet:cpu', 'the config is that of the run'),
    ('video', '--config.planner.kind=cen', "planner.kind is 'cen'; it is one"),
    ('video', '--goal=gone.png', 'gone.png: No such file'),
    (
      'evaluate',
      '--linear=speed:1',
      "decodes no 'speed' that could be weighed",
    ),
    (
      'evaluate',
      '--objective=my_goals:broken',
      'returns nan: a reward is a fin',
    ),
  ],
)
def test_what_is_wrong_is_one_line(
  name, flag, says, debug_run, wheel_program, project
):
  done = start(wheel_program, project, name, debug_run, flag, '--episodes=1')
  assert done.returncode in (1, 2) and not done.stdout.startswith('{')
  last = done.stderr.splitlines()[-1]
  assert last.startswith('error: ') and says in last, done.stderr
  assert 'Traceback' not in done.stderr


def test_help_says_how(wheel_program):
  done = wheel_program('evaluate', '--help')
  assert '--config.planner.KEY=VALUE' in done.stdout
  assert '--objective' in done.stdout and '--laid_over' not in done.stdout
