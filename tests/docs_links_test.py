"""Every link of the docs that leads to a file, and every heading it names.

Pure Python, so that it is part of every run of the tests. That Sphinx makes a
site of the same pages is seen by `make docs`.
"""

import importlib.util
import json
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parent.parent
SITE = ROOT / 'docs/site'


def load(name):
  """Imports a file of docs/site, which is no package."""
  spec = importlib.util.spec_from_file_location(name, SITE / f'{name}.py')
  module = importlib.util.module_from_spec(spec)
  sys.modules[name] = module
  spec.loader.exec_module(module)
  return module


reference = load('reference')
pages = load('pages')


def anchors(text):
  """Returns the anchors of the headings of a page, as GitHub makes them."""
  found = []

  def collect(prose):
    for title in re.findall(r'^#+ (.*)', prose, re.MULTILINE):
      title = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', title).strip().lower()
      slug = re.sub(r'[^\w\- ]', '', title).replace(' ', '-')
      same = sum(x == slug or x.rpartition('-')[0] == slug for x in found)
      found.append(f'{slug}-{same}' if same else slug)
    return prose

  pages.outside_code(text, collect)
  return found


def broken(path, text, root=ROOT):
  """Returns a line for each link of a page that leads nowhere."""
  found = []

  def check(match):
    target = match[3]
    if '://' in target:
      return match[0]
    name, _, anchor = target.partition('#')
    file = (root / path).parent / name if name else root / path
    if not file.exists():
      found.append(f'{path}: no {target}')
    elif anchor and anchor not in anchors(file.read_text()):
      found.append(f'{path}: no heading {target}')
    return match[0]

  pages.outside_code(text, lambda prose: pages.LINK.sub(check, prose))
  return found


@pytest.mark.parametrize('path', pages.all_pages())
def test_links_lead_somewhere(path):
  text = (ROOT / path).read_text()
  if path.endswith('.ipynb'):
    cells = json.loads(text)['cells']
    sources = [x['source'] for x in cells if x['cell_type'] == 'markdown']
    text = '\n\n'.join(map(''.join, sources))
  assert broken(path, text) == []


def test_every_page_is_on_the_site_and_can_be_reached():
  """README.md links to all of docs/, or to a page that does."""
  known = {path for path in pages.all_pages() if path.startswith('docs/')}
  assert known >= {f'docs/{x.name}' for x in (ROOT / 'docs').glob('*.md')}
  reached, new = set(), {'README.md'}
  while new:
    path = new.pop()
    reached.add(path)
    for _, _, target in pages.LINK.findall((ROOT / path).read_text()):
      file = (ROOT / path).parent / target.partition('#')[0]
      if file.suffix in ('.md', '.ipynb') and '://' not in target:
        name = file.resolve().relative_to(ROOT).as_posix()
        new |= {name} - reached
  assert known <= reached, sorted(known - reached)


def test_what_leads_nowhere_is_found(tmp_path):
  (tmp_path / 'a.md').write_text('# One `two`: [x](b.md)\n\n## Same\n## Same\n')
  (tmp_path / 'b.md').write_text('')
  text = (
    '[a](a.md) [b](gone.md) [c](a.md#one-two-x) [d](a.md#two)\n'
    '[e](a.md#same-1)\n'
    '[`code` [B, T]](a.md#same-2) [f](https://there.is/none)\n'
    '```\n[in code](never.md)\n```\n    [too](never.md)\n'
  )
  assert broken('b.md', text, tmp_path) == [
    'b.md: no gone.md',
    'b.md: no heading a.md#two',
    'b.md: no heading a.md#same-2',
  ]


# ---------------------------------------------------------- the reference ----


@pytest.fixture(scope='module')
def site(tmp_path_factory):
  """The folder of the sources, which nothing but Python is needed for."""
  folder = tmp_path_factory.mktemp('site')
  command = [sys.executable, '-I', '-S', '-c']
  script = (
    f'import sys, pathlib; sys.path[:0] = [{str(SITE)!r}]; import pages; '
    f'pages.main(pathlib.Path({str(folder)!r}))'
  )
  subprocess.run([*command, script], check=True, timeout=120)
  return folder


def test_the_links_of_the_site_lead_somewhere(site):
  found = [
    line
    for path in sorted(site.rglob('*.md'))
    for line in broken(path.relative_to(site), path.read_text(), site)
  ]
  assert found == []
  for way in re.findall(
    r'\{download\}`[^<]*<([^>]*)>`', read(site, 'index.md')
  ):
    assert (site / way).is_file()


def read(site, path):
  return (site / path).read_text()


def test_pages_link_to_the_reference_where_the_repository_has_code(site):
  text = read(site, 'docs/extending.md')
  assert '[`Problem`, `Plan`](../api/worldmodels.problem.md)' in text
  # Of what is on no page the name is left.
  assert '[tests/agents_test.py]' not in text
  assert 'tests/agents_test.py' in text


def test_the_notebook_is_a_page_with_its_pictures(site):
  text = read(site, 'docs/dream.md')
  names = re.findall(r'!\[[^\]]*\]\((dream-\d+\.png)\)', text)
  assert len(names) == 5
  for name in names:
    assert (site / 'docs' / name).read_bytes().startswith(b'\x89PNG')
  assert '```python\nimport cv2\n' in text


def test_every_module_class_and_function_is_there(site):
  modules = reference.modules(ROOT)
  assert {
    'worldmodels',
    'worldmodels.world_model',
    'worldmodels.agents.planner_checks',
    'worldmodels.data.tasks.hill',
    'worldmodels.configs.planet',
  } <= modules.keys()
  assert not [x for x in modules if '.run.' in x or 'site' in x.split('.')]
  index = read(site, 'api/index.md')
  for name, module in modules.items():
    text = read(site, f'api/{name}.md')
    assert f'[{name}]({name}.md)' in index
    for node in module.public:
      assert re.search(rf'\{{py:(class|function)\}} {node.name}\b', text)
  assert '{py:method} imagine(state' in read(
    site, 'api/worldmodels.world_model.md'
  )


DOCSTRING = """Maps x [B, *shape] to <y>, as `a * b` does.

Said in the paper (section 3):

  y = a * b

Args:
  x: one of `this`, or {that};
    and more.
  **options: of others.

Returns:
  y, what comes: 1_000 of them."""


def test_docstrings_become_markdown():
  assert reference.markdown(DOCSTRING).split('\n\n') == [
    r'Maps x \[B, \*shape\] to \<y\>, as `a * b` does.',
    'Said in the paper (section 3):',
    '```text\ny = a * b\n```',
    '**Args**',
    '- `x`: one of `this`, or \\{that\\}; and more.\n- `**options`: of others.',
    '**Returns**',
    r'y, what comes: 1\_000 of them.',
  ]
