"""The project that the docs have a reader write: every example with a path.

An example is a block of Python after a line that names its file, as in
`my_lab/ball.py`. Who follows the docs to the letter has these files.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).parent.parent
DOCS = ROOT / 'docs'
_EXAMPLE = re.compile(
  r'`(my_lab/\w+\.py)`[^`]*?\n\n```python\n(.*?)```', re.DOTALL
)


def blocks(page: str) -> list[str]:
  """Returns all blocks of Python of a page, named from the root."""
  text = (ROOT / page).read_text()
  return re.findall(r'```python\n(.*?)```', text, re.DOTALL)


def of_page(page: str) -> dict[str, str]:
  """Returns {path: text} of the examples of a page."""
  return dict(_EXAMPLE.findall((ROOT / page).read_text()))


def planner_check(page: str) -> str:
  """Returns the block of a page that checks a planner of the project."""
  (block,) = (x for x in blocks(page) if 'planner_checks.check(' in x)
  return block


def examples() -> dict[str, str]:
  """Returns {path: text} of all examples of the docs."""
  found = {}
  for page in sorted(DOCS.glob('*.md')):
    for path, text in of_page(page.relative_to(ROOT).as_posix()).items():
      assert path not in found, f'{page} has {path}, as another page does'
      found[path] = text
  return found


def forget() -> None:
  """Forgets the modules of the project, so that the next ones are another's."""
  for name in [x for x in sys.modules if x.partition('.')[0] == 'my_lab']:
    del sys.modules[name]


def write(folder: pathlib.Path) -> None:
  """Writes all examples below a folder."""
  for path, text in examples().items():
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text)
