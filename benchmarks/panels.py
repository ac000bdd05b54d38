"""Line charts as SVG: panels side by side, each with axes and curves."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

WIDTH, HEIGHT, GAP, MARGIN = 360, 240, 72, 56  # panel width and height, gap between panels, outer margin
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #75808a }
  .title { font-weight: 600; font-size: 15px }
  .grid { stroke: #80808040 }
  .first, .second, .third { fill: none; stroke: #0d9488; stroke-width: 2.5; stroke-linejoin: round }
  .second { stroke: #c2410c }
  .third { stroke: #75808a; stroke-dasharray: 5 4 }
  text.first { fill: #0d9488; stroke: none }
  text.second { fill: #c2410c; stroke: none }
  text.third { fill: #75808a; stroke: none }
"""  # colours that are legible on white and on black
CLASSES = ("first", "second", "third")

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """An axis from `low` to `high` with its ticks."""

    low: float
    high: float
    ticks: Sequence[float]
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """Return a value's position along the axis, 0 to 1."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def picture(label: str, panels: Sequence[str]) -> str:
    """Return the panels as one SVG; `label` is its accessible description."""
    width = len(panels) * WIDTH + 2 * MARGIN + (len(panels) - 1) * (MARGIN + GAP)
    placed = [
        f'<g transform="translate({MARGIN + place * (WIDTH + MARGIN + GAP)} {MARGIN})">{one}</g>\n'
        for place, one in enumerate(panels)
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {HEIGHT + 2 * MARGIN}" role="img" '
        f'aria-label="{label}">\n<style>{STYLE}</style>\n{"".join(placed)}</svg>\n'
    )


def panel(title: str, curves: Mapping[str, Sequence[Point]], across: Axis, up: Axis) -> str:
    """Return a panel of at most three curves over a grid, each labelled at its left end."""

    def x(value: float) -> float:
        return round(WIDTH * across.share(value), 1)

    def y(value: float) -> float:
        return round(HEIGHT * (1 - up.share(value)), 1)

    parts = [f'<text class="title" y="-20">{title}</text>']
    parts += [f'<path class="grid" d="M0 {y(value)}H{WIDTH}"/>' for value in up.ticks]
    parts += [f'<text x="-8" y="{y(value) + 4}" text-anchor="end">{short(value)}</text>' for value in up.ticks]
    parts += [f'<text x="{x(at)}" y="{HEIGHT + 22}" text-anchor="middle">{at:g}</text>' for at in across.ticks]
    for kind, (name, points) in zip(CLASSES, curves.items(), strict=False):
        parts.append(f'<path class="{kind}" d="M{"L".join(f"{x(at)} {y(value)}" for at, value in points)}"/>')
        if name:
            at, value = points[0]
            parts.append(f'<text class="{kind}" x="{x(at) + 4}" y="{y(value) - 8}">{name}</text>')
    return "\n".join(parts)


def short(value: float) -> str:
    """Return `1e-7` rather than `1e-07`."""
    return f"{value:g}".replace("e-0", "e-")
