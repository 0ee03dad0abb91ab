"""A small repository that breaks no rule, and changes to plant in it."""

from reading_sources import Change
from reading_sources import Files

BUILD = """
load("@rules_python//python:defs.bzl", "py_library", "py_binary", "py_test")
package(default_visibility = ["//visibility:public"])
ERRORS = ["worldmodels/__init__.py", "worldmodels/errors.py"]
py_library(name = "errors", srcs = ERRORS)
py_library(
    name = "model",
    srcs = glob(
        ["worldmodels/**/*.py"],
        exclude = ERRORS + ["worldmodels/__main__.py"],
    ),
    deps = [":errors"],
)
py_library(name = "data", srcs = glob(
    ["data/**/*.py"],
    exclude = ["data/check/**"],
))
py_library(
    name = "agents",
    srcs = glob(["agents/*.py", "agents/planners/*.py"]),
    deps = [":model"],
)
py_library(name = "configs", srcs = glob(["configs/*.py"]))
py_library(
    name = "programs",
    srcs = glob([
        "agents/programs/*.py",
        "agents/run/*.py",
        "data/check/*.py",
        "worldmodels/__main__.py",
    ]),
    deps = [":agents", ":configs", ":data"],
)
genrule(
    name = "script",
    outs = ["program.py"],
    cmd = "echo 'from worldmodels.agents.programs import train' > $@",
)
py_binary(
    name = "program",
    srcs = ["program.py"],
    main = "program.py",
    deps = [":programs"],
)
filegroup(name = "checkout", srcs = glob(["tests/**"]))
[py_test(
    name = test[len("tests/"):-3],
    srcs = [test, "tests/pytest_main.py"],
    main = "tests/pytest_main.py",
    deps = [":agents", ":configs", ":data", ":errors", ":model", ":programs"],
) for test in glob(["tests/*_test.py"])]
"""

SMALL = {
  'BUILD': BUILD,
  'requirements.txt': '# Why.\nnumpy==2.4.6\n',
  'requirements-dev.txt': 'pytest==9.2.0\n',
  'worldmodels/__init__.py': (
    '"""The learned simulator."""\n'
    'import pathlib\n'
    "if not (pathlib.Path(__file__).parent / 'agents').is_dir():\n"
    '  __path__.append(str(pathlib.Path(__file__).parent.parent))\n'
  ),
  'worldmodels/__main__.py': (
    'from worldmodels.agents.programs import train\n'
    "if __name__ == '__main__':\n"
    '  train.main()\n'
  ),
  'worldmodels/errors.py': 'import difflib\n',
  'worldmodels/rssm.py': 'import tensorflow as tf\n',
  'worldmodels/model.py': (
    'from worldmodels import errors\n'
    'from worldmodels.rssm import RSSM\n'
    'def loss(batch: Batch, *, seed: int) -> Tensor:\n'
    '  """Returns the loss."""\n'
  ),
  'agents/__init__.py': '"""Who acts."""\n',
  'agents/planet.py': (
    "from worldmodels import model\nPLANNERS = 'worldmodels.agents.planners'\n"
  ),
  'agents/planners/__init__.py': '"""Planners."""\n',
  'agents/planners/cem.py': 'from worldmodels.model import loss\n',
  'agents/programs/train.py': (
    'import os\n'
    'from absl import flags\n'
    'from worldmodels import configs\n'
    'from worldmodels.agents import planet\n'
    'from worldmodels.data import rows\n'
  ),
  'agents/run/train.py': (
    '"""The old name."""\n'
    'from worldmodels.agents.programs import train\n'
    'train.main()\n'
  ),
  'data/__init__.py': '"""Where experience comes from."""\n',
  'data/check/__main__.py': 'from worldmodels.agents.programs import train\n',
  'data/rows.py': 'import numpy as np\nfrom worldmodels.data import tasks\n',
  'data/tasks/__init__.py': '"""Tasks."""\n',
  'data/tasks/hill.py': 'from worldmodels.data import rows\n',
  'configs/__init__.py': '"""Configs."""\n',
  'configs/planet.py': 'import ml_collections\nDETER = dict(deter=2)\n',
  'configs/dreamer.py': 'from worldmodels.configs import planet\n',
  'tests/pytest_main.py': "if __name__ == '__main__':\n  pass\n",
  'tests/rssm_test.py': (
    'from worldmodels import errors, model, rssm\n'
    'from worldmodels.agents import planet\n'
    'from worldmodels.agents import planners\n'
    'from worldmodels.data import rows\n'
    "FOLDER = 'data/tasks'\n"
    "PROGRAMS = ROOT / 'agents' / 'programs'\n"
    "CONFIGS = 'worldmodels.configs'\n"
  ),
}


def add(path: str, line: str) -> Change:
  """Adds a line to the end of a file, which is made if it is not there."""
  return lambda files: files | {path: files.get(path, '') + line + '\n'}


def swap(path: str, old: str, new: str) -> Change:
  """Replaces text of a file, which has to be there."""

  def change(files: Files) -> Files:
    assert old in files[path]
    return files | {path: files[path].replace(old, new)}

  return change


def drop(path: str) -> Change:
  """Leaves a file out."""
  return lambda files: {k: v for k, v in files.items() if k != path}
