"""Programs in processes of their own that need not import libraries first.

To import TensorFlow takes seconds, which most tests of a program have no use
for. So one process imports it, and other libraries but nothing of ours, and
each program is a fork of that one: with arguments, a folder, variables, output
and a status of its own, as `python -m MODULE` or the command of an environment
would be (warm_test.py compares them). Another process has the libraries without
TensorFlow, for programs that must not need it.

Their graphs are not rewritten before they are computed. Where that matters, or
what a program imports and when, or that it starts at all, tests start Python:
`run_program(..., fresh=True)` of conftest.py.
"""

import functools
import gc
import importlib
import json
import os
import resource
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile

# What the programs import that is not theirs.
LIGHT = (
  'absl.app',
  'absl.logging',
  'dm_env.specs',
  'ml_collections.config_flags',
  'numpy',
)
HEAVY = ('cv2', 'keras', 'tensorflow', 'tensorflow_probability')


class Program:
  """A program that runs; as much of subprocess.Popen as tests need.

  Attributes:
    pid: of its process.
    returncode: None while it runs; -N if signal N has ended it.
  """

  def __init__(self, args, status, output):
    self.args = args
    self.returncode = None
    self._status, self._told = status, b''
    self._output = output
    self.pid = int(self._line())

  def __enter__(self):
    return self

  def __exit__(self, *unused):
    if self.poll() is None:
      self.send_signal(signal.SIGKILL)
      self.wait()
    for file in self._output:
      file.close()

  def poll(self):
    """Returns the status, or None while it runs."""
    try:
      return self.wait(0)
    except subprocess.TimeoutExpired:
      return None

  def wait(self, timeout=None):
    """Waits for its end, so many seconds at most; returns the status."""
    if self.returncode is None:
      self.returncode = int(self._line(timeout))
      os.close(self._status)
    return self.returncode

  def communicate(self, timeout=None):
    """Waits for its end; returns what is on stdout and on stderr."""
    self.wait(timeout)
    texts = []
    for file in self._output:
      file.seek(0)
      texts.append(file.read().decode())
    return tuple(texts)

  def send_signal(self, number):
    """Sends it a signal, unless it has ended."""
    if self.poll() is None:
      os.kill(self.pid, number)

  def _line(self, timeout=None):
    """Returns the next line that is told of it."""
    while b'\n' not in self._told:
      if not select.select([self._status], [], [], timeout)[0]:
        raise subprocess.TimeoutExpired(self.args, timeout)
      told = os.read(self._status, 99)
      assert told, 'its process was not started'
      self._told += told
    line, _, self._told = self._told.partition(b'\n')
    return line


def start(
  args, cwd=None, env=None, limit=None, heavy=True, python=sys.executable
):
  """Starts a program.

  Args:
    args: name of a module or path of a script, and the arguments.
    cwd: folder to start it in.
    env: all variables of its environment.
    limit: bytes to which a file may grow, like a disk that is full.
    heavy: whether it has TensorFlow already.
    python: of an environment that has this one's libraries by its path.

  Returns:
    a Program.
  """
  args = [str(value) for value in args]
  asked = dict(
    args=args,
    cwd=str(cwd or os.getcwd()),
    env=dict(os.environ if env is None else env),
    limit=limit,
    python=str(python),
  )
  output = [tempfile.TemporaryFile() for _ in range(2)]
  status, told = os.pipe()
  descriptors = [told, *(file.fileno() for file in output)]
  socket.send_fds(_server(heavy), [json.dumps(asked).encode()], descriptors)
  os.close(told)
  return Program(args, status, output)


def run(args, *, timeout=None, **options):
  """Runs a program to its end; see `start` and `subprocess.run`."""
  with start(args, **options) as program:
    texts = program.communicate(timeout)
    return subprocess.CompletedProcess(args, program.returncode, *texts)


@functools.cache
def _server(heavy):
  """Starts the process that has the libraries; it ends with this one."""
  mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
  import wheel_environment  # Not in the process that programs are forks of.

  variables = wheel_environment.variables()
  subprocess.Popen(
    [sys.executable, __file__, str(its.fileno()), *(LIGHT + HEAVY * heavy)],
    cwd='/',
    env={'TF_CPP_MIN_LOG_LEVEL': '3', **variables},
    pass_fds=[its.fileno()],
  )
  its.close()
  return mine


# ------------------------------------------------------- in the other process -


def _serve(descriptor, libraries):
  """Forks for each program that is asked for; returns in the fork."""
  for name in libraries:
    importlib.import_module(name)
  if 'tensorflow' in sys.modules:
    sys.modules['tensorflow'].config.optimizer.set_experimental_options(
      {'disable_meta_optimizer': True}
    )
  assert not [x for x in sys.modules if x.split('.')[0] == 'worldmodels']
  gc.collect()
  gc.freeze()
  gc.set_threshold(100_000, 20, 100)
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Nobody waits for the forks.
  with socket.socket(fileno=descriptor) as connection:
    while True:
      asked, descriptors, *_ = socket.recv_fds(connection, 1 << 20, 3)
      if not asked:
        os._exit(0)
      if not os.fork():
        break
      for descriptor in descriptors:
        os.close(descriptor)
  told, *output = descriptors
  signal.signal(signal.SIGCHLD, signal.SIG_DFL)
  process = os.fork()
  if process:
    _tell(process, told, output)
  os.close(told)
  for number, descriptor in enumerate(output, 1):
    os.dup2(descriptor, number)
    os.close(descriptor)
  return json.loads(asked)


def _tell(process, told, output):
  """Tells who has asked which process it is, and how it ended."""
  for descriptor in output:
    os.close(descriptor)
  os.write(told, b'%d\n' % process)
  _, status = os.waitpid(process, 0)
  os.write(told, b'%d\n' % os.waitstatus_to_exitcode(status))
  os._exit(0)


def _become(path, args, cwd, env, limit, python):
  """Makes this process as Python would have made it."""
  signal.signal(signal.SIGINT, signal.default_int_handler)
  os.chdir(cwd)
  os.environ.clear()
  os.environ.update(env)
  tempfile.tempdir = None
  if limit is not None:
    sys.dont_write_bytecode = True  # Python would keep what is cut off.
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
  sys.argv = list(args)
  if python != sys.executable:
    path = _enter(python, path)
  places = filter(None, env.get('PYTHONPATH', '').split(os.pathsep))
  first = os.path.dirname(args[0]) if os.path.isabs(args[0]) else cwd
  own = [first, *(os.path.join(cwd, place) for place in places)]
  sys.path[:] = [*own, *path]
  importlib.invalidate_caches()


def _enter(python, path):
  """Enters an environment; returns where its Python looks for modules."""
  sys.executable = python
  sys.prefix = sys.exec_prefix = os.path.dirname(os.path.dirname(python))
  # An editable install would find the checkout.
  sys.meta_path[:] = [
    finder
    for finder in sys.meta_path
    if not getattr(finder, '__module__', '').startswith('__editable__')
  ]
  version = f'python{sys.version_info[0]}.{sys.version_info[1]}'
  own = os.path.join(sys.prefix, 'lib', version, 'site-packages')
  first = next(i for i, x in enumerate(path) if x.endswith('-packages'))
  return [*path[:first], own, *path[first:]]


if __name__ == '__main__':
  PATH = sys.path[1:]  # Without this folder; libraries add to it.
  _become(PATH, **_serve(int(sys.argv[1]), sys.argv[2:]))
  if os.path.isabs(sys.argv[0]):
    runpy.run_path(sys.argv[0], run_name='__main__')
  else:
    runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)
