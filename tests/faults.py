"""Plants faults one by one and runs the test that has to fail: `make faults`.

  python tests/faults.py [WORD ...]

With words only the faults whose file, test or description has one of them.
Nothing is planted here, but in copies of the tree, one for each process; first
the named tests have to pass without a fault. A fault is killed if an assertion
fails: an error on the way would show that the change is none of those that are
meant, after which shapes, dtypes and finiteness are still right.
"""

import collections
import itertools
import os
import pathlib
import re
import shutil
import sys
import tempfile
import time
from typing import NamedTuple

import planted_faults
import pytest

ROOT = pathlib.Path(__file__).parent.parent
COPIED = ('agents', 'configs', 'data', 'tests', 'worldmodels', 'pyproject.toml')
PARALLEL = 2
# What pytest prints of the assertion that failed.
ASSERTION = re.compile(r'E +(assert |AssertionError|Failed: DID NOT RAISE)')


class Job(NamedTuple):
  """Tests of a tree with a fault, or without one."""

  fault: planted_faults.Fault | None
  tests: list[str]


def copy(target):
  """Copies to a folder what tests read, and nothing that is compiled."""
  target.mkdir()
  for name in COPIED:
    source = ROOT / name
    if source.is_dir():
      ignore = shutil.ignore_patterns('__pycache__')
      shutil.copytree(source, target / name, ignore=ignore)
    else:
      shutil.copy(source, target / name)


def plant(tree, fault):
  """Plants a fault in a tree."""
  path = tree / fault.file
  text = path.read_text()
  assert text.count(fault.old) == 1, (fault.file, fault.old)
  path.write_text(text.replace(fault.old, fault.new))


def unplant(tree, fault):
  """Takes a fault out of a tree again."""
  shutil.copy(ROOT / fault.file, tree / fault.file)


def start(job, tree, output):
  """Starts the tests of a job in a copy of this process; returns its id.

  TensorFlow, which takes longer to import than most of the tests take, has
  been imported here, and nothing of ours has.
  """
  pid = os.fork()
  if pid:
    return pid
  status = 3
  try:
    os.dup2(output.fileno(), 1)
    os.dup2(output.fileno(), 2)
    os.chdir(tree)
    sys.path[0] = str(tree)
    options = ['-x', '-q', '--tb=short', '-p', 'no:cacheprovider']
    status = int(pytest.main([f'--rootdir={tree}', *options, *job.tests]))
    sys.stdout.flush()
    sys.stderr.flush()
  finally:
    os._exit(status)


def run(jobs, trees):
  """Runs jobs, as many at a time as there are trees.

  Yields:
    (job, exit status of pytest, what it printed), in the order of their ends.
  """
  jobs, active = iter(jobs), {}
  while True:
    for job in itertools.islice(jobs, len(trees)):
      tree, output = trees.pop(), tempfile.TemporaryFile('w+')
      if job.fault:
        plant(tree, job.fault)
      active[start(job, tree, output)] = job, tree, output
    if not active:
      return
    pid, status = os.wait()
    job, tree, output = active.pop(pid)
    if job.fault:
      unplant(tree, job.fault)
    trees.append(tree)
    with output:
      output.seek(0)
      yield job, os.waitstatus_to_exitcode(status), output.read()


def outcome(status, output):
  """Says killed, survived or broken."""
  if status == 0:
    return 'survived'
  first = next((x for x in output.splitlines() if x.startswith('E  ')), '')
  return 'killed' if status == 1 and ASSERTION.match(first) else 'broken'


def judge(chosen, folder):
  """Returns the outcome of each fault, {fault: word}."""
  trees = [folder / str(number) for number in range(PARALLEL)]
  for tree in trees:
    copy(tree)
  tests = sorted({f'tests/{fault.test}' for fault in chosen})
  files = [
    list(group)
    for _, group in itertools.groupby(tests, lambda x: x.split('::')[0])
  ]
  for job, status, output in run([Job(None, x) for x in files], trees):
    if status:
      sys.exit(f'{output}\nwithout a fault these fail: {job.tests}')
  found = {}
  jobs = [Job(fault, [f'tests/{fault.test}']) for fault in chosen]
  for job, status, output in run(jobs, trees):
    found[job.fault] = outcome(status, output)
    told = f'{found[job.fault]}: {job.fault.file}: {job.fault.what}'
    print(told, file=sys.stderr, flush=True)
    if found[job.fault] != 'killed':
      print(output, file=sys.stderr, flush=True)
  return found


def main():
  """Prints a table; exits with 1 unless every fault is killed."""
  words = sys.argv[1:]
  chosen = [
    fault
    for fault in planted_faults.FAULTS
    if not words or any(word in '\n'.join(fault) for word in words)
  ]
  begun = time.monotonic()
  # What no fault is planted in, before anything computes.
  import tensorflow_probability  # noqa: F401

  os.environ['PYTHONDONTWRITEBYTECODE'] = '1'
  sys.dont_write_bytecode = True
  with tempfile.TemporaryDirectory() as folder:
    found = judge(chosen, pathlib.Path(folder))
  print('| file | fault | test | |\n|---|---|---|---|')
  for fault in chosen:
    print(f'| {fault.file} | {fault.what} | {fault.test} | {found[fault]} |')
  counts = collections.Counter(found.values())
  told = ', '.join(f'{count} {said}' for said, count in counts.items())
  print(f'\n{len(found)} faults: {told}; {time.monotonic() - begun:.0f} s')
  sys.exit(set(counts) != {'killed'})


if __name__ == '__main__':
  main()
