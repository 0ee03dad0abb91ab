"""The notebook of the docs runs, and shows pictures."""

import base64
import json
import pathlib

import cv2
import notebook
import numpy as np

NOTEBOOK = pathlib.Path(__file__).parent.parent / 'docs' / 'dream.ipynb'


def pictures(cells):
  return [
    output['data']['image/png']
    for cell in cells
    for output in cell.get('outputs', ())
    if 'image/png' in output.get('data', {})
  ]


def test_its_cells_run(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  stored = json.loads(NOTEBOOK.read_text())
  found = notebook.run(stored)
  made = pictures(found['cells'])
  assert len(made) == len(pictures(stored['cells'])) == 5
  for png in made:
    array = np.frombuffer(base64.b64decode(png), np.uint8)
    assert cv2.imdecode(array, cv2.IMREAD_COLOR).std() > 1
