"""Tests of where a process is among those that learn together."""

import json

import pytest

from worldmodels.agents.runs import team_place
from worldmodels.configs import dreamer
from worldmodels.configs import planet

TWO = ['one:2222', 'two:2222']


def told(worker=TWO, kind='worker', index=0, **jobs):
  return {
    'TF_CONFIG': json.dumps(
      {
        'cluster': {'worker': worker, **jobs},
        'task': {'type': kind, 'index': index},
      }
    )
  }


def config(batch=4, **values):
  found = dreamer.get_config('debug')
  found.train.batch = batch
  found.update_from_flattened_dict(values)
  return found


def refused(variables, learners=2):
  with pytest.raises(team_place.PlaceError) as caught:
    team_place.of(learners, variables)
  assert '\n' not in str(caught.value)
  return str(caught.value)


def test_one_learner_is_nothing_special_whatever_TF_CONFIG_says():
  assert team_place.of(1, told('nonsense')) == team_place.Place()
  team_place.Place().check(config(batch=3))


def test_without_a_GPU_each_learner_is_a_process_of_loopback():
  place = team_place.of(3, {'CUDA_VISIBLE_DEVICES': ''})
  assert place.starts and place.number == 0 and place.local == 1
  assert len({*place.addresses}) == 3
  assert all(x.startswith('127.0.0.1:') for x in place.addresses)


def test_GPUs_are_of_one_process():
  place = team_place.of(2, {'CUDA_VISIBLE_DEVICES': '0,1'})
  assert place == team_place.Place(2)
  assert place.local == 2


def test_others_are_told_where_they_are():
  place = team_place.of(2, {'CUDA_VISIBLE_DEVICES': '-1'})
  other = team_place.of(2, {'TF_CONFIG': place.variable(1)})
  assert other.addresses == place.addresses
  assert other.number == 1 and not other.starts


def test_the_processes_of_a_user_are_those_of_TF_CONFIG():
  place = team_place.of(4, told(index=1))
  assert place == team_place.Place(4, tuple(TWO), 1)
  assert place.local == 2


def test_a_chief_comes_before_the_workers():
  jobs = {'chief': ['zero:1'], 'worker': TWO}
  assert team_place.of(3, told(kind='chief', **jobs)).number == 0
  assert team_place.of(3, told(index=1, **jobs)).number == 2


@pytest.mark.parametrize(
  ('variables', 'problem'),
  [
    ({'TF_CONFIG': '{'}, 'is no JSON'),
    ({'TF_CONFIG': '[' * 100_000}, 'is no JSON'),
    ({'TF_CONFIG': '[1]'}, 'has no object "cluster"'),
    ({'TF_CONFIG': '{"cluster": {}, "task": 3}'}, 'has no object "task"'),
    (told([]), 'names no worker'),
    (told('one:1'), 'has no list of addresses for "worker"'),
    (told(['one']), "has the address 'one'; it is HOST:PORT"),
    (told(['one:0', 'two:1']), "has the address 'one:0'"),
    (told(['one:99999', 'two:1']), "has the address 'one:99999'"),
    (told([1, 2]), 'has the address 1'),
    (told(['one:1', 'one:1']), 'one address to two processes'),
    (told(index=2), 'this is worker 2; there are worker 0, worker 1'),
    (told(index=True), 'this is worker True'),
    (told(index='0'), 'this is worker 0'),
    (told(index=[]), 'this is worker []'),
    (told(ps=['three:1']), "has a job 'ps'"),
  ],
)
def test_a_TF_CONFIG_without_sense_is_one_line(variables, problem):
  assert problem in refused(variables)


def test_learners_are_the_same_in_each_process():
  assert '--learners=3, but TF_CONFIG names 2' in refused(told(), 3)


def test_a_batch_that_cannot_be_shared_is_one_line():
  with pytest.raises(team_place.PlaceError) as caught:
    team_place.Place(2).check(config(batch=5))
  assert 'train.batch is 5' in str(caught.value)
  assert '--config.train.batch=4 or 6' in str(caught.value)
  with pytest.raises(team_place.PlaceError, match='batch=4, or another'):
    team_place.Place(4).check(config(batch=3))
  team_place.Place(2).check(config(batch=4))


def test_starts_that_cannot_be_shared_are_one_line():
  with pytest.raises(team_place.PlaceError, match='learner.starts is 9'):
    team_place.Place(2).check(config(**{'learner.starts': 9}))
  team_place.Place(2).check(config(**{'learner.starts': 0}))
  found = planet.get_config('debug')  # It has no learner.
  found.train.batch = 4
  team_place.Place(2).check(found)


def test_a_store_that_drops_episodes_meanwhile_is_one_line():
  found = config(**{'store.capacity': 1000, 'train.overlap': True})
  with pytest.raises(team_place.PlaceError, match='or train.overlap=false$'):
    team_place.Place(2).check(found)
  found.train.overlap = False
  team_place.Place(2).check(found)
  with pytest.raises(team_place.PlaceError, match='or no --collectors$'):
    team_place.Place(2).check(found, collectors=True)
  team_place.Place().check(found, collectors=True)
