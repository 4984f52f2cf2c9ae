"""Real spherical harmonics up to degree 3: view-dependent colour, as in 3DGS (Kerbl et al. 2023) and gsplat.

Signs and order are those of gsplat (Sloan, "Efficient Spherical Harmonic Evaluation", JCGT 2013), written as
polynomials in the components of a unit direction.
"""

from __future__ import annotations

from runner.raster.compiled import F64, kernel

C0 = 0.28209479177387814
C1 = 0.4886025119029199
C2_XY, C2_ZZ, C2_XX_YY = 1.0925484305920792, 0.31539156525252005, 0.5462742152960396
C3_XXX, C3_XYZ, C3_XZZ = 0.5900435899266435, 2.890611442640554, 0.4570457994644658
C3_ZZZ, C3_ZXX = 0.3731763325901154, 1.445305721320277


@kernel
def sh_basis(degree: int, x: float, y: float, z: float, basis: F64) -> None:
    """Fill basis[0 : (degree + 1)^2] with the basis functions at the unit direction (x, y, z). basis: [16]."""
    basis[0] = C0
    if degree < 1:
        return
    basis[1] = -C1 * y
    basis[2] = C1 * z
    basis[3] = -C1 * x
    if degree < 2:
        return
    xx, yy, zz = x * x, y * y, z * z
    basis[4] = C2_XY * x * y
    basis[5] = -C2_XY * y * z
    basis[6] = C2_ZZ * (2.0 * zz - xx - yy)
    basis[7] = -C2_XY * x * z
    basis[8] = C2_XX_YY * (xx - yy)
    if degree < 3:
        return
    basis[9] = -C3_XXX * y * (3.0 * xx - yy)
    basis[10] = C3_XYZ * x * y * z
    basis[11] = -C3_XZZ * y * (4.0 * zz - xx - yy)
    basis[12] = C3_ZZZ * z * (2.0 * zz - 3.0 * xx - 3.0 * yy)
    basis[13] = -C3_XZZ * x * (4.0 * zz - xx - yy)
    basis[14] = C3_ZXX * z * (xx - yy)
    basis[15] = -C3_XXX * x * (xx - 3.0 * yy)


@kernel
def sh_direction_gradient(degree: int, x: float, y: float, z: float, w: F64) -> tuple[float, float, float]:
    """Gradient of sum_k w[k] basis_k(x, y, z) with respect to (x, y, z), those taken as independent. w: [16].

    The caller projects it onto the sphere's tangent plane, where it does not matter how the basis continues off the
    sphere.
    """
    if degree < 1:
        return 0.0, 0.0, 0.0
    gx = -C1 * w[3]
    gy = -C1 * w[1]
    gz = C1 * w[2]
    if degree < 2:
        return gx, gy, gz
    gx += C2_XY * (w[4] * y - w[7] * z) + 2.0 * x * (C2_XX_YY * w[8] - C2_ZZ * w[6])
    gy += C2_XY * (w[4] * x - w[5] * z) - 2.0 * y * (C2_XX_YY * w[8] + C2_ZZ * w[6])
    gz += -C2_XY * (w[5] * y + w[7] * x) + 4.0 * C2_ZZ * w[6] * z
    if degree < 3:
        return gx, gy, gz
    xx, yy, zz = x * x, y * y, z * z
    gx += (
        C3_XXX * (-6.0 * w[9] * x * y - 3.0 * w[15] * (xx - yy))
        + C3_XYZ * w[10] * y * z
        + C3_XZZ * (2.0 * w[11] * x * y - w[13] * (4.0 * zz - 3.0 * xx - yy))
        - 6.0 * C3_ZZZ * w[12] * x * z
        + 2.0 * C3_ZXX * w[14] * x * z
    )
    gy += (
        C3_XXX * (-3.0 * w[9] * (xx - yy) + 6.0 * w[15] * x * y)
        + C3_XYZ * w[10] * x * z
        + C3_XZZ * (2.0 * w[13] * x * y - w[11] * (4.0 * zz - xx - 3.0 * yy))
        - 6.0 * C3_ZZZ * w[12] * y * z
        - 2.0 * C3_ZXX * w[14] * y * z
    )
    gz += (
        C3_XYZ * w[10] * x * y
        - 8.0 * C3_XZZ * z * (w[11] * y + w[13] * x)
        + C3_ZZZ * w[12] * (6.0 * zz - 3.0 * xx - 3.0 * yy)
        + C3_ZXX * w[14] * (xx - yy)
    )
    return gx, gy, gz
