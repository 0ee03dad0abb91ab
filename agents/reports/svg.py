"""Draws charts as SVG: for a page, or as a file of its own."""

import html
from collections.abc import Sequence

from worldmodels.agents.reports import chart

_FONT = 'system-ui, Helvetica, Arial, sans-serif'


Rows = Sequence[Sequence[chart.Chart]]


def draw(rows: Rows) -> str:
  """Draws rows of charts.

  Args:
    rows: one or more charts in each.

  Returns:
    an element svg, which is also a whole file.
  """
  width, height, placed = arrange(rows)
  body = [
    f'<g transform="translate({_short(x)} {_short(y)})">'
    + ''.join(map(_shape, shapes))
    + '</g>'
    for x, y, shapes in placed
  ]
  title = escape(', '.join(one.title for row in rows for one in row))
  return (
    f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
    f'viewBox="0 0 {_short(width)} {_short(height)}" width="{_short(width)}" '
    f'height="{_short(height)}" font-family="{_FONT}" stroke-linejoin="round">'
    f'<title>{title}</title>'
    f'<rect width="100%" height="100%" fill="#ffffff"/>'
    f'{"".join(body)}</svg>'
  )


def arrange(
  rows: Rows,
) -> tuple[float, float, list[tuple[float, float, list[chart.Shape]]]]:
  """Places rows of charts, each as high as its highest.

  Returns:
    (width, height, [(x, y, shapes)]).
  """
  placed, top, width = [], 0.0, 0.0
  for row in rows:
    laid, left = list(map(chart.layout, row)), 0.0
    for wide, _, shapes in laid:
      placed.append((left, top, shapes))
      left += wide
    width = max(width, left)
    top += max(high for _, high, _ in laid) + 8
  return width, top, placed


def escape(text: str) -> str:
  """Returns a text for HTML and XML, without characters that these lack."""
  allowed = (
    x if x >= ' ' and not '\ud800' <= x <= '\udfff' and x < '\ufffe' else '�'
    for x in text
  )
  return html.escape(''.join(allowed))


def _shape(shape: chart.Shape) -> str:
  """Returns the element of a shape."""
  if isinstance(shape, chart.Text):
    bold = ' font-weight="600"' if shape.bold else ''
    return (
      f'<text x="{_short(shape.x)}" y="{_short(shape.y)}" fill="{shape.color}" '
      f'font-size="{_short(shape.size)}" text-anchor="{shape.anchor}"{bold}>'
      f'{escape(shape.text)}</text>'
    )
  if isinstance(shape, chart.Dot):
    says = f'<title>{escape(shape.says)}</title>' if shape.says else ''
    return (
      f'<circle cx="{_short(shape.x)}" cy="{_short(shape.y)}" '
      f'r="{_short(shape.radius)}" fill="{shape.color}">{says}</circle>'
    )
  points = ' '.join(f'{_short(x)},{_short(y)}' for x, y in shape.points)
  if shape.filled:
    return (
      f'<polygon points="{points}" fill="{shape.color}" '
      f'fill-opacity="{shape.opacity}"/>'
    )
  dashes = ' stroke-dasharray="6 4"' if shape.dashed else ''
  faint = f' stroke-opacity="{shape.opacity}"' if shape.opacity < 1 else ''
  return (
    f'<polyline points="{points}" fill="none" stroke="{shape.color}" '
    f'stroke-width="{_short(shape.width)}"{dashes}{faint}/>'
  )


def _short(value: float) -> str:
  return f'{value:.1f}'.rstrip('0').rstrip('.')
