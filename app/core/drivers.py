"""What the drivers of the databases are told: settings come in, their own arguments go out."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from app.core.config import Settings
from app.errors import SettingsError

# For both servers; the connector's own default, utf8mb4_0900_ai_ci, is unknown to MariaDB.
COLLATION = "utf8mb4_general_ci"
CANNOT_CONNECT = 2003  # the connector's own number
NO_MYSQL = "lo que hay en ese puerto no contesta como MySQL"
BAD_OPTION = ("DB_URL: el programa no conoce una opción de las que siguen al signo ?, o su valor", "Quítela de DB_URL.")


def connect(dialect: Any, arguments: Sequence[Any], options: dict[str, Any], *, with_query: bool) -> Any:
    """A connection. Raises SettingsError, without repeating it, for an option of DB_URL (`with_query`: it has some)
    that the driver refuses; the driver's error of a server that is not there where one talks what it cannot read."""
    try:
        return dialect.connect(*arguments, **options)
    except (AttributeError, TypeError, ValueError, LookupError, struct.error) as error:
        if with_query and _is_refusal(error):
            raise SettingsError(*BAD_OPTION) from error
        raise dialect.loaded_dbapi.OperationalError(NO_MYSQL, CANNOT_CONNECT) from error


def _is_refusal(error: Exception) -> bool:
    """How drivers refuse what they do not know. All else comes of reading the server's greeting."""
    return isinstance(error, AttributeError | TypeError | ValueError) and not isinstance(error, UnicodeError)


def mysql_arguments(settings: Settings) -> dict[str, Any]:
    """Time-outs, character set and TLS for `mysql-connector-python`."""
    arguments: dict[str, Any] = {
        # The connector's C part can be loaded or not as the machine's OpenSSL will have it: the same everywhere.
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
