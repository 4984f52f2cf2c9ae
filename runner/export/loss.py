"""How many dB an exported file lost: it is read back and rendered on the held-out views."""

from __future__ import annotations

from runner.quality.evaluate import mean_psnr
from runner.raster import parameters
from runner.raster.port import Rasterizer
from runner.scene.gaussians import Gaussians
from runner.scene.views import TrainingScene


def loss_of(
    exported: Gaussians, scene: TrainingScene, rasterizer: Rasterizer, psnr_trained: float | None
) -> dict[str, float | None]:
    """`psnr_heldout` of what was read back, in dB, and `db_lost`; None without held-out views.

    psnr_trained: of the trained Gaussians on the same views, in dB.
    """
    params = parameters.parameters(exported, rasterizer.device)
    psnr = mean_psnr(params, scene, rasterizer, "test", exported.sh_degree)
    lost = None if psnr is None or psnr_trained is None else psnr_trained - psnr
    return {"psnr_heldout": psnr, "db_lost": lost}
