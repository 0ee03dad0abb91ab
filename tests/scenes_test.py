"""Films of an agent: acting, plans beside what came, other actions."""

import base64
import pathlib

import cv2
import numpy as np
import pytest
import tensorflow as tf

from worldmodels import prediction
from worldmodels import states
from worldmodels.agents.play import dream
from worldmodels.agents.runs import acting
from worldmodels.agents.runs import animation
from worldmodels.agents.runs import build
from worldmodels.agents.runs import collect
from worldmodels.agents.runs import film_size
from worldmodels.agents.runs import planned
from worldmodels.agents.runs import restore
from worldmodels.agents.runs import scenes
from worldmodels.agents.runs import selection
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.run_directory import RunError
from worldmodels.configs import dreamer
from worldmodels.problem import Plan
from worldmodels.spec import Spec
from worldmodels.world_model import WorldModel

LICENSE = pathlib.Path(__file__).parent.parent / 'LICENSE'


@pytest.fixture(scope='module')
def played(debug_run):
  """(agent, config, directory, two episodes that it has played)."""
  directory = RunDirectory(debug_run)
  config = directory.load()
  agent, _ = restore.agent(directory, config, directory.spec())
  lines = []
  episodes = acting.play(agent, config, directory, 2, lines.append)
  assert [line.split(':')[0] for line in lines] == [
    'episode 1 of 2',
    'episode 2 of 2',
  ]
  return agent, config, directory, episodes


@pytest.fixture(scope='module')
def batch(played):
  *_, directory, _ = played
  chosen = selection.latest(directory, 1, 3).episodes
  return selection.cut([{k: v[:20] for k, v in x.items()} for x in chosen], 20)


def found(frame, image, shades=0):
  """How often an image uint8 [H, W, 3] is in a frame, to so many shades."""
  places = np.lib.stride_tricks.sliding_window_view(
    frame.astype(np.int16), image.shape, (0, 1, 2)
  )[:, :, 0]
  first = np.abs(places[:, :, 0, 0, 0] - image[0, 0, 0].astype(int)) <= shades
  return sum(
    np.abs(places[place] - image.astype(int)).max() <= shades
    for place in zip(*first.nonzero())
  )


def holds(frame, image):
  return found(frame, image) > 0


def test_the_episodes_are_those_that_evaluate_plays():
  assert acting.seeds(2) == [collect.seed_of(0, 1000, i) for i in (0, 1)]


def test_acting_shows_the_world_and_what_the_model_makes_of_it(played):
  agent, _, _, episodes = played
  cut = {key: value[:7] for key, value in episodes[1].items()}
  frames, told = scenes.real(agent.model, [episodes[0], cut], 10, 1)
  assert len(frames) == 10 and frames.dtype == np.uint8
  for step in (0, 4):
    assert holds(frames[step], episodes[0]['image'][step])
    assert holds(frames[step], cut['image'][step])
  assert holds(frames[9], cut['image'][6])  # It was over by then.
  drawn = agent.model.drawing(scenes.observed(agent.model, episodes[0]))
  assert holds(frames[4], drawn[0, 4].numpy())
  returns = [episodes[0]['reward'].sum(), cut['reward'].sum()]
  assert f'{np.mean(returns):.1f}, mean of 2' in told


def test_a_plan_is_the_one_that_the_agent_had(played):
  """Its first action is the one that was taken then."""
  agent, config, _, episodes = played
  for seed, episode in zip(acting.seeds(2), episodes):
    posterior = scenes.observed(agent.model, episode)
    for row in (0, 5, 17):
      plan = scenes.plan(
        agent, config, states.at(posterior, row), tf.constant([seed, row])
      )
      assert np.allclose(plan[0, 0], episode['action'][row + 1], atol=1e-3)


def test_plans_are_shown_one_after_the_other(played):
  agent, config, _, episodes = played
  horizon = config.planner.horizon
  length = 5 + 2 * horizon
  frames, told = scenes.plans(agent, config, episodes, 5, length, 1)
  assert len(frames) == length
  assert told.startswith(f'4 plans, of {horizon} steps each: they promise ')
  came = sum(x['reward'][5:length].sum() for x in episodes) / 4
  assert told.endswith(f'{came:.2f} came')
  # A plan that is cut off is no plan of so many steps, unless all are.
  _, same = scenes.plans(agent, config, episodes, 5, length + 1, 1)
  assert same == told
  _, cut = scenes.plans(agent, config, episodes, 5, 6, 1)
  assert cut.startswith('2 plans, of 1 steps each: they promise ')
  seed, episode = acting.seeds(1)[0], episodes[0]
  posterior = scenes.observed(agent.model, episode)
  for start in (5, 5 + horizon):
    state = states.at(posterior, start - 1)
    action = scenes.plan(agent, config, state, tf.constant([seed, start - 1]))
    drawn = agent.model.drawing(agent.model.imagine(state, action))[0].numpy()
    for ahead in (0, horizon - 1):
      # To two shades: the plan is computed in another way.
      assert found(frames[start + ahead], drawn[ahead], 2)
      assert holds(frames[start + ahead], episode['image'][start + ahead])
  with pytest.raises(scenes.SceneError, match='has 51 rows'):
    scenes.plans(agent, config, episodes, 51, 60, 1)


def test_an_agent_without_a_plan_is_one_line(played):
  agent, config, *_ = played
  state = agent.model.initial(1)
  config = config.copy_and_resolve_references()
  with config.unlocked():
    config.acting = 'policy'
  with pytest.raises(scenes.SceneError, match="agent 'planet' has no plan"):
    scenes.plan(agent, config, state, tf.constant([0, 0]))


def test_the_plan_of_an_actor_is_what_it_imagines_to_do():
  config = dreamer.get_config('debug')
  agent = build.agent(config, Spec(actions=2))
  state = agent.model.initial(3)
  plan = scenes.plan(agent, config, state, tf.constant([0, 1])).numpy()
  assert config.acting == 'policy'
  assert plan.shape == (3, config.planner.horizon, 2)
  assert np.isfinite(plan).all() and np.abs(plan).max() <= 1
  again = scenes.plan(agent, config, state, tf.constant([0, 1])).numpy()
  assert (again == plan).all() and len(np.unique(plan)) > 3


def test_the_recorded_actions_as_others_are_the_same_dream(played, batch):
  agent, *_ = played
  recorded = batch['action'][:1, 5:]
  one = {key: value[:1] for key, value in batch.items()}
  frames, told = scenes.others(agent.model, one, 5, recorded, 1, ['a'])
  first, other = told.splitlines()[1:]
  assert first.split()[-1] == other.split()[-1]
  drawn = agent.model.drawing(
    prediction.predict(agent.model, states.tensors(one), 5)
  ).numpy()[0]
  assert found(frames[12], drawn[12]) == 2
  # Others are another future of the same start.
  frames, told = scenes.others(
    agent.model, batch, 5, np.stack([recorded[0], -recorded[0]]), 1, ['a'] * 3
  )
  lines = told.splitlines()
  assert len(lines) == 4 and lines[0].endswith('mean of 3 starts')
  assert lines[2].split()[-1] != lines[3].split()[-1]


def test_what_is_expected_ends_with_the_episode(played, batch, monkeypatch):
  agent, config, _, episodes = played
  monkeypatch.setattr(WorldModel, 'reward', lambda self, x: x['mean'][..., 0])
  first = config.planner.horizon - 1
  promised = []
  for left in (1.0, 0.0):  # Nothing ends; every step is the last one.
    monkeypatch.setattr(
      WorldModel,
      'discount',
      lambda self, x, left=left: tf.fill(tf.shape(x['mean'])[:-1], left),
    )
    _, told = scenes.plans(agent, config, episodes, 5, 5 + first + 1, 1)
    promised.append(told)
    actions = batch['action'][:1, 5:]
    _, told = scenes.others(agent.model, batch, 5, actions, 1, ['a'] * 3)
    promised.append(told)
  posterior = prediction.predict(agent.model, states.tensors(batch), 5)
  reward = posterior['mean'][:, 5:, 0].numpy()
  assert f'expects {reward.sum(1).mean():.2f}\n' in promised[1]
  assert f'expects {reward[:, 0].mean():.2f}\n' in promised[3]
  assert promised[0] != promised[2]
  dreams = planned.dream(agent, batch, 5)
  np.testing.assert_allclose(dreams.recorded, reward[:, 0], atol=1e-5)


@pytest.mark.parametrize(
  'options, taken',
  [
    ({}, [0.1, 0.1, 0.1, 0.1]),
    ({'replan': 2}, [0.1, 0.2, 0.1, 0.2]),
    ({'warm_start': True}, [0.1, 0.3, 0.6, 0.6]),
  ],
)
def test_a_planner_in_the_model_keeps_what_it_keeps_in_the_world(
  played, batch, monkeypatch, options, taken
):
  agent, config, *_ = played
  options = config.planner.to_dict() | {'horizon': 3} | options
  monkeypatch.setattr(agent, 'planner', agent.make_planner(**options))
  steps = tf.constant([0.1, 0.2, 0.3])[None, :, None]

  def plan(state, seeds, start=None):
    del seeds
    made = tf.tile(steps, [state['mean'].shape[0], 1, agent.spec.actions])
    return Plan(made if start is None else made + start)

  monkeypatch.setattr(agent, 'plan', plan)
  one = {key: value[:, :9] for key, value in batch.items()}
  actions = planned.dream(agent, one, 5).actions
  for step, value in enumerate(taken):
    np.testing.assert_allclose(actions[:, step], value, atol=1e-6)


def test_too_large_a_film_is_one_line(played, monkeypatch):
  agent, config, directory, episodes = played
  monkeypatch.setattr(acting, 'play', lambda *_, **__: episodes[:1])
  monkeypatch.setattr(film_size, '_LARGEST_FILM', 1000)
  with pytest.raises(RunError, match='51 frames of .* lower --scale'):
    scenes.of_acting(
      *(agent, config, directory),
      **dict(count=1, context=None, horizon=None, scale=1, log=print),
    )


# -------------------------------------------------- a dream that is steered ---


def test_a_dream_is_what_the_model_imagines(played):
  """Step by step, from the last image seen; play_test has the page."""
  agent, config, _, episodes = played
  steered = dream.Dream(
    agent, config, [dream.Start('a', x) for x in episodes], 5
  )
  assert steered.spec == dict(
    actions=1, discrete=False, starts=['a', 'a'], task='hill'
  )
  actions = np.array([[1], [-1], [0.5]], np.float32)
  for start in (1, 0):  # It begins anew, and elsewhere.
    first = steered.begin(start)
    shown = [steered.step(action, draws=False) for action in actions]
    posterior = scenes.observed(agent.model, episodes[start])
    last = states.at(posterior, 4)
    imagined = agent.model.imagine(last, tf.constant(actions[None]))
    drawn = agent.model.drawing(imagined)[0].numpy()
    for step, one in enumerate(shown):
      assert np.abs(picture(one).astype(int) - drawn[step]).max() <= 2
      assert (one['step'], one['start']) == (step + 1, start)
    reward = agent.model.reward(imagined)[0].numpy()
    assert np.allclose([one['reward'] for one in shown], reward, atol=1e-3)
    assert np.allclose(shown[-1]['total'], reward.sum(), atol=1e-3)
    seen = agent.model.drawing(last)[0].numpy()
    assert np.abs(picture(first).astype(int) - seen).max() <= 2
    steered.begin(start)
    plan = scenes.plan(agent, config, last, tf.constant([start, 0]))
    assert np.allclose(steered.suggest(), plan[0, 0], atol=1e-3)
  # With chance there are several, and each can be had again.
  steered.begin(0)
  drawn = steered.step(actions[0], draws=True)
  steered.begin(0)
  assert steered.step(actions[0], draws=True) == drawn != shown[0]


def picture(shown):
  content = base64.b64decode(shown['image'].partition(',')[2])
  array = np.frombuffer(content, np.uint8)
  return cv2.imdecode(array, cv2.IMREAD_COLOR_RGB)


# ------------------------------------------------------------- the program ---


def test_video_films_the_agent_acting(debug_run, wheel_program, tmp_path):
  before = sorted(debug_run.rglob('*'))
  out = tmp_path / 'real.gif'
  done = wheel_program(
    *('video', f'--logdir={debug_run}', '--real', '--episodes=1', '--scale=1'),
    *('--horizon=9', '--step_timeout=50', f'--out={out}'),
  )
  assert done.returncode == 0 and not done.stderr, done.stderr
  assert 'starting TensorFlow, then hill' in done.stdout
  (told,) = (x for x in done.stdout.splitlines() if x.startswith('return: '))
  # One image is seldom like the next, and those that are alike may be merged.
  assert 0 < float(told.split()[1].rstrip(',')) < 50
  assert '9 frames' in done.stdout
  assert 1 < len(list(animation.decode(out.read_bytes(), '.gif'))) <= 9
  assert sorted(debug_run.rglob('*')) == before


def test_video_films_plans(debug_run, wheel_program, tmp_path):
  before = sorted(debug_run.rglob('*'))
  out = tmp_path / 'plan.gif'
  done = wheel_program(
    *('video', f'--logdir={debug_run}', '--plan', '--episodes=1', '--scale=1'),
    *('--horizon=9', f'--out={out}'),
  )
  assert done.returncode == 0 and not done.stderr, done.stderr
  assert 'they promise' in done.stdout and '14 frames' in done.stdout
  assert 1 < len(list(animation.decode(out.read_bytes(), '.gif'))) <= 14
  assert sorted(debug_run.rglob('*')) == before


def test_video_films_a_recording_under_other_actions(
  debug_run, wheel_program, tmp_path
):
  path = sorted((debug_run / 'episodes').glob('*.npz'))[0]
  np.save(tmp_path / 'a.npy', np.ones([8, 1]))
  out = tmp_path / 'other.gif'
  done = wheel_program(
    *('video', f'--logdir={debug_run}', f'--episode={path}', '--scale=1'),
    *(f'--actions={tmp_path / "a.npy"}', f'--out={out}'),
  )
  assert done.returncode == 0 and not done.stderr, done.stderr
  assert f'episodes: {path}' in done.stdout and '13 frames' in done.stdout
  assert 'reward of 8 steps, mean of 1 starts' in done.stdout


@pytest.mark.parametrize(
  'flags, says',
  [
    (('--real', '--plan'), '--plan is of another film than --real'),
    (('--real', '--episode=x.npz'), '--episode is of another film'),
    (('--plan', '--actions=x.npy'), '--actions is of another film'),
    # What would say nothing about the film that is asked for.
    (
      ('--actions=x.npy', '--config.planner.kind=icem'),
      '--config.planner.kind would change nothing: nobody plans where --act',
    ),
    (
      ('--actions=x.npy', '--objective=reward'),
      '--objective would change noth',
    ),
    (('--actions=x.npy', '--goal=x.png'), '--goal would change nothing'),
    (('--actions=x.npy', '--linear=a:1'), '--linear would change nothing'),
    (('--real', '--context=9'), '--context would change nothing: --real films'),
    (
      ('--episode=x.npz', '--episodes=2'),
      '--episodes would change nothing: --episode names',
    ),
    (('--step_timeout=9',), '--step_timeout would change nothing: only --real'),
    (('--start_timeout=9',), '--start_timeout would change nothing'),
    (('--episode=gone.npz',), 'gone.npz: No such file'),
    (('--actions=gone.npy',), 'gone.npy: No such file'),
    ((f'--actions={LICENSE}',), 'LICENSE is no file of np.save'),
    ((f'--episode={LICENSE}',), f'--episode={LICENSE}'),
    (('--episode=',), "--episode is ''"),
  ],
)
def test_wrong_input_is_one_line(
  flags, says, debug_run, wheel_program, tmp_path
):
  for name in ('tensorflow', 'keras'):
    (tmp_path / f'{name}.py').write_text('raise RuntimeError("too early")\n')
  done = wheel_program(
    *('video', f'--logdir={debug_run}', f'--out={tmp_path}/a.gif', *flags),
    PYTHONPATH=str(tmp_path),
  )
  assert done.returncode in (1, 2) and done.stderr.count('\n') == 1
  assert done.stderr.startswith('error: ') and says in done.stderr
