"""What a decoder attaches to a frame, also beside kinds that PyAV has no name for.

PyAV looks at all side data of a frame at once and raises ValueError when one kind is newer than its own list (of FFmpeg
8: the view of a two-view film, the EXIF of a photo). An Enum asks `_missing_` about values that it does not have.
"""

from __future__ import annotations

import av
from av.sidedata.sidedata import Type


def _nameless(_: type[Type], value: object) -> Type | None:
    """A member for a number without a name; it equals none that has one."""
    if not isinstance(value, int):
        return None
    member = object.__new__(Type)
    member._value_, member._name_ = value, f"UNKNOWN_{value}"  # type: ignore[assignment]  # as the Enum's documentation has it
    return member


Type._missing_ = classmethod(_nameless)  # type: ignore[assignment]


def side_data(frame: av.VideoFrame, kind: Type) -> bytes | None:
    """The bytes of this kind; None where the frame has none."""
    data = frame.side_data.get(kind)  # type: ignore[call-overload]  # the stub knows texts only
    return None if data is None else bytes(data)
