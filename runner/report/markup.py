"""The few pieces of HTML the report is put together from. Every text goes through `text`; nothing else is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scenejobs.logs.setup import printable


@dataclass(frozen=True)
class Markup:
    """HTML that is finished. What is no Markup is text, and is escaped where it is put into a page."""

    source: str


Content = Markup | str | int | float | None


def text(value: object) -> str:
    """Escaped; characters that do not show or that turn the line around are shown as escapes."""
    return html.escape(printable(str(value)), quote=True)


def put(value: Content) -> str:
    if isinstance(value, Markup):
        return value.source
    return "–" if value is None else text(value)


def name(value: str) -> Markup:
    """A name a user chose: its direction of writing does not reach what stands beside it."""
    return Markup(f"<bdi>{text(value)}</bdi>")


def join(parts: Iterable[Content], between: str = "") -> Markup:
    return Markup(between.join(put(part) for part in parts))


def tag(kind: str, content: Content, cls: str = "") -> Markup:
    """One element. kind and cls are ours, never a user's."""
    attribute = f' class="{cls}"' if cls else ""
    return Markup(f"<{kind}{attribute}>{put(content)}</{kind}>")


def section(title: str, *content: Content) -> Markup:
    return tag("section", join([tag("h2", title), *content]))


def table(head: Sequence[str], rows: Iterable[Sequence[Content]], numbers: Sequence[int] = ()) -> Markup:
    """The first column names the row; `numbers` are the columns to be set flush right. Rows become cards on a phone."""

    def cell(column: int, value: Content) -> str:
        cls = "name" if column == 0 else "num" if column in numbers else ""
        label = f' data-l="{text(head[column])}"' if column and head[column] else ""
        return f'<td class="{cls}"{label}>{put(value)}</td>' if cls else f"<td{label}>{put(value)}</td>"

    titles = "".join(
        f'<th class="num">{text(title)}</th>' if column in numbers else f"<th>{text(title)}</th>"
        for column, title in enumerate(head)
    )
    body = "".join(f"<tr>{''.join(cell(i, value) for i, value in enumerate(row))}</tr>" for row in rows)
    return Markup(
        f'<div class="wide"><table class="cards"><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>'
    )


def listing(items: Iterable[Content], kind: str = "ul") -> Markup:
    return tag(kind, join(tag("li", item) for item in items))


def curve(points: Sequence[tuple[float, float]], x_name: str, y_name: str) -> Markup:
    """A line through (x, y), with its scales, as inline SVG. At least two points."""
    width, height, left, bottom, edge = 640, 240, 52, 40, 14
    (x0, x1), (y0, y1) = ((min(axis), max(axis)) for axis in zip(*points, strict=True))
    span_x, span_y = (x1 - x0) or 1.0, (y1 - y0) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        return (
            round(left + (x - x0) / span_x * (width - left - edge), 1),
            round(height - bottom - (y - y0) / span_y * (height - bottom - edge), 1),
        )

    parts = []
    for share in (0.0, 0.5, 1.0):
        y = y0 + share * span_y
        _, at = place(x0, y)
        parts.append(f'<line class="grid" x1="{left}" x2="{width - edge}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text x="{left - 6}" y="{at + 4}" text-anchor="end">{y:.1f}</text>')
        x = x0 + share * span_x
        anchor = ("start", "middle", "end")[round(share * 2)]
        across = place(x, y0)[0]
        parts.append(f'<text x="{across}" y="{height - bottom + 18}" text-anchor="{anchor}">{x:,.0f}</text>')
    spots = [place(x, y) for x, y in points]
    line = " ".join(f"{x},{y}" for x, y in spots)
    parts.append(f'<polyline class="curve" points="{line}"/>')
    parts += [f'<circle cx="{x}" cy="{y}" r="3.5"/>' for x, y in spots]
    parts.append(f'<text x="{width - edge}" y="{height - 4}" text-anchor="end">{text(x_name)}</text>')
    label = f"{text(y_name)} from {y0:.1f} to {y1:.1f} over {text(x_name)}"
    return Markup(f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{label}">{"".join(parts)}</svg>')
