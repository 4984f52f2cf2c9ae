"""PSNR, SSIM, LPIPS on held-out views. Entry: `evaluate.evaluate`."""
