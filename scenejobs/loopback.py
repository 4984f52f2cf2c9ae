"""Who may ask a server that listens on this machine: programs of this machine, and no page in a browser.

Loopback keeps other machines out, not the pages that a person opens: a page of anywhere can send requests to 127.0.0.1,
and read the answers where its own name was made to lead there (DNS rebinding). Such a request bears the page's Origin,
or the page's name as its Host.
"""

from __future__ import annotations

import ipaddress
from email.message import Message
from http import HTTPStatus
from urllib.parse import urlsplit


def is_loopback_host(host: str) -> bool:
    """Whether a host name or address is this machine's own. Nothing is looked up: a name can lead anywhere."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def foreign(headers: Message, *, any_host: bool = False) -> tuple[HTTPStatus, str] | None:
    """Status and reason with which a request is refused, None for one of a program that asked for this machine.

    any_host: the server listens for other machines too, which know it by names that it does not know.
    """
    hosts, origins = headers.get_all("Host", []), headers.get_all("Origin", [])
    if not any_host and not (len(hosts) == 1 and is_loopback_host(_host_of(f"//{hosts[0]}"))):
        return HTTPStatus.MISDIRECTED_REQUEST, "this answers requests for this machine only (127.0.0.1, localhost)"
    if any(origin != f"http://{host}" for origin in origins for host in hosts or [""]):
        return HTTPStatus.FORBIDDEN, "pages in a browser are not answered"
    return None


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
