"""`worldmodels.load`: a trained run in a script of the user's own."""

import dataclasses
import json
import shutil
import subprocess
import sys
import threading
import types

import docs_project
import keras
import numpy as np
import pytest
import tensorflow as tf

import worldmodels
from worldmodels import errors
from worldmodels import states
from worldmodels.agents.runs import build
from worldmodels.agents.runs import checkpoint
from worldmodels.agents.runs import collect
from worldmodels.agents.runs import film
from worldmodels.agents.runs import inputs
from worldmodels.agents.runs import loading
from worldmodels.agents.runs import planned
from worldmodels.agents.runs import planning
from worldmodels.agents.runs import policy
from worldmodels.agents.runs import recorded
from worldmodels.agents.runs import state_arrays
from worldmodels.agents.runs import trained
from worldmodels.agents.runs.build import ConfigError
from worldmodels.agents.runs.checkpoint import CheckpointError
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.run_directory import RunError
from worldmodels.configs import dreamer
from worldmodels.problem import Plan
from worldmodels.spec import Spec

CONTEXT, HORIZON = 4, 6
BEFORE = """
import sys
import worldmodels
assert not {'tensorflow', 'numpy', 'worldmodels.agents'} & {*sys.modules}
"""
AFTER = """
print(run, run.config.task, len(run.episodes), len(run.heldout))
print(dream.image.shape, dream.image.dtype, dream.reward.shape)
print(plan.actions.shape)
import tensorflow as tf
tf.get_logger().error('still heard')
print('also', file=sys.stderr)
"""


@pytest.fixture(scope='module')
def run(debug_run):
  return worldmodels.load(debug_run)


@pytest.fixture(scope='module')
def episode(run):
  return run.heldout[-1]


@pytest.fixture(scope='module')
def state(run, episode):
  return run.observe(episode['image'][:CONTEXT], episode['action'][:CONTEXT])


def test_a_script_is_quiet_and_imports_nothing_before_it_loads(debug_run):
  """The script of README.md, on a run of the tests."""
  script, _ = docs_project.blocks('README.md')
  loads = "worldmodels.load('example:balance')"
  assert loads in script
  script = script.replace(loads, 'worldmodels.load(sys.argv[1])')
  done = subprocess.run(
    [sys.executable, '-c', BEFORE + script + AFTER, str(debug_run)],
    capture_output=True,
    text=True,
    timeout=280,
    check=False,
  )
  # Nothing of its own; what the script and its loggers say afterwards.
  assert done.returncode == 0, done.stderr
  heard = done.stderr.splitlines()
  assert len(heard) == 2 and 'still heard' in heard[0], done.stderr
  assert heard[1] == 'also'
  assert done.stdout.splitlines() == [
    f"Run('{debug_run}': planet on hill, 15 updates) hill 5 4",
    '(45, 64, 64, 3) uint8 (45,)',
    '(4, 1)',
  ]


def test_it_is_handed_on_by_the_package(run):
  assert worldmodels.load is loading.load
  assert isinstance(run, trained.Run)
  assert isinstance(run.episodes, recorded.Episodes)


def test_another_name_of_the_package_is_none():
  with pytest.raises(AttributeError, match="no attribute 'lode'"):
    worldmodels.lode  # noqa: B018 (the access is what is tested)


def test_the_newest_whole_checkpoint_or_one_by_its_updates(
  run, debug_run, tmp_path, caplog
):
  assert run.updates == 15 and run.counters['wall_seconds'] > 0
  assert worldmodels.load(debug_run, updates=10).updates == 10
  with pytest.raises(CheckpointError, match='no checkpoint of 7 updates'):
    worldmodels.load(debug_run, updates=7)
  # A damaged one is passed over, and said so.
  copy = tmp_path / 'run'
  shutil.copytree(debug_run, copy)
  (newest,) = copy.glob('checkpoints/00000015')
  for file in newest.iterdir():
    file.write_bytes(file.read_bytes()[:20])
  assert worldmodels.load(copy).updates == 10
  assert '00000015 is damaged' in caplog.text
  # Config and spec are read before anything is built.
  (copy / 'spec.json').write_text('{}')
  with pytest.raises(RunError, match='spec.json is damaged'):
    worldmodels.load(copy)


def test_planners_are_kept_ready_but_not_for_ever(run, monkeypatch):
  monkeypatch.setattr(planning, '_READY', 2)
  planners = planning.Planners(run.agent, run.config)
  found = [planners._find({'candidates': 20 + i}, None) for i in (0, 1, 1, 2)]
  assert found[1] is found[2] is not found[0]
  assert len(planners._ready) == 2
  assert planners._find({'candidates': 20}, None) is not found[0]


def test_the_planner_at_work_in_the_model(run, episode):
  batch = {key: value[None, :8] for key, value in episode.items()}
  found = planned.dream(run.agent, batch, CONTEXT)
  assert found.images.shape == (1, 8, 64, 64, 3) and found.planned.shape == (1,)
  assert found.actions.shape == (1, 4, 1)
  # To imagine its actions is the same dream, and that is what is summed.
  seen = run.observe(batch['image'][0, :CONTEXT], batch['action'][0, :CONTEXT])
  dream = run.imagine(seen, found.actions[0])
  np.testing.assert_allclose(dream.reward.sum(), found.planned[0], rtol=1e-3)
  theirs = run.imagine(seen, batch['action'][0, CONTEXT:]).reward.sum()
  np.testing.assert_allclose(theirs, found.recorded[0], rtol=1e-3)
  np.testing.assert_allclose(dream.image, found.images[0, CONTEXT:], atol=2)


def test_what_is_no_run_is_one_line(tmp_path):
  for path in (tmp_path, tmp_path / 'gone', str(tmp_path / 'gone')):
    with pytest.raises(RunError, match='no config.json: not a run') as raised:
      worldmodels.load(path)
    assert '\n' not in str(raised.value)


def test_episodes_by_index(run, debug_run):
  assert len(run.episodes) == 5 == len(run.episodes.lengths)
  first, last = run.episodes[0], run.episodes[-1]
  assert first['image'].shape == (51, 64, 64, 3)
  assert last['reward'].sum() == pytest.approx(run.episodes.returns[4])
  assert [len(x['reward']) for x in run.episodes[1:3]] == [51, 51]
  assert sum(1 for _ in run.episodes) == 5
  with pytest.raises(IndexError):
    run.episodes[5]
  assert (
    run.config.task
    == json.loads((debug_run / 'config.json').read_text())['task']
  )


def test_a_run_without_its_episodes_has_none(debug_run, tmp_path):
  copy = tmp_path / 'run'
  ignore = shutil.ignore_patterns('episodes', 'heldout')
  shutil.copytree(debug_run, copy, ignore=ignore)
  run = worldmodels.load(copy)
  assert len(run.episodes) == len(run.heldout) == 0
  assert not run.episodes[:] and not run.episodes.lengths
  assert sorted(path.name for path in copy.iterdir()) == sorted(
    path.name
    for path in debug_run.iterdir()
    if path.name not in ('episodes', 'heldout')
  )


def test_a_dream_is_that_of_video(run, episode, state):
  end = CONTEXT + HORIZON
  dream = run.imagine(state, episode['action'][CONTEXT:end])
  batch = {key: value[None, :end] for key, value in episode.items()}
  _, drawn = film.open_loop(run.model, batch, CONTEXT)
  assert dream.shape == (HORIZON,) == (len(dream),)
  np.testing.assert_array_equal(dream.image, drawn[0, CONTEXT:])
  assert dream.image.dtype == np.uint8
  assert dream.reward.shape == dream.discount.shape == (HORIZON,)
  np.testing.assert_array_equal(dream.discount, 1.0)  # It never ends early.


def test_every_way_to_give_the_actions_is_the_same(run, episode, state):
  images, action = episode['image'][:CONTEXT], episode['action'][:CONTEXT]
  between = run.observe(images, action[1:])
  # That of the reset counts for nothing.
  other = run.observe(images, np.concatenate([[[0.7]], action[1:]]))
  all_steps = run.observe(images, action, every_step=True)
  first = run.observe(images[:1])
  stepped = run.observe(images[1:], action[1:], state=first)
  assert state.shape == () and all_steps.shape == (CONTEXT,)
  for found in (between, other, all_steps[-1], stepped):
    np.testing.assert_allclose(found.features, state.features, atol=1e-5)
  assert not np.allclose(first.features, state.features, atol=1e-3)


def test_members_of_a_batch_are_as_they_are_alone(run, state):
  two = [run.heldout[-1], run.heldout[0]]
  images = np.stack([x['image'][:CONTEXT] for x in two])
  action = np.stack([x['action'][:CONTEXT] for x in two])
  after = np.stack([x['action'][CONTEXT : CONTEXT + 3] for x in two])
  both = run.observe(images, action)
  assert both.shape == (2,) and both[0].shape == ()
  np.testing.assert_allclose(both[0].features, state.features, atol=1e-5)
  dream = run.imagine(both, after)
  assert dream.shape == (2, 3) and dream[:, -1].shape == (2,)
  alone = run.imagine(run.observe(images[1], action[1]), after[1])
  np.testing.assert_allclose(dream[1].reward, alone.reward, atol=1e-4)
  # The same start under other actions.
  many = run.imagine(state, after)
  assert many.shape == (2, 3)
  np.testing.assert_allclose(
    many[1].features, run.imagine(state, after[1]).features, atol=1e-5
  )


def test_without_a_seed_the_mean_with_one_a_draw(run, state):
  action = np.zeros([3, 1], np.float32)
  mean = run.imagine(state, action).features
  np.testing.assert_array_equal(mean, run.imagine(state, action).features)
  draws = [run.imagine(state, action, seed=seed).features for seed in (1, 1, 2)]
  np.testing.assert_array_equal(draws[0], draws[1])
  assert np.abs(draws[0] - draws[2]).max() > 1e-3
  assert np.abs(draws[0] - mean).max() > 1e-3


def test_what_a_state_holds(run, state):
  held = state.arrays
  flat = tf.nest.flatten(held)
  assert flat and all(isinstance(value, np.ndarray) for value in flat)
  dream = run.imagine(state, np.zeros([3, 1]))
  for one, several in zip(flat, tf.nest.flatten(dream.arrays), strict=True):
    assert several.shape == (3, *one.shape)
  # The tensors are for the model, which is there as well.
  features = run.model.features(state.tensors)
  np.testing.assert_array_equal(features[0], state.features)
  assert repr(dream) == 'States([3]: image, reward, discount, features)'
  decodes = "decodes no 'speed'; it decodes"
  with pytest.raises(state_arrays.StateError, match=decodes):
    dream.decode('speed')
  # What is handed out is the user's to change.
  dream.reward[:] = 7.0
  assert not (dream.reward == 7.0).any()
  with pytest.raises(TypeError, match='single state'):
    len(state)


def test_a_long_dream_is_decoded_in_blocks(run, state, monkeypatch):
  monkeypatch.setattr('worldmodels.agents.runs.state_arrays._BLOCK', 4)
  dream = run.imagine(state, np.zeros([9, 1]))
  last = run.imagine(state, np.zeros([9, 1]))[-1]
  assert dream.image.shape == (9, 64, 64, 3)
  np.testing.assert_array_equal(dream.image[-1], last.image)
  assert dream[:0].image.shape == (0, 64, 64, 3)
  assert dream[:0].reward.shape == (0,)


def test_plans_are_the_agents(run, state):
  found = run.plan(state, seed=3)
  assert isinstance(found, Plan) and found.value is None
  assert found.actions.shape == (run.config.planner.horizon, 1)
  assert isinstance(found.actions, np.ndarray)
  seeds = tf.constant([[3, 0], [3, 1]])
  agents = run.agent.plan(state.tensors, seeds).actions[0]
  np.testing.assert_allclose(found.actions, agents, atol=1e-4)
  np.testing.assert_array_equal(found.actions, run.plan(state, seed=3).actions)
  assert np.abs(found.actions - run.plan(state, seed=4).actions).max() > 1e-3
  two = run.observe(
    np.stack([run.heldout[i]['image'][:2] for i in (0, 1)]),
    np.zeros([2, 1, 1]),
  )
  assert run.plan(two).actions.shape == (2, 4, 1)


def ones(problem, seed, *, height: float = 1.0):
  """A planner of the user's."""
  del seed
  return Plan(height * tf.ones_like(problem.start))


def test_another_planner_has_no_proposals_that_it_does_not_take():
  """Of a run of many actions, whose own planner has 16."""
  spec = Spec(actions=6)
  config = build.chosen(dreamer.get_config('cpu'), spec)
  planners = planning.Planners(types.SimpleNamespace(spec=spec), config)
  assert planners._options(ones)['proposals'] == 0
  for choice in (None, 'icem', {'candidates': 9}):
    assert planners._options(choice)['proposals'] == 16


def test_another_planner_for_a_plan(run, state):
  before = run.plan(state).actions
  np.testing.assert_array_equal(run.plan(state, planner=ones).actions, 1.0)
  lower = dict(kind=f'{__name__}:ones', height=0.5, horizon=7)
  found = run.plan(state, planner=lower).actions
  np.testing.assert_array_equal(found, np.full([7, 1], 0.5))
  # The run's own is as it was.
  np.testing.assert_array_equal(run.plan(state).actions, before)
  with pytest.raises(ConfigError, match="planner.kind is 'cen'; it is one of"):
    run.plan(state, planner='cen')
  with pytest.raises(inputs.InputError, match='define it at the top'):
    run.plan(state, planner=lambda problem, seed: None)


def test_a_planner_that_was_written_anew_is_another(run, state, monkeypatch):
  """As in a notebook, where it keeps its name."""
  module = types.ModuleType('my_cell')
  monkeypatch.setitem(sys.modules, 'my_cell', module)
  found = []
  for height in (0.25, -0.75):
    exec(  # noqa: S102 (a cell of a notebook)
      'import tensorflow as tf\n'
      'from worldmodels.problem import Plan\n'
      'def plan(problem, seed):\n'
      f'  return Plan(tf.fill(tf.shape(problem.start), {height}))\n',
      module.__dict__,
    )
    module.plan.__module__ = 'my_cell'
    for planner in (module.plan, 'my_cell:plan'):
      found.append(float(run.plan(state, planner=planner).actions[0, 0]))
  assert found == [0.25, 0.25, -0.75, -0.75]


def test_graphs_of_a_choice_are_made_once(run, episode):
  one, two = (run.policy(planner=ones, objective=rise) for _ in range(2))
  assert one._policy is two._policy
  image = episode['image'][0]
  np.testing.assert_array_equal(one(image), two(image))
  assert one._policy.experimental_get_tracing_count() == 1


@dataclasses.dataclass
class Bright:
  """An objective without a hash."""

  sign: float

  def __call__(self, states, decoded):
    return self.sign * rise(states, decoded)


def test_what_users_hand_over_may_be_odd(run, state):
  choice = {'candidates': np.int64(20), 'elites': np.int32(4)}
  plans = [
    run.plan(state, planner=choice, objective=Bright(sign)).actions
    for sign in (1.0, -1.0)
  ]
  assert np.abs(plans[0] - plans[1]).max() > 0
  assert run.policy(explore=1)._explore.dtype == tf.bool


def test_states_of_another_run_are_refused(run, state, debug_run):
  other = worldmodels.load(debug_run)
  for use in (
    lambda given: other.imagine(given, np.zeros([3, 1])),
    other.plan,
    lambda given: other.observe(run.heldout[0]['image'][:1], state=given),
  ):
    with pytest.raises(inputs.InputError, match='is of another run, or load'):
      use(state)
    with pytest.raises(
      inputs.InputError, match='the state is ndarray: it is w'
    ):
      use(np.zeros(3))


def test_what_keras_was_told_before_is_no_matter(run, episode, debug_run):
  """As by a notebook that has trained another network."""
  policy = keras.config.dtype_policy()
  keras.config.set_dtype_policy('mixed_bfloat16')
  try:
    other = worldmodels.load(debug_run)
    assert keras.config.dtype_policy().name == 'mixed_bfloat16'
    first = episode['image'][:2], episode['action'][:2]
    seen, same = other.observe(*first), run.observe(*first)
  finally:
    keras.config.set_dtype_policy(policy)
  np.testing.assert_array_equal(seen.features, same.features)


def test_threads_keep_their_planners(run, episode):
  """While one builds its graph the other must not get its planner."""
  image, found, errors_of = episode['image'][0], {}, []
  start = threading.Barrier(3)

  def act(name, **options):
    try:
      policy = run.policy(**options)
      start.wait()
      found[name] = float(policy(image)[0])
    except BaseException as error:  # noqa: BLE001
      errors_of.append(error)

  threads = [
    threading.Thread(target=act, args=(name,), kwargs=options)
    for name, options in (
      ('ones', dict(planner=dict(kind=f'{__name__}:ones', height=0.5))),
      ('low', dict(planner=dict(kind=f'{__name__}:ones', height=-0.5))),
      ('own', {}),
    )
  ]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert not errors_of
  assert (found['ones'], found['low']) == (0.5, -0.5)
  assert found['own'] == float(run.policy()(image)[0])
  assert found['own'] not in (0.5, -0.5)


def rise(states, decoded):
  """An objective of the user's: bright images."""
  del states
  return tf.reduce_mean(decoded['image'], [-3, -2, -1])


def test_an_objective_for_a_plan(run, state):
  """The model itself ranks its plan above that for the reward."""
  plan = run.plan(state, objective=rise, planner={'iterations': 3})
  light = run.imagine(state, plan.actions).image.mean()
  assert light > run.imagine(state, run.plan(state).actions).image.mean()


def test_an_objective_that_cannot_be_is_one_line(run, state):
  with pytest.raises(errors.UserError, match='raises ZeroDivisionError') as one:
    run.plan(state, objective=lambda states, decoded: 1 / 0)
  assert '\n' not in str(one.value) and 'loading_test.py, line' in str(
    one.value
  )
  with pytest.raises(errors.UserError, match=r'the goal is uint8 3 x 3'):
    run.goal(np.zeros([3, 3], np.uint8))


def test_a_policy_acts_as_evaluate_does(run, episode):
  acting = run.policy(seed=9)
  assert isinstance(acting, policy.Policy)
  theirs = collect.actions_of(run.agent, 1, explore=False, seed=9)
  for step in range(3):
    image = episode['image'][step]
    action = acting(image)
    assert action.shape == (1,) and action.dtype == np.float32
    expected = theirs({'image': image[None]}, np.array([step == 0]), step)
    np.testing.assert_array_equal(action, expected[0])
  assert acting.state.shape == () and acting.state.image.shape == (64, 64, 3)
  # Another episode begins as the first one did, or with other draws.
  first = run.policy(seed=9)(episode['image'][0])
  acting.reset()
  np.testing.assert_array_equal(acting(episode['image'][0]), first)
  noisy = run.policy(seed=9, explore=True)
  drawn = []
  for seed in (None, 9, 3):
    noisy.reset(seed)
    drawn.append(noisy(episode['image'][0]))
  np.testing.assert_array_equal(drawn[0], drawn[1])
  assert np.abs(drawn[0] - drawn[2]).max() > 0
  with pytest.raises(inputs.InputError, match='seed is -1'):
    noisy.reset(-1)
  with pytest.raises(inputs.InputError, match='no image has been seen'):
    run.policy().state  # noqa: B018 (the access is what is tested)


def test_a_policy_of_several_episodes_with_another_planner(run):
  acting = run.policy(planner=ones)
  images = np.stack([run.heldout[i]['image'][0] for i in (0, 1)])
  np.testing.assert_array_equal(acting(images), [[1.0], [1.0]])
  assert acting.state.shape == (2,)
  with pytest.raises(inputs.InputError, match='in front'):
    acting(images[0])
  # The run's own planner acts otherwise.
  assert np.abs(run.policy()(images)).max() < 1.0


@pytest.mark.parametrize(
  'options', [{'warm_start': True}, {'replan': 3}, {'horizon': 3, 'replan': 3}]
)
def test_a_policy_keeps_the_plans_of_the_planner_it_is_given(run, options):
  image = run.heldout[0]['image'][0]
  acting = run.policy(planner={'candidates': 8, 'elites': 2, **options})
  for _ in range(2):
    assert acting(image).shape == (1,)


@pytest.mark.parametrize(
  'images,actions,says',
  [
    (np.zeros([2, 64, 64, 3]), np.zeros([2, 1]), 'images: float64 .* uint8'),
    (np.zeros([2, 9, 9, 3], np.uint8), np.zeros([2, 1]), '64, 64, 3'),
    (None, np.zeros([2, 1]), 'images: none'),
    ('images', None, 'needs the actions'),
    ('images', np.zeros([2, 2]), r'an action of this run has 1 numbers'),
    ('images', np.zeros([5, 1]), '2 images and 5 actions'),
    ('images', np.full([2, 1], np.nan), 'is not finite'),
    ('images', np.full([2, 1], 3.0), 'is 3: they lie in'),
    ('images', [['left'], ['right']], 'not numbers'),
    ('images', np.zeros([4, 2, 1]), 'in front'),
    ('image', np.zeros([1, 1]), 'it is .T, ....'),
    ('none', np.zeros([0, 1]), 'no image to observe'),
  ],
)
def test_arrays_that_it_does_not_take(run, episode, images, actions, says):
  named = {'images': episode['image'][:2], 'image': episode['image'][0]}
  named['none'] = episode['image'][:0]
  if isinstance(images, str):
    images = named[images]
  with pytest.raises(inputs.InputError, match=says) as raised:
    run.observe(images, actions)
  assert '\n' not in str(raised.value)


def test_actions_to_imagine_that_it_does_not_take(run, state):
  both = states.repeat(state.tensors, 2)
  both = state_arrays.States(run.model, both, (2,))
  with pytest.raises(inputs.InputError, match=r'\[3\] in front, where \[2\]'):
    run.imagine(both, np.zeros([3, 4, 1]))
  with pytest.raises(inputs.InputError, match='was given no action'):
    run.imagine(state, np.zeros([0, 1]))


@pytest.fixture(scope='module')
def dreamer_run(tmp_path_factory):
  """A Dreamer that has learned nothing, of vectors beside the image."""
  config = dreamer.get_config('debug')
  config.task = 'hill'
  config.heads.speed = {'kind': 'normal', 'scale': 1.0}
  spec = Spec(actions=2, vectors={'speed': 3})
  directory = RunDirectory(tmp_path_factory.mktemp('dreamer') / 'run')
  config = build.chosen(config, spec)
  directory.claim(config)
  directory.start(config, spec)
  agent = build.agent(config, spec)
  checkpoint.save(
    directory.checkpoints, agent.state_variables, {'updates': 0, 'episodes': 0}
  )
  return worldmodels.load(directory.path)


def test_a_dreamer_acts_by_its_actor_and_plans_when_it_is_asked_to(dreamer_run):
  run = dreamer_run
  images = np.zeros([2, 64, 64, 3], np.uint8)
  vectors = {'speed': np.ones([2, 3]), 'other': np.ones(7)}
  state = run.observe(images, np.zeros([1, 2]), vectors=vectors)
  assert run.imagine(state, np.zeros([4, 2])).decode('speed').shape == (4, 3)
  one = {'speed': np.ones(3)}
  acted = run.policy()(images[0], one)
  assert acted.shape == (2,)
  before = run.agent.planner
  planned = run.policy(planner=ones)(images[0], one)
  np.testing.assert_array_equal(planned, [1.0, 1.0])
  exploring = run.policy(planner=ones, explore=True)
  noisy = [exploring(images[0], one) for _ in range(8)]
  assert np.mean(noisy) > 0.7  # All ones, with noise, cut at 1.
  faster = run.linear({'speed': [1.0, 0.0, 0.0]})
  assert run.policy(objective=faster)(images[0], one).shape == (2,)
  assert run.plan(state, objective=faster).actions.shape == (4, 2)
  # Its actor acts on, as before.
  np.testing.assert_array_equal(run.policy()(images[0], one), acted)
  assert run.agent.planner is before and run.agent.acting == 'policy'
  with pytest.raises(inputs.InputError, match="the model observes 'speed': gi"):
    run.observe(images, np.zeros([1, 2]))
  with pytest.raises(errors.UserError, match='also observes speed'):
    run.goal(images[0], 'features')
