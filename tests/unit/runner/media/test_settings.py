"""Settings of the frame stage as saved work knows them."""

from __future__ import annotations

from dataclasses import fields

from runner.media.settings import REPR_ORDER, Limits


def test_limits_print_every_field_in_the_order_of_saved_fingerprints() -> None:
    """The fingerprint of frames.json is made of this text: with another one no running attempt resumes."""
    assert sorted(REPR_ORDER) == sorted(item.name for item in fields(Limits))
    printed = repr(Limits()).removeprefix("Limits(").removesuffix(")").split(", ")
    assert [each.partition("=")[0] for each in printed] == list(REPR_ORDER)
    assert repr(Limits(max_clips=7)) != repr(Limits())
