"""`/api/ui`: the page, one document without a build step, put together from the files in `page`.

A policy lets it run what it was shipped with and nothing else: style and script are named by their hashes. It talks to
this site and to the blob service, where it sends files and shows results.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import re
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path

from function_app.web.http import Request, Response
from function_app.web.site import Site
from scenejobs.names import (
    PHOTO_EXTENSIONS,
    POSE_FILES,
    RAW_EXTENSIONS,
    SCENE_FILE,
    UNFINISHED,
    VIDEO_EXTENSIONS,
)

SOURCES = Path(__file__).with_name("page")
SCRIPTS = ("api", "checks", "sending", "upload", "scenes")


def page(site: Site, _: Request, __: Mapping[str, str]) -> Response:
    """GET /api/ui."""
    document, style, script = _document()
    blobs = site.links.origin
    policy = (
        f"default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; img-src {blobs}; "
        f"connect-src 'self' {blobs}; frame-src {blobs}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'"
    )
    headers = {"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": policy}
    return Response(HTTPStatus.OK, document, headers)


@functools.cache
def _document() -> tuple[bytes, str, str]:
    """The page, and the hashes of its style and its script."""
    style, script = _source("style.css"), "".join(_source(f"{name}.js") for name in SCRIPTS)
    known = {
        "videos": sorted(VIDEO_EXTENSIONS), "photos": sorted(PHOTO_EXTENSIONS - RAW_EXTENSIONS),
        "raw": sorted(RAW_EXTENSIONS), "unfinished": sorted(UNFINISHED), "poses": sorted(POSE_FILES),
        "settings": SCENE_FILE,
    }  # fmt: skip
    parts = {"__STYLE__": style, "__SCRIPT__": script, "__KNOWN__": json.dumps(known)}
    document = re.sub("|".join(parts), lambda found: parts[found[0]], _source("page.html"))
    return document.encode(), _hash(style), _hash(script)


def _source(name: str) -> str:
    return (SOURCES / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
