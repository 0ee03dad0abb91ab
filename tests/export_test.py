"""Small copies of runs: what they hold, and what can be done with them."""

import json
import shutil

import numpy as np
import pytest

from worldmodels import errors
from worldmodels.agents.runs import build
from worldmodels.agents.runs import export
from worldmodels.agents.runs import restore
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.data.store import Store


@pytest.fixture(scope='module')
def copy(debug_run, program, tmp_path_factory):
  """A run, its copy, and what making it printed."""
  out = tmp_path_factory.mktemp('export') / 'copy'
  done = program(
    'export', f'--logdir={debug_run}', f'--out={out}', '--episodes=2'
  )
  assert done.returncode == 0, done.stderr
  return RunDirectory(debug_run), RunDirectory(out), done.stdout


def agent(directory):
  return restore.agent(directory, directory.load(), directory.spec())


def test_it_acts_as_the_run_does(copy):
  (mine, counters), (theirs, expected) = agent(copy[1]), agent(copy[0])
  assert counters['updates'] == expected['updates']
  assert copy[0].load().optimizer.average > 0  # Which has to act in both.
  pairs = zip(mine.acting_variables, theirs.acting_variables, strict=True)
  for variable, value in pairs:
    np.testing.assert_array_equal(variable.numpy(), value.numpy())
  # So does a copy of it, such as `compare` makes.
  other = build.agent(copy[1].load(), copy[1].spec())
  other.copy_from(mine)
  pairs = zip(other.acting_variables, theirs.acting_variables, strict=True)
  for variable, value in pairs:
    np.testing.assert_array_equal(variable.numpy(), value.numpy())


def test_it_is_small_and_has_the_last_episodes(copy):
  run, out, printed = copy
  original, kept = (Store(x.heldout, reading=True) for x in (run, out))
  assert kept.numbers == original.numbers[-2:]
  for mine, theirs in ((0, -2), (1, -1)):
    expected = original.episode(original.episodes + theirs)
    found = kept.episode(mine)
    assert found.keys() == expected.keys()
    for key, value in expected.items():
      np.testing.assert_array_equal(found[key], value)
  sizes = [
    sum(x.stat().st_size for x in path.rglob('*.npz'))
    for path in (out.checkpoints, sorted(run.checkpoints.iterdir())[-1])
  ]
  assert sizes[0] < 0.5 * sizes[1]
  for name in ('config.json', 'spec.json', 'versions.json', 'metrics.jsonl'):
    content = (out.path / name).read_bytes()
    assert content == (run.path / name).read_bytes()
  assert not list(out.path.rglob('*.tmp'))
  assert str(out.path) in printed and ' MB' in printed


def test_it_is_evaluated_and_not_trained(copy, program):
  done = program('evaluate', f'--logdir={copy[1].path}', '--episodes=1')
  assert done.returncode == 0, done.stderr
  assert json.loads(done.stdout)['task'] == 'hill'
  done = program(
    'train',
    f'--logdir={copy[1].path}',
    '--config=planet:debug',
    '--config.task=hill',
  )
  assert done.returncode == 1 and done.stderr.count('\n') == 1, done.stderr
  assert 'was exported: it has the weights and no optimizer' in done.stderr


@pytest.mark.parametrize(
  'out,says', [('', 'a path'), ('here', 'there already'), ('no/x', 'there is')]
)
def test_where_it_cannot_be(tmp_path, monkeypatch, out, says):
  monkeypatch.chdir(tmp_path)
  (tmp_path / 'here').mkdir()
  with pytest.raises(errors.OptionError, match=says):
    export.check_out(out)


def test_a_run_without_held_out_episodes(copy, tmp_path):
  run = tmp_path / 'run'
  shutil.copytree(copy[0].path, run, ignore=shutil.ignore_patterns('heldout'))
  made, counters = agent(RunDirectory(run))
  out = tmp_path / 'out'
  export.write(RunDirectory(run), out, made, counters['updates'], 4)
  assert not (out / 'heldout').exists() and (out / 'checkpoints').exists()
