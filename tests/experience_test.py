"""Which episodes a run collects, from which seeds, and where it keeps them."""

import concurrent.futures
import hashlib
import json
import threading
import time
import types

import dm_env
import numpy as np
import pytest
import tensorflow as tf

from worldmodels.agents import uniform
from worldmodels.agents.runs import build
from worldmodels.agents.runs import evaluation
from worldmodels.agents.runs import experience
from worldmodels.agents.runs import memory
from worldmodels.agents.runs import rollouts
from worldmodels.agents.runs import silence
from worldmodels.agents.runs.collect import seed_of
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.configs import planet
from worldmodels.data import workers
from worldmodels.data.store import Store
from worldmodels.spec import Spec

SPEC = Spec(actions=2, image=(4, 4, 3))


class Environment:
  """Shows numbers drawn from the seed of the episode; ends after 4 steps."""

  action_repeat = 2
  quality = 'fast'

  def __init__(self):
    self.seeds = []
    self.failures = 0

  def reset(self, seed=None):
    self.seeds.append(seed)
    self._random = np.random.default_rng(seed)
    self._step = 0
    return dm_env.restart(self._observe())

  def _observe(self):
    return {'image': self._random.integers(0, 256, [4, 4, 3], np.uint8)}

  def send(self, action):
    self._action = np.array(action)

  def receive(self):
    self._step += 1
    if self.failures and self._step == 2:
      self.failures -= 1
      raise workers.WorkerError('the worker died')
    kind = dm_env.termination if self._step == 4 else dm_env.transition
    return kind(float(self._action.sum()), self._observe())

  def restart(self):
    pass


class Actor(uniform.Agent):
  """Acts at random, in halves where it does not explore; counts its steps."""

  def __init__(self):
    super().__init__(spec=SPEC)
    self.explored = []

  def policy(self, observation, state, explore, seed):
    self.explored.append(bool(explore))
    action, state = super().policy(observation, state, explore, seed)
    return tf.where(explore, action, tf.round(2 * action) / 2), state


def make(path, environment=None, on_step=str, **values):
  """The experience of a run of seed 7 with 3 random episodes of 8.

  It is evaluated before episodes 3, 5 and 7, on 2 episodes each.
  """
  config = planet.get_config('debug')
  config.update_from_flattened_dict(
    {
      'seed': 7,
      'train.episodes': 8,
      'train.seed_episodes': 3,
      'evaluate.every': 2,
      'evaluate.episodes': 2,
      'evaluate.last_episodes': 3,
    }
    | values
  )
  made = types.SimpleNamespace(
    environment=environment or Environment(),
    actor=Actor(),
    lines=[],
    path=path,
  )
  made.experience = experience.Experience(
    config,
    RunDirectory(path),
    SPEC,
    made.actor,
    made.environment,
    made.lines.append,
    on_step=on_step,
  )
  return made


def test_statistics_are_of_so_many_images_at_most(tmp_path, monkeypatch):
  run = make(tmp_path)
  run.experience.collect_random()
  whole = run.experience.random_images()
  assert len(whole) == 3 * 5
  monkeypatch.setattr(experience, '_IMAGES', 7)
  some = run.experience.random_images()
  expected = [whole[start : start + 5 : 3] for start in (0, 5, 10)]
  np.testing.assert_array_equal(some, np.concatenate(expected))


def test_steps_are_told_whoever_takes_them(tmp_path, monkeypatch):
  told, said = [], []
  monkeypatch.setattr(silence, 'SECONDS', -1.0)
  run = make(tmp_path, on_step=told.append)
  run.experience.collect_random()  # Three to learn from, three held out.
  assert told == 6 * [0, 1, 2, 3]
  run.experience.collect(3)
  assert told[24:] == [0, 1, 2, 3]
  evaluation.returns(run.actor, [run.environment], range(2), said.append)
  assert 'episode 2 of 2 is at step 3' in said
  assert len([x for x in said if 'return' in x]) == 2


def collect_all(run):
  """Collects as a run does; returns what it says of it."""
  mine = run.experience
  mine.collect_random()
  said = []
  for number in range(3, 8):
    if number % 2:
      said.append(mine.collect_heldout(number))
    said.append(mine.collect(number))
  return said + [mine.last_returns(lambda done: None)]


def contents(path):
  """The episodes of a run, {part: [{key: [L, ...]}]}."""
  return {
    part: [run_episode(path, part, number) for number in numbers(path, part)]
    for part in ('episodes', 'heldout')
  }


def opened(path, part):
  return getattr(make(path).experience, 'store' if part[0] == 'e' else part)


def numbers(path, part):
  return opened(path, part).numbers


def run_episode(path, part, number):
  store = opened(path, part)
  return store.episode(store.before(number))


def assert_same(found, others):
  assert found.keys() == others.keys()
  for part in found:
    for mine, its in zip(found[part], others[part], strict=True):
      assert mine.keys() == its.keys()
      for key in its:
        np.testing.assert_array_equal(mine[key], its[key], err_msg=key)


def test_random_episodes_are_in_both_stores_and_unlike(tmp_path):
  run = make(tmp_path)
  run.experience.collect_random()
  assert run.experience.store.numbers == [0, 1, 2]
  assert run.experience.heldout.numbers == [0, 1, 2]
  assert run.environment.seeds == [
    *(seed_of(7, experience.COLLECT, number) for number in range(3)),
    *(seed_of(7, experience.HELDOUT, number) for number in range(3)),
  ]
  assert not run.actor.explored  # Another acts.
  returns = run.experience.store.returns + run.experience.heldout.returns
  assert len(set(returns)) == 6
  run.experience.collect_random()
  assert len(run.environment.seeds) == 6


def test_random_episodes_that_are_missing_are_made_again(tmp_path):
  make(tmp_path).experience.collect_random()
  before = contents(tmp_path)
  for part, place in (('episodes', 1), ('heldout', 2)):
    sorted((tmp_path / part).glob('*.npz'))[place].unlink()
  run = make(tmp_path)
  run.experience.collect_random()
  assert run.environment.seeds == [
    seed_of(7, experience.COLLECT, 1),
    seed_of(7, experience.HELDOUT, 2),
  ]
  assert_same(contents(tmp_path), before)


def test_random_episodes_that_were_deleted_are_not_missing(tmp_path):
  """The capacity has room for four episodes of 8 simulator steps."""
  run = make(tmp_path, **{'store.capacity': 32})
  collect_all(run)
  assert run.experience.store.numbers == [4, 5, 6, 7]
  run = make(tmp_path, **{'store.capacity': 32})
  run.experience.collect_random()
  assert not run.environment.seeds
  # Of those held out every one stays.
  assert run.experience.heldout.numbers == list(range(9))


def test_the_images_of_the_random_episodes(tmp_path):
  run = make(tmp_path)
  collect_all(run)
  images = run.experience.random_images()
  assert images.shape == (15, 4, 4, 3) and images.dtype == np.uint8
  np.testing.assert_array_equal(
    images,
    np.concatenate(
      [run_episode(tmp_path, 'episodes', n)['image'] for n in range(3)]
    ),
  )


def test_the_images_of_others_are_no_random_ones(tmp_path):
  make(tmp_path)
  path = tmp_path / 'episodes' / 'demonstration.npz'
  np.savez(
    path,
    image=np.zeros([4, 4, 4, 3], np.uint8),
    action=np.zeros([4, 2]),
    reward=np.zeros(4),
  )
  run = make(tmp_path)
  run.experience.collect_random()
  assert run.experience.store.numbers == [None, 0, 1, 2]
  images = run.experience.random_images()
  assert len(images) == 15 and images.any((1, 2, 3)).all()
  # The next number is the agent's, whatever lies before it.
  value = run.experience.collect(3)
  assert value == run.experience.store.returns[4]


def test_an_episode_of_the_agent(tmp_path):
  run = make(tmp_path)
  run.experience.collect_random()
  run.environment.seeds.clear()
  value = run.experience.collect(3)
  assert run.environment.seeds == [seed_of(7, experience.COLLECT, 3)]
  assert run.actor.explored == [True] * 4
  episode = run_episode(tmp_path, 'episodes', 3)
  assert value == pytest.approx(episode['reward'].sum(), abs=1e-5)
  # What is there is not collected again.
  assert run.experience.collect(3) == value
  assert len(run.environment.seeds) == 1


def test_held_out_episodes_of_the_agent(tmp_path):
  run = make(tmp_path)
  run.experience.collect_random()
  run.environment.seeds.clear()
  positions, returns = run.experience.collect_heldout(3)
  later, others = run.experience.collect_heldout(5)
  assert (positions, later) == ([3, 4], [5, 6])
  assert run.environment.seeds == [
    seed_of(7, experience.EVALUATE, episode, number)
    for episode, number in ((3, 3), (3, 4), (5, 5), (5, 6))
  ]
  assert run.actor.explored == [False] * 16
  for place, value in zip(positions + later, returns + others, strict=True):
    reward = run.experience.heldout.episode(place)['reward']
    assert value == pytest.approx(reward.sum(), abs=1e-5)
  assert run.experience.collect_heldout(3) == (positions, returns)
  assert len(run.environment.seeds) == 4


def test_places_of_held_out_episodes_where_one_is_missing(tmp_path):
  """A random one was damaged: those after it have moved up."""
  collect_all(make(tmp_path))
  sorted((tmp_path / 'heldout').glob('*.npz'))[1].unlink()
  run = make(tmp_path)
  positions, returns = run.experience.collect_heldout(5)
  assert positions == [4, 5] and not run.environment.seeds
  assert returns == run.experience.heldout.returns[4:6]


def test_the_last_evaluation_is_kept_nowhere(tmp_path):
  run, done = make(tmp_path), []
  found = run.experience.last_returns(done.append)
  assert len(found) == 3 and len(set(found)) == 3 and done == [1, 2, 3]
  assert run.environment.seeds == [
    seed_of(7, experience.EVALUATE, 8, number) for number in range(3)
  ]
  assert run.actor.explored == [False] * 12
  assert not run.experience.store.episodes + run.experience.heldout.episodes
  assert run.experience.last_returns(done.append) == found


def test_no_two_episodes_of_a_run_have_the_same_seed(tmp_path):
  run = make(tmp_path)
  collect_all(run)
  assert len(set(run.environment.seeds)) == len(run.environment.seeds)


def test_a_run_that_was_stopped_collects_what_it_would_have(tmp_path):
  """At the fifth reset, again and again; and workers fail on the way."""
  whole = make(tmp_path / 'whole')
  said = collect_all(whole)
  stopped = tmp_path / 'stopped'

  class StopError(Exception):
    pass

  class Stopping(Environment):
    def reset(self, seed=None):
      if len(self.seeds) == 4:
        raise StopError
      return super().reset(seed)

  for attempt in range(99):
    run = make(stopped)
    run.environment.__class__ = Stopping
    run.environment.failures = attempt % 2
    try:
      again = collect_all(run)
    except StopError:
      continue
    finally:
      assert len(run.lines) == attempt % 2
    break
  else:
    raise AssertionError('it never ends')
  assert attempt > 3 and again == said
  assert_same(contents(stopped), contents(tmp_path / 'whole'))


@pytest.mark.parametrize(
  'collect',
  [
    lambda mine: mine.collect(3),
    lambda mine: mine.collect_heldout(3),
    lambda mine: mine.last_returns(lambda done: None),
  ],
)
def test_a_policy_without_room_names_what_makes_it_large(tmp_path, collect):
  run = make(tmp_path)

  def policy(*unused):
    raise tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating')

  run.actor.policy = policy
  with pytest.raises(memory.OutOfMemoryError) as caught:
    collect(run.experience)
  line = str(caught.value)
  assert line.startswith('out of memory: no room for choosing an action')
  assert 'planner.candidates is 12, --config.planner.candidates=6 may' in line
  assert line.endswith('(or lower planner.horizon)')
  assert '\n' not in line


def test_another_seed_makes_another_run(tmp_path):
  for seed in (7, 8):
    make(tmp_path / str(seed), seed=seed).experience.collect_random()
  one, other = (run_episode(tmp_path / x, 'episodes', 0) for x in '78')
  assert np.abs(one['action'] - other['action']).max() > 0.1


def test_stores_say_how_their_episodes_were_made(tmp_path):
  run = make(tmp_path, task='hill')
  for store in (run.experience.store, run.experience.heldout):
    found = {key: store.metadata[key] for key in ('task', 'quality', 'size')}
    assert found == {'task': 'hill', 'quality': 'fast', 'size': 64}
    assert store.metadata['action_repeat'] == 2
  run.experience.collect_random()
  assert run.experience.store.env_steps == 3 * 4 * 2


# ------------------------------------------ what the task itself noted down ---

HELD = 3  # simulator steps


@pytest.fixture(scope='module')
def witnessed(tmp_path_factory):
  """A run of `strange_tasks.Witness`, its notes, and returns afterwards.

  Notes are lists of timesteps, one for each episode that it has played.
  """
  path = tmp_path_factory.mktemp('witnessed')
  config = planet.get_config('debug')
  config.task = 'tests.strange_tasks:Witness'
  config.environment.update(action_repeat=HELD, vectors=('place',))
  config.evaluate.episodes = 2
  with pytest.MonkeyPatch.context() as patch:
    patch.setenv('WITNESS', str(path / 'notes'))
    with build.environment(config) as environment:
      actor = uniform.Agent(spec=build.spec_of(environment))
      mine = experience.Experience(
        config, RunDirectory(path), actor.spec, actor, environment, str
      )
      mine.collect_random()
      for number in range(2, 7):
        mine.collect(number)
      mine.collect_heldout(2)
      returns = evaluation.returns(actor, [environment], range(9, 13), str)
  played = []
  for line in (path / 'notes').open():
    timestep = json.loads(line)
    if timestep['action'] is None:
      played.append([])
    played[-1].append(timestep)
  return path, played, returns


@pytest.mark.parametrize('part', ['episodes', 'heldout'])
def test_what_is_stored_is_what_happened(part, witnessed):
  path, played, _ = witnessed
  store = Store(path / part, log=str, reading=True)
  assert store.episodes == {'episodes': 7, 'heldout': 4}[part]
  begun = {timesteps[0]['image']: timesteps for timesteps in played}
  simulated = 0
  for place in range(store.episodes):
    episode = store.episode(place)
    images = [hashlib.sha256(x.tobytes()).hexdigest() for x in episode['image']]
    reset, *steps = begun[images[0]]
    simulated += len(steps)
    held = [steps[at : at + HELD] for at in range(0, len(steps), HELD)]
    last = [reset, *(taken[-1] for taken in held)]
    assert images == [x['image'] for x in last]
    np.testing.assert_allclose(
      episode['place'], [x['place'] for x in last], rtol=1e-6
    )
    assert not episode['action'][0].any() and episode['reward'][0] == 0
    low, high = np.array([-3, 10]), np.array([1, 20])
    told = low + (episode['action'][1:] + 1) / 2 * (high - low)
    for row, taken in enumerate(held):
      for step in taken:
        np.testing.assert_allclose(step['action'], told[row], atol=1e-5)
    for key, of in (('reward', np.sum), ('discount', np.prod)):
      golden = [of([x[key] for x in taken]) for taken in held]
      np.testing.assert_allclose(
        episode[key][1:], golden, rtol=1e-5, atol=1e-5, err_msg=key
      )
    assert episode['discount'][0] == 1
    assert episode['env_steps'].tolist() == [0, *map(len, held)]
    row = np.arange(len(last))
    ended = steps[-1]['ended']
    assert ended or len(steps) == 25
    assert episode['is_first'].tolist() == (row == 0).tolist()
    assert episode['is_last'].tolist() == (row == row[-1]).tolist()
    assert episode['is_terminal'].any() == episode['is_terminal'][-1] == ended
  assert store.env_steps == simulated


def test_the_task_ended_episodes_and_others_were_cut(witnessed):
  """Else the test above has not seen both."""
  _, played, _ = witnessed
  lengths = {len(x) - 1 for x in played if not x[-1]['ended']}
  assert lengths == {25} and any(x[-1]['ended'] for x in played)


def test_the_returns_of_an_evaluation_are_what_the_task_gave(witnessed):
  _, played, returns = witnessed
  golden = [sum(x['reward'] for x in steps[1:]) for steps in played[-4:]]
  np.testing.assert_allclose(returns, golden, rtol=1e-5, atol=1e-4)
  assert len({*returns}) == 4


class Slow(Environment):
  """Its steps last until they are told to go on, or interrupted."""

  def __init__(self):
    super().__init__()
    self.arrived, self.go = threading.Event(), threading.Event()
    self.interrupted = False

  def receive(self):
    self.arrived.set()
    assert self.go.wait(30)
    if self.interrupted:
      raise workers.WorkerError('the worker died')
    return super().receive()

  def interrupt(self):
    self.interrupted = True
    self.go.set()

  def restart(self):
    raise AssertionError('nobody wants it any more')


@pytest.mark.parametrize('hangs', [False, True])
def test_a_stopped_episode_is_neither_waited_for_nor_stored(
  tmp_path, monkeypatch, hangs
):
  monkeypatch.setattr(experience, '_STEP_SECONDS', 0.3)
  slow = Slow()
  mine = make(tmp_path, environment=slow).experience
  with concurrent.futures.ThreadPoolExecutor(1) as pool:
    collected = pool.submit(mine.collect, 3)
    assert slow.arrived.wait(30)
    begin = time.monotonic()
    if not hangs:
      threading.Timer(0.1, slow.go.set).start()
    mine.stop(collected)
    assert slow.interrupted == hangs
    assert isinstance(collected.exception(30), rollouts.Stopped)
  assert time.monotonic() - begin < 5
  assert mine.store.episodes == 0
