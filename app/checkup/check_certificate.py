"""Certificates: a server's address comes in; until when its certificate is good, or why it is not, goes out."""

from __future__ import annotations

import socket
import ssl
from datetime import datetime, timedelta, timezone
from pathlib import Path

from app.checkup.finding import BROKEN, OK, WARNING

WARN_BEFORE = timedelta(days=21)
RENEW = "Pida a quien administra ese servidor que renueve el certificado."


def certificate_until(host: str, port: int, authorities: Path, timeout_s: float) -> datetime | None:
    """When the certificate of a TLS server expires. Raises OSError, UnicodeError; ssl.SSLCertVerificationError when it
    is not to be trusted. `authorities`: file or folder of those to trust."""
    cafile, capath = (None, authorities) if authorities.is_dir() else (authorities, None)
    context = ssl.create_default_context(cafile=cafile, capath=capath)
    with (
        socket.create_connection((host, port), timeout_s) as plain,
        context.wrap_socket(plain, server_hostname=host) as encrypted,
    ):
        said = encrypted.getpeercert() or {}
        return read_date(str(said.get("notAfter", "")))


def read_date(words: str) -> datetime | None:
    """A date as OpenSSL writes it; None where there is none."""
    try:
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(words), timezone.utc)
    except ValueError:
        return None


def judge_expiry(until: datetime, whose: str, now: datetime | None = None) -> tuple[str, str, str]:
    """Level, sentence and advice."""
    left = until - (now or datetime.now(timezone.utc))
    day = f"{until:%d/%m/%Y}"
    if left <= timedelta(0):
        return BROKEN, f"el certificado {whose} venció el {day}", RENEW
    if left < WARN_BEFORE:
        days = {0: "menos de un día", 1: "un día"}.get(left.days, f"{left.days} días")
        return WARNING, f"el certificado {whose} vence en {days}, el {day}", RENEW
    return OK, f"válido hasta el {day}", ""
