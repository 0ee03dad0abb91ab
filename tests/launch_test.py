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
import time
from concurrent import futures

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
flags.DEFINE_bool('loud', False, 'A choice.')

def main(argv):
  print('result')
  print('seen', file=sys.stderr)
  os.write(2, b'chatter of a library')
  {end}

launch.run(main, stopped='stopped at once')
"""
# Programs that clean up, or compute, for long.
WAITS = """try:
    time.sleep(60)
  finally:
    time.sleep(60)"""
COMPUTES = """mutex = ctypes.create_string_buffer(64)
  for _ in range(2):
    ctypes.CDLL(None).pthread_mutex_lock(mutex)"""


@pytest.fixture(scope='module', autouse=True)
def interrupted():
  """These programs, twice each, get Ctrl-C, once or twice.

  The other tests here run meanwhile.

  Yields:
    a future: each of them, how often, and how long it then took.
  """
  code = PROGRAM.replace('import os,', 'import ctypes, time, os,')
  processes = [
    (
      subprocess.Popen(
        [sys.executable, '-c', code.format(end=f'print("begun")\n  {end}')],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
      ),
      times,
    )
    # Those that end at once are waited for first.
    for times in (2, 1)
    for end in (WAITS, COMPUTES)
  ]
  with futures.ThreadPoolExecutor(1) as thread:
    yield thread.submit(lambda: [*interrupt(processes)])


def interrupt(processes):
  """Sends Ctrl-C to (process, how often); yields them and how long it took."""
  for process, _ in processes:
    while (line := process.stdout.readline()) != 'begun\n':
      assert line, process.stderr.read()
  time.sleep(0.1)
  begin = time.monotonic()
  for least in (1, 2):
    for process, times in processes:
      if times >= least:
        process.send_signal(signal.SIGINT)
    time.sleep(1)
  for process, times in processes:
    process.wait(30)
    yield process, times, time.monotonic() - begin


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
  return list(pathlib.Path(directory).glob('worldmodels-*/*.log'))


def test_a_line_is_seen_in_a_pipe_when_it_is_printed():
  env = {key: x for key, x in os.environ.items() if key != 'PYTHONUNBUFFERED'}
  done = run('os._exit(3)', env=env)  # What was not written then is lost.
  assert done.returncode == 3 and done.stdout == 'result\n'


def test_libraries_are_quiet_and_leave_nothing(tmp_path):
  done = run('pass', env={**os.environ, 'TMPDIR': str(tmp_path)})
  assert done.returncode == 0
  assert done.stdout == 'result\n' and done.stderr == 'seen\n'
  assert not list(tmp_path.iterdir())


def test_what_they_said_is_there_after_a_crash(tmp_path):
  done = run(
    'os.kill(os.getpid(), signal.SIGSEGV)',
    env={**os.environ, 'TMPDIR': str(tmp_path)},
  )
  assert done.returncode == -signal.SIGSEGV
  (log,) = logs(tmp_path)
  assert log.read_text().startswith('chatter of a library')


LITTER = """for _ in range(50):
    import tempfile; tempfile.mkstemp()
  os.system('mktemp > /dev/null')  # As what it starts does.
  {end}"""


def test_what_a_killed_program_leaves_the_next_one_removes(tmp_path):
  """And nothing else: neither what is still in use, nor the user's own."""
  env = {**os.environ, 'TMPDIR': str(tmp_path)}
  mine = tmp_path / 'worldmodels-tmp-abcd1234', tmp_path / 'worldmodels-main'
  for folder in mine:
    folder.mkdir()
    (folder / 'of-mine').write_text('kept')
  (tmp_path / 'worldmodels-tmp-link1234').symlink_to(mine[1])
  for _ in range(2):
    run(LITTER.format(end='os.kill(os.getpid(), signal.SIGKILL)'), env=env)
    (left,) = tmp_path.glob('worldmodels-*/of-a-program')
    assert len(list(left.parent.iterdir())) == 53
  # Another program runs meanwhile: its folder stays.
  inner = f'import subprocess; subprocess.run({[sys.executable, "-c"]} + '
  inner += repr([PROGRAM.format(end='pass')]) + ', env={**os.environ, '
  inner += f'"TMPDIR": {str(tmp_path)!r}}})'
  end = f'{inner}; print(os.path.exists(tempfile.gettempdir()))'
  done = run(LITTER.format(end=end), env=env)
  assert done.returncode == 0, done.stderr
  assert sorted(done.stdout.split()) == ['True', 'result', 'result']
  assert {path.name for path in tmp_path.iterdir()} == {
    *('worldmodels-tmp-abcd1234', 'worldmodels-main'),
    'worldmodels-tmp-link1234',
  }
  assert [(folder / 'of-mine').read_text() for folder in mine] == ['kept'] * 2


def test_no_room_for_temporary_files_is_one_line(tmp_path):
  """TensorFlow would only fail to translate a function, with a trace."""
  full = 'os.statvfs_result(range(10))'
  code = f'import os; os.statvfs = lambda path: {full}\n'
  done = subprocess.run(
    [sys.executable, '-c', code + PROGRAM.format(end='pass')],
    cwd=ROOT,
    env={**os.environ, 'TMPDIR': str(tmp_path)},
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 1 and not done.stdout
  assert done.stderr.startswith(f'error: {tmp_path}: No space left on device')
  assert done.stderr.count('\n') == 1 and 'TMPDIR' in done.stderr
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('end', ['pass', 'sys.exit(1)'])
def test_output_that_no_disk_takes_is_one_line(end):
  with open('/dev/full', 'w') as full:
    done = subprocess.run(
      [sys.executable, '-c', PROGRAM.format(end=end)],
      cwd=ROOT,
      env={**os.environ, 'PYTHONUNBUFFERED': ''},
      stdout=full,
      stderr=subprocess.PIPE,
      text=True,
      check=False,
    )
  assert done.returncode == 1
  # The first line that is printed already fails.
  assert done.stderr.startswith('error: No space left on device')
  assert done.stderr.count('\n') == 1


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


def test_code_of_the_users_is_said_with_its_line(tmp_path):
  (tmp_path / 'my_end.py').write_text(
    'def fail():\n  raise ValueError("early\\nlate")\n'
  )
  env = {**os.environ, 'PYTHONPATH': f'{tmp_path}:{ROOT}'}
  done = run('import my_end; my_end.fail()', env=env)
  assert done.returncode == 1
  assert done.stderr == (
    'seen\nerror: code of yours raises ValueError: early late '
    f'({tmp_path}/my_end.py, line 2); --trace shows the way there\n'
  )


def test_a_trace_is_shown_if_it_is_asked_for(tmp_path):
  for flags in ([], ['--trace']):
    done = subprocess.run(
      [sys.executable, '-m', 'worldmodels', 'evaluate', *flags]
      + [f'--logdir={tmp_path}'],
      cwd=ROOT,
      capture_output=True,
      text=True,
      check=False,
    )
    assert done.returncode == 1
    line = f'error: {tmp_path} holds no config.json: not a run\n'
    assert done.stderr.endswith(line)
    assert done.stderr.startswith('Traceback' if flags else 'error: ')


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
    ('--loud=perhaps', 'error: flag --loud=perhaps: it is true or false'),
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


# ---------------------------------------------------------------- Ctrl-C ----


def test_in_the_background_ctrl_c_is_not_heard():
  code = PROGRAM.format(end='os.kill(os.getpid(), signal.SIGINT)')
  done = subprocess.run(
    [sys.executable, '-c', code],
    cwd=ROOT,
    preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    capture_output=True,
    text=True,
    check=False,
  )
  assert done.returncode == 0 and done.stderr == 'seen\n'


def test_ctrl_c_before_a_program_has_begun(monkeypatch, capsys):
  def interrupted():
    raise KeyboardInterrupt

  monkeypatch.setattr(launch.usage, 'programs', interrupted)
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


SAYS = 'stopping: waits for what is under way, at most 7 s; Ctrl-C again does '


def test_ctrl_c_ends_a_program_soon_and_a_second_one_at_once(interrupted):
  """And it says at once what it waits for."""
  for process, times, seconds in interrupted.result():
    assert process.returncode == 130 and seconds < {1: 10, 2: 4}[times]
    expected = ['seen', f'{SAYS}not wait', 'error: stopped at once']
    assert process.stderr.read().splitlines() == expected
