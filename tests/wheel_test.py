"""The wheel: built, installed and imported elsewhere, all without a network.

A wheel that put `agents` or `data` at the top level would overwrite, or be
overwritten by, any other project that does.
"""

import email
import json
import shutil
import tomllib
import zipfile

import lowest_requirements
import pytest
import wheel_environment
from packaging import requirements
from packaging import specifiers

ROOT = wheel_environment.ROOT
PROJECT = tomllib.loads((ROOT / 'pyproject.toml').read_text())['project']


@pytest.fixture(scope='module')
def python(wheel):
  """The Python of an environment that has the wheel and not the checkout."""
  return wheel_environment.commands(wheel.parent) / 'python'


@pytest.fixture
def run(python, tmp_path):
  """A function that runs a script with arguments and returns its lines."""

  def start(script, *arguments):
    done = wheel_environment.run(
      python, '-c', script, *arguments, folder=tmp_path
    )
    return done.stdout.splitlines()

  return start


@pytest.fixture(scope='module')
def packed(wheel):
  """The files in the wheel, {path: bytes}."""
  with zipfile.ZipFile(wheel) as file:
    return {name: file.read(name) for name in file.namelist()}


@pytest.fixture(scope='module')
def metadata(packed):
  (name,) = [x for x in packed if x.endswith('/METADATA')]
  return email.message_from_bytes(packed[name])


def modules_in(packed):
  """The names of the modules in the wheel."""
  return [
    name.removesuffix('.py').removesuffix('/__init__').replace('/', '.')
    for name in sorted(packed)
    if name.endswith('.py')
  ]


# ---------------------------------------------------------- what is in it ----


def test_only_worldmodels_is_at_the_top(packed):
  folders = {name.split('/')[0] for name in packed}
  assert {x for x in folders if not x.endswith('.dist-info')} == {'worldmodels'}


def test_everything_but_the_old_commands_is_in_the_wheel(packed):
  """A new folder has to be added to the packages of pyproject.toml."""
  expected = set()
  for folder in wheel_environment.FOLDERS:
    for path in (ROOT / folder).rglob('*.py'):
      path = path.relative_to(ROOT).as_posix()
      if not path.startswith(('agents/run/', 'data/check/')):
        expected.add(f'worldmodels/{path.removeprefix("worldmodels/")}')
  assert {name for name in packed if name.endswith('.py')} == expected
  assert 'worldmodels/agents/programs/train.py' in expected
  assert 'worldmodels/configs/planet.py' in expected
  others = {x for x in packed if x[-3:] != '.py' and '.dist-info/' not in x}
  examples = {
    f'worldmodels/{path.relative_to(ROOT).as_posix()}'
    for path in (ROOT / 'agents/examples').rglob('*')
    if path.is_file()
  }
  assert others == {
    'worldmodels/agents/play/page.html',
    'worldmodels/agents/reports/published.csv',
    'worldmodels/py.typed',
    *examples,
  }


def test_metadata(metadata, packed):
  assert metadata['Name'] == 'worldmodels-tf'
  assert metadata['Version'] == PROJECT['version']
  assert metadata['License-Expression'] == 'Apache-2.0'
  assert any(x.endswith('.dist-info/licenses/LICENSE') for x in packed)
  versions = specifiers.SpecifierSet(metadata['Requires-Python'])
  assert versions == specifiers.SpecifierSet(PROJECT['requires-python'])
  assert metadata.get_all('Project-URL')
  (name,) = [x for x in packed if x.endswith('/entry_points.txt')]
  assert packed[name].decode().split('\n')[:2] == [
    '[console_scripts]',
    'worldmodels = worldmodels.agents.programs.launch:main',
  ]


def test_wheel_needs_what_pyproject_says(metadata):
  """Always, and with each extra."""
  extras = PROJECT['optional-dependencies']
  assert {*extras} == {'cluster', 'dmc', 'gpu', 'gymnasium', 'lerobot'}
  assert {*metadata.get_all('Provides-Extra')} == {*extras}
  always = needed(PROJECT['dependencies'])
  assert needed(metadata.get_all('Requires-Dist')) == always
  for extra in extras:
    more = needed(metadata.get_all('Requires-Dist'), extra) - always
    assert more == needed(extras[extra])
  assert not needed(extras['dmc'], python='3.13')


def needed(lines, extra='', python='3.12'):
  """Those of the requirements that hold there, without their markers."""
  found = set()
  for requirement in map(requirements.Requirement, lines):
    where = {'extra': extra, 'python_version': python}
    if not requirement.marker or requirement.marker.evaluate(where):
      requirement.marker = None
      found.add(requirement)
  return found


def test_pins_are_in_the_ranges():
  """What the checkout is tested with is something that the wheel allows."""
  lines = (ROOT / 'requirements.txt').read_text().splitlines()
  pins = dict(x.split('==') for x in lines if x and x[0] != '#')
  ranges = {
    requirement.name: requirement.specifier
    for requirement in map(
      requirements.Requirement, lowest_requirements.requirements()
    )
  }
  # Formats of others, which the checkout is tested without.
  others = {
    requirements.Requirement(line).name
    for line in PROJECT['optional-dependencies']['lerobot']
  }
  assert pins.keys() == ranges.keys() - others
  for name, version in pins.items():
    assert ranges[name].contains(version), name


@pytest.mark.parametrize(
  'requirement,expected',
  [
    ('numpy>=2.1.0,<2.6', 'numpy==2.1.0'),
    ('tensorflow[and-cuda]>=2.20.0,<2.22', 'tensorflow==2.20.0'),
    ("mujoco>=3.12.0,<3.18; python_version < '3.13'", 'mujoco==3.12.0'),
  ],
)
def test_lower_end_of_a_requirement(requirement, expected):
  assert lowest_requirements.lowest(requirement) == expected


# --------------------------------------------------------------- elsewhere ----


# TensorFlow and OpenGL in software crash in one process: data gets its own.
@pytest.mark.parametrize('data', [False, True])
def test_every_module_imports_elsewhere(data, packed, python, run):
  modules = [
    name
    for name in modules_in(packed)
    if name.startswith('worldmodels.data.') == data
  ]
  assert ('worldmodels.data.rows' if data else 'worldmodels.nets') in modules
  # Each program has flags of its own, and a process.
  script = (
    'import importlib, sys\n'
    'from absl import flags\n'
    'known = set(flags.FLAGS)\n'
    'for name in sys.argv[1:]:\n'
    '  print(importlib.import_module(name).__file__)\n'
    '  for flag in set(flags.FLAGS) - known:\n'
    '    delattr(flags.FLAGS, flag)\n'
    'print("tensorflow" in sys.modules)\n'
  )
  *files, tensorflow = run(script, *modules)
  assert len(files) == len(modules)
  assert all(file.startswith(str(python.parent.parent)) for file in files)
  assert tensorflow == str(not data)


@pytest.mark.skipif(not shutil.which('git'), reason='needs git')
def test_the_users_repository_is_not_taken_for_ours(python, tmp_path):
  """The wheel lies in an environment inside of it, as is usual."""
  place = tmp_path / '.venv'
  (source,) = python.parent.parent.glob('lib/*/site-packages/worldmodels')
  shutil.copytree(source, place / 'worldmodels')
  who = ['-c', 'user.name=a', '-c', 'user.email=a@b', '-C', tmp_path]
  wheel_environment.run('git', *who, 'init', '-q')
  wheel_environment.run('git', *who, 'add', '.venv/worldmodels/py.typed')
  wheel_environment.run('git', *who, 'commit', '-q', '-m', 'Mine')
  script = (
    'import json, sys\n'
    'sys.path.insert(0, sys.argv[1])\n'
    'from worldmodels.agents.runs import provenance\n'
    'assert provenance.__file__.startswith(sys.argv[1])\n'
    'print(json.dumps(provenance.current()))\n'
  )
  done = wheel_environment.run(python, '-c', script, place, folder=tmp_path)
  found = json.loads(done.stdout)
  assert found['commit'] is None and not found['uncommitted_changes']
  assert found['worldmodels-tf'] == PROJECT['version']


def test_worker_starts_elsewhere(run):
  """A worker is a module started by its name."""
  script = (
    'from worldmodels.data import workers\n'
    'worker = workers.start("hill")\n'
    'print(worker.reset().observation["image"].shape)\n'
    'worker.close()\n'
  )
  assert run(script) == ['(64, 64, 3)']
