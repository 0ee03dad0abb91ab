"""Every program, by the command of the wheel, from an empty folder.

On the example run that the wheel ships; what foreign_project_test.py starts is
not started again. Those that take long are for `make try-wheel`.
"""

import os
import re
import signal
import subprocess
import urllib.request

import programs_test
import pytest
import wheel_environment

RUN = '--logdir=example:hill'
ELSEWHERE = ('train', 'check', 'evaluate')  # foreign_project_test.py
LONG = ('fit', 'compare', 'calibrate', 'sweep', 'probe')
# In this order: {program: (arguments, file that it leaves)}.
STARTED = {
  'graphics': ((), None),
  'oracle': (
    (
      *('--config=planet:debug', '--config.task=hill', '--episodes=1'),
      *('--config.planner.candidates=4', '--config.planner.elites=2'),
    ),
    None,
  ),
  'export': ((RUN, '--out=hill'), 'hill/config.json'),
  'report': ((RUN, '--out=report.html', '--noplay'), 'report.html'),
  'plot': (('--logdir=hill', '--out=curves.svg'), 'curves.svg'),
  'convert': (
    ('--data=hill/heldout', '--to=episodes', '--out=episodes'),
    'episodes',
  ),
  'fit': (
    (
      *('--data=episodes', '--config=planet:debug', '--logdir=fitted'),
      '--config.train.updates_total=2',
    ),
    'fitted/spec.json',
  ),
  # As README has it.
  'video': (('--logdir=example:balance', '--out=dream.webm'), 'dream.webm'),
  'compare': (
    (
      *(RUN, '--planners=random_shooting', '--episodes=1', '--warm_start=no'),
      *('--milliseconds=10', '--json=table.json'),
    ),
    'table.json',
  ),
  'audit': (('--maze', '--out=maze.svg'), 'maze.svg'),
  'calibrate': ((RUN, '--sizes=32', '--updates=3'), None),
  'sweep': (
    (
      *('--config=planet:debug', '--tasks=hill', '--seeds=0', '--logdir=sweep'),
      *('--evaluation_episodes=1', '--noprobe'),
      *('--config.train.episodes=2', '--config.evaluate.last_episodes=1'),
    ),
    'sweep/table.csv',
  ),
  'probe': (('--logdir=sweep/planet_debug/hill/seed_0',), None),
  'benchmark': (
    (
      *('--work=replay', '--sizes=tiny', '--repeats=2', '--task=hill'),
      '--json=figures.json',
    ),
    'figures.json',
  ),
}
PAGE = re.compile(r'page: (http://127\.0\.0\.1:\d+/\?token=[\w-]+)')


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  return tmp_path_factory.mktemp('empty')


def test_none_is_left_out():
  assert {*STARTED, *ELSEWHERE, 'play'} == {*programs_test.PROGRAMS}


@pytest.mark.parametrize('program', STARTED)
def test_it_runs(program, wheel_program, folder, pytestconfig):
  if program in LONG and not pytestconfig.getoption('all_programs'):
    pytest.skip('takes long: --all-programs, as in `make try-wheel`')
  arguments, left = STARTED[program]
  done = wheel_program(program, *arguments, cwd=folder)
  assert done.returncode == 0, done.stdout + done.stderr
  assert left is None or os.path.getsize(folder / left)


def test_a_dream_is_played(wheel, folder):
  command = wheel_environment.commands(wheel.parent) / 'worldmodels'
  with subprocess.Popen(
    [command, 'play', RUN],
    cwd=folder,
    env=wheel_environment.variables(),
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  ) as playing:
    try:
      found = filter(None, map(PAGE.match, playing.stdout))
      with urllib.request.urlopen(next(found)[1]) as page:
        assert b'"task": "hill"' in page.read()
    finally:
      playing.send_signal(signal.SIGINT)
    _, errors = playing.communicate(timeout=60)
  assert playing.returncode == 130 and 'Traceback' not in errors
