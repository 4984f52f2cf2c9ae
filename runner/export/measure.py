"""Re-renders every exported file and says how many dB it lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.scene.gaussians import Gaussians
from runner.scene.views import TrainingScene

if TYPE_CHECKING:
    from runner.quality.evaluate import Evaluation
    from runner.raster import Rasterizer


@dataclass(frozen=True)
class _Drawing:
    """For measuring what an exported file lost: it is read back and drawn like the trained scene was."""

    scene: TrainingScene
    rasterizer: Rasterizer
    scores: Evaluation

    def loss_of(self, gaussians: Gaussians) -> dict[str, float | None]:
        """`psnr_heldout` of the file in dB, and `db_lost` against the trained scene; None without held-out views."""
        from runner.quality.evaluate import mean_psnr
        from runner.raster import parameters

        params = parameters.parameters(gaussians, self.rasterizer.device)
        psnr = mean_psnr(params, self.scene, self.rasterizer, "test", gaussians.sh_degree)
        trained = self.scores.test.psnr
        lost = None if psnr is None or trained is None else trained - psnr
        return {"psnr_heldout": psnr, "db_lost": lost}
