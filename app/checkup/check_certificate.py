"""Read until when a server's TLS certificate is valid, and judge how soon that is."""

from __future__ import annotations

import socket
import ssl
from datetime import datetime, timedelta, timezone
from pathlib import Path

from app.checkup.finding import BROKEN, OK, WARNING

WARN_BEFORE = timedelta(days=21)
RENEW = "Pida a quien administra ese servidor que renueve el certificado."


def certificate_until(host: str, port: int, authorities: Path, timeout_s: float) -> datetime | None:
    """Connect to a TLS server and return when its certificate expires; None if it does not say.

    `authorities` is a file or folder of certificates to trust. Raises ssl.SSLCertVerificationError for a certificate
    that they do not vouch for, OSError, and UnicodeError for a host that no name can be.
    """
    cafile, capath = (None, authorities) if authorities.is_dir() else (authorities, None)
    context = ssl.create_default_context(cafile=cafile, capath=capath)
    with (
        socket.create_connection((host, port), timeout_s) as plain,
        context.wrap_socket(plain, server_hostname=host) as encrypted,
    ):
        certificate = encrypted.getpeercert() or {}
        return read_date(str(certificate.get("notAfter", "")))


def read_date(words: str) -> datetime | None:
    """Parse a date as OpenSSL writes it; None for anything else."""
    try:
        return datetime.fromtimestamp(ssl.cert_time_to_seconds(words), timezone.utc)
    except ValueError:
        return None


def judge_expiry(until: datetime, whose: str, now: datetime | None = None) -> tuple[str, str, str]:
    """Return level, sentence and advice for a certificate that is valid until then."""
    left = until - (now or datetime.now(timezone.utc))
    day = f"{until:%d/%m/%Y}"
    if left <= timedelta(0):
        return BROKEN, f"el certificado {whose} venció el {day}", RENEW
    if left < WARN_BEFORE:
        days = {0: "menos de un día", 1: "un día"}.get(left.days, f"{left.days} días")
        return WARNING, f"el certificado {whose} vence en {days}, el {day}", RENEW
    return OK, f"válido hasta el {day}", ""
