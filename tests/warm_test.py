"""A program that warm.py starts is one that Python starts."""

import json
import os
import signal
import subprocess
import sys

import pytest
import warm
import wheel_environment

# What it is that a process can tell of itself.
ASKED = """
import json, os, resource, signal, sys, tempfile, threading
from importlib import metadata
import worldmodels
variables = {k: v for k, v in os.environ.items() if k not in ('_', 'SHLVL')}
print(json.dumps(dict(
  name=__name__, argv=sys.argv, path=sys.path, cwd=os.getcwd(), variables=
  variables, where=worldmodels.__file__, folder=tempfile.gettempdir(),
  interrupt=str(signal.getsignal(signal.SIGINT)), child=int(
  signal.getsignal(signal.SIGCHLD)), limit=resource.getrlimit(
  resource.RLIMIT_FSIZE), threads=threading.active_count(),
  main=sys.modules['__main__'].__file__, executable=sys.executable,
  prefix=sys.prefix, files=str(metadata.files('worldmodels-tf')[0].locate()),
)))
print('to stderr', file=sys.stderr)
sys.exit(7)
"""


@pytest.fixture
def asked(tmp_path):
  """A folder with a module that tells what its process is."""
  (tmp_path / 'asked.py').write_text(ASKED)
  return tmp_path


def test_it_is_as_python_would_start_it(asked):
  root = os.path.dirname(os.path.dirname(__file__))
  env = {**os.environ, 'PYTHONPATH': root, 'TMPDIR': str(asked), 'OWN': 'x'}
  arguments = ['asked', '--flag=a b', 'c']
  fresh = subprocess.run(
    [sys.executable, '-m', *arguments],
    cwd=asked,
    env=env,
    capture_output=True,
    text=True,
    check=False,
  )
  for heavy in (False, True):
    found = warm.run(arguments, cwd=asked, env=env, heavy=heavy)
    assert fresh.returncode == found.returncode == 7
    assert fresh.stderr == found.stderr == 'to stderr\n'
    assert json.loads(found.stdout) == json.loads(fresh.stdout)


def test_the_command_of_an_environment_is_as_its_python_starts_it(wheel):
  """With libraries of its own, wherever it is started."""
  python = wheel_environment.commands(wheel.parent) / 'python'
  script = python.parent / 'asked'
  script.write_text(f'#!{python}\n{ASKED}')
  script.chmod(0o755)
  how = dict(cwd='/', env=wheel_environment.variables())
  fresh = subprocess.run(
    [script, 'a b'], capture_output=True, text=True, check=False, **how
  )
  found = warm.run([script, 'a b'], heavy=False, python=python, **how)
  assert fresh.returncode == found.returncode == 7, fresh.stderr
  told = json.loads(found.stdout)
  assert told == json.loads(fresh.stdout)
  assert '/environment/lib/' in told['where'] and told['path'][0] == str(
    python.parent
  )


def test_a_file_may_not_grow_beyond_a_limit(asked):
  found = warm.run(['asked'], cwd=asked, limit=12345, heavy=False)
  assert found.returncode == 1 or json.loads(found.stdout)['limit'][0] == 12345


def test_it_is_one_process_that_can_be_signaled(tmp_path):
  (tmp_path / 'slow.py').write_text(
    'import time\nprint("begun", flush=True)\ntime.sleep(60)'
  )
  for number in (signal.SIGKILL, signal.SIGINT):
    with warm.start(['slow'], cwd=tmp_path, heavy=False) as program:
      assert program.poll() is None
      with pytest.raises(subprocess.TimeoutExpired):
        program.wait(0.05)
      program.send_signal(number)
      printed, said = program.communicate(20)
    if number == signal.SIGINT:
      assert program.returncode in (1, 130, -2)
      assert 'KeyboardInterrupt' in said
    else:
      assert program.returncode == -signal.SIGKILL


def test_without_it_a_tensorflow_that_is_in_the_way_is_imported(tmp_path):
  (tmp_path / 'tensorflow.py').write_text('raise RuntimeError("too early")')
  (tmp_path / 'early.py').write_text('import tensorflow')
  found = warm.run(['early'], cwd=tmp_path, heavy=False)
  assert found.returncode == 1 and 'too early' in found.stderr


def test_tensorflow_is_there_and_nothing_is_computed_yet(tmp_path):
  (tmp_path / 'there.py').write_text("""if True:
    import sys, time
    start = time.process_time()
    import tensorflow as tf
    from tensorflow.python.eager import context
    print(time.process_time() - start < 0.5, context.context()._initialized)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    print(float(tf.function(lambda x: 2.0 * x)(tf.constant(1.5))))
  """)
  found = warm.run(['there'], cwd=tmp_path)
  assert found.stdout.split() == ['True', 'False', '3.0'], found.stderr
