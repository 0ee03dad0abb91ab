"""Prints the lower end of each requirement of pyproject.toml, for pip's -c."""

import pathlib
import re
import tomllib

_ROOT = pathlib.Path(__file__).parent.parent
_FILE = _ROOT / 'pyproject.toml'


def lowest(requirement: str) -> str:
  """Returns `a==1` for the requirement `a>=1,<2`."""
  name, end = re.match(r'([\w-]+)(?:\[.*\])?>=([\w.]+),<', requirement).groups()
  return f'{name}=={end}'


def requirements() -> list[str]:
  """Lists the requirements of pyproject.toml, those of its extras too."""
  project = tomllib.loads(_FILE.read_text())['project']
  listed = sum(
    project['optional-dependencies'].values(), project['dependencies']
  )
  # What tests need has one version, whatever else is installed.
  pinned = re.findall(
    r'^([\w-]+)==', (_ROOT / 'requirements-dev.txt').read_text(), re.MULTILINE
  )
  return [line for line in listed if re.match(r'[\w-]+', line)[0] not in pinned]


if __name__ == '__main__':
  print('\n'.join(sorted(set(map(lowest, requirements())))))
