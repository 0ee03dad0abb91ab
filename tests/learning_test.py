"""What is said and kept of updates; loop_test and fit_test do whole runs."""

import types

import numpy as np
import pytest
import tensorflow as tf

from worldmodels.agents.runs import checkpoint
from worldmodels.agents.runs import checkpoint_list
from worldmodels.agents.runs import learning
from worldmodels.agents.runs import memory
from worldmodels.agents.runs.run_directory import RunDirectory
from worldmodels.agents.runs.run_directory import RunError
from worldmodels.configs import planet


class Agent:
  """Its weight is the count of its updates; from `bad` on they are skipped."""

  def __init__(self, bad=99):
    self.path, self.value = 'weight', np.float32(0)
    self.state_variables = [self]
    self._bad, self.skipped = bad, (0, 0)

  def numpy(self):
    return self.value

  def assign(self, value):
    self.value = value

  def train(self, batch, seed):
    del seed
    self.value = np.float32(self.value + 1)
    if self.value >= self._bad:
      self.skipped = tuple(count + 1 for count in self.skipped)
    return {'loss': float(np.mean(batch['reward']))}


class Batches:
  """Batches whose reward is the number of their update."""

  def chunks(self, *_, start, limit, fixed, part, **drawn):
    del limit, fixed, part
    self.drawn = drawn
    self.number = start - 1
    return self

  def __next__(self):
    self.number += 1
    return {'reward': np.full([2, 3], self.number, np.float32)}

  def close(self):
    pass


def make(path, agent, **options):
  config = planet.get_config('debug')
  options = dict(on_update=str, advice='look at it') | options
  return learning.Learning(config, RunDirectory(path), agent, str, **options)


def test_figures_are_means_and_updates_are_told(tmp_path):
  told = []
  made = make(tmp_path, Agent(), on_update=told.append)
  assert not made.begun
  assert made.learn(Batches(), 4)['loss'] == 1.5
  assert made.learn(Batches(), 6)['loss'] == 4.5
  assert told == [1, 2, 3, 4, 5, 6] and made.updates == 6
  values = made.learn(Batches(), 6)  # There is nothing to be done.
  assert values.keys() == {'update_seconds', 'skipped_updates'}


def test_a_batch_is_changed_before_its_update(tmp_path):
  def change(batch, update):
    return {'reward': batch['reward'] + 10 * update}

  assert (
    make(tmp_path, Agent(), change=change).learn(Batches(), 3)['loss'] == 11
  )


def test_chunks_are_drawn_as_the_config_says(tmp_path):
  made, batches = make(tmp_path, Agent()), Batches()
  made._config.train.update(margin=0.5, recency=0.25)
  made.learn(batches, 1)
  assert batches.drawn == {'margin': 0.5, 'recency': 0.25}


def test_it_goes_on_from_its_checkpoint(tmp_path):
  made, agent = make(tmp_path, Agent()), Agent()
  made.learn(Batches(), 3)
  made.save(types.SimpleNamespace(sync=lambda: None, wall_seconds=7.5))
  again = make(tmp_path, agent)
  assert again.begun and (again.updates, again.wall_seconds) == (3, 7.5)
  assert agent.value == 3
  assert again.learn(Batches(), 5)['loss'] == 3.5 and agent.value == 5


def test_many_updates_in_a_row_that_are_skipped_end_it(tmp_path):
  """With the last checkpoint, and what whoever learns says to do."""
  made = make(tmp_path, Agent(bad=4))
  made.save(types.SimpleNamespace(sync=lambda: None, wall_seconds=0.0))
  match = r'20 updates in a row .*last update 23.*/00000000: look at it$'
  with pytest.raises(RunError, match=match):
    made.learn(Batches(), 99)


@pytest.mark.parametrize('where', ['update', 'batch'])
def test_an_update_without_room_names_what_makes_it_large(where, tmp_path):
  """Whether it is the batch that does not fit, or what is computed of it."""
  closed = []

  class Full(Agent, Batches):
    def train(self, batch, seed):
      raise tf.errors.ResourceExhaustedError(None, None, 'OOM when allocating')

    def __next__(self):
      if where == 'batch':
        raise MemoryError
      return super().__next__()

    def close(self):
      closed.append(self)

  full = Full()
  with pytest.raises(memory.OutOfMemoryError) as caught:
    make(tmp_path, full).learn(full, 1)
  line = str(caught.value)
  assert line.startswith('out of memory: no room for an update')
  assert 'train.batch is 3, --config.train.batch=1 may fit' in line
  assert line.endswith('(or lower train.length)') and '\n' not in line
  assert closed == [full]


def test_weights_that_are_not_finite_are_not_kept(tmp_path):
  """The norm of each step was finite; what it made of the weights is not."""
  agent = Agent()
  made = make(tmp_path, agent)
  metrics = types.SimpleNamespace(sync=lambda: None, wall_seconds=0.0)
  made.save(metrics)
  agent.value = np.float32(np.inf)
  message = '1 of 1 variables are not finite .*checkpoints/00000000: lower opt'
  with pytest.raises(checkpoint.CheckpointError, match=message):
    made.learn(Batches(), 1)
  with pytest.raises(checkpoint.CheckpointError, match='not finite'):
    made.save(metrics)
  assert checkpoint_list.check(tmp_path / 'checkpoints')['updates'] == 0


def test_figures_are_on_disk_before_the_checkpoint_that_counts_them(
  tmp_path, monkeypatch
):
  done = []
  monkeypatch.setattr(
    checkpoint, 'save', lambda *_, **__: done.append('checkpoint')
  )
  metrics = types.SimpleNamespace(
    sync=lambda: done.append('sync'), wall_seconds=0.0
  )
  make(tmp_path, Agent()).save(metrics)
  assert done == ['sync', 'checkpoint']
