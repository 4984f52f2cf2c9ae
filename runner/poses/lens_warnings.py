"""What a report says of a lens that sees more than is used of it."""

from __future__ import annotations

WIDE_DEG = 100.0  # below, the usual model fits as well: which of the two was kept says nothing about the lens
USED_DEG = 110.0  # across a view, see runner/poses/colmap/lenses/fisheye.py


def wide_lens(seen_deg: float) -> tuple[str, ...]:
    """seen_deg: across the widest lens with the model of a fisheye; 0: there is none."""
    if seen_deg < WIDE_DEG:
        return ()
    if seen_deg <= USED_DEG:
        return (f"the lens is a fisheye that sees {seen_deg:.0f} degrees across; all of it is used",)
    return (f"the lens sees {seen_deg:.0f} degrees across; {USED_DEG:.0f} are used: the edges of the pictures are cut",)
