"""How programs start and end.

Their bad inputs are in bad_input_test.py, what a user sees of the programs in
programs_test.py.
"""

import errno
import os
import pathlib
import signal
import subprocess
import sys
import tempfile

import pytest

from worldmodels.agents.programs import launch
from worldmodels.agents.runs import checkpoint
from worldmodels.data.store import StoreError

ROOT = pathlib.Path(__file__).parent.parent

PROGRAM = """
import os, signal, sys
from absl import flags
from worldmodels.agents.programs import launch
from worldmodels.agents.runs import run_directory
flags.DEFINE_integer('number', 1, 'A number.')

def main(argv):
  print('result')
  print('seen', file=sys.stderr)
  os.write(2, b'chatter of a library')
  {end}

launch.run(main, stopped='stopped at once')
"""


def run(end, *flags, **options):
  return subprocess.run(
    [sys.executable, '-c', PROGRAM.format(end=end), *flags],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
    **options,
  )


def logs(directory):
  return list(pathlib.Path(directory).glob('worldmodels-*.log'))


def test_libraries_are_quiet_and_leave_nothing(tmp_path):
  done = run('pass', env={**os.environ, 'TMPDIR': str(tmp_path)})
  assert done.returncode == 0
  assert done.stdout == 'result\n' and done.stderr == 'seen\n'
  assert not logs(tmp_path)


def test_what_they_said_is_there_after_a_crash(tmp_path):
  done = run(
    'os.kill(os.getpid(), signal.SIGSEGV)',
    env={**os.environ, 'TMPDIR': str(tmp_path)},
  )
  assert done.returncode == -signal.SIGSEGV
  (log,) = logs(tmp_path)
  assert log.read_text().startswith('chatter of a library')


@pytest.mark.parametrize(
  'end, status, line',
  [
    ('raise run_directory.RunError("no\\n  run")', 1, 'error: no; run'),
    (
      'open("/none/at/all")',
      1,
      'error: /none/at/all: No such file or directory',
    ),
    ('raise KeyboardInterrupt', 130, 'error: stopped at once'),
    ('os.kill(os.getpid(), signal.SIGINT)', 130, 'error: stopped at once'),
  ],
)
def test_one_line_for_what_can_be_mended(end, status, line):
  done = run(end)
  assert done.returncode == status
  assert done.stderr == f'seen\n{line}\n'


def test_a_mistake_of_ours_keeps_its_trace():
  done = run('raise ValueError("a bug")')
  assert done.returncode == 1 and 'Traceback' in done.stderr
  assert 'ValueError: a bug' in done.stderr


@pytest.mark.parametrize(
  'flag, line',
  [
    ('--nubmer=2', "error: Unknown command line flag 'nubmer'. did you mean"),
    ('--number=a', 'error: flag --number=a: invalid literal for int()'),
    ('--number', 'error: Missing value for flag --number'),
    ('stray', "error: unexpected argument 'stray'"),
  ],
)
def test_wrong_flags(flag, line):
  done = run('pass', flag)
  assert done.returncode == 2 and not done.stdout
  assert done.stderr.startswith(line) and done.stderr.count('\n') == 1


@pytest.mark.parametrize(
  'error, line',
  [
    (FileNotFoundError(errno.ENOENT, 'No such file', 'a'), 'a: No such file'),
    (OSError('of a library'), 'of a library'),
    (checkpoint.CheckpointError('all are damaged'), 'all are damaged'),
    (
      StoreError('made otherwise:\nsize: 64\nquality: near\n'),
      'made otherwise: size: 64; quality: near',
    ),
    (KeyboardInterrupt(), 'KeyboardInterrupt'),
  ],
)
def test_explains_in_one_line(error, line):
  assert launch.explain(error) == line


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_no_reason_to_worry(number):
  text = launch.explain(OSError(number, os.strerror(number), 'RUN/metrics'))
  assert text.startswith(f'RUN/metrics: {os.strerror(number)}; ')
  assert 'what was written before is whole' in text


def test_no_room_for_the_log(tmp_path):
  """Where nothing can be written at all, that is said."""
  nowhere = tmp_path / 'file'
  nowhere.touch()
  code = f'import tempfile; tempfile.tempdir = {str(nowhere / "below")!r}\n'
  code += PROGRAM.format(end='pass')
  done = subprocess.run(
    [sys.executable, '-c', code],
    cwd=ROOT,
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 1 and not done.stdout
  assert done.stderr.startswith('error: ') and done.stderr.count('\n') == 1
  assert tempfile.gettempdir()


def test_ctrl_c_before_a_program_has_begun(monkeypatch, capsys):
  def interrupted():
    raise KeyboardInterrupt

  monkeypatch.setattr(launch, 'programs', interrupted)
  with pytest.raises(SystemExit, match='130'):
    launch.main('train')
  assert capsys.readouterr().err == 'error: stopped\n'


def test_help_that_nobody_reads_to_its_end(tmp_path):
  """As by `worldmodels train --help | head -1`, without Python's buffer."""
  reader, writer = os.pipe()
  os.close(reader)
  done = subprocess.run(
    [sys.executable, '-u', '-m', 'worldmodels', 'train', '--help'],
    cwd=ROOT,
    stdout=writer,
    stderr=subprocess.PIPE,
    check=False,
  )
  os.close(writer)
  assert done.returncode == 1 and not done.stderr


def test_a_user_finds_modules_beside_the_program(tmp_path, monkeypatch):
  """Those of the current directory first, and never ours for the user's."""
  path = ['', str(ROOT), '/somewhere/else']
  monkeypatch.setattr(sys, 'path', path)
  monkeypatch.setattr(sys, 'meta_path', [*sys.meta_path])
  monkeypatch.setattr(sys, 'modules', {**sys.modules, 'agents.run': None})
  monkeypatch.chdir(tmp_path)
  launch.find_users_modules()
  assert path == [str(tmp_path), '/somewhere/else']
  assert 'agents.run' not in sys.modules
  path[:] = ['/somewhere/else']  # As of a console program.
  launch.find_users_modules()
  assert path == [str(tmp_path), '/somewhere/else']
