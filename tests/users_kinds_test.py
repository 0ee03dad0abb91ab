"""Kinds of a user's project, one file each, named `module:name`.

The project is that of the docs, written to the letter. From its root, as a user
would, the preset `small`, cut short, is trained with dynamics, a learner and
planners of the project, continued, evaluated with yet another planner and
filmed. tests/foreign_project_test.py has the other kinds, with the wheel; what
is wrong with one is in tests/trial_test.py.
"""

import json
import pathlib

import docs_project
import pytest
from conftest import run_program

ROOT = pathlib.Path(__file__).parent.parent
SHORT = (
  *('--config.train.seed_episodes=2', '--config.train.first_updates=0'),
  *('--config.train.updates=5', '--config.evaluate.last_episodes=1'),
  # Less to translate.
  *('--config.overshooting.steps=0', '--config.heads.image.share=1'),
)
# A learner, and a planner that climbs the score by its gradient.
CLIMBS = (
  '--config=dreamer:small',
  '--config.dynamics.kind=my_lab.residual:Dynamics',
  '--config.learner.kind=my_lab.ascent:Learner',
  '--config.planner.kind=my_lab.slope:plan',
  *('--config.planner.candidates=4', '--config.planner.iterations=5'),
  '--config.acting=planner',
)
# A tree of single steps.
SEARCHES = (
  '--config=planet:small',
  '--config.dynamics.kind=my_lab.residual:Dynamics',
  *('--config.planner.kind=my_lab.beam:plan', '--config.planner.horizon=4'),
)

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope='module')
def project(tmp_path_factory):
  """The root of the project."""
  folder = tmp_path_factory.mktemp('project')
  docs_project.write(folder)
  return folder


def start(project, program, *flags, **options):
  """Runs a program from the root of the project."""
  # A checkout that is not installed is found all the same.
  return run_program(
    program, *flags, cwd=project, PYTHONPATH=str(ROOT), **options
  )


def run(*arguments, **options):
  """Runs a program that does what it should; returns what it says."""
  done = start(*arguments, **options)
  assert done.returncode == 0, done.stdout + done.stderr
  return done.stdout


@pytest.mark.parametrize(
  'flags,other',
  [(CLIMBS, 'my_lab.hill_climber:plan'), (SEARCHES, 'my_lab.slope:plan')],
  ids=['climbs', 'searches'],
)
def test_they_are_trained_continued_evaluated_and_filmed(
  flags, other, project, tmp_path
):
  logdir = f'--logdir={tmp_path / "run"}'
  flags = (*flags, '--config.task=hill', *SHORT, logdir)
  run(project, 'train', *flags, '--config.train.episodes=3')
  printed = run(project, 'train', *flags, '--config.train.episodes=4')
  assert 'continues  after 5 updates, 3 episodes' in printed
  planner = f'--config.planner.kind={other}'
  found = json.loads(run(project, 'evaluate', logdir, planner, '--episodes=1'))
  assert found['checkpoint'] == 10 and 0 < found['mean'] < 50
  assert found['config'] == {'planner.kind': other}
  out = tmp_path / 'dream.webp'
  printed = run(project, 'video', logdir, f'--out={out}', '--episodes=1')
  assert out.stat().st_size and 'open-loop error' in printed


@pytest.mark.parametrize(
  'flag,says',
  [
    ('dynamics.kind=my_lab.gone:Dynamics', "no module 'my_lab.gone', looked"),
    ('dynamics.kind=my_lab.residual:Motion', "no class or function 'Motion'"),
    ('planner.kind=my_lab.serch:plan', "no module 'my_lab.serch'"),
    ('learner.kind=climbing', "is 'climbing'; it is one of actor_critic, or"),
  ],
)
def test_what_is_not_there_is_named(flag, says, project, tmp_path):
  done = start(
    *(project, 'train', '--config=dreamer:debug', f'--config.{flag}'),
    *('--config.task=hill', f'--logdir={tmp_path}/run'),
  )
  group = flag.partition('=')[0]
  # What can be known without the user's modules is known at once.
  assert done.returncode == (1 if ':' in flag else 2), done.stderr
  assert done.stderr.count('\n') == 1, done.stderr
  assert done.stderr.startswith(f'error: {group} ') and says in done.stderr
