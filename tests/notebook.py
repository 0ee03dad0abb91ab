"""Runs the cells of a notebook as Jupyter would, without Jupyter.

  python tests/notebook.py docs/dream.ipynb     writes its outputs anew

from a folder in which the runs are that it loads.
"""

import ast
import base64
import contextlib
import io
import json
import pathlib
import sys


def run(notebook):
  """Returns the notebook, {...} of its JSON, with the outputs of its cells."""
  names = {'__name__': '__main__'}
  count, cells = 0, []
  for cell in notebook['cells']:
    if cell['cell_type'] == 'code':
      count += 1
      outputs = _outputs(''.join(cell['source']), names, count)
      cell = dict(cell, execution_count=count, outputs=outputs)
    cells.append(cell)
  return dict(notebook, cells=cells)


def _outputs(source, names, count):
  """Executes a cell: what it prints, and what its last line is."""
  tree = ast.parse(source)
  last = None
  if tree.body and isinstance(tree.body[-1], ast.Expr):
    last = ast.Expression(tree.body.pop().value)
  printed = io.StringIO()
  with contextlib.redirect_stdout(printed):
    exec(compile(tree, f'cell {count}', 'exec'), names)
    value = (
      eval(compile(last, f'cell {count}', 'eval'), names) if last else None
    )
  outputs = []
  if printed.getvalue():
    outputs.append(
      dict(output_type='stream', name='stdout', text=_lines(printed.getvalue()))
    )
  if value is not None:
    data = {'text/plain': _lines(repr(value))}
    if hasattr(value, '_repr_png_'):
      png = base64.b64encode(value._repr_png_()).decode()
      data = {'image/png': png, 'text/plain': ['a picture']}
    outputs.append(
      dict(
        output_type='execute_result',
        execution_count=count,
        metadata={},
        data=data,
      )
    )
  return outputs


def _lines(text):
  return text.splitlines(keepends=True)


def main(path):
  """Writes the notebook with its outputs."""
  path = pathlib.Path(path)
  found = run(json.loads(path.read_text()))
  path.write_text(json.dumps(found, indent=1) + '\n')


if __name__ == '__main__':
  main(sys.argv[1])
