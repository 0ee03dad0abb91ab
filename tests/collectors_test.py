"""Figures of collectors are taken on Ray, at sizes that mean nothing."""

import json
import time

import numpy as np

from worldmodels.agents.benchmark import collectors
from worldmodels.agents.benchmark import cost
from worldmodels.agents.benchmark import sleeping


def test_the_task_sleeps_and_is_a_function_of_its_seed():
  images = []
  for seed in (3, 3, 4):
    task = sleeping.load_short(seed)
    timesteps, start = [task.reset()], time.monotonic()
    while not timesteps[-1].last():
      timesteps.append(task.step(np.array([0.5], np.float32)))
    assert time.monotonic() - start >= 5 * sleeping.SECONDS
    assert len(timesteps) == 6 and timesteps[-1].discount == 1
    assert timesteps[-1].reward == 0.5
    images.append(timesteps[0].observation['image'])
  assert np.array_equal(*images[:2]) and not np.array_equal(*images[1:])


def test_collectors_are_compared_with_a_local_one(program, tmp_path):
  written = tmp_path / 'figures.json'
  done = program(
    *('benchmark', '--work=collectors', '--preset=paper', '--sizes=tiny'),
    *('--repeats=2', f'--json={written}'),
    fresh=True,
  )
  assert done.returncode == 0, done.stderr
  lines = {x['what']: x for x in json.loads(written.read_text())['figures']}
  assert {line['work'] for line in lines.values()} == {'W10'}
  what = 'sleeping 10 ms a step, at random'
  one, two = (lines[f'{what}, {x}'] for x in ('1 collector', '2 collectors'))
  assert 0 < lines[f'{what}, local']['value'] < 1 / sleeping.SECONDS
  assert 0 < one['value'] < 1 / sleeping.SECONDS
  share = lines['share of 2 times one']
  assert share['goal'] == f'>= {collectors.LINEAR}'
  assert abs(share['value'] - two['value'] / (2 * one['value'])) < 1e-6
  overhead = lines['time of 1 collector beyond the local one, as a share']
  assert overhead['goal'] == f'<= {collectors.OVERHEAD}'
  assert cost.cluster_of(str(written), []).lease_ms > 0


def test_without_ray_it_is_one_line(program, tmp_path):
  hidden = tmp_path / 'sitecustomize.py'
  hidden.write_text(
    'import importlib.util as u\n'
    'found = u.find_spec\n'
    "u.find_spec = lambda n, *p: None if n == 'ray' else found(n, *p)\n"
  )
  done = program(
    *('benchmark', '--work=collectors', '--preset=paper', '--sizes=tiny'),
    fresh=True,
    PYTHONPATH=str(tmp_path),
  )
  assert done.returncode == 1
  first, last = done.stderr.splitlines()
  assert 'worldmodels-tf[cluster]' in first and 'Traceback' not in first
  assert last == 'error: these parts failed: collectors (paper)'
