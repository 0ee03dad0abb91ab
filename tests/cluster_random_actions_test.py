"""Tests of random actions without TensorFlow, against those with it."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from worldmodels.agents import uniform
from worldmodels.agents.cluster import random_actions
from worldmodels.agents.runs import collect
from worldmodels.spec import Spec

SEEDS = [(0, 0), (1, 0), (0, 1), (1942027521, 7), (2**31 - 1, 999)]


@pytest.mark.parametrize('seed', SEEDS)
@pytest.mark.parametrize('count', [1, 3, 4, 5, 38])
def test_numbers_are_those_of_tensorflow(seed, count):
  wanted = tf.random.stateless_uniform([count], tf.constant(seed, tf.int32))
  assert random_actions.uniform(seed, count).tolist() == wanted.numpy().tolist()


@pytest.mark.parametrize('actions,discrete', [(1, 0), (6, 0), (2, 1), (18, 1)])
@pytest.mark.parametrize('count', [1, 3])
def test_actions_are_those_of_the_agent(actions, discrete, count):
  spec = Spec(
    actions=actions, discrete=bool(discrete), image=None, vectors={'x': 1}
  )
  agent = uniform.Agent(spec=spec)
  seen, first = {'x': np.zeros([count, 1], np.float32)}, np.zeros(count, bool)
  for seed in (0, 3, 1942027521):
    wanted = collect.actions_of(agent, count, True, seed)
    act = random_actions.acts(spec, count, True, seed)
    for step in (0, 1, 500):
      found, expected = act(seen, first, step), wanted(seen, first, step)
      assert found.dtype == expected.dtype == np.float32
      np.testing.assert_array_equal(found, expected)


def test_no_tensorflow_is_imported():
  text = (
    'import sys; from worldmodels.agents.cluster import random_actions, actor; '
    'assert not {"tensorflow", "keras", "ray"} & {*sys.modules}'
  )
  subprocess.run([sys.executable, '-c', text], check=True)
