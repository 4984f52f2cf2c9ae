"""Numbers shared by the CPU kernels and the torch reference, and the layout of the arrays between the kernels.

The values are those of gsplat 1.5.3 (and so of 3DGS, Kerbl et al. 2023): both backends must train the same scene.

numba bakes these into compiled kernels and its cache only watches the kernel's own file: after an edit here, or in a
helper used by several kernels, delete the cache (`__pycache__/*.nb[ic]`, or the folder in NUMBA_CACHE_DIR).
"""

from __future__ import annotations

import math

import numpy as np

TILE_WIDTH, TILE_HEIGHT = 8, 32  # pixels: narrow, as most Gaussians are; a row fills one AVX register
TILE_PIXELS = TILE_WIDTH * TILE_HEIGHT
TILE = 16  # pixels, side of the square tiles of the torch reference

NEAR = 0.01  # world units: what is nearer to the camera plane is not drawn
BLUR_VARIANCE = 0.3  # px^2, added to every 2D covariance: no splat is thinner than about one pixel
FRUSTUM_MARGIN = 0.15  # of the image size: beyond it the perspective Jacobian is evaluated at the margin (Zwicker 2001)
MAX_LOG_SCALE = 30.0  # e^30 world units squared still fits float32; larger ones are broken parameters, not drawn
MAX_VARIANCE = 1e12  # px^2: a million pixels of standard deviation; beyond it float32 conics lose their meaning

ALPHA_MIN = np.float32(1.0 / 255.0)  # fainter contributions are skipped
ALPHA_MAX = np.float32(0.999)  # so that light always remains to divide by
TRANSMITTANCE_MIN = np.float32(1e-4)  # a tile is finished when no pixel lets more light through
MAX_SIGMAS = math.sqrt(2.0 * math.log(255.0))  # 3.33: at opacity 1 alpha falls below ALPHA_MIN there

# One row of `splats` [N, 12] float32: a Gaussian as seen by one camera. EXTENT_X = 0 marks those that are not seen.
X, Y = 0, 1  # centre in pixels, pixel centres at .5
CONIC_XX, CONIC_XY, CONIC_YY = 2, 3, 4  # inverse 2D covariance, px^-2
OPACITY = 5  # after the sigmoid, and after the antialiasing factor if that is on
RED, GREEN, BLUE = 6, 7, 8  # colour towards this camera, >= 0
EXTENT_X, EXTENT_Y = 9, 10  # half sides of the box outside of which alpha < ALPHA_MIN, px
CUTOFF = 11  # ln(255 opacity): alpha >= ALPHA_MIN exactly where sigma <= CUTOFF
SPLAT_COLUMNS = 12

# One row of `sums` [M, 12] or [N, 12] float32: what the backward pass adds up over pixels. With v = -dL/dsigma:
SUM_V, SUM_VX, SUM_VY, SUM_VXX, SUM_VXY, SUM_VYY = 0, 1, 2, 3, 4, 5  # v times 1, dx, dy, dx^2, dx dy, dy^2
SUM_RED, SUM_GREEN, SUM_BLUE = 6, 7, 8  # dL/dcolour
SUM_ABS_X, SUM_ABS_Y = 9, 10  # |dL/dx|, |dL/dy| pixel by pixel (AbsGS, Ye et al. 2024)
SUM_COLUMNS = 12  # 11 used; 12 keeps rows at 48 bytes
