"""The agent without a model; what all agents share is in agents_test.py."""

import gc
import json

import batches
import keras
import numpy as np
import pytest
import tensorflow as tf

import worldmodels
from worldmodels import errors
from worldmodels import states
from worldmodels.agents import stacks
from worldmodels.agents import transitions
from worldmodels.agents.model_free import Agent
from worldmodels.agents.reports import films
from worldmodels.agents.reports import records
from worldmodels.agents.runs import build
from worldmodels.agents.runs import config_checks
from worldmodels.agents.runs import evaluation
from worldmodels.agents.runs import export
from worldmodels.agents.runs import film
from worldmodels.agents.runs import loop
from worldmodels.agents.runs import model_needed
from worldmodels.agents.runs import restore
from worldmodels.agents.runs import scenes
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.configs import model_free
from worldmodels.configs import planet
from worldmodels.data.store import Store
from worldmodels.spec import Spec

B, T = 4, 8
SEED = tf.constant([1, 2])
NO, YES = tf.constant(False), tf.constant(True)
PIXELS = Spec(actions=2, image=(16, 16, 3))
VECTORS = Spec(actions=2, image=None, vectors={'speed': 3, 'height': 1})
CHOICES = Spec(actions=3, discrete=True, image=(16, 16, 1))


def make(spec=PIXELS, **values):
  keras.utils.set_random_seed(0)
  config = model_free.get_config('debug')
  config.encoder.precision = 'float32'
  config.update_from_flattened_dict(values)
  return build.agent(config, spec)


@pytest.fixture(scope='module')
def agent():
  return make()


# ---------------------------------------------------------------- acting ----


def test_it_sees_the_last_three_frames(agent):
  frames = [batches.observation(PIXELS, [False] * B, x) for x in range(5)]
  state = agent.initial(B)
  for step, seen in enumerate(frames):
    seen['is_first'] = tf.constant([step == 0, step == 0, step == 3, True])
    action, state = agent.policy(seen, state, NO, SEED)
  image = [x['image'].numpy() for x in frames]
  for member, steps in enumerate([(2, 3, 4), (2, 3, 4), (3, 3, 4), (4, 4, 4)]):
    golden = np.concatenate([image[step][member] for step in steps], -1)
    np.testing.assert_array_equal(state['seen']['image'][member], golden)
  # What was before those does not matter, and of those each frame does.
  older = agent.initial(B)
  for seen in frames[2:]:
    again, older = agent.policy(seen, older, NO, SEED)
  np.testing.assert_array_equal(action[2:], again[2:])
  stack = state['seen']['image'].numpy()
  for number in range(3):
    other = stack.copy()
    other[..., 3 * number : 3 * number + 3] ^= 255
    embeds = [agent.encoder({'image': tf.constant(x)}) for x in (stack, other)]
    assert np.abs(embeds[0] - embeds[1]).max(1).min() > 0


def test_it_explores_by_its_own_draws(agent):
  seen = batches.observation(PIXELS, [True] * B)
  modes, draws = (
    [
      agent.policy(seen, agent.initial(B), explore, SEED + i)[0].numpy()
      for i in range(20)
    ]
    for explore in (NO, YES)
  )
  assert np.ptp(modes, 0).max() == 0 and np.ptp(draws, 0).min() > 0.05


@pytest.mark.parametrize('spec', [VECTORS, CHOICES], ids=str)
def test_it_learns_and_acts_where_a_task_shows_or_takes_something_else(spec):
  agent = make(spec)
  seen = batches.observation(spec, [True] * B)
  found = agent.train(batches.chunks(spec, B, T), SEED)
  assert all(np.isfinite(x) for x in found.values())
  assert agent.skipped == (0, 0)
  for explore in (NO, YES):
    action, state = agent.policy(seen, agent.initial(B), explore, SEED)
    assert action.shape == [B, spec.actions]
    if spec.discrete:
      assert set(np.unique(action)) == {0, 1}
      np.testing.assert_array_equal(tf.reduce_sum(action, -1), np.ones(B))
  assert state['seen'].keys() == {
    *spec.vectors,
    *(['image'] * bool(spec.image)),
  }


# -------------------------------------------------------------- learning ----


def test_images_are_shifted_to_be_learned_from(agent):
  batch, still = batches.chunks(PIXELS, B, T), make(**{'agent.shift': 0})
  rows = tf.constant([[0, 1, 2]] * B)
  plain = stacks.gather(batch, PIXELS, rows, None)['image'].numpy()
  found = [
    x._seen(batch, rows, SEED + i)['image'].numpy()
    for x in (agent, still)
    for i in range(2)
  ]
  assert (found[0] != plain).any((1, 2, 3)).all()
  assert (found[0] != found[1]).any()
  for image in found[2:]:
    np.testing.assert_array_equal(image, plain)


def test_what_is_seen_before_and_after_is_shifted_apart(monkeypatch):
  agent, seeds, shifts = make(), [], stacks.shifts

  def spy(count, most, seed):
    seeds.append((most, *seed.numpy()))
    return shifts(count, most, seed)

  monkeypatch.setattr(stacks, 'shifts', spy)
  tf.config.run_functions_eagerly(True)
  try:
    agent.train(batches.chunks(PIXELS, B, T), SEED)
  finally:
    tf.config.run_functions_eagerly(False)
  assert len(set(seeds)) == 2 and {most for most, *_ in seeds} == {3}


@pytest.mark.parametrize('preset', ['cpu', 'small', 'debug'])
def test_transitions_are_as_likely_wherever_they_are(preset, tmp_path):
  """Those at the ends too, which say that the task ends an episode."""
  config, rows = model_free.get_config(preset), 12
  store = Store(tmp_path / 'episodes', log=print)
  store.append(
    {
      'image': np.zeros([rows, 2, 2, 3], np.uint8),
      'action': np.zeros([rows, 1], np.float32),
      'reward': np.arange(rows, dtype=np.float32),
      'discount': np.ones(rows, np.float32),
      'is_last': np.arange(rows) == rows - 1,
    }
  )
  batch = store.sample(
    11_000, config.train.length, 1, margin=config.train.margin
  )
  drawn = transitions.draw(
    *(states.tensors(batch), config.agent.frames, config.learner.steps),
    *(0.0, SEED),  # With gamma 0 a return is the number of the row after.
  )
  counts = np.bincount(drawn.returns.numpy().astype(int), minlength=rows)
  np.testing.assert_allclose(counts[1:], 1000, rtol=0.15)


def test_a_batch_that_is_damaged_anywhere_is_not_learned_from(agent):
  batch = batches.chunks(PIXELS, B, T)
  for row in range(T):
    reward = batch['reward'].numpy()
    reward[2, row] = np.inf
    agent.train(batch | {'reward': tf.constant(reward)}, SEED)
  assert agent.skipped == (T, T)


def test_it_needs_no_more_of_a_chunk_than_frames_and_steps():
  config = model_free.get_config('debug')
  least = config.agent.frames + config.learner.steps
  config.train.length = least
  config_checks.check(config)
  config.train.length = least - 1
  message = r'length is 5; it is at least agent.frames \(3\) \+ learner.steps'
  with pytest.raises(build.ConfigError, match=message):
    config_checks.check(config)


# ------------------------------------------------------ without a model -----


def test_there_is_no_model_and_nothing_of_one_is_measured(agent):
  config = model_free.get_config('debug')
  assert isinstance(agent, Agent)
  assert agent.model is None and agent.planner is None
  assert not model_needed.has_model(config)
  assert model_needed.has_model(planet.get_config('debug'))
  assert evaluation.measure(agent, None, config, [0]) == {}
  assert agent.diagnose({}, 3, SEED) == ({}, None)


@pytest.mark.parametrize('group', build.MODEL)
def test_a_part_of_a_model_is_not_enough(group):
  """All of a model or nothing, also of an agent of the user's."""
  config, other = model_free.get_config('debug'), planet.get_config('debug')
  config.agent.kind = 'my_lab.thinker:Agent'
  config_checks.check(config)
  config[group] = other[group]
  with pytest.raises(build.ConfigError, match='the config has no group'):
    config_checks.check(config)


@pytest.mark.parametrize(
  'name',
  [
    *('learner', 'learner.steps', 'learner.actor', 'learner.critic.kind'),
    *('learner.actor.optimizer.rate', 'encoder', 'optimizer', 'agent.shift'),
  ],
)
def test_what_is_missing_is_named(name):
  config = model_free.get_config('debug')
  group, _, last = name.rpartition('.')
  place = config
  for part in filter(None, group.split('.')):
    place = place[part]
  del place[last]
  with pytest.raises(build.ConfigError, match=f"has no .* '{name}'"):
    config_checks.check(config)


def test_a_distribution_that_does_not_suit_the_actions_is_named():
  with pytest.raises(build.ConfigError, match="kind is 'one_hot', but the act"):
    make(**{'learner.actor.kind': 'one_hot'})
  config = planet.get_config('debug')
  config.agent.kind = 'model_free'
  with pytest.raises(build.ConfigError, match='the config has no'):
    config_checks.check(config)


# ----------------------------------------------------------- a whole run ----


def train(path, episodes=5):
  """Trains in this process, so that TensorFlow is not started each time."""
  config = model_free.get_config('debug')
  config.task = 'hill'
  config.evaluate.last_episodes = 1
  config.train.episodes = episodes
  directory = RunDirectory(path)
  directory.claim(config)
  training = loop.Training(config, directory, build.environment(config))
  begun = path.name == 'halves' and episodes == 5
  assert training.episodes == (4 if begun else 2)
  training.run()
  training.metrics.close()
  del training, directory
  gc.collect()  # Or who trains on finds the claim of this one.


def lines(run):
  text = (run / 'metrics.jsonl').read_text()
  return [
    {k: v for k, v in json.loads(line).items() if not k.endswith('seconds')}
    for line in text.splitlines()
  ]


def variables(run):
  newest = max((run / 'checkpoints').iterdir())
  with np.load(newest / 'variables.npz') as file:
    return {key: file[key] for key in file.files}


@pytest.fixture(scope='module')
def run(tmp_path_factory):
  """A run of the debug preset that was stopped, and went on."""
  path = tmp_path_factory.mktemp('model_free') / 'halves'
  for episodes in (4, 5):
    train(path, episodes)
  return path


@pytest.fixture(scope='module')
def restored(run):
  """(agent, config, directory)."""
  directory = RunDirectory(run)
  config = directory.load()
  agent, _ = restore.agent(directory, config, directory.spec(), log=str)
  return agent, config, directory


def test_halves_make_a_whole(run, tmp_path):
  """Bit for bit: variables, figures and what was collected."""
  train(tmp_path / 'whole')
  mine, whole = variables(run), variables(tmp_path / 'whole')
  assert mine.keys() == whole.keys()
  for key, value in whole.items():
    np.testing.assert_array_equal(mine[key], value, err_msg=key)
  assert lines(run) == lines(tmp_path / 'whole')
  assert not [key for line in lines(run) for key in line if 'open_loop' in key]
  stores = [
    sorted((x / 'episodes').glob('*.npz')) for x in (run, tmp_path / 'whole')
  ]
  assert len(stores[0]) == 5
  for paths in zip(*stores, strict=True):
    one, other = (np.load(path) for path in paths)
    for key in one.files:
      np.testing.assert_array_equal(one[key], other[key], err_msg=key)


def test_it_is_loaded_and_acts(run):
  loaded = worldmodels.load(run)
  policy, image = loaded.policy(), np.zeros([64, 64, 3], np.uint8)
  action = policy(image)
  assert action.shape == (1,) and np.abs(action).max() <= 1
  for use, says in (
    (lambda: loaded.model, 'without a world model'),
    (lambda: loaded.observe(image[None]), 'without a world model'),
    (lambda: loaded.goal(image), 'without a world model'),
    (lambda: loaded.linear({'position': 1.0}), 'without a world model'),
    (lambda: policy.state, 'has no world model'),
    (lambda: loaded.policy(planner='cem'), 'has no planner'),
  ):
    with pytest.raises(errors.UserError, match=says) as caught:
      use()
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize(
  'flags,says',
  [
    (['video'], 'it imagines nothing that could be filmed; --real films it'),
    (['play'], 'without a world model: it has no dream to steer'),
    (['compare'], 'is a run of an agent without a planner: model_free'),
    (['probe'], 'without a world model: it has no features to fit to'),
    (['evaluate', '--goal=a.png'], 'needs a planner; this run has none'),
    (
      ['fit', '--config=model_free:debug', '--data=.'],
      "the agent 'model_free' has no world model that could be learned",
    ),
  ],
  ids=str,
)
def test_what_needs_a_model_is_refused_in_a_line(flags, says, run, program):
  done = program(*flags, f'--logdir={run}')
  assert done.returncode != 0 and 'Traceback' not in done.stderr
  assert done.stderr.startswith('error: ') and says in done.stderr
  assert done.stderr.count('\n') == 1


def test_an_exported_copy_acts_alike_and_is_filmed(restored, tmp_path):
  agent, config, directory = restored
  export.write(directory, tmp_path / 'small', agent, 15, 2)
  small = RunDirectory(tmp_path / 'small')
  copy, counters = restore.agent(small, small.load(), small.spec(), log=str)
  assert counters['updates'] == 15
  found = [
    scenes.of_acting(
      *(each, config, directory),
      **dict(count=1, context=None, horizon=20, scale=1, log=str),
    )
    for each in (agent, copy)
  ]
  (frames, told), (again, told_again) = found
  assert told == told_again and told.startswith('return: ')
  np.testing.assert_array_equal(frames, again)
  assert len(frames) == 20
  # One row of images: the world, and no model.
  modelled = film.Layout((1, 20, 64, 64, 3), 1, ['x'], ['world', 'model'])
  assert frames.shape[1] < modelled.height - 32


def test_a_report_says_that_nothing_is_imagined(run):
  (record,) = records.read([str(run)])
  assert record.kind == 'model_free:debug' and record.score() is not None
  made = films.made(record, acts=True, log=str)
  assert [x.caption.split(';')[0] for x in made] == ['The agent acting']
  (note,) = record.notes
  assert note.startswith('no film of what the model imagines: ')
  assert 'without a world model' in note
