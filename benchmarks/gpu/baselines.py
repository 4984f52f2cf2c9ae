"""Recipes to compare with: what others do, in our trainer and on our rasterisers."""

from __future__ import annotations

from dataclasses import replace

from runner.training.schedule import Recipe

PAPER_STEPS = 30_000

# 3DGS (Kerbl et al. 2023), with the numbers of gsplat's example trainer (v1.5.3, examples/simple_trainer.py, "default")
# and of gsplat's DefaultStrategy, its 30,000 steps turned into shares. Opacities are not reset: gsplat 1.5.3 does not
# do it either, see runner/training/densify.py.
PAPER = Recipe(
    quarter_until=0.0,
    half_until=0.0,
    sh_from=(1_000 / PAPER_STEPS, 2_000 / PAPER_STEPS, 3_000 / PAPER_STEPS),
    lr_means=1.6e-4,
    lr_quats=1e-3,
    lr_scales=5e-3,
    lr_opacities=5e-2,
    lr_sh0=2.5e-3,
    lr_sh_rest=2.5e-3 / 20,
    refine_from=500 / PAPER_STEPS,
    refine_until=15_000 / PAPER_STEPS,
    refine_share=100 / PAPER_STEPS,
    grow_gradient=2e-4,
    absgrad=False,
)


def first_steps(recipe: Recipe, steps: int, of: int = PAPER_STEPS) -> Recipe:
    """The recipe for a plan of `steps` that is to be the beginning of a plan of `of` steps, and not a shorter whole."""
    factor = of / steps
    return replace(
        recipe,
        quarter_until=recipe.quarter_until * factor,
        half_until=recipe.half_until * factor,
        sh_from=tuple(share * factor for share in recipe.sh_from),
        lr_means_final=recipe.lr_means_final ** (steps / of),
        refine_from=recipe.refine_from * factor,
        refine_until=recipe.refine_until * factor,
        refine_share=recipe.refine_share * factor,
    )
