"""Runs a program that is killed at a chosen moment, as by kill -9.

  python -m tests.kill_points DIRECTORY WORD COUNT DELAY MODULE ARGUMENTS...
  python -m tests.kill_points DIRECTORY WORD COUNT DELAY -c CODE ARGUMENTS...

When the program changes for the COUNT-th time a file or folder of DIRECTORY
whose path has WORD in it, it is killed, DELAY seconds later. That hits moments
between two steps of writing which a clock would hardly ever hit, and the same
ones whatever else the machine has to do. With COUNT 0 nothing is killed and
each change is printed on stderr.
"""

import os
import runpy
import signal
import sys
import threading

CHANGES = ('os.mkdir', 'os.rename', 'os.remove', 'shutil.rmtree')
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class KillPoints:
  """An audit hook that counts changes below a directory, before they happen."""

  def __init__(self, directory, word, count, delay):
    self._directory = os.path.join(os.path.abspath(directory), '')
    self._word = word
    self._left = count
    self._trace = not count
    self._delay = delay

  def __call__(self, event, arguments):
    if event not in CHANGES and (event != 'open' or not arguments[2] & WRITES):
      return
    if not isinstance(arguments[0], (str, os.PathLike)):
      return
    path = os.path.abspath(arguments[0])
    if not path.startswith(self._directory) or self._word not in path:
      return
    if self._trace:
      print(f'change: {event} {path}', file=sys.stderr, flush=True)
    self._left -= 1
    if not self._left:
      self._kill()

  def _kill(self):
    if self._delay:
      threading.Timer(self._delay, _kill_this).start()
    else:
      _kill_this()


def _kill_this():
  os.kill(os.getpid(), signal.SIGKILL)


def main():
  """Runs the program."""
  directory, word, count, delay, *sys.argv = sys.argv[1:]
  sys.addaudithook(KillPoints(directory, word, int(count), float(delay)))
  if sys.argv[0] == '-c':
    code = sys.argv.pop(1)
    exec(compile(code, '-c', 'exec'), {'__name__': '__main__'})
  else:
    runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)


if __name__ == '__main__':
  main()
