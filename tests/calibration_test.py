"""How well models of one step know what they do not: known answers, a run."""

import json

import numpy as np
import pytest

from worldmodels.agents.runs import calibration


def test_a_gaussian_that_is_right_is_measured_so():
  random = np.random.default_rng(0)
  mean = random.normal(size=20000)
  deviation = np.exp(random.normal(scale=0.3, size=mean.shape))
  values = mean + deviation * random.normal(size=mean.shape)
  found = calibration.measures(mean, deviation, values)
  # The entropy of a Gaussian.
  golden = 0.5 * np.log(2 * np.pi * np.e) + np.log(deviation).mean()
  assert found['nll'] == pytest.approx(golden, abs=0.02)
  assert found['coverage_50'] == pytest.approx(0.5, abs=0.015)
  assert found['coverage_90'] == pytest.approx(0.9, abs=0.01)
  assert found['sharpness'] == pytest.approx(deviation.mean())
  # One that is too sure, and one that is not sure enough.
  sure = calibration.measures(mean, deviation / 3, values)
  vague = calibration.measures(mean, deviation * 3, values)
  assert sure['coverage_90'] < 0.5 and vague['coverage_50'] > 0.9
  assert min(sure['nll'], vague['nll']) > found['nll'] + 0.3
  assert sure['rms_error'] == found['rms_error']


def world(count, seed):
  """Noise of deviation 0.3 around a curve, of two numbers."""
  random = np.random.default_rng(seed)
  x = random.uniform(-1.5, 1.5, [count, 2]).astype(np.float32)
  y = np.stack([np.sin(2 * x[:, 0]), x[:, 1] ** 2], -1)
  y = (y + 0.3 * random.normal(size=y.shape)).astype(np.float32)
  return calibration.Pairs(x, y[:, :1], y)


def test_each_kind_is_calibrated_where_there_are_data():
  rows = calibration.compare(world(256, 0), world(256, 1), [256, 999], 250, 0)
  assert [(row['kind'], row['target']) for row in rows] == [
    (kind, target)
    for kind in calibration.KINDS
    for target in ('reward', 'state')
  ]
  for row in rows:
    assert row['data'] == 256  # There are no 999.
    assert 0.3 < row['coverage_50'] < 0.7 and row['coverage_90'] > 0.75, row
    assert row['rms_error'] < 0.45 and 0.2 < row['sharpness'] < 0.6, row
    # That of the noise is 0.21.
    assert row['nll'] < 0.8, row


def test_what_a_run_prints(wheel_program):
  done = wheel_program(
    *('calibrate', '--logdir=example:hill', '--sizes=32,4096', '--updates=3')
  )
  assert done.returncode == 0, done.stderr
  found = json.loads(done.stdout)
  assert found['task'] == 'hill' and found['test_steps'] == 100
  assert len(found['rows']) == 6 and found['training_steps'] == 200
  assert all(np.isfinite(row['nll']) for row in found['rows'])
  assert 'gaussian_process' in done.stderr
  assert found['left_out'] == [4096]
  assert '--sizes: 4096 left out: there are 200 steps' in done.stderr


@pytest.mark.parametrize(
  'flags,told',
  [
    (('--logdir=example:hill', '--sizes=x,2'), "--sizes is 'x,2'; it is whole"),
    (('--logdir=example:hill', '--sizes=5000'), 'has 200 steps to learn from'),
  ],
)
def test_what_is_wrong_is_said_in_one_line(flags, told, program):
  done = program('calibrate', *flags)
  assert done.returncode in (1, 2) and not done.stdout
  assert done.stderr.count('\n') == 1 and told in done.stderr
