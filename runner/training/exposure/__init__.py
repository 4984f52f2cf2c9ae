"""Cameras that change their exposure while they film: measured, decided by evidence, corrected, folded into the scene.

what the sparse points say of gains and lenses                   drift.py
whether corrections help on pictures that were left out          evidence.py
the corrections that are learned, and their gauge                model.py
what of them the finished scene shows                            fold.py
what the documents tell                                          result.py
"""
