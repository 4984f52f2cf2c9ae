"""Presets by their names."""

from __future__ import annotations

import pytest

from runner.pipeline.presets import preset
from scenejobs.errors import ConfigurationError


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="laptop-high"):
        preset("best")
