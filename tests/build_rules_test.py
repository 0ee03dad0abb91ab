"""Holds BUILD to the code and the code to BUILD, without Bazel.

BUILD is executed with rules that only take notes; it is Starlark, of which the
part that it uses is Python.
"""

import dataclasses
import re

import pytest
import reading_sources as reading
from small_house import SMALL
from small_house import add
from small_house import swap

RULES = reading.Rules()


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


def target_of(targets, label):
  """The target of a label."""
  assert label.removeprefix(':') in targets, f'BUILD: no target {label}'
  return targets[label.removeprefix(':')]


def made_files(targets):
  """What genrules write, {path: text}; they do it with echo."""
  return {
    out: re.search("echo '(.*)' > ", target.cmd)[1] + '\n'
    for target in targets.values()
    for out in target.outs
  }


def files_of(targets, target):
  """The files of a target, those of its filegroups included."""
  found = set()
  for src in target.srcs:
    if src.startswith(':'):
      found |= files_of(targets, target_of(targets, src))
    else:
      found.add(src)
  return found


@RULES.add(
  swap('BUILD', '["worldmodels/**/*.py"]', '["worldmodels/r*"]'),
  swap('BUILD', '"tests/**"', '"tests/*_test.py"'),
  swap('BUILD', 'srcs = ["program.py"]', 'srcs = ["program.py", "gone.py"]'),
  swap('BUILD', ':configs', ':config'),
  add('agents/runs/film.py', ''),
)
def build_names(files):
  """Every Python file is in a target; every file and label of one is there."""
  targets, _ = evaluate(files)
  made = made_files(targets)
  bad = []
  named = {}
  for target in targets.values():
    for label in target.deps:
      target_of(targets, label)
    for path in files_of(targets, target):
      named.setdefault(path, set()).add(target.kind)
      if path not in files and path not in made:
        bad.append(f'BUILD: {target.name}: there is no {path}')
  for path, _ in reading.python(files, *reading.SOURCES, 'tests/'):
    kinds = {'py_library', 'py_binary'}
    if path.startswith('tests/'):
      kinds = {'py_test' if path.endswith('_test.py') else 'filegroup'}
    if not kinds & named.get(path, set()):
      bad.append(f'{path}: in no {" or ".join(sorted(kinds))} of BUILD')
  return bad


@RULES.add(
  swap('BUILD', 'deps = [":agents", ":configs", ":data"]', 'deps = []'),
  swap('BUILD', ':data", ":errors", ":model"', ':data"'),
  swap('BUILD', 'deps = [":programs"]', 'deps = [":agents"]'),
  swap('agents/programs/train.py', 'from worldmodels.data import rows', ''),
  swap('worldmodels/model.py', 'from worldmodels import errors', ''),
  add('data/rows.py', 'from worldmodels import rssm'),
  add('data/rows.py', "KINDS = 'worldmodels.agents.planners'"),
  add('agents/planet.py', 'from worldmodels.data import rows'),
)
def build_deps(files):
  """The deps of BUILD are what the sources import, no less and no more."""
  targets, _ = evaluate(files)
  files = files | made_files(targets)
  held = {name: files_of(targets, x) for name, x in targets.items()}
  bad = []
  for target in targets.values():
    if target.kind in ('filegroup', 'genrule'):
      continue
    own, used = held[target.name], set()
    for path in own & files.keys():
      for found in reading.imports(reading.parse(files[path])):
        file = found.file(files)
        if not file or file in own:
          continue
        holders = {x for x in target.deps if file in held[x.removeprefix(':')]}
        used |= holders
        if not holders:
          bad.append(f'BUILD: {target.name}: no dep has {file} ({path})')
    if target.kind != 'py_test':
      for name in sorted(set(target.deps) - used):
        bad.append(f'BUILD: {target.name}: nothing of {name} is imported')
  return bad


@RULES.add(
  swap('BUILD', 'srcs = [test, "tests/pytest_main.py"]', 'srcs = [test]'),
  swap('BUILD', 'main = "program.py"', 'main = "train.py"'),
  swap('BUILD', 'name = "program"', 'name = "worldmodels"'),
  swap('BUILD', 'py_binary(', 'py_library('),
)
def build_programs(files):
  """One program, and what is run is among its sources.

  An executable `worldmodels` would take the place of the folder of that name.
  """
  targets, _ = evaluate(files)
  bad = [
    f'BUILD: {target.name}: main is not among srcs'
    for target in targets.values()
    if target.kind in ('py_binary', 'py_test')
    and target.main not in target.srcs
  ]
  programs = [x.name for x in targets.values() if x.kind == 'py_binary']
  if programs != ['program']:
    bad.append(f'BUILD: the programs are {programs}')
  return bad


@RULES.add(
  swap('BUILD', '"py_binary", ', ''),
  swap('BUILD', '@rules_python//python:defs.bzl', ':defs.bzl'),
)
def build_loads(files):
  """Bazel 8 has no Python rules of its own: each is loaded."""
  targets, loaded = evaluate(files)
  return [
    f'BUILD: {kind} is not loaded from rules_python'
    for kind in sorted({target.kind for target in targets.values()})
    if kind.startswith('py_')
    and ('@rules_python//python:defs.bzl', kind) not in loaded
  ]


# ------------------------------------------------------------------ tests ----


@pytest.mark.parametrize('name', RULES)
def test_build(name):
  bad = RULES[name].find(reading.read_repository())
  assert not bad, '\n'.join([RULES[name].find.__doc__, *bad])


@pytest.mark.parametrize('name', RULES)
def test_small_house_is_clean(name):
  assert RULES[name].find(SMALL) == []
  assert RULES[name].planted


@pytest.mark.parametrize('name,plant', RULES.cases('planted'))
def test_planted_violation_is_found(name, plant):
  try:
    bad = RULES[name].find(plant(SMALL))
  except AssertionError as error:  # BUILD itself is wrong.
    bad = [str(error)]
  assert bad


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
