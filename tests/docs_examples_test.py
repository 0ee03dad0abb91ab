"""The code of README.md and the docs runs, as it stands there.

That is what no other test runs; which test has which example is said below. The
script of README.md is run by tests/loading_test.py, the examples of planners by
tests/planners_page_test.py.
"""

import ast
import importlib
import pathlib
import re
import runpy
import types

import cv2
import docs_project
import gymnasium
import numpy as np
import pytest
import tensorflow as tf

import worldmodels
from worldmodels.agents.runs import build
from worldmodels.agents.runs import sink
from worldmodels.configs import planet
from worldmodels.data import recordings
from worldmodels.data.recorded import Recorded
from worldmodels.spec import Spec

ROOT = pathlib.Path(__file__).parent.parent
TESTS = ROOT / 'tests'
# Which test runs the examples that are files.
RUN_BY = {
  'docs_examples_test': (
    'left',
    'goal',
    'goal_config',
    'race',
    'bounce',
    'notes',
    'ledge',
    'coverage',
  ),
  'foreign_project_test': (
    *('ball', 'mppi', 'residual', 'patches', 'laplace', 'warm', 'bright'),
  ),
  'formats_test': ('pickup',),
  'gymnasium_tasks_test': ('survival',),
  'planners_page_test': ('cartpole', 'cartpole_value'),
  'trial_test': ('beta',),
  'users_kinds_test': ('ascent', 'hill_climber', 'beam', 'slope'),
}
DEBUG_HORIZON = planet.get_config('debug').planner.horizon


@pytest.fixture
def my_lab(tmp_path, monkeypatch):
  """The project of the docs as current directory: imports a module of it."""
  docs_project.write(tmp_path)
  monkeypatch.chdir(tmp_path)
  monkeypatch.syspath_prepend(tmp_path)

  docs_project.forget()
  yield lambda name: importlib.import_module(f'my_lab.{name}')
  docs_project.forget()


def run(source, names):
  """Executes a block; returns the values of its lines that are expressions."""
  values = []
  for node in ast.parse(source).body:
    if isinstance(node, ast.Expr):
      code = compile(ast.Expression(node.value), 'docs', 'eval')
      values.append(eval(code, names))
    else:
      exec(compile(ast.Module([node], []), 'docs', 'exec'), names)
  return values


def test_each_example_is_run_by_a_test():
  named = [name for names in RUN_BY.values() for name in names]
  assert len(named) == len({*named})
  assert {f'my_lab/{name}.py' for name in named} == {*docs_project.examples()}
  for test, names in RUN_BY.items():
    text = (TESTS / f'{test}.py').read_text()
    assert all(name in text for name in names), test


def test_the_task_of_the_readme_is_sound(program, tmp_path):
  """Written, and checked by the command that follows it."""
  ((path, text),) = docs_project.of_page('README.md').items()
  (tmp_path / path).parent.mkdir()
  (tmp_path / path).write_text(text)
  done = program(
    *('check', '--task=my_lab.ball:load'), cwd=tmp_path, PYTHONPATH=str(ROOT)
  )
  assert done.returncode == 0, done.stdout + done.stderr
  assert 'length       50 agent steps' in done.stdout
  assert done.stdout.endswith('sound        no problem found\n')


def test_the_page_on_the_library_runs(debug_run):
  """From its first block to its last, on a run of the tests."""
  blocks = docs_project.blocks('docs/library.md')
  text = '\n'.join(blocks)
  loaded = re.findall(r"worldmodels\.load\(('[^']*')\)", text)
  assert len(loaded) == 2
  names = {}
  for block in blocks:
    for path in loaded:
      block = block.replace(path, repr(str(debug_run)))
    run(block, names)
    if 'dream = ' in block:
      # As the comments beside them say.
      assert names['dream'].image.shape == (45, 64, 64, 3)
      assert names['dream'].image.dtype == np.uint8
      assert names['dream'].discount.shape == (45,)
      assert names['plan'].actions.shape == (DEBUG_HORIZON, 1)
      assert names['action'].shape == (1,)
    if 'timestep.last()' in block:
      assert names['timestep'].last() and 0 < names['total'] < 50
    if 'build.environment' in block:
      assert names['timestep'].first()
      names['environment'].close()
  assert names['futures'].shape == (2, 20)
  assert names['weights'].shape == (names['x'].shape[1],)


def test_what_an_ensemble_says_runs(monkeypatch):
  config = planet.get_config('debug')
  config.dynamics.update(kind='ensemble', members=3)
  model = build.agent(config, Spec(actions=1)).model
  monkeypatch.setattr(
    worldmodels, 'load', lambda path: types.SimpleNamespace(model=model)
  )
  asks, curious, _ = docs_project.blocks('docs/uncertainty.md')
  of_states, of_rewards, both = run(asks, {})
  assert of_states.shape == of_rewards.shape == [2]
  assert {2} == {len(part) for part in tf.nest.flatten(both)}
  names = {}
  run(curious, names)
  assert names['curious'](None, {'disagreement': 3.0}) == 3.0


def test_the_head_of_a_vector_is_one():
  (block,) = (
    block
    for block in docs_project.blocks('docs/extending.md')
    if block.startswith('config.environment.vectors')
  )
  config = planet.get_config('debug')
  with config.unlocked():
    run(block, {'config': config})
  model = build.agent(config, Spec(actions=1, vectors={'speed': 3})).model
  assert model.head('speed').mean(tf.zeros([2, model.features_size])).shape == (
    2,
    3,
  )


def test_the_cart_is_where_the_objective_sees_it(my_lab):
  left = my_lab('left')
  image = np.full([3, 64, 64, 3], 60.0, np.float32)
  for member, column in enumerate((8, 31, 50)):
    image[member, 28:36, column - 2 : column + 3] = 180, 60, 60
  meters = (np.array([8, 31, 50]) - 31.5) * 3.31 / 64
  np.testing.assert_allclose(left.place(image), meters, atol=1e-5)
  # At 8 it is nearest to the left, and there best.
  worth = left.objective(None, {'image': tf.constant(image)})
  np.testing.assert_allclose(worth, -np.abs(meters + 1.2), atol=1e-5)
  assert np.argmax(worth) == 0


def test_an_agent_plans_towards_the_image_of_its_config(my_lab):
  page = (ROOT / 'docs/extending.md').read_text()
  (command,) = re.findall(r'python -c "(.*?)"', page, re.DOTALL)
  exec(re.sub(r'\\\n *', '', command), {})
  config = my_lab('goal_config').get_config('debug')
  agent = build.learning_agent(config, Spec(actions=1))
  assert type(agent).__module__ == 'my_lab.goal'
  near = agent._nearness(agent.model.initial(2))
  drawn = agent.model.image(agent.model.initial(2))
  goal = agent.model.pixels(np.load('goal.npy'))
  away = tf.reduce_sum(tf.square(drawn - goal), [1, 2, 3])
  np.testing.assert_allclose(near, -away / 2, rtol=1e-5)


def test_the_race_is_one_that_is_drawn(my_lab, monkeypatch):
  """Without Box2D, which it is driven in."""
  asked = []

  def make(name, **options):
    asked.append((gymnasium.spec(name).id, options))
    return name

  monkeypatch.setattr(gymnasium, 'make', make)
  assert my_lab('race').load(3) == 'CarRacing-v3'
  options = dict(continuous=False, render_mode='rgb_array')
  assert asked == [('CarRacing-v3', options)]


def test_six_films_of_a_ball_are_made(my_lab):
  runpy.run_module('my_lab.bounce', run_name='__main__')
  films = sorted(pathlib.Path('films').iterdir())
  assert [path.name for path in films] == [f'bounce_{i}.mp4' for i in range(6)]
  film = cv2.VideoCapture(str(films[0]))
  frames = [frame for more, frame in iter(film.read, (False, None)) if more]
  assert len(frames) == 200 and frames[0].shape == (96, 96, 3)
  # The ball is orange and moves; OpenCV has blue first.
  seen = [np.argwhere(frame[..., 2] > 160).mean(0) for frame in frames]
  steps = np.linalg.norm(np.diff(seen, axis=0), axis=1)
  assert 3 < np.median(steps) < 5


def test_who_keeps_away_from_a_ledge_is_recorded(my_lab, tmp_path):
  """What lies beyond it is worth less than nothing, and in no episode."""
  ledge = my_lab('ledge')
  task = ledge.load(0)
  task.reset()
  rewards = [
    task.step(np.ones(1, np.float32)).reward for _ in range(ledge.STEPS)
  ]
  assert 0.9 < max(rewards) < 1.0 and rewards[-1] == min(rewards) == -1.0
  ledge.record(tmp_path / 'recorded', episodes=3)
  found = Recorded(
    recordings.find(tmp_path / 'recorded'), tmp_path, log=lambda line: None
  )
  assert len(found) == 3 and found.actions == 1
  for episode in found:
    assert len(episode['reward']) == ledge.STEPS + 1
    assert 0 <= min(episode['reward']) and max(episode['reward']) < 0.86
    assert episode['image'].shape[1:] == (64, 64, 3)
    assert np.abs(episode['action']).max() <= 1


def test_who_moves_covers_more_of_the_hill(my_lab):
  coverage = my_lab('coverage')
  few, many = (coverage.cells(coverage.at_random(0, x)) for x in (1, 4))
  assert 10 < few <= 50 and few < many < 1600
  (still,) = coverage.at_random(0, 1)
  still['image'] = np.repeat(still['image'][:1], 51, 0)
  assert coverage.cells([still]) == 1


def test_notes_are_taken(my_lab, tmp_path):
  notes = sink.Sinks(['my_lab.notes:Notes'], tmp_path, {})
  notes.write(10, {'return/return': 3.5, 'loss/loss': 1.0})
  notes.write(20, {'loss/loss': 0.5})
  notes.write(30, {'return/return': 4.0})
  notes.close()
  assert (tmp_path / 'notes.txt').read_text() == '10 3.5\n30 4.0\n'
