"""`worldmodels fit`: a model of recorded episodes, without a task."""

import json
import pathlib
import shutil
import types

import numpy as np
import pytest
from conftest import run_program

from worldmodels import errors
from worldmodels.agents.runs import action_scale
from worldmodels.agents.runs import animation
from worldmodels.agents.runs import build
from worldmodels.agents.runs import checkpoint_files
from worldmodels.agents.runs import export
from worldmodels.agents.runs import fit_progress
from worldmodels.agents.runs import fitting
from worldmodels.agents.runs import memory
from worldmodels.agents.runs import recorded_data
from worldmodels.agents.runs import restore
from worldmodels.agents.runs import selection
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.configs import dreamer
from worldmodels.configs import planet
from worldmodels.data import environments
from worldmodels.data import recordings
from worldmodels.data import soundness
from worldmodels.data.formats import episodes
from worldmodels.data.recorded import Recorded
from worldmodels.data.recordings import RecordingError
from worldmodels.data.store import Store

TOTAL = 10  # two blocks of the preset debug


@pytest.fixture(scope='module')
def data(tmp_path_factory):
  """Six recorded episodes of hill, with what they are of."""
  folder = tmp_path_factory.mktemp('recorded')
  hill = environments.make('hill', 0, size=64)
  played = [soundness.play(hill, seed) for seed in range(6)]
  source = recordings.Recordings(
    'memory',
    [*map(str, range(6))],
    lambda number, size: played[number],
    lambda number: played[number]['action'],
    facts={'task': 'hill', 'action_repeat': 1},
  )
  episodes.write(folder, Recorded(source, folder))
  return folder


@pytest.fixture(scope='module')
def fit(wheel_program):
  """Runs the program on a folder of data."""

  def run(data, logdir, *more):
    return wheel_program(
      *('fit', f'--data={data}', f'--logdir={logdir}', '--config=planet:debug'),
      *('--config.overshooting.steps=0', '--config.heads.image.share=1'),
      *more,
    )

  return run


@pytest.fixture(scope='module')
def fitted(fit, data, tmp_path_factory):
  """A finished run, and what it printed."""
  logdir = tmp_path_factory.mktemp('fitted') / 'run'
  done = fit(data, logdir, f'--config.train.updates_total={TOTAL}')
  assert done.returncode == 0, done.stdout + done.stderr
  assert not done.stderr
  return logdir, done.stdout


def figures(logdir):
  """The lines of metrics.jsonl without times."""
  lines = (logdir / 'metrics.jsonl').read_text().splitlines()
  return [
    {k: v for k, v in json.loads(line).items() if not k.endswith('seconds')}
    for line in lines
  ]


def weights(logdir):
  directory = logdir / 'checkpoints' / f'{TOTAL:08d}'
  return checkpoint_files.read(directory, TOTAL)[0]


def copied(data, logdir, config, **options):
  """A run directory with the episodes of `data`, as the program makes it."""
  directory = RunDirectory(logdir)
  lines = []
  source = Recorded(recordings.find(data), data, log=lines.append, **options)
  recorded_data.adopt(config, source.facts, lambda key: False)
  directory.claim(config)

  def begin(found):
    chosen = build.chosen(config, found.spec, found.ends_early)
    directory.start(chosen, found.spec)

  recorded_data.copy(source, config, directory, begin, lines.append)
  return directory, lines


def preset(total=TOTAL):
  config = planet.get_config('debug')
  config.train.updates_total = total
  return config


def test_it_learns_from_a_share_and_measures_on_the_rest(data, fitted):
  logdir, printed = fitted
  assert 'npz, 6 episodes' in printed
  assert '5 episodes to learn from, 1 held out' in printed
  assert 'held out, nats at step 1/5' in printed
  directory = RunDirectory(logdir)
  assert directory.load().task == 'hill'  # What the data say.
  assert recorded_data.note_in(directory)['data'] == str(data)
  learned = Store(directory.episodes, reading=True)
  held = Store(directory.heldout, reading=True)
  given = Store(data, reading=True)
  assert (learned.episodes, held.episodes) == (5, 1)
  for key, value in given.episode(5).items():
    np.testing.assert_array_equal(held.episode(0)[key], value)
  first, last = figures(logdir)
  assert (first['updates'], last['updates']) == (TOTAL // 2, TOTAL)
  assert 'open_loop_recorded_image' not in first
  assert (
    len(last['open_loop_recorded_image'])
    == directory.load()['evaluate']['horizon']
  )
  chosen = selection.latest(directory, None, 4)
  assert chosen.titles == ['episode 0'] and 'never trained on' in chosen.source


def test_it_goes_on_as_if_it_had_not_been_stopped(fit, data, fitted, tmp_path):
  shutil.copytree(fitted[0], tmp_path / 'run')
  directory = RunDirectory(tmp_path / 'run')
  # As a kill leaves it after the first block: with figures of the second.
  shutil.rmtree(directory.checkpoints / f'{TOTAL:08d}')
  done = fit(data, directory.path, f'--config.train.updates_total={TOTAL}')
  assert done.returncode == 0, done.stdout + done.stderr
  assert f'{TOTAL // 2} done' in done.stdout
  assert figures(directory.path) == figures(fitted[0])
  mine, theirs = weights(directory.path), weights(fitted[0])
  assert mine.keys() == theirs.keys()
  for key in mine:
    np.testing.assert_array_equal(mine[key], theirs[key], key)


def test_back_to_where_it_has_been_there_is_no_way(fitted):
  from worldmodels.agents.runs import fitting

  directory = RunDirectory(fitted[0])
  config = directory.load()
  config.train.updates_total = TOTAL - 1
  with pytest.raises(
    errors.UserError,
    match=f'has {TOTAL} updates, train.updates_total is {TOTAL - 1}',
  ):
    fitting.Fitting(config, directory, directory.spec())


def test_it_is_filmed_and_plans_without_its_data(
  fitted, wheel_program, tmp_path
):
  import tensorflow as tf

  from worldmodels import states

  logdir = tmp_path / 'run'
  shutil.copytree(fitted[0], logdir)
  directory = RunDirectory(logdir)
  config, spec = directory.load(), directory.spec()
  agent, counters = restore.agent(directory, config, spec)
  assert counters['updates'] == TOTAL
  batch = selection.cut(selection.latest(directory, None, 1).episodes, 10)
  posterior, _ = agent.model.observe(states.tensors(batch))
  last = tf.nest.map_structure(lambda x: x[:, -1], posterior)
  plan = agent.plan(last, tf.constant([[0, 1], [2, 3]], tf.int32))
  assert plan.actions.shape[2] == 1
  done = wheel_program(
    *('video', f'--logdir={logdir}', f'--out={tmp_path / "dream.webm"}'),
    *('--context=5', '--horizon=10'),
  )
  assert done.returncode == 0, done.stderr
  assert 'heldout, episode 0, never trained on' in done.stdout


def test_an_exported_copy_is_not_filled(fitted, fit, data, tmp_path):
  directory = RunDirectory(fitted[0])
  config = directory.load()
  agent, counters = restore.agent(directory, config, directory.spec())
  out = tmp_path / 'out'
  export.write(directory, out, agent, counters['updates'], 1)
  before = {x: x.stat().st_size for x in out.rglob('*') if x.is_file()}
  done = fit(data, out, f'--config.train.updates_total={TOTAL}')
  assert done.returncode == 1 and done.stderr.count('\n') == 1, done.stderr
  assert 'was exported' in done.stderr
  assert before == {x: x.stat().st_size for x in before}


def test_a_film_is_as_a_run_whose_action_is_always_zero(tmp_path):
  frames = np.zeros((40, 48, 64, 3), np.uint8)
  for t in range(40):
    frames[t, 8:24, t : t + 16] = 250
  (tmp_path / 'films').mkdir()
  animation.write(tmp_path / 'films' / 'one.mp4', frames)
  directory, lines = copied(
    tmp_path / 'films', tmp_path / 'run', preset(5), size=64
  )
  # The last part of the only recording is held out.
  assert lines[0].startswith('held out   the last 9 of 40 rows')
  spec = directory.spec()
  assert spec.actions == 1 and spec.image == (64, 64, 3)
  assert recorded_data.note_in(directory)['has_actions'] is False
  held = Store(directory.heldout, reading=True).episode(0)
  assert held['action'].shape == (9, 1) and not held['action'].any()
  assert held['is_first'][0]
  assert directory.load().task == 'none'


def test_what_it_cannot_do_is_one_line(fit, data, fitted, tmp_path):
  logdir, _ = fitted
  total = f'--config.train.updates_total={TOTAL}'
  broken = tmp_path / 'broken'
  shutil.copytree(data, broken)
  last = sorted(broken.glob('*.npz'))[-1]
  last.write_bytes(last.read_bytes()[:1000])
  new = tmp_path / 'new'
  for flags, text in (
    ((data, new), 'how many updates? set --config.train.updates_total='),
    ((tmp_path / 'absent', new, total), 'there is no such file or directory'),
    ((broken, new, total), f'{last.name}: damaged'),
    ((data, new, total, '--config.environment.vectors=("speed",)'), "'speed'"),
    ((broken, logdir, total), f'was fitted to {data}, not to {broken}'),
    ((data, logdir, total, '--config.train.batch=4'), 'train.batch: 3 here'),
  ):
    done = fit(*flags)
    assert done.returncode == 1 and text in done.stderr, done.stderr
    assert done.stderr.count('\n') == 1
    assert not new.exists()
  # It and `train` keep out of each other's runs.
  done = run_program(
    *('train', f'--logdir={logdir}', '--config=planet:debug'),
    '--config.task=hill',
  )
  assert 'was fitted to recorded data' in done.stderr
  done = run_program('train', f'--logdir={new}', total)
  assert 'that is of `worldmodels fit`' in done.stderr and not new.exists()


def test_a_run_of_no_task_is_not_evaluated():
  config = preset()
  config.task = build.NO_TASK
  with pytest.raises(build.ConfigError, match='nothing says what task'):
    build.environment(config)


def test_a_run_of_train_is_left_alone(tmp_path):
  directory = RunDirectory(tmp_path)
  config = preset(0)
  directory.claim(config)
  directory.start(config, build.Spec(actions=1))
  with pytest.raises(errors.UserError, match='a run of `worldmodels train`'):
    recorded_data.check_run(directory, preset(), tmp_path)


def test_without_actions_nobody_learns_to_act():
  film, other = (
    recorded_data.Copied(build.Spec(actions=1), False, has_actions)
    for has_actions in (False, True)
  )
  recorded_data.check_actions(planet.get_config('cpu'), film)
  config = dreamer.get_config('cpu')
  recorded_data.check_actions(config, other)
  with pytest.raises(build.ConfigError, match='--config=planet:cpu'):
    recorded_data.check_actions(config, film)


def test_what_is_held_out():
  assert recorded_data.held_out(2, 0.1) == {1}
  assert recorded_data.held_out(20, 0.1) == {9, 19}
  assert recorded_data.held_out(7, 0.5) == {1, 3, 5}
  assert recorded_data.held_out(4, 0.4999) == {1, 3}


def test_a_copy_that_fails_leaves_nothing(data, tmp_path):
  broken = tmp_path / 'broken'
  shutil.copytree(data, broken)
  last = sorted(broken.glob('*.npz'))[-1]
  with np.load(last) as old:
    changed = {**old, 'reward': np.full_like(old['reward'], np.nan)}
  np.savez(last, **changed)
  directory = RunDirectory(tmp_path / 'run')
  with pytest.raises(RecordingError, match=last.name):
    copied(broken, directory.path, preset())
  left = {path.name for path in directory.path.iterdir()}
  assert left <= {'claim.json'}


def test_actions_of_another_scale_than_the_task_are_told(tmp_path):
  directory = RunDirectory(tmp_path)

  def noted(**note):
    text = json.dumps(dict(data='x', facts={}, **note))
    (tmp_path / 'data.json').write_text(text)

  assert action_scale.other(directory, [[-2, 2]]) is None
  noted()
  assert action_scale.other(directory, [[-2, 2]]) is None
  noted(actions=dict(low=[-0.5, -1.0], high=[0.5, 1.0]))
  said = action_scale.other(directory, [[-2.0, 2.0], [-1.0, 1.0]])
  assert '[[-0.5, 0.5], [-1.0, 1.0]] in the data, and [[-2.0, 2.0]' in said
  near = [[-0.501, 0.499], [-1.0, 1.0]]  # The range of what was done.
  assert action_scale.other(directory, near) is None
  for bounds in ([], [[-2, 2]], [[-np.inf, np.inf], [-1, 1]]):
    assert action_scale.other(directory, bounds) is None
  for odd in (3, {}, dict(low='a', high='b'), dict(low=[1], high=[])):
    noted(actions=odd)
    assert action_scale.other(directory, [[-2, 2]]) is None


def test_keys_that_the_user_sets_are_kept():
  config = preset()
  facts = {'task': 'hill', 'action_repeat': 3, 'quality': ['no', 'text']}
  recorded_data.adopt(config, facts, lambda key: key == 'task')
  assert config.task == 'cartpole_balance'
  assert config.environment.action_repeat == 3
  assert config.environment.quality == 'fast'
  recorded_data.adopt(config, {}, lambda key: False)
  assert config.task == build.NO_TASK
  # Of recorded episodes none is newer than another, but for who says so.
  config.train.recency = 0.5
  recorded_data.adopt(config, {}, lambda key: key == 'train.recency')
  assert config.train.recency == 0.5
  recorded_data.adopt(config, {}, lambda key: False)
  assert config.train.recency == 0
  # What Gymnasium's pictures were cut to is asked of the task again.
  facts = {'task': 'gymnasium:A-v0', 'crop': [1, 2, 3, 4], 'gray': True}
  recorded_data.adopt(config, facts, lambda key: False)
  assert tuple(config.environment.crop) == (1, 2, 3, 4)
  assert config.environment.gray is True
  recorded_data.adopt(config, {'crop': 'all', 'gray': 'no'}, lambda key: False)
  assert tuple(config.environment.crop) == (1, 2, 3, 4)
  assert config.environment.gray is True


def test_a_measurement_without_room_names_what_makes_it_large(monkeypatch):
  def full(*unused):
    raise MemoryError

  monkeypatch.setattr(fitting.evaluation, 'open_loop_of', full)
  made = object.__new__(fitting.Fitting)
  made.config, made.agent = preset(), None
  made.shown = types.SimpleNamespace(copy_from=str, model=None)
  made.heldout = types.SimpleNamespace(lengths=[51, 51])
  with pytest.raises(memory.OutOfMemoryError) as caught:
    made.measure()
  line = str(caught.value)
  assert line.startswith('out of memory: no room for an evaluation')
  # One episode is measured: it cannot be fewer.
  assert line.endswith('horizon is 6, --config.evaluate.horizon=3 may fit')


def test_progress_says_how_far_it_is(capsys):
  progress = fit_progress.Progress(20, bar=False)
  progress.start(['what it is'], 0)
  progress.update(3)
  progress.row(10, {'image_loss': 2.5, 'update_seconds': 6.0}, 60.0)
  progress.row(20, {'image_loss': 2.0, 'skipped_updates': 4}, 120.0)
  progress.end(pathlib.Path('a run'), 120.0)
  progress.close()
  lines = capsys.readouterr().out.splitlines()
  assert lines[0] == 'what it is'
  assert lines[1].split() == ['time', 'left', 'updates', 'image', 's/update']
  assert lines[2].split() == ['1:00', '1:00', '10', '2.50', '6.000']
  assert lines[3].split()[-2:] == ['skipped', '4']
  assert "worldmodels video --logdir='a run'" in lines[5]
