"""Sweeps: jobs, how they run, what is left of them, and the tables.

The programs are played by a script of a few lines: what they do is theirs.
"""

import csv
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from worldmodels import errors
from worldmodels.agents.reports import records
from worldmodels.agents.sweeps import directory
from worldmodels.agents.sweeps import jobs
from worldmodels.agents.sweeps import local
from worldmodels.agents.sweeps import outcome
from worldmodels.agents.sweeps import progress
from worldmodels.agents.sweeps import results
from worldmodels.agents.sweeps import runner
from worldmodels.agents.sweeps import standing
from worldmodels.agents.sweeps import tables

ROOT = pathlib.Path(__file__).parent.parent
# A run of three episodes, whose return is its seed; what its task is called
# says what goes wrong.
SCRIPT = """
import json, os, pathlib, sys, time
program, *flags = sys.argv[1:]
flags = dict(x.removeprefix('--').split('=', 1) for x in flags)
run = pathlib.Path(flags['logdir'])
if program == 'train':
  task, seed = flags['config.task'], int(flags['config.seed'])
  print('cores', sorted(os.sched_getaffinity(0)), flush=True)
  if task == 'broken':
    sys.exit('error: the task broke\\n')
  if task == 'killed':
    os.kill(os.getpid(), 9)
  if task == 'hollow':
    sys.exit()
  if task == 'slow':
    (run.parent / 'began').write_text(str(os.getpid()))
    time.sleep(60)
  run.mkdir(exist_ok=True)
  train = {'episodes': 3, 'env_steps': 0, 'updates_total': 0}
  config = dict(task=task, seed=seed, agent={'kind': 'planet'}, train=train)
  (run / 'config.json').write_text(json.dumps(config))
  versions = dict(commit='abc', machine='a machine', cores=1, python='3.11')
  (run / 'versions.json').write_text(json.dumps([versions]))
  line = dict(episodes=3, updates=9, env_steps=150, wall_seconds=60.0,
    last_evaluation_mean=float(seed), last_evaluation_std=1.0,
    last_evaluation_returns=[1.0], open_loop_policy_image=[1.0 + seed] * 6,
    open_loop_policy_copy_image=[2.0] * 6, divergence=3.0,
    open_loop_policy_reward=[0.5] * 6, open_loop_policy_copy_reward=[2.0] * 6,
    open_loop_policy_reward_variance=[1.0] * 6)
  with open(run / 'metrics.jsonl', 'a') as file:
    file.write(json.dumps(line) + '\\n')
else:
  with open(run / 'calls', 'a') as file:
    file.write(program + '\\n')
  print('restoring', file=sys.stderr)
  seed = json.loads((run / 'config.json').read_text())['seed']
  count = int(flags.get('episodes', 1))
  print(json.dumps(dict(checkpoint=9, mean=seed + 0.5, std=0.5, vectors={
    'place': {'r2': [0.5, None]}}, returns=[1.0] * count)))
"""
BUDGET = {'train.episodes': 3, 'train.env_steps': 0, 'train.updates_total': 0}
BUDGET['train.minutes'] = 0.0


@pytest.fixture(autouse=True)
def looked_at_often(monkeypatch):
  """Nobody waits for what has ended."""
  monkeypatch.setattr(runner, '_POLL_SECONDS', 0.01)


def setting(name='plain', **values):
  resolved = {**BUDGET, 'dynamics.kind': 'rssm', **values}
  return jobs.Setting(name, 'planet:debug', values, resolved)


def live(root, tasks=('hill',), seeds=(0,), probes=False, settings=None):
  settings = settings or [setting()]
  return jobs.live(root, settings, tasks, seeds, 2, probes)


def fake(program, flags):
  return [sys.executable, '-c', SCRIPT, program, *flags]


def run(made, count=1):
  """Runs jobs; returns the entries, and what was told of each."""
  told = []
  sweep = runner.Runner(
    made,
    local.Local(count, fake),
    lambda entry: told.append((entry.job.name, entry.state, entry.stage)),
  )
  sweep.run()
  return sweep.entries, told


# ------------------------------------------------------------------- jobs ---


def test_a_job_for_each_setting_task_and_seed(tmp_path):
  settings = [setting(), setting('wide', **{'encoder.channels': (1,)})]
  made = live(tmp_path, ('hill', 'gymnasium:X/Y-v1'), (3, 4), True, settings)
  assert [job.name for job in made[:3]] == [
    'plain hill seed 3',
    'wide hill seed 3',
    'plain gymnasium:X/Y-v1 seed 3',
  ]
  assert len(made) == 8 and len({job.path for job in made}) == 8
  wide = made[-1]
  assert wide.path == tmp_path / 'wide' / 'gymnasium_X_Y-v1' / 'seed_4'
  train, evaluate, probe = wide.stages
  assert train.flags == (
    '--config=planet:debug',
    '--config.encoder.channels=(1,)',
    '--config.task=gymnasium:X/Y-v1',
    '--config.seed=4',
    f'--logdir={wide.path}',
  )
  assert evaluate.flags == (f'--logdir={wide.path}', '--episodes=2')
  assert probe.flags == (f'--logdir={wide.path}',)
  assert wide.command.count(' && ') == 2
  assert "worldmodels train --config=planet:debug '--config.enc" in wide.command
  assert f'> {wide.path}/evaluation.json && ' in wide.command


def test_a_job_on_stored_episodes(tmp_path):
  data = {'hill': tmp_path / 'data'}
  (made,) = jobs.stored(tmp_path, [setting()], data, True, [1], 500, True)
  fit, probe = made.stages
  assert fit.name == 'fit' and probe.output == 'probe.json'
  assert f'--data={data["hill"]}' in fit.flags
  assert '--config.train.updates_total=500' in fit.flags
  assert '--config.task=hill' in fit.flags
  assert made.budget['train.updates_total'] == 500
  (made,) = jobs.stored(tmp_path, [setting()], data, False, [1], 500, False)
  assert '--config.task=hill' not in made.stages[0].flags
  assert len(made.stages) == 1


def test_whoever_starts_a_task_is_told_how_long_it_may_take(tmp_path):
  limits = ['--step_timeout=9']
  given = tmp_path, [setting()]
  (lived,) = jobs.live(*given, ['hill'], [0], 2, True, limits)
  (fitted,) = jobs.stored(*given, {'hill': 'a'}, True, [0], 5, True, limits)
  told = {
    (stage.name, '--step_timeout=9' in stage.flags)
    for stage in (*lived.stages, *fitted.stages)
  }
  assert told == {
    *(('train', True), ('evaluate', True), ('probe', True), ('fit', False)),
  }


@pytest.mark.parametrize(
  'tasks,seeds,says',
  [
    ([], [0], '--tasks is empty'),
    (['hill'], [], '--seeds is empty'),
    (['hill', 'hill'], [0], '--tasks has hill twice'),
    (['hill'], [1, 1], '--seeds has 1 twice'),
    (['a:b', 'a/b'], [0], 'would share the folder a_b'),
    ([f't{i}' for i in range(101)], range(100), '10,100 runs; at most 10,000'),
  ],
)
def test_what_makes_no_folders_of_its_own(tasks, seeds, says):
  with pytest.raises(errors.OptionError) as caught:
    jobs.check([setting()], tasks, seeds)
  assert says in str(caught.value)


def test_no_task_leaves_its_folder():
  for task in ('..', '.', '../../x', '/etc/passwd', '\n', 'a' * 300):
    name = jobs.folder(task)
    assert name == pathlib.Path(name).name and name not in ('', '.', '..')
    assert len(name) <= 100


# ------------------------------------------------------------------ running ---


def test_every_run_is_trained_and_evaluated(tmp_path):
  made = live(tmp_path, seeds=(0, 1, 2))
  entries, told = run(made, count=2)
  assert {entry.state for entry in entries} == {runner.DONE}
  names = [job.name for job in made]
  assert [name for name, state, stage in told if stage == 'train'] == names
  for job in made:
    written = json.loads((job.path / 'evaluation.json').read_text())
    assert written['mean'] == job.seed + 0.5
    log = job.log.read_text()
    assert log.startswith('# 20') and job.stages[0].command in log
    assert 'restoring' in log and '"mean"' not in log
    assert not list(job.path.glob('*.part'))


def test_each_at_a_time_has_cores_of_its_own(tmp_path):
  cores = sorted(os.sched_getaffinity(0))
  made = live(tmp_path, seeds=(0, 1))
  run(made, count=2)
  used = {job.log.read_text().split('cores ')[1].split(']')[0] for job in made}
  assert len(used) == min(2, len(cores))
  assert local.shares([0, 1, 2, 3, 4], 2) == [[0, 2, 4], [1, 3]]
  assert local.shares([0, 1], 3) == [[0], [1], [0]]
  assert local.shares([], 2) == [[], []]


def test_gpus_are_shared_out_as_cores_are(monkeypatch):
  monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '2,5')
  place = local.Local(3, fake)
  shown = [place._variables(i).get('CUDA_VISIBLE_DEVICES') for i in range(3)]
  assert shown == ['2', '5', '2']
  monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '-1')
  assert local.gpus() == []
  assert 'CUDA_VISIBLE_DEVICES' not in local.Local(1, fake)._variables(0)


def test_one_that_fails_is_named_and_the_others_go_on(tmp_path):
  made = live(tmp_path, ('broken', 'killed', 'hollow', 'hill'))
  entries, _ = run(made)
  broken, killed, hollow, hill = entries
  assert (broken.state, broken.stage) == (runner.FAILED, 'train')
  assert broken.said == 'the task broke'
  assert 'ended by SIGKILL, as where memory runs out' in killed.said
  assert hollow.said == 'it has left nothing of its end'
  assert hill.state == runner.DONE
  # The same again: what failed is tried again, what is done is not.
  _, told = run(made)
  assert {name for name, *_ in told} == {
    entry.job.name for entry in (broken, killed, hollow)
  }


def test_a_folder_that_cannot_be_made_is_a_failure_of_its_run(tmp_path):
  (tmp_path / 'plain').mkdir()
  (tmp_path / 'plain' / 'hill').write_text('in the way')
  entries, _ = run(live(tmp_path, ('hill', 'other')))
  assert [entry.state for entry in entries] == [runner.FAILED, runner.DONE]
  assert 'File exists' in entries[0].said


def test_what_is_missing_is_made_again_and_nothing_else(tmp_path):
  made = live(tmp_path, seeds=(0, 1, 2, 3))
  run(made)
  shutil.rmtree(made[1].path)
  (made[2].path / 'evaluation.json').unlink()
  older = dict(checkpoint=8, mean=1.0, returns=[1.0, 1.0])
  (made[3].path / 'evaluation.json').write_text(json.dumps(older))
  _, told = run(made)
  stages = [(name[-1], stage) for name, state, stage in told if stage]
  assert stages == [
    ('1', 'train'),
    ('1', 'evaluate'),
    ('2', 'evaluate'),
    ('3', 'evaluate'),
  ]
  assert (made[0].path / 'calls').read_text() == 'evaluate\n'
  # One that is to go on for longer, and more episodes of an evaluation.
  longer = jobs.live(
    *(tmp_path, [setting(**{'train.episodes': 4})], ['hill'], [0], 2, False)
  )
  assert standing.next_stage(longer[0]).name == 'train'
  more = jobs.live(tmp_path, [setting()], ['hill'], [0], 3, True)
  assert standing.next_stage(more[0]).name == 'evaluate'


@pytest.mark.parametrize(
  'budget,done',
  [
    ({'train.minutes': 2.0}, True),
    ({'train.minutes': 2.1}, False),
    ({'train.env_steps': 700}, True),
    ({'train.env_steps': 701}, False),
  ],
)
def test_a_run_whose_budget_is_spent_is_done(budget, done, tmp_path):
  run(live(tmp_path))
  asked = {'train.episodes': 500, **budget}
  (job,) = live(tmp_path, settings=[setting(**asked)])
  there = json.loads((job.path / 'config.json').read_text())
  there['train'] |= {key.split('.')[1]: x for key, x in asked.items()}
  (job.path / 'config.json').write_text(json.dumps(there))
  *lines, last = (job.path / 'metrics.jsonl').read_text().splitlines()
  last = json.loads(last) | {'wall_seconds': 120.0, 'env_steps': 700}
  lines.append(json.dumps(last))
  (job.path / 'metrics.jsonl').write_text('\n'.join(lines) + '\n')
  assert standing.is_done(job) == done


@pytest.mark.parametrize(
  'name,content',
  [
    ('metrics.jsonl', b'\xff\x00 no lines'),
    ('metrics.jsonl', os.mkfifo),
    ('config.json', b'['),
    ('config.json', b'[1]'),
    ('evaluation.json', b'{"checkpoint": 9, "mean": "x"}'),
    ('evaluation.json', b'7'),
  ],
)
def test_a_damaged_run_is_not_done(name, content, tmp_path):
  (job,) = live(tmp_path)
  run([job])
  assert standing.is_done(job)
  (job.path / name).unlink()
  if callable(content):
    content(job.path / name)
  else:
    (job.path / name).write_bytes(content)
  assert not standing.is_done(job)
  assert standing.of(job).total == 3
  row = results.row(job.path, dict(setting='a', task='b', seed=0, command='c'))
  assert row['state'] in ('begun', 'damaged')


@pytest.mark.parametrize('variance,share', [(0.25, 2.0), (5e-8, None)])
def test_where_all_rewards_are_the_same_an_error_is_no_share(
  variance, share, tmp_path
):
  """An agent that has learned its task stores rewards that hardly vary."""
  (job,) = live(tmp_path)
  run([job])
  path = job.path / 'metrics.jsonl'
  line = json.loads(path.read_text())
  line['open_loop_policy_reward_variance'] = [variance] * 6
  path.write_text(json.dumps(line))
  row = results.row(job.path, dict(setting='a', task='b', seed=0, command='c'))
  assert row.get('reward_1') == share
  assert row['image_1'] == 1.0


def test_they_are_stopped_with_whoever_runs_them(tmp_path):
  (slow, after) = live(tmp_path, ('slow',), (0, 1))
  began = slow.path.parent / 'began'

  def look():
    if began.exists() and began.read_text():
      raise KeyboardInterrupt

  sweep = runner.Runner([slow, after], local.Local(1, fake), look=look)
  start = time.monotonic()
  with pytest.raises(KeyboardInterrupt):
    sweep.run()
  assert time.monotonic() - start < local.SECONDS
  with pytest.raises(ProcessLookupError):
    os.kill(int(began.read_text()), 0)
  assert not after.log.exists()


def test_a_program_ends_with_the_process_that_started_it():
  """However that ends: a killed sweep leaves no training in its runs."""
  child = (
    'import os, sys, time; from worldmodels.agents.programs import bound; '
    'bound.bind(int(sys.argv[1])); print(os.getpid(), flush=True); '
    'time.sleep(60)'
  )
  parent = (
    'import os, subprocess, sys, time; '
    f'subprocess.Popen([sys.executable, "-c", {child!r}, str(os.getpid())]); '
    'time.sleep(60)'
  )
  with subprocess.Popen(
    [sys.executable, '-c', parent], stdout=subprocess.PIPE, text=True, cwd=ROOT
  ) as process:
    pid = int(process.stdout.readline())
    os.kill(pid, 0)
    process.kill()
  deadline = time.monotonic() + 10
  while _runs(pid) and time.monotonic() < deadline:
    time.sleep(0.02)
  runs = _runs(pid)
  if runs:
    os.kill(pid, signal.SIGKILL)
  assert not runs


def _runs(pid):
  try:
    return ') Z ' not in pathlib.Path(f'/proc/{pid}/stat').read_text()
  except (FileNotFoundError, ProcessLookupError):
    return False


# ----------------------------------------------------------------- progress ---


def test_the_table_fits_the_terminal(tmp_path):
  made = live(tmp_path, ('hill', 'broken'), (0, 1))
  entries, _ = run(made)
  lines = progress.table(entries)
  assert lines[0].split() == [
    *('setting', 'task', 'seed', 'state', 'done', 'time', 'value')
  ]
  assert lines[1].split('  ')[-3:] == ['3/3 episodes', '1:00', 'return 0.5']
  assert lines[-1] == '4 runs: 2 done, 2 failed'
  few = progress.table(entries, 4)
  assert len(few) == 4 and all('failed' in line for line in few[1:])


def test_a_pipe_hears_each_minute_how_far_runs_are(
  tmp_path, capsys, monkeypatch
):
  (job,) = live(tmp_path)
  entries = [runner.Entry(job, runner.RUNNING, 'train')]
  shown, now = progress.Progress(False), time.monotonic()
  for seconds, said in ((50, 0), (70, 1), (120, 0), (140, 1)):
    monkeypatch.setattr(time, 'monotonic', lambda at=now + seconds: at)
    shown.look(entries)
    assert capsys.readouterr().out.count(job.name) == said


def test_lines_and_a_table_that_is_drawn_again(tmp_path, capsys):
  entries, _ = run(live(tmp_path, ('hill', 'broken')))
  for table in (False, True):
    shown = progress.Progress(table)
    for entry in entries:
      shown.told(entry)
    shown.look(entries)
    shown.look(entries, last=True)
  plain, drawn = capsys.readouterr().out.split('\x1b', 1)
  assert 'done     plain hill seed 0\n' in plain
  assert 'failed   plain broken seed 0: train: the task broke (' in plain
  assert plain.count('2 runs: 1 done, 1 failed') == 2
  assert drawn.startswith('[4A\x1b[J') and drawn.count('2 runs: ') == 1


# --------------------------------------------------------------- the folder ---


def begin(root, made=None, settings=None, data=None):
  place = directory.SweepDirectory(root)
  settings = settings or [setting()]
  place.begin(settings, made or live(root, settings=settings), data or {})
  return place


def test_two_tasks_of_one_folder_do_not_meet(tmp_path):
  begin(tmp_path, live(tmp_path, ('my.tasks:load',))).leave()
  before = (tmp_path / 'sweep.json').read_bytes()
  with pytest.raises(
    errors.UserError, match="that of 'my.tasks_load' would be"
  ):
    begin(tmp_path, live(tmp_path, ('my.tasks_load',)))
  assert (tmp_path / 'sweep.json').read_bytes() == before


def test_who_is_stopped_while_a_run_starts_runs_no_more(tmp_path):
  class Stopped(local.Local):
    def start(self, *given):
      raise KeyboardInterrupt

  sweep = runner.Runner(live(tmp_path, seeds=(0, 1)), Stopped(1, fake))
  with pytest.raises(KeyboardInterrupt):
    sweep.run()
  assert [entry.state for entry in sweep.entries] == [runner.WAITING] * 2


def test_a_sweep_grows_and_goes_on(tmp_path):
  place = begin(tmp_path, live(tmp_path, seeds=(0, 1)))
  place.leave()
  # Another seed, another setting, and a longer run.
  longer = [setting(**{'train.episodes': 9}), setting('new')]
  place = begin(tmp_path, live(tmp_path, seeds=(2,), settings=longer), longer)
  assert [(x['setting'], x['seed']) for x in place.runs.values()] == [
    *(('plain', 0), ('plain', 1), ('plain', 2), ('new', 2))
  ]


def test_one_program_at_a_time(tmp_path):
  place = begin(tmp_path)
  with pytest.raises(directory.SweepError, match='another program is sweeping'):
    begin(tmp_path)
  place.leave()
  begin(tmp_path)


def test_another_sweep_is_refused_before_anything(tmp_path):
  begin(tmp_path).leave()
  before = (tmp_path / 'sweep.json').read_bytes()
  for options, says in (
    (dict(settings=[setting(**{'kl.scale': 2.0})]), 'kl.scale: as it comes'),
    (dict(data={'hill': '/x'}), 'is a sweep of runs of a task, not of fits'),
  ):
    with pytest.raises(directory.SweepError, match=says) as caught:
      begin(tmp_path, **options)
    assert '\n' not in str(caught.value)
  assert (tmp_path / 'sweep.json').read_bytes() == before
  begin(tmp_path / 'stored', data={'hill': '/x'}).leave()
  with pytest.raises(directory.SweepError, match='the episodes of /x, not of'):
    begin(tmp_path / 'stored', data={'hill': '/y'})
  with pytest.raises(directory.SweepError, match='of fits of stored episodes'):
    begin(tmp_path / 'stored')


@pytest.mark.parametrize(
  'content',
  [
    *('', '{', '[]', '{"settings": {}}', '7' * 100),
    '{"settings": {}, "data": {}, "runs": {"../x": {}}}',
    '{"settings": {}, "data": {}, "runs": {"../x": {"setting": "..", "task": '
    '"x", "seed": 0, "command": ""}}}',
    '{"settings": {"plain": 3}, "data": {}, "runs": {}}',
  ],
)
def test_a_damaged_folder_is_one_line(content, tmp_path):
  (tmp_path / 'sweep.json').write_text(content)
  with pytest.raises(directory.SweepError, match='is damaged: ') as caught:
    begin(tmp_path)
  assert 'remove it' in str(caught.value) and '\n' not in str(caught.value)
  assert (tmp_path / 'sweep.json').read_text() == content
  # As it says.
  (tmp_path / 'plain' / 'hill' / 'seed_0').mkdir(parents=True)
  (tmp_path / 'sweep.json').unlink()
  begin(tmp_path)


def test_what_is_no_folder_of_a_sweep(tmp_path):
  (tmp_path / 'file').write_text('')
  (tmp_path / 'run').mkdir()
  (tmp_path / 'run' / 'config.json').write_text('{}')
  (tmp_path / 'thesis').mkdir()
  (tmp_path / 'thesis' / 'text').write_text('words')
  for name, says in (
    ('file', 'is no directory'),
    ('run', 'is a run, not the folder of a sweep'),
    ('thesis', 'is not empty and holds no sweep.json'),
  ):
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(directory.SweepError, match=says):
      begin(tmp_path / name)
    assert sorted(tmp_path.rglob('*')) == before


# --------------------------------------------------------------- the tables ---


def finished(root, capsys, tasks=('hill',), seeds=(0, 2), probes=True):
  made = live(root, tasks, seeds, probes)
  place = begin(root, made)
  failed = outcome.of(
    place, made, local.Local(1, fake), 'worldmodels sweep', '1'
  )
  place.leave()
  return failed, capsys.readouterr().out


def read(root):
  return list(csv.DictReader(io.StringIO((root / 'table.csv').read_text())))


def test_what_came_of_it_is_in_tables_and_a_report(tmp_path, capsys):
  failed, printed = finished(tmp_path, capsys)
  assert not failed and '2 runs: 2 done' in printed
  first, second = read(tmp_path)
  about = {key: first[key] for key in ('setting', 'task', 'seed', 'state')}
  assert [*about.values()] == ['plain', 'hill', '0', 'done']
  assert (first['return'], second['return']) == ('0.5', '2.5')
  assert first['return_episodes'] == '2' and first['return_of'] == 'evaluate'
  assert (first['image_1'], second['image_5']) == ('1', '3')
  assert first['image_of_copy_5'] == '2' and first['reward_of_copy_1'] == '2'
  assert first['reward_5'] == first['probe_place'] == '0.5'
  assert first['kl'] == '3' and first['minutes'] == '1'
  assert first['command'].startswith('worldmodels train --config=planet:debug')
  assert [first[key] for key in ('commit', 'machine', 'cores', 'python')] == [
    *('abc', 'a machine', '1', '3.11')
  ]
  text = (tmp_path / 'table.md').read_text()
  assert '| plain | hill | 2 | 1.5 ± 1.4 | 2 ± 1.41 / 2 ± 1.41 / – |' in text
  assert (
    '| plain | hill | 0 | done | 0.5 ± 0.5 of 2 episodes | 1 / 1 / – |' in text
  )
  assert f'    {first["command"]}\n' in text
  page = (tmp_path / 'report.html').read_text()
  assert '2 runs: hill' in page and 'mean of 2 seeds' in page
  points = (tmp_path / 'scores.csv').read_text().splitlines()
  assert len(points) == 5 and ',end,' in points[1]
  # `report` finds the runs of a sweep by itself.
  assert len(records.read([str(tmp_path)])) == 2


def test_what_failed_is_in_the_table_and_told(tmp_path, capsys):
  failed, printed = finished(tmp_path, capsys, ('hill', 'broken'), (0,))
  assert failed == ['plain broken seed 0 (train: the task broke)']
  assert 'failed   plain broken seed 0: train: the task broke (' in printed
  rows = {row['task']: row for row in read(tmp_path)}
  assert rows['broken']['state'] == 'failed'
  assert rows['broken']['said'] == 'train: the task broke'
  assert rows['hill']['return'] == '0.5'


def test_runs_of_an_earlier_command_stay_in_the_tables(tmp_path, capsys):
  finished(tmp_path, capsys, seeds=(0,))
  finished(tmp_path, capsys, seeds=(1,))
  states = [(row['seed'], row['state']) for row in read(tmp_path)]
  assert states == [('0', 'of an earlier command'), ('1', 'done')]
  assert [row['return'] for row in read(tmp_path)] == ['0.5', '1.5']


def test_a_run_that_waits_is_not_of_an_earlier_command(tmp_path):
  made = live(tmp_path, seeds=(0, 1, 2))
  place = begin(tmp_path, made)
  entries, _ = run(made[:1])
  entries += [runner.Entry(job) for job in made[1:]]
  written = outcome.Written(place, 'worldmodels sweep')
  written.update(entries[:1], entries)
  assert [row['state'] for row in read(tmp_path)] == ['done'] + ['waiting'] * 2
  assert '| plain | hill | 1 of 3 |' in (tmp_path / 'table.md').read_text()
  place.leave()


@pytest.mark.parametrize('updates,ended', [(100, False), (700, True)])
def test_a_fit_is_at_its_end_or_not(tmp_path, updates, ended):
  path = tmp_path / 'run'
  path.mkdir()
  config = dict(task='hill', train=dict(updates_total=700))
  (path / 'config.json').write_text(json.dumps(config))
  line = dict(env_steps=1, episodes=1, updates=updates, wall_seconds=1.0)
  (path / 'metrics.jsonl').write_text(json.dumps(line) + '\n')
  about = dict(setting='a', task='hill', seed=0, command='c')
  assert results.row(path, about)['ended'] == ended


def test_the_mean_is_that_of_the_seeds_that_are_done():
  rows = [
    dict(setting='a', task='b', seed=seed, state=state, command='c') | more
    for seed, (state, more) in enumerate(
      [
        (runner.DONE, {'return': 900.0, 'image_5': 2.0}),
        (runner.WAITING, {'return': 100.0, 'image_1': 9.0, 'image_5': 9.0}),
        (results.EARLIER, {'return': 800.0, 'ended': True}),
        (results.EARLIER, {'return': 0.0, 'ended': False}),
        (results.EARLIER, {}),
      ]
    )
  ]
  text = tables.as_markdown(rows, 'x').decode()
  assert '| a | b | 2 of 5 | 850.0 ± 70.7 | – / 2 (1 known) / – |' in text
  # A column of step 5 alone is one, and stays in its place.
  text = tables.as_markdown(rows[:1], 'x').decode()
  assert '| a | b | 1 | 900.0 | – / 2 / – |' in text


def test_a_score_that_the_run_has_passed_is_not_its_own(tmp_path):
  """The run goes on for longer, and has evaluated itself since."""
  (job,) = live(tmp_path, probes=True)
  run([job])
  about = dict(setting='a', task='b', seed=0, command='c')
  row = results.row(job.path, about)
  assert (row['return'], row['return_of']) == (0.5, 'evaluate')
  assert row['probe_place'] == 0.5
  path = job.path / 'metrics.jsonl'
  line = json.loads(path.read_text()) | dict(updates=12, evaluation_return=7.0)
  del line['last_evaluation_mean']
  with open(path, 'a') as file:
    file.write(json.dumps(line) + '\n')
  row = results.row(job.path, about)
  assert row['return_of'] != 'evaluate' and 'probe_place' not in row


def test_a_finished_run_of_another_config_is_not_that_of_the_job(tmp_path):
  heavy = setting(**{'kl.scale': 2.0, 'encoder.channels': (4,)})
  (job,) = live(tmp_path, settings=[heavy])
  run([job])
  path = job.path / 'config.json'
  config = json.loads(path.read_text())
  same = dict(kl={'scale': 2.0}, encoder={'channels': [4]})
  for values, done in (
    (same, True),
    (dict(kl={'scale': 99.0}), False),
    (dict(encoder={'channels': [5]}), False),
    (dict(task='juggle'), False),
    (dict(seed=7), False),
    (dict(preset='another'), True),
  ):
    path.write_text(json.dumps(config | values))
    assert standing.is_done(job) == done, values
  # What the task decides is no difference.
  (job,) = live(tmp_path, settings=[setting(**{'planner.kind': 'auto'})])
  path.write_text(json.dumps(config | dict(planner={'kind': 'cem'})))
  assert standing.is_done(job)


def test_features_are_probed_where_there_is_a_model(tmp_path):
  free = jobs.Setting('free', 'model_free:debug', {}, BUDGET)
  made = live(tmp_path, probes=True, settings=[setting(), free])
  assert [len(job.stages) for job in made] == [3, 2]


def test_no_figures_are_no_report(tmp_path, capsys):
  _, printed = finished(tmp_path, capsys, ('broken',), (0,))
  assert 'report     none: no run has figures yet' in printed
  assert not (tmp_path / 'report.html').exists()
  assert read(tmp_path)[0]['state'] == 'failed'


def test_a_table_is_a_table_whatever_is_in_it():
  row = dict(setting='a', task='b|<x>\n', seed=0, state='done', command='c`\nd')
  text = tables.as_markdown([row | {'return': 1.0}], 'x\ny').decode()
  assert '| a | b\\|\\<x\\> | 1 | 1.0 |' in text and '    x y\n' in text
  (read,) = csv.DictReader(io.StringIO(tables.as_csv([row]).decode()))
  assert read['task'] == 'b|<x>\n'
  several = [row, row | {'return': 2.0}, row | {'return': 4.0}]
  text = tables.as_markdown(several, 'x').decode()
  assert '| 3 | 3.0 ± 1.4 (2 known) |' in text
