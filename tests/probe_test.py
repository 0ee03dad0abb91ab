"""Linear probes, the true states they look for, and the episodes of a sweep."""

import json
import shutil

import numpy as np
import pytest

from worldmodels import errors
from worldmodels.agents.runs import experience
from worldmodels.agents.runs import linear_probe
from worldmodels.agents.runs import probing
from worldmodels.agents.runs import restore
from worldmodels.agents.runs import seeds
from worldmodels.agents.runs import true_states
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.sweeps import episodes
from worldmodels.data import environments
from worldmodels.data.store import Store

# --------------------------------------------------------------- regression ---


def test_what_is_linear_is_found_and_what_is_not_there_is_not():
  random = np.random.default_rng(0)
  features = random.normal(3.0, [1.0, 5.0, 0.1, 1.0], [800, 4])
  features[:, 3] = features[:, 0]  # Says the same.
  noise = random.normal(size=[800, 1])
  truth = np.concatenate(
    [
      features[:, :1] - 2 * features[:, 2:3] + 7,
      features[:, :1] + noise,
      noise,
      np.full([800, 1], 4.0),
    ],
    1,
  )
  probe = linear_probe.fit(features[:400], truth[:400])
  found = probe.measure(features[400:], truth[400:])
  exact, half, nothing, constant = found['r2']
  assert exact > 0.999 and 0.4 < half < 0.6 and nothing < 0.05
  assert constant is None
  assert found['error'][1] == pytest.approx(1.0, abs=0.1)
  assert found['std'][2] == pytest.approx(1.0, abs=0.1)
  json.dumps(found, allow_nan=False)


# ------------------------------------------------------------- true states ---


@pytest.fixture(scope='module')
def config(debug_run):
  return RunDirectory(debug_run).load()


@pytest.fixture(scope='module')
def replay(config):
  made = true_states.Replay(config)
  yield made
  made.close()


def test_the_task_gives_the_states_of_every_episode(debug_run, replay):
  """Of those to train on, of random held-out ones, and of evaluations."""
  assert replay.names == ['position', 'velocity']
  counted = 0
  for name in ('episodes', 'heldout'):
    store = Store(debug_run / name, reading=True)
    for place, number in enumerate(store.numbers):
      episode = store.episode(place)
      seed = replay.seed(number, heldout=name == 'heldout')
      found = replay.states(episode, seed)
      assert found['position'].shape == (len(episode['reward']), 1)
      # The reward of hill is a function of where the ball is.
      reward = np.exp(-0.5 * (found['position'][1:, 0] / 0.25) ** 2)
      np.testing.assert_allclose(reward, episode['reward'][1:], atol=1e-4)
      counted += 1
  train, evaluate = replay._schedule.train, replay._schedule.evaluate
  assert counted > 2 * train.seed_episodes + evaluate.episodes


def test_an_evaluation_has_seeds_of_its_own(replay):
  train, evaluate = replay._schedule.train, replay._schedule.evaluate
  first = train.seed_episodes
  # The one before episode `first`, and the next.
  for number, before in (
    (first, first),
    (first + evaluate.episodes, first + evaluate.every),
  ):
    expected = seeds.seed_of(replay._seed, seeds.EVALUATE, before, number)
    assert replay.seed(number, heldout=True) == expected
  assert replay.seed(0, True) == seeds.seed_of(replay._seed, seeds.HELDOUT, 0)


def test_another_seed_or_task_is_noticed(debug_run, replay, config):
  episode = Store(debug_run / 'episodes', reading=True).episode(0)
  with pytest.raises(true_states.StateError, match='not the same task, or one'):
    replay.states(episode, replay.seed(1, heldout=False))
  longer = {key: np.repeat(x, 2, 0) for key, x in episode.items()}
  longer['reward'] = np.full_like(longer['reward'], np.nan)  # Never unlike.
  with pytest.raises(true_states.StateError, match='the task ends before row'):
    replay.states(longer, 0)
  lost = config.copy_and_resolve_references()
  lost.task = 'none'
  with pytest.raises(true_states.StateError, match='nothing says what task'):
    true_states.Replay(lost)


def test_episodes_of_a_fit_have_no_seed_of_the_run(config):
  fitted = config.copy_and_resolve_references()
  fitted.train.updates_total = 10
  with pytest.raises(true_states.StateError, match='are of others'):
    probing._add_states([], fitted)


def test_seeds_are_those_of_the_streams_of_a_run():
  assert tuple(seeds.STREAMS) == (
    *(experience.COLLECT, experience.HELDOUT, experience.EVALUATE),
    *(experience.TRAIN, experience.SAMPLE),
  )
  assert seeds.seed_of(0, 1, 2) == 1942027521


# ----------------------------------------------------------------- a model ---


def test_a_model_is_probed_for_what_the_task_gives(debug_run, config):
  directory = RunDirectory(debug_run)
  agent, _ = restore.agent(directory, config, directory.spec())
  found = probing.probe(agent.model, directory, config, print)
  assert found['states'] == 'played again'
  assert found['fitted'] > found['tested'] > 50
  vectors = found['vectors']
  assert list(vectors) == ['position', 'velocity']
  # Even an untrained encoder shows where the ball is.
  assert vectors['position']['r2'][0] > 0.5 > vectors['position']['error'][0]
  json.dumps(found, allow_nan=False)


def test_where_there_is_no_state_there_is_no_probe(debug_run, config):
  lost = config.copy_and_resolve_references()
  lost.seed += 1  # So that the episodes come out otherwise.
  said = []
  found = probing.probe(None, RunDirectory(debug_run), lost, said.append)
  assert found['vectors'] == {} and found['states'].startswith('none: in row 1')
  assert said[0].startswith('no states to probe for: in row 1')


def test_a_run_without_held_out_episodes_is_refused(
  debug_run, config, tmp_path
):
  shutil.copytree(debug_run / 'episodes', tmp_path / 'episodes')
  with pytest.raises(errors.UserError, match='both learned from and held out'):
    probing.probe(None, RunDirectory(tmp_path), config, print)


@pytest.fixture
def hanging(debug_run, tmp_path):
  """The run, of a task that does not start any more."""
  run = tmp_path / 'run'
  shutil.copytree(debug_run, run)
  path = run / 'config.json'
  task = '"tests.strange_tasks:hangs_at_load"'
  path.write_text(path.read_text().replace('"hill"', task))
  return run


def test_the_task_may_take_so_long_to_start(hanging, program):
  done = program('probe', f'--logdir={hanging}', '--start_timeout=1')
  assert done.returncode == 0, done.stderr
  found = json.loads(done.stdout)
  assert 'gave no answer for 1 s' in found['states']
  assert '--start_timeout)' in found['states'] and found['vectors'] == {}


# ------------------------------------------------------- episodes of sweeps ---


def test_the_task_may_take_so_long_to_give_states(hanging, tmp_path):
  said = []
  out = tmp_path / 'out' / 'hill'
  episodes.add_states(hanging, out, said.append, start_timeout=1)
  assert 'none, so no probes: ' in said[-1]
  assert 'gave no answer for 1 s' in said[-1]


def test_stored_episodes_get_the_true_states(debug_run, tmp_path):
  assert episodes.can_have_states(debug_run)
  out, said = tmp_path / 'episodes' / 'hill', []
  episodes.add_states(debug_run, out, said.append)
  assert 'position, velocity, from playing them again' in said[0]
  mine, theirs = (
    Store(path, reading=True) for path in (out, debug_run / 'episodes')
  )
  assert mine.numbers == theirs.numbers and mine.metadata == theirs.metadata
  for place in range(mine.episodes):
    found = mine.episode(place)
    assert found.pop('position').any() and found.pop('velocity').any()
    for key, value in theirs.episode(place).items():
      np.testing.assert_array_equal(found[key], value)
  assert not episodes.can_have_states(out)  # They are no run.
  before = sorted(out.rglob('*'))
  episodes.add_states(debug_run, out, said.append)
  assert sorted(out.rglob('*')) == before and len(said) == 1
  assert episodes.by_task([debug_run], None) == {'hill': debug_run}


def test_where_the_task_is_another_they_are_copied_as_they_are(
  debug_run, tmp_path
):
  run = tmp_path / 'run'
  shutil.copytree(debug_run, run)
  path = run / 'config.json'
  path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
  said = []
  episodes.add_states(run, tmp_path / 'out' / 'hill', said.append)
  assert 'none, so no probes: in row 1' in said[1]
  copied = Store(tmp_path / 'out' / 'hill', reading=True)
  assert copied.episodes == Store(run / 'episodes', reading=True).episodes
  assert 'position' not in copied.episode(0)


def test_which_episodes_are_of_which_task(debug_run, tmp_path):
  plain = tmp_path / 'plain'
  plain.mkdir()
  hill = environments.make('hill', 0, size=64)
  from worldmodels.data import soundness

  np.savez(plain / 'one.npz', **soundness.play(hill, 0))
  assert episodes.by_task([plain], None) == {'none': plain}
  assert episodes.by_task([plain], ['mine']) == {'mine': plain}
  assert episodes.by_task([debug_run, plain], ['hill']) == {'hill': debug_run}
  for given, named, says in (
    ([], None, '--episodes is empty'),
    ([debug_run, debug_run / 'episodes'], None, 'both of task hill'),
    ([debug_run], ['juggle'], "has 'juggle'; the episodes are of hill"),
    ([tmp_path / 'gone'], None, 'there is no such file'),
  ):
    with pytest.raises(errors.UserError, match=says):
      episodes.by_task(given, named)
