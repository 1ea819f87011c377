"""The proxy that the environment names for an address: which variable names it, and whether the program can use it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from urllib.parse import urlsplit

from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from app.errors import SettingsError

FOR_ALL = "all_proxy"
OF_THE_SYSTEM = "la configuración del sistema"  # Windows and macOS have proxies without a variable
KINDS = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
NO_ADDRESS = "no es una dirección como http://servidor:3128"
ADVICE = "Corrija esa variable de entorno, quítela, o añada el servidor a NO_PROXY si se llega a él sin proxy."


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and the environment's variable that names it. The URL may hold a password; `place` does not."""

    url: str
    variable: str

    @property
    def place(self) -> str:
        """Host and port, without user and password."""
        return self.url.partition("://")[2].rpartition("@")[2].strip("/") or self.url.rpartition("@")[2]

    def __str__(self) -> str:
        return f"{self.place}, de {self.variable}"


def find_proxy(url: str) -> Proxy | None:
    """Return the proxy by which requests reaches the address; None where it needs none."""
    chosen = select_proxy(url, get_environ_proxies(url))
    return Proxy(chosen, _variable_of(urlsplit(url).scheme, chosen)) if chosen else None


def refuse_unusable_proxy(url: str) -> None:
    """Raise SettingsError where the environment names a proxy for the address that no request could go through."""
    proxy = find_proxy(url)
    reason = _why_unusable(proxy.url) if proxy else ""
    if proxy and reason:
        raise SettingsError(f"No se puede usar el proxy que nombra {proxy.variable}: {reason}", ADVICE)


def _variable_of(scheme: str, value: str) -> str:
    """Return the variable, as it is written. The scheme's own wins over that for all, and small letters over large."""
    wanted = (f"{scheme}_proxy", FOR_ALL)
    names = [name for name, text in os.environ.items() if name.lower() in wanted and text == value]
    return min(names, key=lambda name: (name.lower() == FOR_ALL, not name.islower()), default=OF_THE_SYSTEM)


def _why_unusable(url: str) -> str:
    try:
        parsed = parse_url(url)
    except LocationParseError:
        return NO_ADDRESS
    kind = parsed.scheme or "http"
    if not parsed.host:
        return NO_ADDRESS
    if kind not in KINDS:
        return f"es de un tipo desconocido ({kind}); se admiten {', '.join(KINDS)}"
    if kind.startswith("socks") and find_spec("socks") is None:
        return "es SOCKS, y falta el paquete que lo habla: pip install PySocks"
    return ""
