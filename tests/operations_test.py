"""Whether the programs ask for deterministic operations as the config says."""

import pathlib

import pytest
import tensorflow as tf

from worldmodels.agents.runs import operations
from worldmodels.configs import planet

PROGRAMS = pathlib.Path(__file__).parent.parent / 'agents' / 'programs'


@pytest.mark.parametrize('wanted', [True, False])
def test_the_value_is_passed_on(wanted, monkeypatch):
  asked = []
  monkeypatch.setattr(
    tf.config.experimental, 'enable_op_determinism', lambda: asked.append(1)
  )
  config = planet.get_config('debug')
  assert config.train.deterministic_ops is False
  config.train.deterministic_ops = wanted
  operations.make_deterministic(config)
  assert asked == [1] * wanted


@pytest.mark.parametrize('program', ['train', 'evaluate', 'video'])
def test_a_program_that_computes_asks_before_there_is_an_agent(program):
  text = (PROGRAMS / f'{program}.py').read_text()
  asks = text.index('  operations.make_deterministic(config)\n')
  makes = 'loop.Training(' if program == 'train' else 'restore.agent('
  assert asks < text.index(makes)
