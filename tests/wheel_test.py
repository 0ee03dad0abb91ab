"""The wheel: built, installed and imported elsewhere, all without a network.

A wheel that put `agents` or `data` at the top level would overwrite, or be
overwritten by, any other project that does.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import tomllib
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parent.parent
FOLDERS = ('worldmodels', 'agents', 'data')
NEEDED = ('pyproject.toml', 'requirements.txt', 'README.md', 'LICENSE')


def run(command, folder, **environment):
  """Runs Python there, away from the checkout; returns what it prints."""
  clean = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
  done = subprocess.run(
    [sys.executable, *map(str, command)],
    cwd=folder,
    env=clean | environment,
    capture_output=True,
    text=True,
  )
  assert done.returncode == 0, done.stdout + done.stderr
  return done.stdout


@pytest.fixture(scope='module')
def wheel(tmp_path_factory):
  """The wheel, built from a copy so that the checkout stays clean."""
  source = tmp_path_factory.mktemp('source')
  for name in NEEDED:
    shutil.copy(ROOT / name, source)
  for name in FOLDERS:
    ignore = shutil.ignore_patterns('__pycache__')
    shutil.copytree(ROOT / name, source / name, ignore=ignore)
  out = tmp_path_factory.mktemp('wheel')
  run(
    ['-m', 'pip', 'wheel', '--no-index', '--no-deps', '--no-build-isolation']
    + ['--wheel-dir', out, source],
    source,
  )
  (path,) = out.glob('worldmodels-*.whl')
  return path


@pytest.fixture(scope='module')
def site(wheel, tmp_path_factory):
  """A folder that the wheel is installed into."""
  target = tmp_path_factory.mktemp('site')
  run(
    ['-m', 'pip', 'install', '--no-index', '--no-deps', '--target', target]
    + [wheel],
    target,
  )
  return target


def test_only_worldmodels_is_at_the_top(site):
  names = {path.name for path in site.iterdir() if path.suffix != '.dist-info'}
  assert names == {'worldmodels'}


def test_every_package_and_no_program_is_in_the_wheel(wheel):
  """A new folder has to be added to the packages of pyproject.toml."""
  expected = set()
  for folder in FOLDERS:
    for path in (ROOT / folder).rglob('*.py'):
      path = path.relative_to(ROOT)
      if path.parts[:2] != ('agents', 'run'):
        inside = path.as_posix().removeprefix('worldmodels/')
        expected.add(f'worldmodels/{inside}')
  with zipfile.ZipFile(wheel) as file:
    packed = {name for name in file.namelist() if name.endswith('.py')}
  assert packed == expected


def test_wheel_needs_what_requirements_say(wheel):
  with zipfile.ZipFile(wheel) as file:
    (name,) = [x for x in file.namelist() if x.endswith('/METADATA')]
    metadata = file.read(name).decode()
  needed = {
    line.removeprefix('Requires-Dist: ')
    for line in metadata.splitlines()
    if line.startswith('Requires-Dist: ')
  }
  lines = (ROOT / 'requirements.txt').read_text().splitlines()
  assert needed == {x for x in lines if x and not x.startswith('#')}
  project = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']
  assert f'Version: {project["version"]}' in metadata
  assert 'License-Expression: Apache-2.0' in metadata


# TensorFlow and OpenGL in software crash in one process: data gets its own.
@pytest.mark.parametrize('data', [False, True])
def test_every_module_imports_elsewhere(data, site, tmp_path):
  modules = [
    path.relative_to(site).with_suffix('').as_posix().replace('/', '.')
    for path in sorted(site.rglob('*.py'))
  ]
  modules = [
    name.removesuffix('.__init__')
    for name in modules
    if name.startswith('worldmodels.data.') == data
  ]
  assert ('worldmodels.data' if data else 'worldmodels.agents') in modules
  script = (
    'import importlib, sys\n'
    'for name in sys.argv[1:]:\n'
    '  print(importlib.import_module(name).__file__)\n'
    'print("tensorflow" in sys.modules)\n'
  )
  printed = run(['-c', script, *modules], tmp_path, PYTHONPATH=str(site))
  *files, tensorflow = printed.splitlines()
  assert len(files) == len(modules)
  assert all(pathlib.Path(file).is_relative_to(site) for file in files)
  assert tensorflow == str(not data)


def test_worker_starts_elsewhere(site, tmp_path):
  """A worker is a module started by its name, which differs in the wheel."""
  tasks = site / 'worldmodels' / 'data' / 'tasks'
  task = next(x.stem for x in sorted(tasks.glob('*.py')) if x.stem[0] != '_')
  script = (
    'import sys\n'
    'from worldmodels.data import workers\n'
    'worker = workers.start(sys.argv[1])\n'
    'print(worker.reset().observation["image"].shape)\n'
    'worker.close()\n'
  )
  printed = run(['-c', script, task], tmp_path, PYTHONPATH=str(site))
  assert printed.strip() == '(64, 64, 3)'
