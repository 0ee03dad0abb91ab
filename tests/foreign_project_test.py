"""A project of a user's: the files that the docs have a reader write.

It has the wheel and not the checkout, and packages called data, agents, configs
and tests of its own. From its root, with the command of the wheel, it trains
with a task, a planner, dynamics, an encoder, a head and an agent of its own,
resumes, evaluates with an objective of its own, films, and loads the run.
"""

import json

import docs_project
import pytest
import wheel_environment
from conftest import run_program

# Whoever imports a file of my_lab finds the project's own packages.
PROJECT = {
  'my_lab/__init__.py': """
import agents
import configs
import tests
from data import levels

assert agents.OWNER == configs.OWNER == tests.OWNER == levels.OWNER == 'my_lab'
""",
  'data/__init__.py': '',
  'data/levels.py': "OWNER = 'my_lab'\n",
  'agents/__init__.py': "OWNER = 'my_lab'\n",
  'configs/__init__.py': "OWNER = 'my_lab'\n",
  'tests/__init__.py': "OWNER = 'my_lab'\n",
}
TRAIN = [
  'train',
  '--config=planet:debug',
  '--config.task=my_lab.ball:load',
  "--config.environment.vectors=('speed',)",
  '--config.planner.kind=my_lab.mppi:plan',
  '--config.dynamics.kind=my_lab.residual:Dynamics',
  '--config.encoder.kind=my_lab.patches:ImageEncoder',
  '--config.heads.reward.kind=my_lab.laplace:Head',
  '--config.agent.kind=my_lab.warm:Agent',
  '--config.overshooting.steps=0',  # Less to translate.
  '--config.heads.image.share=1',
  '--config.evaluate.last_episodes=1',
  '--logdir=runs/ball',
]
LOADED = """
import worldmodels

run = worldmodels.load('runs/ball')
episode = run.heldout[-1]
first = {key: value[:5] for key, value in episode.items()}
state = run.observe(first['image'], first['action'], vectors=first)
dream = run.imagine(state, episode['action'][5:9])
print(run.config.dynamics.kind, dream.image.shape, dream.reward.shape)
print(run.plan(state).actions.shape)
"""


@pytest.fixture(scope='module')
def worldmodels(wheel, tmp_path_factory):
  """A function that runs the command in the project and returns what it says.

  The project has learned from three episodes.
  """
  folder = tmp_path_factory.mktemp('foreign')
  command = wheel_environment.commands(wheel.parent) / 'worldmodels'
  project = folder / 'project'
  for name, text in {**docs_project.examples(), **PROJECT}.items():
    path = project / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)

  def start(*arguments, **options):
    done = run_program(*arguments, cwd=project, command=command, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout

  def python(script):
    """Runs a script with the Python of the environment."""
    command_line = (command.parent / 'python', '-c', script)
    return wheel_environment.run(*command_line, folder=project).stdout

  start(*TRAIN, '--config.train.episodes=3')
  start.project, start.python = project, python
  return start


def test_it_is_the_wheel(worldmodels):
  script = 'import worldmodels as w; print(w.__file__, *w.__path__)'
  for place in worldmodels.python(script).split():
    assert '/environment/lib/' in place


def test_its_own_packages_are_found(worldmodels):
  task = ('--task=my_lab.ball:load', '--vectors=speed')
  said = worldmodels('check', *task, fresh=True)
  assert 'speed float32 [1]' in said and 'sound' in said


def test_films(worldmodels):
  worldmodels('video', '--logdir=runs/ball', '--out=ball.webp', '--episodes=1')
  assert (worldmodels.project / 'ball.webp').read_bytes()[8:12] == b'WEBP'


def test_is_a_library(worldmodels):
  # With the check of a planner that a page has a reader make.
  script = LOADED + docs_project.planner_check('docs/planners.md')
  assert worldmodels.python(script).splitlines() == [
    'my_lab.residual:Dynamics (4, 64, 64, 3) (4,)',
    '(4, 1)',
  ]


def test_resumes_and_evaluates(worldmodels):
  """The last test: the run is no more what the others looked at."""
  config = worldmodels.project / 'runs' / 'ball' / 'config.json'
  assert json.loads(config.read_text())['train']['episodes'] == 3
  worldmodels(*TRAIN, '--config.train.episodes=4')
  assert json.loads(config.read_text())['train']['episodes'] == 4
  said = worldmodels(
    *('evaluate', '--logdir=runs/ball', '--episodes=1'),
    '--objective=my_lab.bright:objective',
  )
  result = json.loads(said)
  assert result['task'] == 'my_lab.ball:load'
  assert result['checkpoint'] == 10
  assert result['episodes'] == 1 and 0 <= result['mean'] <= 50
  # A ball of 12 x 12 on gray: the mean of the pixels, 49 to 51 of 255 a step.
  (total,) = result['objective']['sums']
  assert total > 0
