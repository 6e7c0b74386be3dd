"""Boxes, arrows and words as SVG that can be read on light and dark pages."""

from __future__ import annotations

import math
from typing import Final
from xml.sax.saxutils import escape

__all__ = ["Drawing"]

_STYLE: Final = """\
text{font:14px ui-sans-serif,system-ui,-apple-system,"Segoe UI",sans-serif;fill:#1f2937}
.quiet{fill:#6b7280;font-size:12px}.strong{font-weight:600}
.page{fill:#fff}.box{fill:#eef2ff;stroke:#4f46e5}.end{fill:#f3f4f6;stroke:#6b7280}
.line{stroke:#4b5563;fill:none}.life{stroke:#9ca3af;stroke-dasharray:4 4}.head{fill:#4b5563}
@media (prefers-color-scheme:dark){text{fill:#e5e7eb}.quiet{fill:#9ca3af}.page{fill:#111827}
.box{fill:#312e81;stroke:#818cf8}.end{fill:#1f2937;stroke:#9ca3af}.line{stroke:#9ca3af}.life{stroke:#6b7280}.head{fill:#9ca3af}}"""


class Drawing:
    """A picture of a fixed size.

    Args:
        width: in pixels.
        height: in pixels.
        title: what it shows, for those who do not see it.
    """

    def __init__(self, width: int, height: int, title: str) -> None:
        size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}">',
            f"<title>{escape(title)}</title>",
            f"<style>\n{_STYLE}\n</style>",
            f'<rect class="page" width="{width}" height="{height}" rx="8"/>',
        ]

    def text(self, x: float, y: float, words: str, kind: str = "", anchor: str = "middle") -> None:
        """Words whose baseline is at *y*."""
        self._parts.append(f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>')

    def box(self, x: float, y: float, width: float, height: float, words: str, kind: str = "box") -> None:
        """A box around words; *x* and *y* are its middle."""
        left, top = x - width / 2, y - height / 2
        self._parts.append(
            f'<rect class="{kind}" x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" rx="6"/>'
        )
        self.text(x, y + 5, words, "strong")

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str = "line") -> None:
        """A straight line."""
        self._parts.append(f'<path class="{kind}" d="M{x1:g} {y1:g}L{x2:g} {y2:g}"/>')

    def arrow(self, *points: tuple[float, float]) -> None:
        """A line through *points* with a head at its end."""
        (x1, y1), (x2, y2) = points[-2:]
        length = math.hypot(x2 - x1, y2 - y1)
        along, across = ((x2 - x1) / length, (y2 - y1) / length), ((y1 - y2) / length, (x2 - x1) / length)
        path = "L".join(f"{x:g} {y:g}" for x, y in points)
        left, right = (
            (x2 - 9 * along[0] + side * across[0], y2 - 9 * along[1] + side * across[1]) for side in (-4.5, 4.5)
        )
        head = "L".join(f"{x:.1f} {y:.1f}" for x, y in ((x2, y2), left, right))
        self._parts += [f'<path class="line" d="M{path}"/>', f'<path class="head" d="M{head}Z"/>']

    def svg(self) -> str:
        """The picture as a file."""
        return "\n".join([*self._parts, "</svg>"]) + "\n"
