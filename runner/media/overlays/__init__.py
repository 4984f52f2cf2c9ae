"""Pixels that stay the same while the picture moves: stamps, logos, displays of the camera, dark corners.

Entry: `find.mask_overlays`. `persistence.py` finds edges that stay in place, `dark_corners.py` what a lens hood or a
case hides, `backdrop.py` what stands still behind something that turns: there the whole rest of the picture is ignored.
"""
