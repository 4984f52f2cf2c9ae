"""What goes into a page of one file: text, JSON, pictures, and of a very large scene its most important Gaussians."""

from __future__ import annotations

import base64
import hashlib
import json

import numpy as np

from runner.export.splat import importance
from runner.scene.gaussians import Gaussians

MAX_EMBEDDED = 1_000_000  # Gaussians; of more the most important ones. About 45 MB of page


def most_important(gaussians: Gaussians) -> Gaussians:
    """At most MAX_EMBEDDED, in their order."""
    if gaussians.count <= MAX_EMBEDDED:
        return gaussians
    rank = np.argsort(-importance(gaussians, np.arange(gaussians.count)), kind="stable")
    return gaussians.subset(np.sort(rank[:MAX_EMBEDDED]))


def data_url(media_type: str, data: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(data).decode('ascii')}"


def sha256_of(text: str) -> str:
    """As a content security policy names a script or a style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"


def escaped(text: str) -> str:
    """For the text of an element and the value of an attribute in double quotes."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def json_in_html(value: object) -> str:
    """JSON that cannot end its script element, whatever text is in it."""
    return json.dumps(value, allow_nan=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")
