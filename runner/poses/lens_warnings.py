"""What a report says of a lens that sees more than is used of it."""

from __future__ import annotations

USED_DEG = 110.0  # across a view, see runner/poses/colmap/fisheye.py


def wide_lens(seen_deg: float) -> tuple[str, ...]:
    """seen_deg: across the widest fisheye; 0: there is none."""
    if seen_deg <= 0:
        return ()
    if seen_deg <= USED_DEG:
        return (f"the lens is a fisheye that sees {seen_deg:.0f} degrees across; all of it is used",)
    return (f"the lens sees {seen_deg:.0f} degrees across; {USED_DEG:.0f} are used: the edges of the pictures are cut",)
