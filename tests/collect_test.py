import itertools

import dm_env
import numpy as np
import pytest
import tensorflow as tf

from worldmodels.agents import uniform
from worldmodels.agents.runs import collect
from worldmodels.agents.runs import rollouts
from worldmodels.data import workers
from worldmodels.spec import Spec

A = 2
SPEC = Spec(actions=A, image=(4, 4, 3), vectors={'speed': 2})


class World:
  """A counter of its steps; ends after `length`, by the task or by time."""

  action_size = A
  discrete = False

  def __init__(self, length, ends=True):
    self._length = length
    self._ends = ends
    self._action = None
    self.seeds = []

  def _observe(self):
    return {
      'image': np.full([4, 4, 3], self._step, np.uint8),
      'speed': np.float32([self._step, self.seeds[-1]]),
    }

  def reset(self, seed=None):
    self.seeds.append(seed)
    self._step = 0
    return dm_env.restart(self._observe())

  def send(self, action):
    assert self._action is None and self._step < self._length
    self._action = np.array(action)

  def receive(self):
    self._step += 1
    reward = float(self._action.sum())
    self._action = None
    if self._step < self._length:
      return dm_env.transition(reward, self._observe())
    if self._ends:
      return dm_env.termination(reward, self._observe())
    return dm_env.truncation(reward, self._observe())


class Actor:
  """Acts by what it sees, and keeps what it was asked."""

  def __init__(self):
    self.asked = []

  def __call__(self, observation, is_first, step):
    self.asked.append((observation, is_first, step))
    seen = observation['image'][:, 0, 0, 0] + 1.0
    return np.stack([seen / 10, -seen / 100], -1).astype(np.float32)


def test_row_t_is_what_action_t_led_to():
  (episode,) = rollouts.rollouts(Actor(), [World(3)], [7])
  # Image t counts t steps; the action that led there was chosen at t - 1.
  assert episode['image'][:, 0, 0, 0].tolist() == [0, 1, 2, 3]
  golden = [[0, 0], [0.1, -0.01], [0.2, -0.02], [0.3, -0.03]]
  np.testing.assert_allclose(episode['action'], golden, atol=1e-7)
  np.testing.assert_allclose(episode['reward'], np.sum(golden, 1), atol=1e-7)
  np.testing.assert_array_equal(
    episode['speed'], [[0, 7], [1, 7], [2, 7], [3, 7]]
  )
  assert episode['is_first'].tolist() == [True, False, False, False]
  assert episode['is_last'].tolist() == [False, False, False, True]
  assert {key: value.dtype for key, value in episode.items()} == {
    'image': np.uint8,
    **dict.fromkeys(('action', 'reward', 'discount', 'speed'), np.float32),
    **dict.fromkeys(('is_first', 'is_last', 'is_terminal'), bool),
  }


@pytest.mark.parametrize('ends', [True, False])
def test_the_task_ends_it_or_time_does(ends):
  (episode,) = rollouts.rollouts(Actor(), [World(2, ends)], [0])
  assert episode['discount'].tolist() == [1, 1, 0 if ends else 1]
  assert episode['is_terminal'].tolist() == [False, False, ends]
  assert episode['is_last'].tolist() == [False, False, True]


def test_side_by_side_episodes_of_unlike_length():
  worlds, actor = [World(2), World(5), World(3)], Actor()
  together = rollouts.rollouts(actor, worlds, [3, 4, 5])
  assert [len(episode['reward']) for episode in together] == [3, 6, 4]
  assert [world.seeds for world in worlds] == [[3], [4], [5]]
  assert len(actor.asked) == 5
  for number, (observation, is_first, step) in enumerate(actor.asked):
    assert observation['image'].shape == (3, 4, 4, 3)
    assert step == number
    assert is_first.tolist() == [number == 0] * 3
  for seed, length, episode in zip([3, 4, 5], [2, 5, 3], together):
    (alone,) = rollouts.rollouts(Actor(), [World(length)], [seed])
    assert alone.keys() == episode.keys()
    for key in alone:
      np.testing.assert_array_equal(alone[key], episode[key], err_msg=key)


def test_a_seed_for_each_environment():
  with pytest.raises(ValueError):
    rollouts.rollouts(Actor(), [World(2), World(2)], [1])


def test_actions_are_kept_as_they_were_taken():
  """Whoever acts may write them into the same array at each step."""
  reused = np.zeros([1, A], np.float32)

  def act(observation, is_first, step):
    reused[:] = (step + 1) / 10
    return reused

  (episode,) = rollouts.rollouts(act, [World(3)], [0])
  np.testing.assert_allclose(episode['action'][:, 0], [0, 0.1, 0.2, 0.3])


def test_numbers_that_are_not_finite_are_refused():
  world = World(2)
  with pytest.raises(ValueError, match='not finite'):
    rollouts.rollouts(lambda *_: np.full([1, A], np.nan), [world], [0])


class Recorder:
  """An agent that counts its steps in its state."""

  def __init__(self):
    self.calls = []

  def initial(self, batch):
    return tf.zeros([batch, 1])

  def policy(self, observation, state, explore, seed):
    self.calls.append((observation, state.numpy(), explore, seed.numpy()))
    return tf.fill([state.shape[0], A], 0.5), state + 1


def test_an_agents_state_and_seeds_go_from_step_to_step():
  agent = Recorder()
  act = collect.actions_of(agent, 2, True, 11)
  rollouts.rollouts(act, [World(3), World(3)], [0, 1])
  for step, (observation, state, explore, seed) in enumerate(agent.calls):
    np.testing.assert_array_equal(state, np.full([2, 1], step))
    assert seed.tolist() == [11, step] and seed.dtype == np.int32
    assert explore.dtype == tf.bool and bool(explore)
    assert observation.keys() == {'image', 'speed', 'is_first'}
    assert observation['image'].dtype == tf.uint8
    assert observation['is_first'].numpy().tolist() == [step == 0] * 2


def test_an_episode_is_a_function_of_its_seed():
  def play(seed):
    agent = uniform.Agent(spec=SPEC)
    act = collect.actions_of(agent, 1, True, seed)
    return rollouts.rollouts(act, [World(6)], [seed])[0]['action']

  np.testing.assert_array_equal(play(1), play(1))
  assert np.abs(play(1) - play(2)).max() > 0.1
  assert len(np.unique(play(1)[1:])) == 12  # Each step has its own.


def test_seeds_are_pure_unlike_and_small():
  seeds = [collect.seed_of(a, b) for a in range(20) for b in range(20)]
  assert len(set(seeds)) == 400
  assert all(0 <= seed < 2**31 for seed in seeds)
  assert collect.seed_of(np.int64(3), 4.0) == collect.seed_of(3, 4)
  assert collect.seed_of(1, 2) != collect.seed_of(2, 1)
  # One that changes makes every run another.
  assert collect.seed_of(0, 1, 2) == 1942027521


# ------------------------------------------------------------- Collector ----


def seed(number):
  """The seed of an episode by its number."""
  return 100 + number


def gather(worlds, numbers, agent=None, explore=True, log=str):
  """Collects with a collector of its own: [(number, episode)]."""
  collector = collect.Collector(agent or uniform.Agent(spec=SPEC), worlds, log)
  return list(collector.collect(numbers, seed, explore))


def assert_same(episodes, others):
  for mine, its in zip(episodes, others, strict=True):
    assert mine.keys() == its.keys()
    for key in its:
      np.testing.assert_array_equal(mine[key], its[key], err_msg=key)


def test_episodes_come_in_the_order_of_their_numbers():
  """More of them than environments; the last ones leave some without."""
  worlds = [World(3), World(5)]
  found = gather(worlds, [4, 2, 9, 7, 1])
  assert [number for number, _ in found] == [4, 2, 9, 7, 1]
  assert [len(episode['reward']) for _, episode in found] == [4, 6, 4, 6, 4]
  assert [world.seeds for world in worlds] == [[104, 109, 101], [102, 107]]
  assert gather(worlds, []) == []


def test_an_episode_is_a_function_of_its_number_whoever_collects_it():
  found = dict(gather([World(6)], range(3, 8)))
  (alone,) = gather([World(6)], [5])
  assert_same([found[5]], [alone[1]])
  again = dict(gather([World(6)], [7, 5]))
  assert_same([found[5], found[7]], [again[5], again[7]])
  assert np.abs(found[5]['action'] - found[6]['action']).max() > 0.1


def test_groups_do_not_depend_on_those_before_them():
  """Side by side the noise of the policy comes from the first of a group."""
  found = gather([World(4), World(6)], [5, 6, 8, 9])
  again = gather([World(4), World(6)], [8, 9])
  assert_same([x for _, x in found[2:]], [x for _, x in again])
  for number, episode in found:
    assert (episode['speed'][:, 1] == seed(number)).all()


@pytest.mark.parametrize('explore', [True, False])
def test_the_agent_begins_anew_in_each_group_of_episodes(explore):
  agent = Recorder()
  gather([World(2), World(2)], [3, 6, 4], agent, explore)
  assert [bool(call[2]) for call in agent.calls] == [explore] * 4
  # (count of episodes, steps before, seed) of each call.
  found = [(len(x[1]), x[1][0, 0], x[3].tolist()) for x in agent.calls]
  assert found == [
    (2, 0, [103, 0]),
    (2, 1, [103, 1]),
    (1, 0, [104, 0]),
    (1, 1, [104, 1]),
  ]


def test_nothing_is_collected_before_it_is_asked_for():
  world = World(2)
  collector = collect.Collector(uniform.Agent(spec=SPEC), [world], str)
  episodes = collector.collect(itertools.count(), seed, True)
  assert not world.seeds
  assert [next(episodes)[0], next(episodes)[0]] == [0, 1]
  assert world.seeds == [100, 101]


# ------------------------------------------------------ workers that fail ----


class Frail(World):
  """Fails in its second step, so many times."""

  def __init__(self, failures):
    super().__init__(4)
    self._failures = failures
    self.restarts = 0

  def receive(self):
    if self._step == 1 and self.restarts < self._failures:
      raise workers.WorkerError('the worker died')
    return super().receive()

  def restart(self):
    self._action = None
    self.restarts += 1


def test_an_episode_starts_over_and_comes_out_the_same():
  lines, frail, sound = [], Frail(2), Frail(0)
  found = gather([frail, sound], [5, 6], log=lines.append)
  golden = gather([Frail(0), Frail(0)], [5, 6], log=lines.append)
  assert_same([x for _, x in found], [x for _, x in golden])
  assert lines == [
    'the worker died; the episode starts over (1 of 2)',
    'the worker died; the episode starts over (2 of 2)',
  ]
  assert frail.restarts == sound.restarts == 2


def test_only_the_episodes_of_the_worker_that_failed_start_over():
  """Those that were collected before it failed are not lost."""
  frail, lines = Frail(0), []
  collector = collect.Collector(uniform.Agent(spec=SPEC), [frail], lines.append)
  episodes = collector.collect([1, 2, 3], seed, True)
  found = [next(episodes)]
  frail._failures = 1
  found += episodes
  assert [number for number, _ in found] == [1, 2, 3]
  assert frail.seeds == [101, 102, 102, 103] and len(lines) == 1
  golden = gather([Frail(0)], [1, 2, 3])
  assert_same([x for _, x in found], [x for _, x in golden])


def test_a_worker_without_an_episode_is_not_restarted():
  frail, idle = Frail(1), Frail(0)
  gather([frail, idle], [5])
  assert (frail.restarts, idle.restarts) == (1, 0) and not idle.seeds


def test_a_worker_that_always_fails_is_an_error():
  lines = []
  with pytest.raises(workers.WorkerError, match='the worker died'):
    gather([Frail(99)], [5], log=lines.append)
  assert len(lines) == rollouts.ATTEMPTS - 1


# --------------------------------------------------------------- stopping ----


class Stopping(Frail):
  """Tells its collector to stop in its second step, and may fail then."""

  def receive(self):
    if self._step == 1:
      self.collector.stop()
    return super().receive()


@pytest.mark.parametrize('failures', [0, 1])
def test_a_stopped_episode_ends_with_its_step_and_no_worker_is_restarted(
  failures,
):
  lines, world = [], Stopping(failures)
  collector = collect.Collector(uniform.Agent(spec=SPEC), [world], lines.append)
  world.collector = collector
  for _ in range(2):
    with pytest.raises(rollouts.Stopped):
      list(collector.collect([5, 6], seed, True))
  assert world.restarts == 0 and not lines
