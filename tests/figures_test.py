import numpy as np

from worldmodels.agents.runs import figures

END = dict(
  last_evaluation_mean=81.6,
  last_evaluation_std=4.4,
  last_evaluation_returns=[1.0, 2.0],
)


def test_the_result_has_a_random_policy_beside_it():
  assert figures.result(END, 61.0) == (
    'evaluation mean 81.60 +- 4.40 over 2 episodes, 1:01 in all'
  )
  assert figures.result({**END, 'random_mean': -9.876}, 3661.0) == (
    'evaluation mean 81.60 +- 4.40 over 2 episodes, random policy -9.88, '
    '1:01:01 in all'
  )


def test_errors_are_those_of_images_or_else_of_the_first_vector():
  steps = np.arange(1.0, 21.0)
  image = {
    'open_loop_random_image': steps,
    'open_loop_random_copy_image': steps,
    'open_loop_policy_image': 100 * steps,
  }
  assert figures.open_loop(image) == (
    '  open loop, nats at step 1/5/15: random 1.0/5.0/15.0  '
    'policy 100.0/500.0/1500'
  )
  vectors = {
    'open_loop_policy_speed': steps[:7],
    'open_loop_policy_copy_speed': steps[:7],
    'open_loop_policy_mean_speed': steps[:7],
    'open_loop_policy_reward': steps[:7],
  }
  assert figures.open_loop(vectors) == (
    '  open loop of speed, nats at step 1/5: policy 1.0/5.0'
  )
  assert figures.open_loop({'return': 3.0}) is None


def test_a_budget_is_said_where_there_is_one():
  assert figures.budget(0) == ''
  assert figures.budget(500) == ' or 500 env_steps, whichever is first'
  bounds = [figures.bound(*x) for x in ((0, 0), (9, 0), (0, 1.5), (9, 1.5))]
  assert bounds == ['', 'at least ', 'at most ', 'about ']
  assert figures.budget(0, 90.0) == ' or 90 minutes, whichever is first'
  assert figures.budget(7, 1.5) == (
    ' or 7 env_steps or 1.5 minutes, whichever is first'
  )
