"""What of a task is seen; gymnasium_tasks_test has what Gymnasium shows."""

import pytest

from worldmodels import errors
from worldmodels.data import environments
from worldmodels.data import frames
from worldmodels.data import view


def test_a_task_that_draws_itself_may_be_seen_without_its_image():
  env = environments.make('juggle', 0, image='none', vectors=['bat'])
  assert list(env.observation_spec()) == ['bat']
  assert list(env.reset(0).observation) == ['bat']
  env = environments.make('juggle', 0, image='observed')
  assert list(env.observation_spec()) == ['image']


def test_a_vector_with_a_name_of_episodes_is_not_left_out_in_silence():
  task = 'tests.strange_tasks:Named'
  with pytest.raises(environments.TaskError, match="'action' has a name that"):
    environments.make(task, 0, image='none')
  env = environments.make(task, 0, image='none', vectors=['a/b'])
  assert list(env.observation_spec()) == ['a/b']


def test_a_task_without_anything_to_draw_says_what_can_be_done():
  task = 'tests.strange_tasks:blind'
  with pytest.raises(environments.TaskError, match='environment.image=none'):
    environments.make(task)


@pytest.mark.parametrize('options', [dict(quality='best'), dict(image='maybe')])
def test_options_are_among_those_there_are(options):
  (name,) = options
  with pytest.raises(errors.OptionError, match=f'{name} is .*; it is one of'):
    view.View(frames.Framing(), **options)


def test_what_is_no_environment_of_gymnasium_stays_as_it_is():
  seen, other = view.View(frames.Framing()), object()
  assert seen.adapt('task', other, 0) is other
