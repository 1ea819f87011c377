"""Turn the settings into what the driver connects with: a URL and options."""

from __future__ import annotations

from typing import Any

from sqlalchemy import URL, make_url

from app.core.config import DatabaseSettings

MYSQL_DRIVER = "mysql+mysqlconnector"
# For both servers: MariaDB does not know the connector's default, utf8mb4_0900_ai_ci.
COLLATION = "utf8mb4_general_ci"
SQLITE_BUSY_TIMEOUT_S = 30


def build_url(settings: DatabaseSettings) -> URL:
    """Build the database's URL, with the driver that this program ships."""
    if not settings.DB_URL.get_secret_value():
        secret = settings.DB_PASSWORD.get_secret_value()
        return URL.create(MYSQL_DRIVER, settings.DB_USER, secret, settings.DB_HOST, settings.DB_PORT, settings.DB_NAME)
    url = make_url(settings.DB_URL.get_secret_value())
    return url.set(drivername=MYSQL_DRIVER) if url.drivername in ("mysql", "mariadb") else url


def build_connect_arguments(settings: DatabaseSettings, url: URL) -> dict[str, Any]:
    """Collect what the driver's `connect` takes beside the URL: time limits, TLS, characters."""
    if url.get_backend_name() == "sqlite":
        return {"timeout": SQLITE_BUSY_TIMEOUT_S}
    arguments: dict[str, Any] = {
        # Whether the connector's C part loads depends on the machine's OpenSSL: its Python part is the same everywhere.
        "use_pure": True,
        "charset": "utf8mb4",
        "collation": COLLATION,
        "connection_timeout": settings.DB_CONNECT_TIMEOUT_S,
        "read_timeout": settings.DB_ANSWER_TIMEOUT_S,
        "write_timeout": settings.DB_ANSWER_TIMEOUT_S,
    }
    if settings.DB_TLS == "off":
        arguments["ssl_disabled"] = True
    if settings.DB_TLS_CA:
        arguments["ssl_ca"] = settings.DB_TLS_CA
    if settings.DB_TLS == "verify":
        arguments |= {"ssl_verify_cert": True, "ssl_verify_identity": True}
    return arguments


def describe_url(url: URL) -> str:
    """Say where the database is, without the password."""
    if not url.host:
        return f"{url.get_backend_name()} {url.database or ''}".strip()
    return f"{url.host}:{url.port or 3306}, base {url.database}, usuario {url.username}"
