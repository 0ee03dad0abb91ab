"""The wheel, built from a copy and installed where there is no checkout."""

import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).parent.parent
FOLDERS = ('worldmodels', 'agents', 'configs', 'data')
_FILES = ('pyproject.toml', 'README.md', 'LICENSE')


def build(folder: pathlib.Path) -> pathlib.Path:
  """Builds the wheel into an empty folder, without a network.

  From a copy, which has no version control and leaves the checkout clean.
  """
  source = folder / 'source'
  source.mkdir()
  for name in _FILES:
    shutil.copy(ROOT / name, source)
  for name in FOLDERS:
    ignore = shutil.ignore_patterns('__pycache__')
    shutil.copytree(ROOT / name, source / name, ignore=ignore)
  offline = ['--no-index', '--no-deps', '--no-build-isolation']
  pip('wheel', *offline, '--wheel-dir', folder, source)
  (wheel,) = folder.glob('*.whl')
  return wheel


def install(wheel: pathlib.Path, folder: pathlib.Path) -> None:
  """Installs a wheel into a new environment in a folder.

  It sees the packages that are installed here, but no editable install: that
  would find the checkout.
  """
  environment = folder / 'environment'
  run(sys.executable, '-m', 'venv', '--without-pip', environment)
  python = commands(folder) / 'python'
  pip('--python', python, 'install', '--no-index', '--no-deps', wheel)
  (site,) = environment.glob('lib/python*/site-packages')
  packages = [
    path
    for path in map(pathlib.Path, sys.path)
    if path.name[-9:] == '-packages'
  ]
  # Python reads the files of a folder in this order. setuptools has one that
  # gives Python 3.12 the distutils which tensorflow-probability imports.
  (site / '_packages.pth').write_text('\n'.join(map(str, packages)) + '\n')
  for file in (file for path in packages for file in path.glob('*.pth')):
    if not file.name.startswith('__editable__'):
      shutil.copy(file, site)


def commands(folder: pathlib.Path) -> pathlib.Path:
  """Returns where the commands of the environment in a folder are."""
  return folder / 'environment' / 'bin'


def pip(*arguments: object) -> None:
  """Runs this Python's pip, with nothing from a network."""
  run(sys.executable, '-m', 'pip', '--disable-pip-version-check', *arguments)


def variables() -> dict[str, str]:
  """Returns the environment's variables without those that would help."""
  return {k: v for k, v in os.environ.items() if k[:6] != 'PYTHON'}


def run(
  *command: object, folder: pathlib.Path | None = None, status: int = 0
) -> subprocess.CompletedProcess:
  """Runs a command to its end, without the variables that would help it.

  Args:
    *command: the program and its arguments.
    folder: to run it in.
    status: that it has to exit with.
  """
  done = subprocess.run(
    [str(word) for word in command],
    cwd=folder,
    env=variables(),
    capture_output=True,
    text=True,
    timeout=240,
  )
  assert done.returncode == status, done.stdout + done.stderr
  return done
