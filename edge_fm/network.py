"""Whether a server can be reached, found out quickly."""

from __future__ import annotations

import socket
import urllib.parse
import urllib.request

CONNECT_S = 3.0
_ADDRESSES = 2
"""Hosts in a cloud have a dozen addresses: where the first two are silent, so are the others."""


def require_reachable(url: str) -> None:
    """Knock before asking: urllib would try every address of the host, each for the whole timeout.

    Args:
        url: http or https.

    Raises:
        OSError: no address of the host responds within seconds, or it has none.
    """
    parts = urllib.parse.urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host):
        return  # the proxy decides
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    last: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[:_ADDRESSES]:
        with socket.socket(family, kind, protocol) as sock:
            sock.settimeout(CONNECT_S)
            try:
                sock.connect(address)
                return
            except OSError as error:
                last = error
    raise last


def failure_reason(error: BaseException | str) -> str:
    """Why a server was not reached."""
    if isinstance(error, TimeoutError):
        return f"no response within {CONNECT_S:.0f} s"
    text = getattr(error, "strerror", None) or str(error)
    return text or type(error).__name__
