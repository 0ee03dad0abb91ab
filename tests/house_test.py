"""Holds the code to the house rules, by reading it: nothing is imported.

A rule is a function from the repository, {path: text}, to a list of sentences,
one for each violation. Every rule is shown to hold here and to fail on a small
repository into which a violation was planted.
"""

import ast
import dataclasses
import functools
import pathlib
import re
import subprocess

import pytest

ROOT = pathlib.Path(__file__).parent.parent

# Which absolute and which relative first-party imports a file may have, by the
# part of the house it is in.
ABSOLUTE = {
  'worldmodels': {'worldmodels'},
  'agents': {'worldmodels'},
  'agents/run': {'worldmodels', 'agents', 'agents/run', 'data'},
  'data': set(),
  'configs': set(),
  'tests': {'worldmodels', 'agents', 'agents/run', 'data'},
}
RELATIVE = {
  'worldmodels': {'worldmodels'},
  'agents': {'agents'},
  'agents/run': {'agents', 'agents/run'},
  'data': {'data'},
  'configs': set(),
  'tests': set(),
}
PARTS = ('worldmodels', 'agents', 'data', 'configs', 'tests')
SOURCES = ('worldmodels/', 'agents/', 'data/')

# Folders whose tests list them, so that a new file needs no test of its own.
LISTED = ('agents.planners', 'agents.run.works', 'data.tasks')

LINES = 300
BYTES = 2_000_000
TENSORFLOW = {
  *('tensorflow', 'tensorflow_probability', 'tensorboard'),
  *('keras', 'tf_keras'),
}
PICKLES = {'pickle', 'cPickle', 'cloudpickle', 'dill', 'joblib', 'shelve'}
VAGUE = re.compile(r'(.*_)?(utils?|common|tools?|helpers?|misc)')
FLAGS = re.compile(
  r'absl\.flags|argparse|optparse|ml_collections\.config_flags'
)
AT_IMPORT = re.compile(
  r'(.*\.)?(warnings\.(filter|simplefilter|filterwarnings)'
  r'|environ\.(setdefault|update|pop|popitem|clear)|putenv|unsetenv'
  r'|set_seed|set_random_seed|random\.seed|set_global_policy'
  r'|enable_op_determinism|config\..*set_.*|tf\.device)'
)
DEVICE = re.compile(r'/?(device:)?(cpu|gpu|tpu|cuda):\d+', re.IGNORECASE)
FOLDERS = '|'.join(['work', 'farm', 'root', 'home', 'Users', 'opt', 'tmp/w'])
MACHINE = re.compile(rf'(?<![\w.])/(?:{FOLDERS})/[\w.~-]')
INDEX = re.compile(
  r'--(?:(?:extra-)?index-url|find-links|trusted-host)|PIP_(?:EXTRA_)?INDEX_URL'
)


# ---------------------------------------------------------------- reading ----


def repository():
  """What git would commit, {path: text}; in Bazel, what BUILD gives."""
  if (ROOT / '.git').exists():
    command = ['git', 'ls-files', '-z', '--cached', '--others']
    command.append('--exclude-standard')
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    paths = listed.stdout.decode().rstrip('\0').split('\0')
  else:
    ignored = re.compile(
      r'/(\.(?!ci/)[^/]*|runs|build|dist|[^/]*\.egg-info|__pycache__)/'
    )
    paths = [path.relative_to(ROOT).as_posix() for path in ROOT.rglob('*')]
    paths = [path for path in paths if not ignored.search(f'/{path}/')]
  return {
    path: (ROOT / path).read_bytes().decode(errors='surrogateescape')
    for path in sorted(paths)
    if (ROOT / path).is_file()
  }


@functools.cache
def parse(source):
  return ast.parse(source)


def python(files, *starts):
  """The Python files in the folders named, as (path, syntax tree)."""
  for path, source in files.items():
    if path.endswith('.py') and path.startswith(starts):
      yield path, parse(source)


def part(path):
  """The part of the house that a path or dotted module is in, or None."""
  path = path.replace('.', '/')
  if path == 'agents/run' or path.startswith('agents/run/'):
    return 'agents/run'
  first = path.split('/')[0]
  return first if first in PARTS else None


def as_module(path):
  return path.removesuffix('.py').replace('/', '.')


def dotted(node):
  """`a.b.c` for the expression a.b.c, else ''."""
  if isinstance(node, ast.Name):
    return node.id
  if isinstance(node, ast.Attribute) and dotted(node.value):
    return f'{dotted(node.value)}.{node.attr}'
  return ''


@dataclasses.dataclass(frozen=True)
class Import:
  """One imported name: `from module import name`, `import module`."""

  module: str  # absolute and dotted, also for a relative import
  name: str
  relative: bool
  line: int

  @property
  def full(self):
    return f'{self.module}.{self.name}' if self.name else self.module

  def file(self, files):
    """The file it imports, or None: another package, or it is not there."""
    base = self.full.replace('.', '/')
    paths = [f'{base}.py', f'{base}/__init__.py']
    if self.name:  # Of a module; of a package's __init__ there is none.
      paths.append(f'{self.module.replace(".", "/")}.py')
    for path in paths:
      if path in files:
        return path
    return None


def imports(path, tree):
  """Every import of a file, wherever it stands in it."""
  package = path.split('/')[:-1]
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      for alias in node.names:
        yield Import(alias.name, '', False, node.lineno)
    elif isinstance(node, ast.ImportFrom):
      module = (node.module or '').split('.') if node.module else []
      if node.level:
        kept = len(package) - (node.level - 1)
        module = (package[:kept] if kept > 0 else ['..']) + module
      for alias in node.names:
        yield Import(
          '.'.join(module), alias.name, bool(node.level), node.lineno
        )
    elif isinstance(node, ast.Call) and node.args:
      # importlib.import_module('a.b'), or f'a.{name}': what stands before {.
      if dotted(node.func).split('.')[-1] in ('import_module', '__import__'):
        first = node.args[0]
        if isinstance(first, ast.JoinedStr) and first.values:
          first = first.values[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
          if not first.value.startswith('.'):
            yield Import(first.value.rstrip('.'), '', False, node.lineno)


def is_main_guard(node):
  return (
    isinstance(node, ast.If)
    and isinstance(node.test, ast.Compare)
    and dotted(node.test.left) == '__name__'
  )


def at_import(node):
  """Every node that is evaluated when a module is imported."""
  if isinstance(node, ast.Lambda) or is_main_guard(node):
    return
  yield node
  children = ast.iter_child_nodes(node)
  if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
    children = [
      *node.decorator_list,
      *node.args.defaults,
      *(default for default in node.args.kw_defaults if default),
    ]
  for child in children:
    yield from at_import(child)


def strings(tree):
  """String constants that are not docstrings."""
  prose = {
    id(node.body[0].value)
    for node in ast.walk(tree)
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
    and node.body
    and isinstance(node.body[0], ast.Expr)
  }
  for node in ast.walk(tree):
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
      if id(node) not in prose:
        yield node


# ------------------------------------------------------------------ BUILD ----


@dataclasses.dataclass(frozen=True)
class Target:
  """One target of BUILD."""

  kind: str
  name: str
  srcs: tuple = ()
  deps: tuple = ()
  main: str = ''
  outs: tuple = ()
  cmd: str = ''


def glob_pattern(pattern):
  """Bazel's glob as a regular expression: ** is any number of folders."""
  pieces = re.split(r'(\*\*/|/\*\*$|\*)', pattern)
  known = {'**/': '(.*/)?', '/**': '/.*', '*': '[^/]*'}
  return re.compile(''.join(known.get(x, re.escape(x)) for x in pieces))


def evaluate(files):
  """Executes BUILD with rules that only take notes: (targets, loaded)."""
  targets, loaded = {}, set()

  def rule(kind):
    def make(*, name, srcs=(), deps=(), main='', outs=(), cmd='', **_):
      assert name not in targets, f'BUILD: two targets {name}'
      lists = (tuple(srcs), tuple(deps), main, tuple(outs), cmd)
      targets[name] = Target(kind, name, *lists)

    return make

  def glob(include, exclude=(), allow_empty=False):
    skip = [glob_pattern(pattern) for pattern in exclude]
    found = []
    for pattern in map(glob_pattern, include):
      new = [
        path
        for path in files
        if pattern.fullmatch(path) and not any(x.fullmatch(path) for x in skip)
      ]
      assert new or allow_empty, f'BUILD: {include} matches nothing'
      found += [path for path in new if path not in found]
    return found

  kinds = ('py_library', 'py_binary', 'py_test', 'filegroup', 'genrule')
  names = {kind: rule(kind) for kind in kinds}
  names['load'] = lambda label, *symbols: loaded.update(
    (label, symbol) for symbol in symbols
  )
  names['glob'] = glob
  names['package'] = names['licenses'] = lambda *_, **__: None
  exec(compile(files['BUILD'], 'BUILD', 'exec'), names)
  return targets, loaded


def label(targets, name):
  assert name.removeprefix(':') in targets, f'BUILD: no target {name}'
  return targets[name.removeprefix(':')]


def files_of(targets, target):
  """The files of a target that git has, those of its filegroups included."""
  made = {out for other in targets.values() for out in other.outs}
  found = set()
  for src in target.srcs:
    if src.startswith(':'):
      found |= files_of(targets, label(targets, src))
    elif src not in made:
      found.add(src)
  return found


# ------------------------------------------------------------------ rules ----


def rule_imports(files):
  """worldmodels <- agents <- agents/run -> data; relative among siblings."""
  bad = []
  for path, tree in python(files, *(f'{name}/' for name in PARTS)):
    here = part(path)
    for found in imports(path, tree):
      where = f'{path}:{found.line}: {found.full}'
      there = part(found.full)
      if found.relative and not there:
        bad.append(f'{where}: a relative import leaves its package')
      elif not there:
        continue
      elif there not in (RELATIVE if found.relative else ABSOLUTE)[here]:
        kind = 'relative' if found.relative else 'absolute'
        bad.append(f'{where}: no {kind} import of {there} in {here}')
      elif not found.file(files):
        bad.append(f'{where}: there is no such module')
  return bad


def rule_module_names(files):
  """`-m data.x` is `-m worldmodels.data.x` in a wheel: say __package__."""
  return [
    f'{path}:{node.lineno}: {node.value!r} has another name in a wheel'
    for path, tree in python(files, 'agents/', 'data/')
    if part(path) != 'agents/run'
    for node in strings(tree)
    if re.fullmatch(r'(agents|data)(\.\w+)+', node.value)
    and Import(node.value, '', False, 0).file(files)
  ]


def rule_tensorflow(files):
  """TensorFlow and OpenGL in software crash in one process: none in data."""
  return [
    f'{path}:{found.line}: imports {found.full}'
    for path, tree in python(files, 'data/')
    for found in imports(path, tree)
    if found.module.split('.')[0] in TENSORFLOW
  ]


def rule_init(files):
  """A package's __init__ is its docstring, so importing it costs nothing."""
  return [
    f'{path}: holds more than a docstring'
    for path, tree in python(files, *SOURCES, 'tests/')
    if path.endswith('/__init__.py')
    and not (len(tree.body) == 1 and ast.get_docstring(tree))
  ]


def rule_build_names(files):
  """Every Python file is in a target, every file and label of one is there."""
  targets, _ = evaluate(files)
  bad = []
  named = {}
  for target in targets.values():
    for path in files_of(targets, target):
      named.setdefault(path, []).append(target.kind)
      if path not in files:
        bad.append(f'BUILD: {target.name}: there is no {path}')
  wanted = {'configs/': ['filegroup'], 'tests/': ['py_test']}
  for path, _ in python(files, *(f'{name}/' for name in PARTS)):
    kinds = wanted.get(path.split('/')[0] + '/', ['py_library', 'py_binary'])
    if path.startswith('tests/') and not path.endswith('_test.py'):
      kinds = ['py_test', 'filegroup']
    if not set(kinds) & set(named.get(path, ())):
      bad.append(f'{path}: in no {" or ".join(kinds)} of BUILD')
  return bad


def rule_build_deps(files):
  """The deps of BUILD are what the sources import, no less and no more."""
  targets, _ = evaluate(files)
  bad = []
  for target in targets.values():
    if target.kind == 'filegroup':
      continue
    own = files_of(targets, target)
    used = set()
    for path in own & files.keys():
      for found in imports(path, parse(files[path])):
        file = found.file(files)
        if not file or file in own:
          continue
        holders = {
          name
          for name in target.deps
          if file in files_of(targets, label(targets, name))
        }
        used |= holders
        if not holders:
          bad.append(f'BUILD: {target.name}: no dep has {file} ({path})')
    if target.kind != 'py_test':
      for name in sorted(set(target.deps) - used):
        bad.append(f'BUILD: {target.name}: nothing of {name} is imported')
  return bad


def rule_build_programs(files):
  """What runs as a program is a py_binary, and the other way round.

  Bazel runs `main` as a script, so a program with relative imports needs one
  that is made for it and starts it the way `python -m` does. A script that
  tests start, beside them, is part of the checkout that they have as data.
  """
  targets, _ = evaluate(files)
  scripts = {out: x.cmd for x in targets.values() for out in x.outs}
  bad, programs = [], set()
  for target in targets.values():
    if target.kind not in ('py_binary', 'py_test'):
      continue
    if target.main not in target.srcs:
      bad.append(f'BUILD: {target.name}: main is not among srcs')
    elif target.main not in scripts:
      programs.add(target.main)
      tree = parse(files.get(target.main, ''))
      if any(found.relative for found in imports(target.main, tree)):
        bad.append(f'{target.main}: a relative import in a script')
    else:
      started = {
        path
        for path in files_of(targets, target)
        if f'run_module("{as_module(path)}"' in scripts[target.main]
      }
      programs |= started
      if len(started) != 1:
        bad.append(f'BUILD: {target.name}: main starts none of srcs')
  for path, tree in python(files, *SOURCES, 'tests/'):
    guarded = any(is_main_guard(node) for node in tree.body)
    beside = path.startswith('tests/') and not path.endswith('_test.py')
    if guarded and path not in programs and not beside:
      bad.append(f'{path}: a program that no py_binary starts')
    if not guarded and path in programs:
      bad.append(f'{path}: started by a py_binary, without __main__')
  return bad


def rule_build_loads(files):
  """Bazel 8 has no Python rules of its own: each is loaded."""
  targets, loaded = evaluate(files)
  return [
    f'BUILD: {kind} is not loaded from rules_python'
    for kind in sorted({target.kind for target in targets.values()})
    if kind.startswith('py_')
    and ('@rules_python//python:defs.bzl', kind) not in loaded
  ]


def rule_tested(files):
  """Every source file is imported or named in a test (not in a comment)."""
  mentioned = set()
  for path, tree in python(files, 'tests/'):
    if path.endswith('_test.py') and path != 'tests/house_test.py':
      mentioned |= {found.full for found in imports(path, tree)}
      mentioned |= {found.module for found in imports(path, tree)}
      for node in strings(tree):
        for word in re.findall(r'[\w./]+', node.value):
          mentioned.add(as_module(word).strip('.'))
  bad = []
  for path, _ in python(files, *SOURCES):
    module = as_module(path)
    if path.endswith('/__init__.py') or module in mentioned:
      continue
    if module.rpartition('.')[0] not in mentioned & set(LISTED):
      bad.append(f'{path}: no test imports or names it')
  return bad


def rule_lines(files):
  """One reason to a file: at most 300 lines, tests excepted."""
  return [
    f'{path}: {files[path].count(chr(10))} lines, at most {LINES}'
    for path, _ in python(files, *SOURCES, 'configs/')
    if files[path].count('\n') > LINES
  ]


def rule_vague(files):
  """No utils, common, tools or helpers: a helper lives with its first user."""
  return [
    f'{path}: says nothing about what is in it'
    for path, _ in python(files, *(f'{name}/' for name in PARTS))
    if any(VAGUE.fullmatch(x) for x in path.removesuffix('.py').split('/'))
  ]


def rule_flags(files):
  """Components take keyword values: flags only in the programs."""
  programs = ('agents/run/', 'data/check.py', 'data/convert.py')
  return [
    f'{path}:{found.line}: {found.full}'
    for path, tree in python(files, *SOURCES, 'configs/')
    if not path.startswith(programs)
    for found in imports(path, tree)
    if FLAGS.match(found.full)
  ]


def rule_at_import(files):
  """Importing changes no environment, warning filter, device or seed."""
  bad = []
  for path, tree in python(files, *(f'{name}/' for name in PARTS)):
    for node in at_import(tree):
      what = ''
      if isinstance(node, ast.Call) and AT_IMPORT.fullmatch(dotted(node.func)):
        what = dotted(node.func)
      elif isinstance(node, ast.Subscript) and not isinstance(
        node.ctx, ast.Load
      ):
        if dotted(node.value).split('.')[-1] == 'environ':
          what = 'os.environ'
      elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        if not path.startswith('tests/') and DEVICE.fullmatch(node.value):
          what = node.value
      if what:
        bad.append(f'{path}:{node.lineno}: {what} at import')
  return bad


def rule_pickle(files):
  """Pickles run what is in them: none written, none read."""
  bad = []
  for path, tree in python(files, *SOURCES, 'configs/'):
    for found in imports(path, tree):
      if found.module.split('.')[0] in PICKLES:
        bad.append(f'{path}:{found.line}: imports {found.full}')
    for node in ast.walk(tree):
      if isinstance(node, ast.keyword) and node.arg == 'allow_pickle':
        if not (isinstance(node.value, ast.Constant) and not node.value.value):
          bad.append(f'{path}:{node.value.lineno}: allow_pickle')
  return bad


def rule_paths(files):
  """Nothing names one machine: no absolute paths, no package indexes."""
  bad = []
  for path, text in files.items():
    if '\0' in text:
      continue
    for number, line in enumerate(text.splitlines(), 1):
      found = MACHINE.search(line) or INDEX.search(line)
      if found:
        bad.append(f'{path}:{number}: {found.group()}')
  return bad


def rule_pins(files):
  """Requirements are exact, and nothing else stands in their files."""
  pin = re.compile(r'[\w-]+==[\w.]+( *; *python_version .*)?')
  return [
    f'{path}:{number}: {line}'
    for path in ('requirements.txt', 'requirements-dev.txt')
    for number, line in enumerate(files[path].splitlines(), 1)
    if line and not line.startswith('#') and not pin.fullmatch(line)
  ]


def rule_size(files):
  """A clone stays small."""
  return [
    f'{path}: over {BYTES} bytes'
    for path, text in files.items()
    if len(text.encode(errors='surrogateescape')) > BYTES
  ]


RULES = {
  name.removeprefix('rule_'): value
  for name, value in list(globals().items())
  if name.startswith('rule_')
}


# ------------------------------------------------------------------ tests ----


@pytest.fixture(scope='module')
def files():
  return repository()


@pytest.mark.parametrize('name', RULES)
def test_house(name, files):
  bad = RULES[name](files)
  assert not bad, '\n'.join([RULES[name].__doc__, *bad])


def test_reads_the_repository(files):
  assert {'BUILD', 'requirements.txt', 'tests/house_test.py'} <= files.keys()
  for name in SOURCES:
    assert f'{name}__init__.py' in files


LOAD = 'load("@rules_python//python:defs.bzl", %s)\n'
SMALL = {
  'BUILD': LOAD % '"py_library", "py_binary", "py_test"'
  + """
package(default_visibility = ["//visibility:public"])
py_library(name = "worldmodels", srcs = glob(["worldmodels/**/*.py"]))
py_library(
    name = "agents",
    srcs = glob(["agents/**/*.py"], exclude = ["agents/run/**"]),
    deps = [":worldmodels"],
)
py_library(name = "data", srcs = glob(["data/**/*.py"]))
genrule(
    name = "train_script",
    outs = ["train_script.py"],
    cmd = "echo 'run_module(\\"agents.run.train\\")' > $@",
)
py_binary(
    name = "train",
    srcs = ["agents/run/train.py", "train_script.py"],
    main = "train_script.py",
    deps = [":agents", ":data"],
)
filegroup(name = "configs", srcs = glob(["configs/*.py"]))
[py_test(
    name = test[len("tests/"):-3],
    srcs = [test, "tests/pytest_main.py"],
    main = "tests/pytest_main.py",
    deps = [":worldmodels", ":agents", ":data", ":train"],
) for test in glob(["tests/*_test.py"])]
""",
  'requirements.txt': '# Why.\nnumpy==2.4.6\n',
  'requirements-dev.txt': 'pytest==9.2.0\n',
  'worldmodels/__init__.py': '"""The learned simulator."""\n',
  'worldmodels/rssm.py': 'import tensorflow as tf\n',
  'worldmodels/model.py': 'from worldmodels import rssm\n',
  'agents/__init__.py': '"""Who acts."""\n',
  'agents/planet.py': 'from worldmodels import model\nfrom . import planners\n',
  'agents/planners/__init__.py': '"""Planners."""\n',
  'agents/planners/cem.py': 'from worldmodels.rssm import RSSM\n',
  'agents/run/train.py': (
    'import os\n'
    'from absl import flags\n'
    'from .. import planet\n'
    'from data import episodes\n'
    "if __name__ == '__main__':\n"
    "  os.environ['X'] = 'y'\n"
  ),
  'data/__init__.py': '"""Where experience comes from."""\n',
  'data/episodes.py': 'import numpy as np\nfrom . import tasks\n',
  'data/tasks/__init__.py': '"""Tasks."""\n',
  'data/tasks/hill.py': 'from .. import episodes\n',
  'configs/planet.py': 'import ml_collections\n',
  'tests/pytest_main.py': "if __name__ == '__main__':\n  pass\n",
  'tests/rssm_test.py': (
    'from worldmodels import model, rssm\n'
    'from agents import planet\n'
    'from agents import planners\n'
    'from data import episodes\n'
    "FOLDER = 'data/tasks'\n"
    "COMMAND = ['python', '-m', 'agents.run.train']\n"
  ),
}


def test_small_repository_is_clean():
  assert {name: rule(SMALL) for name, rule in RULES.items()} == {
    name: [] for name in RULES
  }


def add(path, line):
  return lambda files: files | {path: files.get(path, '') + line + '\n'}


def swap(path, old, new):
  def change(files):
    assert old in files[path]
    return files | {path: files[path].replace(old, new)}

  return change


def drop(path):
  return lambda files: {k: v for k, v in files.items() if k != path}


# Changes that break a rule, by rule.
PLANTED = {
  'imports': [
    add('worldmodels/rssm.py', 'from agents import planet'),
    add('worldmodels/rssm.py', 'from data import episodes'),
    add('worldmodels/rssm.py', 'from .. import agents'),
    add('worldmodels/rssm.py', 'def f():\n  import data.episodes'),
    add('worldmodels/rssm.py', 'from worldmodels import gone'),
    add('agents/planet.py', 'from data import episodes'),
    add('agents/planet.py', 'from agents import planners'),
    add('agents/planet.py', 'from .run import train'),
    add('agents/planet.py', 'from ..worldmodels import rssm'),
    add('agents/planet.py', 'from . import gone'),
    add('agents/planners/cem.py', 'import agents.planet'),
    add('data/episodes.py', 'from data import tasks'),
    add('data/episodes.py', 'from worldmodels import rssm'),
    add('data/episodes.py', "import_module('data.tasks')"),
    add('data/episodes.py', "importlib.import_module(f'data.tasks.{name}')"),
    add('data/tasks/hill.py', 'from ... import agents'),
    add('agents/run/train.py', 'from configs import planet'),
    add('tests/rssm_test.py', 'from configs import planet'),
    add('configs/planet.py', 'from worldmodels import rssm'),
  ],
  'module_names': [
    add('data/episodes.py', "RUN = ['-m', 'data.tasks.hill']"),
    add('agents/planet.py', "NAME = 'agents.planners.cem'"),
  ],
  'tensorflow': [
    add('data/episodes.py', 'import tensorflow as tf'),
    add('data/tasks/hill.py', 'def f():\n  from keras import layers'),
  ],
  'init': [
    add('agents/__init__.py', 'from . import planet'),
    swap('data/__init__.py', '"""', '# '),
  ],
  'build_names': [
    swap('BUILD', '["worldmodels/**/*.py"]', '["worldmodels/r*"]'),
    swap('BUILD', '"configs/*.py"', '"data/*.py"'),
    swap('BUILD', '"agents/run/train.py"', '"agents/run/gone.py"'),
    add('agents/run/video.py', ''),
    add('tests/conftest.py', ''),
  ],
  'build_deps': [
    swap('BUILD', 'deps = [":agents", ":data"]', 'deps = [":data"]'),
    swap('BUILD', ':agents", ":data", ":train', ':agents'),
    add('data/episodes.py', 'from worldmodels import rssm'),
    swap('agents/run/train.py', 'from data import episodes', ''),
  ],
  'build_programs': [
    add('data/episodes.py', "if __name__ == '__main__': main()"),
    swap('agents/run/train.py', "if __name__ == '__main__'", 'if 1'),
    swap('BUILD', 'srcs = [test, "tests/pytest_main.py"]', 'srcs = [test]'),
    swap('BUILD', 'main = "train_script.py"', 'main = "agents/run/train.py"'),
    swap('BUILD', 'agents.run.train', 'agents.run.gone'),
  ],
  'build_loads': [
    swap('BUILD', '"py_binary", ', ''),
    swap('BUILD', '@rules_python//python:defs.bzl', ':defs.bzl'),
  ],
  'tested': [
    add('worldmodels/heads.py', ''),
    swap('tests/rssm_test.py', 'from data import episodes', '# data.episodes'),
    swap('tests/rssm_test.py', "FOLDER = 'data/tasks'", ''),
    drop('tests/rssm_test.py'),
  ],
  'lines': [add('worldmodels/rssm.py', '\n' * 300)],
  'vague': [
    add('worldmodels/utils.py', ''),
    add('data/image_utils.py', ''),
    add('agents/common/__init__.py', '"""Things."""'),
  ],
  'flags': [
    add('worldmodels/rssm.py', 'from absl import flags'),
    add('agents/planet.py', 'import argparse'),
    add('data/episodes.py', 'from ml_collections import config_flags'),
  ],
  'at_import': [
    add('data/episodes.py', "os.environ['MUJOCO_GL'] = 'egl'"),
    add('data/episodes.py', "if 1: os.environ.setdefault('A', 'b')"),
    add('data/episodes.py', "del os.environ['A']"),
    add('agents/run/train.py', "warnings.filterwarnings('ignore')"),
    add('agents/planet.py', 'tf.config.threading.set_inter_op_threads(1)'),
    add('worldmodels/rssm.py', 'tf.random.set_seed(1)'),
    add('worldmodels/rssm.py', 'class A:\n  np.random.seed(1)'),
    add('worldmodels/rssm.py', "def f(device='/GPU:0'): pass"),
    add('worldmodels/rssm.py', "DEVICE = 'cuda:0'"),
  ],
  'pickle': [
    add('data/episodes.py', 'import pickle'),
    add('data/episodes.py', 'np.load(f, allow_pickle=True)'),
  ],
  'paths': [
    add('README.md', 'cd /' + 'home/ann/worldmodels'),
    add('worldmodels/rssm.py', "PATH = '/" + "tmp/w/x'"),
    add('Makefile', 'pip install --' + 'extra-index-url=https://a.b'),
  ],
  'pins': [
    add('requirements.txt', 'scipy>=1.17'),
    add('requirements-dev.txt', '-r requirements.txt'),
  ],
  'size': [add('results/dream.webm', 'x' * 2_000_001)],
}


@pytest.mark.parametrize(
  'name,plant', [(name, x) for name in PLANTED for x in PLANTED[name]]
)
def test_planted_violation_is_found(name, plant):
  files = plant(dict(SMALL))
  try:
    bad = RULES[name](files)
  except AssertionError as error:  # BUILD itself is wrong.
    bad = [str(error)]
  assert bad


def test_every_rule_has_a_planted_violation():
  assert PLANTED.keys() == RULES.keys()


# What looks like a violation and is none: the rule, and a change.
FINE = [
  ('imports', add('agents/planet.py', 'from .planners import cem')),
  ('imports', add('agents/run/train.py', 'from agents import planet')),
  ('imports', add('data/episodes.py', "import_module(f'.{x}', __name__)")),
  ('module_names', add('data/episodes.py', "LOG = 'see data.tasks.hill'")),
  ('tensorflow', add('worldmodels/rssm.py', 'import keras')),
  ('at_import', add('data/episodes.py', "def f():\n  os.environ['A'] = 'b'")),
  ('at_import', add('data/episodes.py', "HOME = os.environ['HOME']")),
  ('at_import', add('data/episodes.py', 'F = lambda: np.random.seed(1)')),
  ('flags', add('data/check.py', 'from absl import flags')),
  ('pickle', add('data/episodes.py', 'np.load(f, allow_pickle=False)')),
  ('paths', add('README.md', 'https://example.org/home/x, configs/home/x')),
  ('paths', add('README.md', 'the root / of work/ and a/opt/b')),
  ('lines', add('tests/rssm_test.py', '\n' * 300)),
  ('vague', add('data/toolbox.py', '')),
  ('pins', add('requirements.txt', 'scipy==1.18 ; python_version >= "3.12"')),
  ('tested', add('agents/planners/mppi.py', '')),
]


@pytest.mark.parametrize('name,plant', FINE, ids=[x[0] for x in FINE])
def test_what_is_fine_passes(name, plant):
  assert RULES[name](plant(dict(SMALL))) == []


@pytest.mark.parametrize(
  'pattern,path,matches',
  [
    ('data/**/*.py', 'data/a.py', True),
    ('data/**/*.py', 'data/tasks/a.py', True),
    ('data/*.py', 'data/tasks/a.py', False),
    ('agents/run/**', 'agents/run/train.py', True),
    ('agents/run/**', 'agents/running.py', False),
    ('tests/*_test.py', 'tests/a_test.py', True),
    ('tests/*_test.py', 'tests/a_test_py', False),
  ],
)
def test_glob_is_like_bazels(pattern, path, matches):
  assert bool(glob_pattern(pattern).fullmatch(path)) == matches
