"""Who acts, with which parameters; what is learned from, and in which order.

Training is done with an agent whose one parameter is the count of its updates,
in an environment whose reward is the action: so what the episodes hold says who
collected them. resume_test does it with programs and real agents.
"""

import concurrent.futures
import contextlib
import ctypes
import gc
import json
import os
import shutil
import threading
import types

import dm_env
import keras
import numpy as np
import pytest
import tensorflow as tf

from worldmodels.agents.runs import build
from worldmodels.agents.runs import checkpoint
from worldmodels.agents.runs import checkpoint_list
from worldmodels.agents.runs import evaluation
from worldmodels.agents.runs import film
from worldmodels.agents.runs import learning
from worldmodels.agents.runs import loop
from worldmodels.agents.runs import restore
from worldmodels.agents.runs import selection
from worldmodels.agents.runs.collect import seed_of
from worldmodels.agents.runs.experience import SAMPLE
from worldmodels.agents.runs.experience import TRAIN
from worldmodels.agents.runs.metrics import Metrics
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.run_directory import RunError
from worldmodels.configs import dreamer
from worldmodels.configs import planet

STEPS = 4  # of an episode
PER_UPDATE, NOISE = 0.01, 0.5  # of the action
ways = pytest.mark.parametrize(
  'overlap,averages', [(False, False), (False, True), (True, False)]
)


class StopError(Exception):
  """A run is stopped."""


class Agent:
  """Acts as it has learned, and learns to count; has an average, or not."""

  model = None
  skipped = (0, 0)

  def __init__(self, spec, averages):
    self.spec, self.acts_on_averages = spec, averages
    self._learned = keras.Variable(0.0, name='learned')
    self._seen = keras.Variable(0.0, name='seen')
    self.trainable_variables = [self._learned]
    self.state_variables = [self._learned, self._seen]
    self.updates = []

  def fit_statistics(self, image):
    self._seen.assign_add(np.mean(image))

  def train(self, batch, seed):
    self.updates.append((seed.numpy().tolist(), batch['reward'].numpy()))
    self._learned.assign_add(1.0)
    return {'loss': tf.cast(seed[1], tf.float32)}

  def copy_from(self, agent):
    for mine, its in zip(self.state_variables, agent.state_variables):
      mine.assign(its)

  def initial(self, count):
    return {'action': tf.zeros([count, 1])}

  def policy(self, observation, state, explore, seed):
    del observation, seed
    action = PER_UPDATE * self._learned.value + tf.where(explore, NOISE, 0.0)
    return tf.fill(state['action'].shape, action), state


class Environment:
  """Shows noise of its seed; the reward is the action."""

  action_repeat, quality, action_size, discrete = 1, 'exact', 1, False
  step_limit, ends_early = STEPS, False

  def observation_spec(self):
    return {'image': dm_env.specs.Array((4, 4, 3), np.uint8)}

  def reset(self, seed=None):
    self._random, self._step = np.random.default_rng(seed), 0
    return dm_env.restart(self._observe())

  def _observe(self):
    return {'image': self._random.integers(0, 256, [4, 4, 3], np.uint8)}

  def send(self, action):
    self._action = float(action[0])

  def receive(self):
    self._step += 1
    kind = dm_env.termination if self._step == STEPS else dm_env.transition
    return kind(self._action, self._observe())

  def close(self):
    pass


def run(
  path,
  monkeypatch,
  overlap=False,
  averages=False,
  stop=0,
  capacity=0,
  measured=None,
  **train,
):
  """Trains to the end, or to the checkpoint of a number.

  Five episodes, two of them random, with five updates before each of the
  others; before the first and the third of those it is evaluated.
  """
  config = planet.get_config('debug')
  config.train.overlap = overlap
  config.train.update(train)
  config.store.capacity = capacity
  path.mkdir(exist_ok=True)
  measured = [] if measured is None else measured
  made, saved = [], []

  def agent(config, spec):
    del config
    made.append(Agent(spec, averages))
    return made[-1]

  def save(directory, *args, **options):
    saved.append(directory)
    if len(saved) == stop:
      raise StopError
    checkpoint.save(directory, *args, **options)

  # Of the modules that the loop knows, those of the test.
  with monkeypatch.context() as patch:
    patch.setattr(
      loop,
      'build',
      types.SimpleNamespace(
        agent=agent, learning_agent=agent, spec_of=build.spec_of
      ),
    )
    patch.setattr(
      learning,
      'checkpoint',
      types.SimpleNamespace(**(vars(checkpoint) | {'save': save})),
    )
    patch.setattr(
      loop.evaluation, 'measure', lambda *given: measured.append(given[3]) or {}
    )
    training = loop.Training(config, RunDirectory(path), Environment())
    try:
      training.run()
    except StopError:
      assert stop
    else:
      assert not stop
  return training, made[0]


def actions(store):
  """The action of each episode, which is the same at every step."""
  found = []
  for position in range(store.episodes):
    action = store.episode(position)['action'][1:]
    found.append(float(action[0, 0]) if np.ptp(action) == 0 else None)
  return found


def lines(path):
  return [json.loads(x) for x in (path / 'metrics.jsonl').open()]


@ways
def test_who_acts_has_the_parameters_of_its_time(
  overlap, averages, tmp_path, monkeypatch
):
  """Those of after the updates, beside the learner those of before them."""
  path = tmp_path / 'run'
  training, agent = run(path, monkeypatch, overlap, averages)
  assert (training.actor is agent) == (not overlap and not averages)
  counts = np.array([0, 5, 10]) if overlap else np.array([5, 10, 15])
  found = actions(training.experience.store)
  assert found[:2] == [None, None]
  np.testing.assert_allclose(found[2:], NOISE + PER_UPDATE * counts, rtol=1e-5)
  found = actions(training.experience.heldout)
  assert found[:2] == [None, None]
  np.testing.assert_allclose(found[2:], PER_UPDATE * counts[::2], atol=1e-6)
  # And at the end what was learned last.
  end = lines(path)[-1]
  golden = STEPS * PER_UPDATE * 15
  assert end['last_evaluation_mean'] == pytest.approx(golden, rel=1e-4)
  assert end['updates'] == 15


def test_a_kill_where_one_episode_is_kept_is_gone_on_from(
  tmp_path, monkeypatch
):
  """The store then has that one alone which comes after the updates."""
  path = tmp_path / 'run'
  run(path, monkeypatch, stop=2, capacity=1)
  training, _ = run(path, monkeypatch, capacity=1)
  assert training.learning.updates == 15
  assert training.experience.store.numbers == [4]


def test_random_episodes_are_not_measured_as_those_of_the_policy(
  tmp_path, monkeypatch
):
  measured = []
  run(tmp_path / 'some', monkeypatch, measured=measured)
  every = planet.get_config('debug').evaluate.episodes
  numbers = list(range(2, 2 + 2 * every))
  assert measured == [numbers[:every], numbers[every:], numbers[-every:]]
  measured.clear()
  run(tmp_path / 'random', monkeypatch, measured=measured, episodes=2)
  assert measured == [[]]


def test_updates_are_functions_of_their_numbers(tmp_path, monkeypatch):
  """Also of those that are done again, beside an episode that is there."""
  path = tmp_path / 'run'
  _, before = run(path, monkeypatch, stop=3)
  training, after = run(path, monkeypatch)
  config, store = training.config, training.experience.store
  numbers = [*range(10), *range(5, 15)]
  for number, (seed, reward) in zip(
    numbers, before.updates + after.updates, strict=True
  ):
    assert seed == [seed_of(config.seed, TRAIN), number]
    golden = store.sample(
      config.train.batch,
      config.train.length,
      (seed_of(config.seed, SAMPLE), number),
      limit=2 + number // 5,
    )
    np.testing.assert_array_equal(reward, golden['reward'], err_msg=number)
  # The loss is the number; figures are means over the updates before them.
  losses = [x['loss'] for x in lines(path) if 'loss' in x]
  assert losses == [2.0, 7.0, 12.0]


@pytest.mark.parametrize('overlap', [False, True])
@pytest.mark.parametrize('env_steps, episodes', [(1, 2), (9, 3), (16, 4)])
def test_a_run_ends_where_its_steps_are_spent(
  env_steps, episodes, overlap, tmp_path, monkeypatch, capsys
):
  """The random episodes are the first two, and four steps are an episode."""
  path = tmp_path / 'run'
  training, _ = run(path, monkeypatch, overlap, env_steps=env_steps)
  assert training.experience.store.episodes == episodes
  end = lines(path)[-1]
  counted = {'episodes': episodes, 'updates': 5 * (episodes - 2)}
  assert end.items() >= {**counted, 'env_steps': 4 * episodes}.items()
  random = training.experience.random_returns()
  assert len(random) == 4  # Two of them are held out.
  assert end['random_mean'] == pytest.approx(np.mean(random), rel=1e-5)
  last = capsys.readouterr().out.splitlines()[-1]
  assert f'episodes, random policy {np.mean(random):.2f}, ' in last
  assert_it_goes_on_with_more(path, monkeypatch, overlap, env_steps=env_steps)


def assert_it_goes_on_with_more(path, monkeypatch, overlap, **budget):
  """And has nothing to do with the same, for a run whose budget is spent."""
  before = (path / 'metrics.jsonl').read_text()
  run(path, monkeypatch, overlap, **budget)
  assert (path / 'metrics.jsonl').read_text() == before
  # It comes out as if it had been given at once.
  run(path, monkeypatch, overlap)
  run(path.with_name('whole'), monkeypatch, overlap)
  found, whole = lines(path), lines(path.with_name('whole'))
  assert [strip(x) for x in found] == [strip(x) for x in whole]


class Timed(Metrics):
  """Metrics of a run whose updates take half a minute, and nothing else."""

  def __init__(self, directory, episodes, updates=0, *given):
    self._updates = updates
    super().__init__(directory, episodes, updates, *given)

  @property
  def wall_seconds(self):
    return 30.0 * self._updates

  def write(self, counters, values):
    self._updates = counters['updates']
    super().write(counters, values)


@pytest.mark.parametrize('overlap', [False, True])
@pytest.mark.parametrize('minutes, episodes', [(2.5, 3), (2.6, 4), (99.0, 5)])
def test_a_run_ends_where_its_minutes_are_spent(
  minutes, episodes, overlap, tmp_path, monkeypatch
):
  """Five updates are an episode, of which the first two are random."""
  monkeypatch.setattr(loop, 'Metrics', Timed)
  path = tmp_path / 'run'
  training, _ = run(path, monkeypatch, overlap, minutes=minutes)
  assert training.experience.store.episodes == episodes
  end = lines(path)[-1]
  assert end['episodes'] == episodes and 'last_evaluation_mean' in end
  assert_it_goes_on_with_more(path, monkeypatch, overlap, minutes=minutes)


@pytest.mark.parametrize('stop', [1, 2, 3])
def test_a_run_that_was_stopped_has_its_minutes_alone(
  stop, tmp_path, monkeypatch
):
  monkeypatch.setattr(loop, 'Metrics', Timed)
  stopped, whole = tmp_path / 'stopped', tmp_path / 'whole'
  run(stopped, monkeypatch, minutes=5.0, stop=stop)
  run(stopped, monkeypatch, minutes=5.0)
  run(whole, monkeypatch, minutes=5.0)
  found = [strip(x) for x in lines(stopped)]
  assert found == [strip(x) for x in lines(whole)]
  assert lines(whole)[-1]['episodes'] == 4


def strip(figures):
  return {k: x for k, x in figures.items() if not k.endswith('_seconds')}


@pytest.mark.parametrize('overlap', [False, True])
def test_a_run_that_was_stopped_ends_as_it_would_have(
  overlap, tmp_path, monkeypatch
):
  """In the middle of each checkpoint, one after the other."""
  stopped, whole = tmp_path / 'stopped', tmp_path / 'whole'
  golden, agent = run(whole, monkeypatch, overlap)
  for stop in (1, 2, 2, 1, 2):
    run(stopped, monkeypatch, overlap, stop=stop)
  found, again = run(stopped, monkeypatch, overlap)
  for one, other in (
    (found.experience.store, golden.experience.store),
    (found.experience.heldout, golden.experience.heldout),
  ):
    assert actions(one) == actions(other)
    assert one.returns == other.returns
  for mine, its in zip(again.state_variables, agent.state_variables):
    np.testing.assert_array_equal(mine.numpy(), its.numpy(), err_msg=mine.path)
  told = [
    [{k: v for k, v in line.items() if 'seconds' not in k} for line in found]
    for found in (lines(stopped), lines(whole))
  ]
  assert told[0] == told[1]


@pytest.mark.parametrize('overlap', [False, True])
@pytest.mark.parametrize('when', ['reset', 'train'])
def test_an_episode_of_others_may_come_while_it_runs(
  when, overlap, tmp_path, monkeypatch
):
  """As one gives it demonstrations: before its first episode, or later.

  It counts from the next start on, and takes no number.
  """
  path, whole = tmp_path / 'run', tmp_path / 'whole'
  golden, _ = run(whole, monkeypatch, overlap)
  file = path / 'episodes' / 'demonstration.npz'
  demonstration = dict(
    image=np.zeros([6, 4, 4, 3], np.uint8),
    action=np.zeros([6, 1], np.float32),
    reward=np.arange(6.0),
  )
  base = {'reset': Environment, 'train': Agent}[when]
  known = getattr(base, when)

  def first(self, *arguments, **options):
    if not file.exists():
      np.savez(file, **demonstration)
    return known(self, *arguments, **options)

  with monkeypatch.context() as patch:
    patch.setattr(base, when, first)
    training, _ = run(path, monkeypatch, overlap)
  assert file.exists()
  assert training.experience.store.numbers == [0, 1, 2, 3, 4]
  assert [strip(x) for x in lines(path)] == [strip(x) for x in lines(whole)]
  # The run goes on beside it, with numbers of its own.
  training, _ = run(path, monkeypatch, overlap, episodes=7)
  store = training.experience.store
  assert store.numbers == [None, *range(7)] and store.returns[0] == 15
  assert store.returns[1:6] == golden.experience.store.returns
  assert lines(path)[-1]['episodes'] == 7
  told = [x['return'] for x in lines(path) if 'return' in x]
  np.testing.assert_allclose(told, store.returns[3:], rtol=1e-5)


@pytest.mark.parametrize('key', ['optimizer', 'learner.actor.optimizer'])
@pytest.mark.parametrize('average', [0.0, 0.9])
def test_where_an_average_acts_what_is_learned_goes_on(key, average, tmp_path):
  config = dreamer.get_config('debug')
  config.task = 'hill'
  config.train.overlap = False
  config.optimizer.average = config.learner.actor.optimizer.average = 0.0
  config.update_from_flattened_dict({f'{key}.average': average})
  directory = RunDirectory(tmp_path / 'run')
  directory.claim(config)
  environment = build.environment(config)
  try:
    training = loop.Training(config, directory, environment)
  finally:
    environment.close()
  assert (training.actor is training.agent) == (not average)
  for _, optimizer in training.agent.optimized:
    if optimizer.keeps_average:
      for mean in optimizer.averages:
        mean.assign(mean.numpy() + 1.0)
  before = [x.numpy() for x in training.agent.trainable_variables]
  training.actor.copy_from(training.agent)
  for variable, value in zip(
    training.agent.trainable_variables, before, strict=True
  ):
    np.testing.assert_array_equal(variable, value, err_msg=variable.path)


# ----------------------------------------- parts of the loop, on their own ---


class Parameters:
  """As much of an agent as the loop needs; its weight is the last update."""

  skipped = (0, 0)

  def __init__(self, bad_from=99):
    self.path = 'weight'
    self.value = np.float32(0)
    self.state_variables = [self]
    self._bad_from = bad_from

  def numpy(self):
    return self.value

  def copy_from(self, agent):
    self.value = agent.value

  def train(self, batch, seed):
    del batch
    update = int(seed[1]) + 1
    self.value = np.float32(np.nan if update >= self._bad_from else update)
    return {'loss': 0.5}


class Episodes:
  """As much of `Experience` as the loop needs: 10 env_steps an episode."""

  def __init__(self, actor=None):
    self.store = self.heldout = self
    self.actor, self.acted = actor, []

  def env_steps_before(self, episodes):
    return 10 * episodes

  def before(self, episode):
    return episode

  def chunks(self, *_, **__):
    class Batches:
      close = staticmethod(lambda: None)
      __next__ = staticmethod(lambda: {'reward': np.zeros([2, 3])})

    return Batches()

  def collect(self, episode):
    return float(episode)

  def collect_heldout(self, episode):
    self.acted.append(float(self.actor.value))
    return [episode], [1.0]


def part(path, overlap=True, bad_from=99):
  """A `Training` of these, which has collected three episodes."""
  config = dreamer.get_config('debug')
  config.train.overlap = overlap
  made = object.__new__(loop.Training)
  made.config = config
  made.directory = RunDirectory(path)
  made.schedule = loop.Schedule(config.train, config.evaluate)
  made.terminal = types.SimpleNamespace(episode=lambda *values: None)
  made.agent, made.actor = Parameters(bad_from), Parameters()
  made.learning = learning.Learning(
    config, made.directory, made.agent, str, on_update=str, advice=''
  )
  made.experience = Episodes(made.actor)
  made._acting_updates = 0
  made.metrics = loop.Metrics(made.directory, 9)
  return made


@pytest.mark.parametrize('overlap', [True, False])
def test_figures_say_what_was_evaluated_when(overlap, tmp_path, monkeypatch):
  """While both overlap, that is what was learned before these updates."""
  monkeypatch.setattr(
    loop.evaluation, 'measure', lambda *_: {'dream_video': np.zeros([1] * 4)}
  )
  films = []
  training = part(tmp_path, overlap)
  monkeypatch.setattr(
    training.metrics, 'video', lambda *values: films.append(values[::2])
  )
  every = training.config.train.updates
  seeds = training.config.train.seed_episodes
  with concurrent.futures.ThreadPoolExecutor(1) as pool:
    for episode in range(seeds, seeds + 3):
      training.report(episode + 1, *training.learn_and_collect(episode, pool))
  lines = [json.loads(x) for x in training.metrics._path.open()]
  counted = [
    (x['episodes'] - seeds, x['updates'], x['env_steps'] - 10 * seeds)
    for x in lines
    if 'evaluation_return' in x
  ]
  # Before the first of these episodes, and before the third.
  later = 0 if overlap else every
  assert counted == [(0, later, 0), (2, 2 * every + later, 20)]
  # Those are the parameters that acted, and the films beside them.
  assert training.experience.acted == [later, 2 * every + later]
  assert films == [('dream_video', 10 * (seeds + x)) for x in (0, 2)]
  rest = [x for x in lines if 'evaluation_return' not in x]
  assert [(x['episodes'] - seeds, x['updates']) for x in rest] == [
    (1, every),
    (2, 2 * every),
    (3, 3 * every),
  ]
  assert all('return' in x and 'loss' in x for x in rest)


def test_weights_that_are_not_finite_neither_act_nor_are_kept(tmp_path):
  """The norm of each step was finite; what it made of the weights is not."""
  training = part(tmp_path, overlap=False, bad_from=4)
  training.save()
  message = '1 of 1 variables are not finite .*checkpoints/00000000: lower opt'
  with pytest.raises(checkpoint.CheckpointError, match=message):
    training.learn_and_collect(training.config.train.seed_episodes, None)
  assert training.actor.value == 0 and not training.experience.acted
  with pytest.raises(checkpoint.CheckpointError, match='not finite'):
    training.save()
  assert checkpoint_list.check(training.directory.checkpoints)['updates'] == 0


def test_the_end_of_a_run_is_that_of_a_checkpoint(tmp_path):
  """Whatever else there is among them."""
  training = part(tmp_path)
  training.save()
  (training.directory.checkpoints / '99999999').mkdir()
  training._check_end()
  training.learning.updates = 1000
  training.save()
  with pytest.raises(RunError, match='has 202 episodes, train.episodes is 5'):
    training._check_end()


@pytest.mark.parametrize('learning', [True, False])
def test_ctrl_c_stops_the_episode_that_is_collected_meanwhile(learning):
  """While it learns, and while it waits for the episode."""
  training, stop = loop.Training.__new__(loop.Training), threading.Event()
  training.config = planet.get_config('debug')
  assert training.config.train.overlap
  training._act_as_learned = lambda: None
  training.experience = types.SimpleNamespace(stop=lambda future: stop.set())
  collected = []

  def interrupted(*unused):
    raise KeyboardInterrupt

  def collect(episode):
    if not learning:
      interrupted()
    collected.append(stop.wait(30))

  training.collect = collect
  training.learn = interrupted if learning else lambda episode: {}
  with concurrent.futures.ThreadPoolExecutor(1) as pool:
    with pytest.raises(KeyboardInterrupt):
      training.learn_and_collect(3, pool)
  assert stop.is_set() and collected == [True] * learning


# ------------------------------------------------- with a task and an agent ---


@pytest.fixture
def step_by_step():
  """Computes without graphs, which have one form for episodes of any length."""
  tf.config.run_functions_eagerly(True)
  yield
  tf.config.run_functions_eagerly(False)


@pytest.mark.timeout(900)  # It trains.
@pytest.mark.parametrize('configs', [planet, dreamer])
@pytest.mark.parametrize('task', ['Brief', 'BriefOfMany'])
def test_very_short_episodes_are_trained_on_evaluated_and_filmed(
  configs, task, tmp_path, step_by_step
):
  """Far shorter than a chunk, than the context and than a horizon."""
  config = configs.get_config('debug')
  config.task = f'tests.strange_tasks:{task}'
  config.environment.action_repeat = 1
  config.heads.discount.kind = 'bernoulli'
  config.train.episodes = 3
  directory = RunDirectory(tmp_path / 'run')
  directory.claim(config)
  training = loop.Training(config, directory, build.environment(config))
  training.run()
  store = training.experience.store
  assert store.episodes == 3 and store.env_steps == store.agent_steps
  assert max(store.lengths) <= 5
  # As the programs do it.
  spec = directory.spec()
  agent, counters = restore.agent(directory, config, spec, log=str)
  assert counters['updates'] == 5
  with build.environment(config) as one, build.environment(config) as other:
    returns = evaluation.returns(agent, [one, other], range(5, 9), str)
  assert len(returns) == 4 and min(returns) >= 1
  assert len({*returns}) > 1 or task == 'Brief'  # They had unlike lengths.
  chosen = selection.latest(directory, config.train.seed_episodes, 4)
  batch = selection.cut(chosen.episodes, 2)
  truth, predicted = film.open_loop(agent.model, batch, 1)
  frames = film.compose(truth, predicted, 1)
  assert len(frames) == 2 and len(truth) >= 3


def resident():
  """MB of this process in memory, without what is free for its next use."""
  gc.collect()
  with contextlib.suppress(AttributeError):  # of another C library than GNU's
    ctypes.CDLL(None).malloc_trim(0)
  with open('/proc/self/statm') as file:
    return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 1e6


@pytest.mark.timeout(900)  # It trains.
def test_a_long_run_needs_no_more_memory_than_a_short_one(tmp_path):
  """Each of its episodes is learned from, evaluated, measured and filmed."""
  config = planet.get_config('debug')
  config.task = 'tests.strange_tasks:load'
  config.environment.action_repeat = 1
  config.train.update(episodes=20, updates=1, batch=2, length=4, overlap=False)
  config.evaluate.update(every=1, context=2, horizon=2, last_episodes=1)
  config.planner.update(horizon=2, iterations=1, candidates=4, elites=2)
  config.overshooting.update(steps=0)
  directory = RunDirectory(tmp_path / 'run')
  directory.claim(config)
  sizes = {}

  class Watched(loop.Training):
    def report(self, episodes, values, evaluated=None):
      super().report(episodes, values, evaluated)
      if evaluated and episodes in (10, 20):
        assert evaluated[1].keys() >= {'open_loop_video'}
        sizes[episodes] = resident()

  Watched(config, directory, build.environment(config)).run()
  # In MB. An episode of 11 rows has 0.13, one of 51 rows five times as much.
  assert sizes[20] - sizes[10] < 10 * 0.2, sizes


def test_a_run_that_goes_on_has_no_more_checkpoints_than_are_kept(
  tmp_path, monkeypatch
):
  """A kill after the last one was written left the oldest, or half of it."""
  path = tmp_path / 'run'
  training, _ = run(path, monkeypatch)
  folder = training.directory.checkpoints
  kept = sorted(x.name for x in folder.iterdir())
  assert len(kept) == training.config.train.checkpoints
  del training
  shutil.copytree(folder / kept[0], folder / '00000000')
  (folder / '00000000.old.0123456789abcdef.tmp').mkdir()
  run(path, monkeypatch)
  assert sorted(x.name for x in folder.iterdir()) == kept
