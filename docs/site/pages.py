"""Writes the sources of the documentation's site: its pages, and a reference.

  python docs/site/pages.py FOLDER

`make docs` makes the site of them with Sphinx. The pages are those of the
repository, with links that hold on the site. The reference is made of the
docstrings by reading the code: nothing is imported, and nothing is needed.
"""

import base64
import json
import pathlib
import posixpath
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from typing import Any

import reference

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FRONT, NOTEBOOK = 'README.md', 'docs/dream.ipynb'

# A link, or an image; the text of one may have brackets in it.
LINK = re.compile(r'(!?)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]\(([^()\s]+)\)')
_HANDED_OUT = ('.html', '.webp', '.png')  # As they are, to be opened.
_CONTENTS = """
```{{toctree}}
:hidden:
:caption: {caption}

{names}
```
"""


def main(folder: pathlib.Path) -> None:
  """Writes all sources below a folder, which is made anew."""
  shutil.rmtree(folder, ignore_errors=True)
  folder.mkdir(parents=True)
  shutil.copy(pathlib.Path(__file__).with_name('conf.py'), folder)
  modules, pages = reference.modules(ROOT), all_pages()
  for source, target in pages.items():
    text = (ROOT / source).read_text()
    if source == NOTEBOOK:
      text = of_notebook(json.loads(text), folder / target)
    text = linked(text, source, pages, modules, folder)
    _write(folder / target, text)
  for name, module in modules.items():
    _write(folder / f'api/{name}.md', reference.page(name, module))
  _write(folder / 'api/index.md', reference.index(modules))
  with open(folder / pages[FRONT], 'a') as file:
    file.write(contents(pages))


def all_pages() -> dict[str, str]:
  """Returns {path in the repository: path of its page on the site}."""
  docs = sorted((ROOT / 'docs').glob('*.md'))
  cards = sorted((ROOT / 'agents/examples').glob('*/card.md'))
  return {
    FRONT: 'index.md',
    'CONTRIBUTING.md': 'CONTRIBUTING.md',
    'CHANGELOG.md': 'CHANGELOG.md',
    'results/README.md': 'results.md',
    NOTEBOOK: 'docs/dream.md',
    **{f'docs/{path.name}': f'docs/{path.name}' for path in docs},
    **{
      path.relative_to(ROOT).as_posix(): f'examples/{path.parent.name}.md'
      for path in cards
    },
  }


def contents(pages: dict[str, str]) -> str:
  """Returns the lists of pages at the side of the site."""
  names = [x.removesuffix('.md') for x in pages.values() if x != pages[FRONT]]
  parts = {
    'Pages': [x for x in names if x.startswith('docs/')],
    'Code and results': ['api/index', *(x for x in names if '/' not in x)],
    'Runs that come along': [x for x in names if x.startswith('examples/')],
  }
  return ''.join(
    _CONTENTS.format(caption=caption, names='\n'.join(listed))
    for caption, listed in parts.items()
  )


def linked(
  text: str,
  source: str,
  pages: dict[str, str],
  modules: dict[str, reference.Module],
  folder: pathlib.Path,
) -> str:
  """Returns a page whose links hold on the site.

  Args:
    text: of the page.
    source: its path in the repository.
    pages: see `all_pages`.
    modules: of the reference.
    folder: of the site; files that are linked to are copied there.
  """
  here = posixpath.dirname(pages[source])
  code = {module.path: f'api/{name}.md' for name, module in modules.items()}

  def moved(match: re.Match[str]) -> str:
    bang, words, target = match.groups()
    if '://' in target or target.startswith('#'):
      return match[0]
    path, sharp, anchor = target.partition('#')
    path = posixpath.normpath(
      posixpath.join(posixpath.dirname(source), path or source)
    )
    if not (ROOT / path).exists():  # A picture of the notebook.
      return match[0]
    found = next(
      filter(
        None, (x.get(name) for name in _names(path) for x in (pages, code))
      ),
      None,
    )
    if found is None and path.endswith(_HANDED_OUT):
      found = f'files/{path}'
      (folder / found).parent.mkdir(parents=True, exist_ok=True)
      shutil.copy(ROOT / path, folder / found)
      if not bang:
        way = posixpath.relpath(found, here or '.')
        return f'{{download}}`{words} <{way}>`'
    if found is None:  # What the site has not: its name in the repository.
      return words if '`' in words else f'{words} (`{path}`)'
    way = posixpath.relpath(found, here or '.')
    return f'{bang}[{words}]({way}{sharp}{anchor})'

  return outside_code(text, lambda prose: LINK.sub(moved, prose))


def _names(path: str) -> Iterator[str]:
  """Yields the paths that may stand for a file or folder of the repository."""
  yield path
  yield f'{path}/README.md'
  yield f'{path}/__init__.py'


def outside_code(text: str, change: Callable[[str], str]) -> str:
  """Returns a page of which all but its blocks of code was changed."""
  found, prose, fenced = [], [], False
  for line in [*text.splitlines(keepends=True), None]:
    is_code = line is not None and (fenced or line.startswith(('```', '    ')))
    if line is None or is_code:
      found.append(change(''.join(prose)))
      prose = []
    if line is not None:
      (found if is_code else prose).append(line)
      fenced ^= line.startswith('```')
  return ''.join(found)


def of_notebook(notebook: dict[str, Any], target: pathlib.Path) -> str:
  """Returns a notebook as a page; its pictures are written beside that."""
  parts: list[str] = []
  for cell in notebook['cells']:
    source = ''.join(cell['source'])
    if cell['cell_type'] != 'code':
      parts.append(source)
      continue
    parts.append(f'```python\n{source}\n```')
    for output in cell['outputs']:
      data = output.get('data', {'text/plain': output.get('text', '')})
      if 'image/png' in data:
        name = f'{target.stem}-{len(parts)}.png'
        target.parent.mkdir(parents=True, exist_ok=True)
        png = base64.b64decode(data['image/png'])
        target.with_name(name).write_bytes(png)
        parts.append(f'![What the cell shows]({name})')
      else:
        parts.append(f'```text\n{"".join(data["text/plain"]).rstrip()}\n```')
  return '\n\n'.join(parts) + '\n'


def _write(path: pathlib.Path, text: str) -> None:
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(text)


if __name__ == '__main__':
  main(pathlib.Path(sys.argv[1]))
