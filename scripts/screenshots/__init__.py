"""Pictures of viewer, report, page and terminal for docs/images, drawn by the installed Chromium of a finished result.

video-splat scene CLIP ... --out out/demo
python -m scripts.screenshots out/demo
"""
