"""Prints the lower end of each requirement of pyproject.toml, for pip's -c."""

import pathlib
import re
import tomllib

_FILE = pathlib.Path(__file__).parent.parent / 'pyproject.toml'


def lowest(requirement: str) -> str:
  """Returns `a==1` for the requirement `a>=1,<2`."""
  name, end = re.match(r'([\w-]+)(?:\[.*\])?>=([\w.]+),<', requirement).groups()
  return f'{name}=={end}'


def requirements() -> list[str]:
  """Lists the requirements of pyproject.toml, those of its extras too."""
  project = tomllib.loads(_FILE.read_text())['project']
  return sum(project['optional-dependencies'].values(), project['dependencies'])


if __name__ == '__main__':
  print('\n'.join(sorted(set(map(lowest, requirements())))))
