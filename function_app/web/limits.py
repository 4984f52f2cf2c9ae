"""How often one caller is answered: a bucket of requests that fills up again, for each caller, in this instance.

An instance remembers nothing of another one, and forgets all when it ends: no storage is asked before a request is let
in. The platform runs few instances (docs/web.md), so the limit of all is that of one, a few times.
"""

from __future__ import annotations

import hashlib
import ipaddress
import math
import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from http import HTTPStatus

from function_app.web.http import Refused, Request

MOST_CALLERS = 10_000  # remembered; who asked longest ago is forgotten, and has a full bucket again
PRINCIPAL_ID = "x-ms-client-principal-id"  # whom App Service authentication signed in
FORWARDED = "x-forwarded-for"  # the last entry is the platform's own


class Buckets:
    """One for each caller. Threads may share it."""

    def __init__(self, most_callers: int = MOST_CALLERS) -> None:
        self._most = most_callers
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # caller -> requests left, and when that was
        self._lock = threading.Lock()

    def take(self, caller: str, per_minute: int, now_s: float) -> float:
        """Takes one request out of the caller's bucket, which holds those of a minute.

        now_s: of a clock that never goes back. Returns 0, or the seconds until there is one.
        """
        each_s = 60.0 / per_minute
        with self._lock:
            left, then = self._left.pop(caller, (float(per_minute), now_s))
            left = min(float(per_minute), left + max(0.0, now_s - then) / each_s)
            wait_s = 0.0 if left >= 1 else (1 - left) * each_s
            self._left[caller] = (left if wait_s else left - 1, now_s)
            while len(self._left) > self._most:
                self._left.popitem(last=False)
        return wait_s


def check(buckets: Buckets, request: Request, per_minute: int, now_s: float) -> None:
    """Raises Refused with 429 for whoever asks too often. per_minute: 0: nobody does."""
    if not per_minute:
        return
    wait_s = buckets.take(caller(request.headers), per_minute, now_s)
    if wait_s:
        raise Refused(
            HTTPStatus.TOO_MANY_REQUESTS, f"more than {per_minute} requests a minute are not answered",
            advice=f"ask again in {math.ceil(wait_s)} s, with If-None-Match where you poll",
            headers={"Retry-After": str(math.ceil(wait_s))},
        )  # fmt: skip


def caller(headers: Mapping[str, str]) -> str:
    """Who asks, as far as the counting goes: whom the platform signed in, else the address the request came from.

    A stranger may send any of these headers to a host that has no platform before it; that host answers this machine
    alone.
    """
    known = headers.get(PRINCIPAL_ID, "") or _network(headers.get(FORWARDED, "").rpartition(",")[2].strip())
    return hashlib.sha256(known.encode()).hexdigest()[:32]  # of one length, and no address is kept


def _network(text: str) -> str:
    """An address without its port, which is another one for each connection; of version 6 the network of one home."""
    with_port = re.fullmatch(r"\[(.+)\](?::\d+)?|([^:]+):\d+", text)
    bare = (with_port[1] or with_port[2]) if with_port else text
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return bare
    return str(ipaddress.ip_network((address, 64), strict=False)) if address.version == 6 else str(address)
