"""PSNR, SSIM, LPIPS on held-out views; witnesses of wrong cameras. Entries: `evaluate.evaluate`, `witness.examine`."""
