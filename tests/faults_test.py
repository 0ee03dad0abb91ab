"""The faults of planted_faults.py can be planted; `make faults` plants them."""

import ast
import functools
import pathlib
import re

import pytest
from planted_faults import FAULTS
from planted_faults import GROUPS

TESTS = pathlib.Path(__file__).parent
# Those that no test of their file found when they were first planted.
UNSEEN = (
  'overshooting trains the posterior towards its own prediction',
  'the baseline of an action is the value that it led to',
  "the actor's own input has a gradient",
  'the weights of steps have a gradient',
  "Dreamer's planner ignores gamma",
  'the last evaluation explores',
  'held-out random episodes are those of training',
  'the last evaluation has parameters from before the last updates',
)


@functools.cache  # Many are named in one file.
def functions(path):
  tree = ast.parse(path.read_text())
  return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_there_are_many_and_no_two_alike():
  assert len(FAULTS) >= 40
  for key in ('what', 'file old new'):
    found = [tuple(getattr(x, part) for part in key.split()) for x in FAULTS]
    assert len(set(found)) == len(found)
  assert {*UNSEEN} <= {fault.what for fault in FAULTS}


def test_the_page_counts_them():
  page = (TESTS.parent / 'docs' / 'faults.md').read_text()
  rows = re.findall(r'^\| (.*) \| (\d+) \|$', page, re.MULTILINE)
  assert rows == [(name, str(len(group))) for name, group in GROUPS.items()]


@pytest.mark.parametrize('fault', FAULTS, ids=lambda fault: fault.what)
def test_it_changes_one_line_that_is_there_once(fault):
  text = (TESTS.parent / fault.file).read_text()
  assert text.count(fault.old) == 1
  after = text.replace(fault.old, fault.new)
  ast.parse(after)
  lines = zip(text.splitlines(), after.splitlines(), strict=True)
  assert sum(before != after for before, after in lines) == 1


@pytest.mark.parametrize('fault', FAULTS, ids=lambda fault: fault.what)
def test_its_test_is_there_and_no_recording(fault):
  file, name = fault.test.split('::')
  assert name.split('[')[0] in functions(TESTS / file)
  assert 'golden' not in fault.test
