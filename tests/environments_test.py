"""Nothing here renders in the process of the tests: TensorFlow may be in it."""

import hashlib
import importlib.metadata
import json
import pathlib
import subprocess
import sys
import types

import dm_env
import numpy as np
import pytest
from strange_tasks import Named

from worldmodels import errors
from worldmodels.data import environments
from worldmodels.data import graphics
from worldmodels.data import limits
from worldmodels.data import rendering
from worldmodels.data import resolve
from worldmodels.data import workers

ROOT = pathlib.Path(__file__).parent.parent
NO_ACTION = [0, 0]


def make(function, **options):
  return environments.make(f'tests.strange_tasks:{function}', **options)


def outside(code):
  """Runs code that imports dm_control and returns the JSON that it prints."""
  done = subprocess.run(
    [sys.executable, '-c', code],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=True,
  )
  return json.loads(done.stdout)


@pytest.fixture(scope='module')
def opengl():
  try:
    graphics.backend()
  except graphics.GraphicsError as error:
    pytest.skip(str(error))


# ---------------------------------------------------------------- actions ----


def test_actions_are_scaled_to_unlike_bounds():
  env = make('load', vectors=['taken'], action_repeat=1)
  env.reset()
  for action, expected in [
    ([-1, -1], [-2, 0]),
    ([1, 1], [6, 1]),
    ([0, 0.5], [2, 0.75]),
  ]:
    taken = env.step(action).observation['taken']
    np.testing.assert_allclose(taken, expected)


def test_actions_without_bounds_are_passed_on():
  env = make('unbounded', vectors=['taken'])
  env.reset()
  taken = env.step([0.25, -1]).observation['taken']
  np.testing.assert_allclose(taken, [0.25, -1])


def test_a_task_may_take_one_number():
  env = make('scalar', action_repeat=2)
  assert env.action_size == 1 and env.action_spec().shape == (1,)
  env.reset()
  for value, taken in ((-1, -2), (0.5, 4), (1, 6)):
    env.step([value])
    assert np.shape(env._env.action) == () and env._env.action == taken


@pytest.mark.parametrize(
  'action',
  [[0], [0, 0, 0], 0.5, [[0, 0]], [0, np.nan], [0, np.inf], [0, 1.01], [-2, 0]],
)
def test_bad_actions_are_refused(action):
  env = make('load')
  env.reset()
  with pytest.raises(ValueError, match='action'):
    env.step(action)


def test_actions_may_be_out_of_bounds_by_rounding():
  env = make('load', vectors=['taken'])
  env.reset()
  taken = env.step([1 + 5e-7, -1 - 5e-7]).observation['taken']
  assert taken.tolist() == [6, 0]


def test_a_choice_is_one_hot():
  env = make('Choosing', vectors=['taken'], action_repeat=3)
  assert env.discrete and env.action_size == 3
  spec = env.action_spec()
  assert spec.shape == (3,) and spec.dtype == np.float32
  assert spec.minimum == 0 and spec.maximum == 1
  env.reset()
  for count, index in enumerate([2, 0, 1], 1):
    action = np.eye(3, dtype=np.float32)[index]
    spec.validate(action)
    taken = env.step(action).observation['taken']
    assert taken.tolist() == [index, 3 * count]  # It is held.
  rounded = env.step([1e-7, 0, 1 - 5e-7]).observation['taken']
  assert rounded[0] == 2
  assert not make('load').discrete


@pytest.mark.parametrize(
  'action',
  [[0, 0, 0], [1, 1, 0], [0, 0.99, 0], [0, 1, 0.01], [0, -1, 0], [0, np.nan, 1]]
  + [[1, 0], 2, [2, 0, 0]],
)
def test_what_is_no_choice_is_refused(action):
  env = make('Choosing')
  env.reset()
  with pytest.raises(ValueError, match='^action ') as caught:
    env.step(action)
  assert '\n' not in str(caught.value)


def test_choices_are_known_after_loading_anew():
  env = make('Choosing', vectors=['taken'])
  env.reseed(3)
  assert env.discrete
  env.reset()
  assert env.step([0, 0, 1]).observation['taken'][0] == 2


@pytest.mark.parametrize('repeat', [1, 4])
def test_what_a_task_does_to_arrays_stays_with_the_task(repeat):
  """It gets the action anew at each repeat, and no row changes later."""
  env = make('Misusing', action_repeat=repeat, vectors=['taken', 'seed'])
  action = np.array([0.5, -0.25])
  timesteps = [env.reset()]
  for _ in range(2):
    timesteps.append(env.step(action))
  env.reset()  # The task spoils what it gave last.
  assert action.tolist() == [0.5, -0.25]
  np.testing.assert_array_equal(env._env.told, [[4, 0.375]] * 2 * repeat)
  for number, timestep in enumerate(timesteps):
    count = number * repeat
    seen = timestep.observation
    assert (seen['image'] == count).all()
    assert seen['taken'].tolist() == ([4, 0.375] if number else [0, 0])
    if number:
      assert timestep.reward == sum(range(count - repeat + 1, count + 1))
      assert timestep.discount == 1


# --------------------------------------------------------------- episodes ----


def test_rewards_are_summed_over_the_action_repeat():
  env = make('load', action_repeat=3)
  assert env.reset().reward is None
  assert [env.step(NO_ACTION).reward for _ in range(3)] == [6, 15, 24]


def test_the_repeat_stops_where_the_task_ends():
  env = make('ends', action_repeat=2)
  env.reset()
  first, last = env.step(NO_ACTION), env.step(NO_ACTION)
  assert first.mid() and first.discount == 1
  assert last.last() and last.discount == 0 and last.reward == 3
  assert env.step(NO_ACTION).first()


def test_time_that_is_up_keeps_the_discount():
  env = make('load', action_repeat=4)
  env.reset()
  steps = [env.step(NO_ACTION) for _ in range(3)]
  assert [step.last() for step in steps] == [False, False, True]
  assert steps[-1].discount == 1 and steps[-1].reward == 9 + 10


def test_a_step_limit_of_the_task_is_kept_and_told():
  env = make('limited', action_repeat=2)
  assert env.step_limit == 3
  env.reset()
  assert [env.step(NO_ACTION).last() for _ in range(3)] == [False, False, True]
  assert make('load').step_limit is None


def test_an_episode_may_end_early_unless_the_task_says_otherwise():
  assert make('load').ends_early is True
  assert make('punctual').ends_early is False
  for task in resolve.own_tasks():
    assert environments.make(task).ends_early is (task == 'exam')


def test_a_task_without_a_limit_is_cut_where_it_is_said():
  env = make('endless', action_repeat=300)
  assert env.step_limit is None and 'cut after 1000 env_steps' in (
    limits.NO_LIMIT
  )
  env.reset()
  steps = [env.step(NO_ACTION) for _ in range(4)]
  assert [step.last() for step in steps] == [False, False, False, True]
  assert [step.env_steps for step in steps] == [300, 300, 300, 100]
  assert steps[-1].discount == 1


@pytest.mark.parametrize(
  'function, asked, limit, length',
  [
    ('endless', 7, 4, 4),  # Actions are held for two steps.
    ('endless', 1500, 750, 750),
    ('long', 0, None, 500),
    ('long', 1600, 800, 800),
    ('limited', 3, 2, 2),
    ('limited', 8, 3, 3),  # Its own limit is 5.
    ('limit_of_nothing', 0, None, 3),
    ('limit_of_infinity', 0, None, 3),
    ('limit_of_infinity', 4, 2, 2),
  ],
)
def test_a_limit_that_is_asked_for(function, asked, limit, length):
  env = make(function, step_limit=asked)
  assert env.step_limit == limit
  env._render = lambda: None  # Nothing has to be copied.
  env._observations.read = lambda *arguments: {}
  env.reset()
  count = 1
  while not env.step(NO_ACTION).last():
    count += 1
  assert count == length


def test_a_task_that_ends_at_the_limit_has_ended():
  env = make('ends', action_repeat=1, step_limit=3)
  env.reset()
  steps = [env.step(NO_ACTION) for _ in range(3)]
  assert [step.discount for step in steps] == [1, 1, 0]
  assert [step.last() for step in steps] == [False, False, True]


def test_the_steps_of_the_simulator_are_counted():
  env = make('early', action_repeat=8)
  assert not hasattr(env.reset(), 'env_steps')
  first, last = env.step(NO_ACTION), env.step(NO_ACTION)
  assert (first.env_steps, last.env_steps) == (8, 1)
  assert last.last() and last.discount == 0 and last.reward == 9
  assert first._replace(reward=3.0).reward == 3  # It is still a named tuple.
  kind, reward, discount, observation = last
  assert isinstance(last, dm_env.TimeStep) and observation.keys() == {'image'}


def test_the_action_repeat_of_a_module_is_the_default():
  assert make('load').action_repeat == 2
  assert make('load', action_repeat=5).action_repeat == 5


def test_one_frame_is_rendered_per_agent_step(monkeypatch):
  frames = []

  def renderer(*arguments):
    return lambda: frames.append(1) or np.zeros((64, 64, 3), np.uint8)

  monkeypatch.setattr(rendering, 'Renderer', renderer)
  env = make('Simulated', action_repeat=4)
  env.reset()
  env.step(NO_ACTION)
  env.step(NO_ACTION)
  assert len(frames) == 3


def test_rendering_beside_tensorflow_is_refused(monkeypatch):
  monkeypatch.setitem(sys.modules, 'tensorflow', types.ModuleType('x'))
  with pytest.raises(RuntimeError, match='worldmodels.data.workers'):
    make('Simulated')


# ----------------------------------------------------------- observations ----


def test_observations_have_the_image_and_the_vectors_asked_for():
  env = make('load', seed=7, vectors=['seed', 'taken'])
  observation = env.reset().observation
  for key, spec in env.observation_spec().items():
    assert observation[key].shape == spec.shape
    assert observation[key].dtype == spec.dtype
  assert list(observation) == ['image', 'seed', 'taken']
  assert observation['seed'].tolist() == [7]
  assert list(make('load').reset().observation) == ['image']


def test_images_are_the_callers_to_keep():
  env = make('Reusing')
  first = env.reset().observation['image']
  env.step(NO_ACTION)
  assert not first.any()


def test_other_sizes_can_be_asked_for():
  image = make('large_image', size=84).reset().observation['image']
  assert image.shape == (84, 84, 3)


@pytest.mark.parametrize('function', ['load', 'Reseeded'])
def test_reseeding_is_like_loading_with_that_seed(function):
  env = make(function, seed=1, vectors=['seed'])
  env.reset()
  env.reseed(5)
  assert env.reset().observation['seed'] == 5


@pytest.mark.parametrize('function', ['no_seed', 'number_as_seed'])
def test_what_takes_no_seed_is_loaded_anew(function):
  env = make(function, seed=1, vectors=['seed'])
  assert env.reset(5).observation['seed'] == 5


# ----------------------------------------------------------------- errors ----


@pytest.mark.parametrize(
  'function, message',
  [
    ('limit_of_text', "its step_limit is '12': expected a number"),
    ('limit_of_method', 'its step_limit is <bound method'),
    ('float_image', r'image is float32 \[64, 64, 3\], expected uint8'),
    ('large_image', r'image is uint8 \[84, 84, 3\].*ask for size 84'),
    ('integers', 'expected one array of floats, or a DiscreteArray'),
    ('array', 'no dict'),
    ('blind', "no 'image' and it has no physics"),
    ('not_an_environment', "a dict, which has no method 'reset'"),
    ('nothing', "has no function 'nothing'"),
  ],
)
def test_a_task_that_breaks_a_rule_is_refused(function, message):
  with pytest.raises(environments.TaskError, match=message) as caught:
    make(function)
  assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  'function, message',
  [
    ('lying', r'image is float64 \[64, 64, 3\]'),
    ('nan_reward', 'reward is nan'),
    ('no_reward', 'reward is None'),
    ('nan_vector', r"'taken' is \[nan, 0.0\]"),
    ('huge_reward', 'reward is -1e.39: expected a number that float32 holds'),
    ('huge_sum', 'reward is 6e.38: expected a number that float32 holds'),
    ('discount_of_2', 'discount is 2: expected 0 to 1'),
    ('longer_vector', r"'taken' has shape \[3\] but \[2\]"),
    ('gym_reset', 'reset returned a tuple, expected a dm_env.TimeStep'),
    ('gym_step', 'step returned a tuple, expected a dm_env.TimeStep'),
    ('bare_image', 'its observation is a ndarray, expected a dict'),
    ('vanishing', 'promised'),
  ],
)
def test_what_a_task_returns_is_checked_at_every_step(function, message):
  env = make(function, vectors=['taken'])
  with pytest.raises(environments.TaskError, match=message) as caught:
    env.reset()
    env.step(NO_ACTION)
  told = str(caught.value)
  assert told.startswith(f"task 'tests.strange_tasks:{function}': ")
  assert '\n' not in told and len(told) < 300


@pytest.mark.parametrize(
  'function, message',
  [
    ('grows', r"'taken' has shape \[3\] but \[2\]"),
    ('resets_itself', 'step returned a timestep of type FIRST'),
  ],
)
def test_also_at_later_steps(function, message):
  env = make(function, vectors=['taken'], action_repeat=1)
  env.reset()
  for _ in range(5):
    env.step(NO_ACTION)
  with pytest.raises(environments.TaskError, match=message):
    env.step(NO_ACTION)


@pytest.mark.parametrize('name', Named.names[:-1])
def test_names_that_episodes_keep_for_themselves_are_refused(name):
  with pytest.raises(environments.TaskError, match='rename it') as caught:
    make('Named', vectors=['taken', name])
  assert f"its vector '{name}' has a name" in str(caught.value)


def test_other_names_are_handed_on_as_they_are():
  env = make('Named', vectors=['a/b'])
  env.reset()
  assert env.step(NO_ACTION).observation['a/b'].tolist() == [2, 2]


@pytest.mark.parametrize(
  'options, message',
  [
    ({'vectors': ['token']}, "no vector 'token', only: taken, seed"),
    ({'vectors': ['image']}, "no vector 'image'"),
    ({'size': 0}, 'too small'),
    ({'action_repeat': -1}, 'too small'),
    ({'step_limit': -1}, 'too small'),
  ],
)
def test_bad_arguments_are_refused(options, message):
  with pytest.raises(environments.TaskError, match=message):
    make('load', **options)


def test_another_quality_is_refused():
  with pytest.raises(errors.OptionError) as caught:
    make('load', quality='best')
  assert (
    str(caught.value) == "quality is 'best'; it is one of exact, near, fast"
  )


def test_an_action_that_is_held_for_no_step_is_refused(monkeypatch):
  monkeypatch.setattr('tests.strange_tasks.ACTION_REPEAT', 0)
  with pytest.raises(environments.TaskError, match='ACTION_REPEAT is 0: exp'):
    make('load')


def test_missing_modules_are_named(tmp_path, monkeypatch):
  (tmp_path / 'my_lab.py').write_text('import a_sensor\n')
  monkeypatch.syspath_prepend(tmp_path)
  for task, message in [
    ('no_lab.reacher:load', "no module 'no_lab'"),
    ('tests.no_task:load', "no module 'tests.no_task'"),
    ('my_lab:load', "my_lab imports 'a_sensor', which is not installed"),
  ]:
    with pytest.raises(environments.TaskError, match=message):
      environments.make(task)


def test_a_mujoco_of_another_release_is_refused(monkeypatch):
  versions = {'mujoco': '4.0.0', 'dm_control': '1.0.50'}
  monkeypatch.setattr(importlib.metadata, 'version', versions.get)
  monkeypatch.setattr(
    importlib.metadata, 'requires', lambda name: ['numpy', 'mujoco>=3.17.0']
  )
  with pytest.raises(environments.TaskError) as caught:
    resolve.check_versions()
  assert str(caught.value) == (
    'mujoco 4.0.0 is installed; dm_control 1.0.50 needs mujoco 3.17.0: '
    'pip install mujoco==3.17.0'
  )
  versions['mujoco'] = '3.17.2'
  resolve.check_versions()


# ------------------------------------------------------- dm_control.suite ----


def test_every_suite_task_can_be_made(opengl):
  code = """if True:
    import json
    from worldmodels.data import environments, resolve
    made = {}
    for task in resolve.suite_tasks():
      env = environments.make(task)
      camera = env._source.camera
      made[task] = [env.action_repeat, env.step_limit, camera]
      assert not env.ends_early, task
      env.close()
    print(json.dumps(made))
  """
  made = outside(code)
  assert len(made) > 45
  assert made['cartpole_swingup'] == [8, 125, 0]
  assert made['ball_in_cup_catch'] == [4, 250, 0]
  assert made['reacher_easy'][0] == made['cheetah_run'][0] == 4
  assert made['finger_spin'][0] == made['walker_walk'][0] == 2
  assert made['quadruped_run'][2] == 2
  assert made['dog_run'][:2] == [2, 500]
  assert made['humanoid_CMU_run'][0] == 2
  assert made['lqr_lqr_2_1'][1] == 500  # It has no limit of its own.


def test_an_unknown_task_names_the_nearest(opengl):
  with pytest.raises(environments.TaskError, match='did you mean hill'):
    workers.start('hil')
  with pytest.raises(environments.TaskError, match='ball_in_cup_catch'):
    workers.start('cup_catch')


@pytest.mark.skipif(
  pathlib.Path('/dev/nvidiactl').exists(), reason='a GPU draws other pixels'
)
def test_a_frame_is_what_it_has_always_been(opengl):
  """Bit-identical over Mesa versions, and over EGL and OSMesa."""
  with workers.start('cartpole_swingup', 1, quality='exact') as worker:
    image = worker.reset().observation['image']
  digest = hashlib.sha256(image.tobytes()).hexdigest()
  assert digest == (
    'cac7d03d1b022bb7925f548e0c05a65b0389839fabd24022e89c047687adf27e'
  )


def test_qualities_differ_as_they_should(opengl):
  images = {}
  for quality in rendering.QUALITIES:
    with workers.start('walker_walk', 3, quality=quality) as worker:
      images[quality] = worker.reset().observation['image'].astype(float)
      assert worker.quality == quality
  near = np.abs(images['near'] - images['exact']).mean()
  fast = np.abs(images['fast'] - images['exact']).mean()
  assert 0 < near < 1 and 4 < fast < 20  # Without shadows; see rendering.py.


def test_suite_tasks_have_vectors_and_scaled_actions(opengl):
  vectors = ['position', 'velocity']
  with workers.start('cartpole_balance', quality='fast', vectors=vectors) as w:
    observation = w.reset().observation
    assert observation['position'].shape == (3,)
    assert observation['velocity'].dtype == np.float32
    before = observation['velocity'][0]
    timestep = w.step([1])
    assert timestep.observation['velocity'][0] > before
    assert 4 < timestep.reward <= 8  # Eight steps of at most 1.


@pytest.mark.parametrize('task', ['reacher_easy', 'lqr_lqr_2_1'])
def test_an_episode_is_a_pure_function_of_its_seed(opengl, task):
  def play(worker, seed):
    timesteps = [worker.reset(seed)]
    for _ in range(3):
      timesteps.append(worker.step(np.full(worker.action_size, 0.5)))
    return np.stack([t.observation['image'] for t in timesteps])

  with (
    workers.start(task, 1, quality='fast') as one,
    workers.start(task, 2, quality='fast') as two,
  ):
    fresh = play(two, None)
    first, other, again = play(one, 2), play(one, 3), play(one, 2)
    assert (play(two, 2) == first).all()
  assert (first == fresh).all() and (first == again).all()
  assert (first != other).any()
