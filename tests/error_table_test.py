"""The table of open-loop errors that `video` prints."""

import numpy as np
import pytest
import tensorflow as tf

from worldmodels import prediction
from worldmodels.agents.runs import error_table


@pytest.mark.parametrize('name,unit', [('image', 'frame'), ('speed', 'step')])
def test_rows_of_the_steps_and_a_count(monkeypatch, name, unit):
  """By hand: of 7 steps the model is below both baselines at three."""
  errors = {
    name: [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0],
    f'copy_{name}': [2.0, 3.0, 3.5, 3.0, 9.0, 9.0, 9.0],
    f'mean_{name}': [1.5, 2.5, 3.2, 9.0, 4.0, 4.0, 4.0],
    'reward': [0.25] * 7,
    'reward_variance': [0.5] * 7,
  }
  found = {key: tf.constant(value) for key, value in errors.items()}
  monkeypatch.setattr(prediction, 'errors', lambda *_: found)
  batch = {'reward': np.zeros([3, 9], np.float32)}
  text = error_table.table(None, batch, 2)
  assert 'mean of 3 chunks, 2 steps observed' in text
  assert f'{name}, nats per {unit} ' in text
  rows = [line.split() for line in text.splitlines() if line[:4].strip()]
  rows = [row for row in rows if row[0].isdigit()]
  assert [row[0] for row in rows] == ['1', '5', '7']
  assert rows[1][1:] == ['5.00', '9.00', '4.00', '0.25', '0.5']
  assert f'the {name} is below both baselines at 3 of 7 steps' in text
