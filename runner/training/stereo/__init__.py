"""Depths of the training pictures by a plane sweep.

what they are, and the first Gaussians of them                   plane_sweep.py
how they hold the Gaussians while views are few                  swept_depths.py
"""
