"""The settings: `.env` and the environment come in, one frozen `Settings` goes out, or every problem at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from app.core.quality_settings import QualitySettings
from app.core.redaction import password_of
from app.errors import SettingsError

PROJECT_DIR = Path(__file__).resolve().parents[2]
ENV_FILE = PROJECT_DIR / ".env"
MAX_WORKER_THREADS = 64
BYTES_PER_MB = 1_000_000  # in every setting that ends in _MB
URL_SCHEMES = ("http://", "https://", "file://")
BACKENDS = ("mysql", "mariadb", "sqlite")
MYSQL_DRIVER = "mysql+mysqlconnector"
NO_HOST = "ningún servidor puede llamarse así: revise los puntos y el largo de su nombre"
SEVERAL_AT_SIGNS = "hay más de una @ en la dirección: escriba %40 en el usuario, la clave o las opciones"
URL_EXAMPLE = "mysql://usuario:clave@host/base (en la clave, @ : / # se escriben %40 %3A %2F %23)"


def _usable_cores() -> int:
    """Those that this process may use: a container may have been given fewer than the machine has."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 2
    return min(usable, MAX_WORKER_THREADS)


class Settings(QualitySettings):
    """Every setting under the name it has in `.env`; the shell's environment wins over the file."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", case_sensitive=True, env_ignore_empty=True, env_file_encoding="utf-8"
    )

    # Base de datos
    DB_URL: SecretStr = SecretStr("")
    DB_HOST: str = "localhost"
    DB_PORT: int = Field(default=3306, ge=1, le=65535)
    DB_USER: str = Field(default="", validate_default=True)
    DB_PASSWORD: SecretStr = SecretStr("")
    DB_NAME: str = Field(default="", validate_default=True)
    DB_TLS: Literal["auto", "off", "required", "verify"] = "auto"
    DB_TLS_CA: str = ""
    DB_CONNECT_TIMEOUT_S: int = Field(default=10, ge=1)
    DB_ANSWER_TIMEOUT_S: int = Field(default=30, ge=1)
    DB_RETRY_TOTAL_S: float = Field(default=60.0, ge=0)

    # Fotos
    IMAGE_BASE_URL: str = Field(default="", validate_default=True, repr=False)
    HTTP_CONNECT_TIMEOUT_S: float = Field(default=5.0, gt=0)
    HTTP_READ_TIMEOUT_S: float = Field(default=15.0, gt=0)
    HTTP_TOTAL_TIMEOUT_S: float = Field(default=60.0, gt=0)
    HTTP_ATTEMPTS: int = Field(default=4, ge=1)
    DOWNLOAD_THREADS: int = Field(default=8, ge=1, le=64)
    PHOTO_RECHECK_HOURS: float = Field(default=20.0, ge=0)
    MAX_PHOTO_MB: float = Field(default=25.0, gt=0)
    MAX_PHOTO_MEGAPIXELS: float = Field(default=100.0, gt=0)

    # Padrón
    ROSTER_TABLE: str = "tripulantes"
    ROSTER_ID_COLUMN: str = "crew_id"
    ROSTER_PHOTO_COLUMN: str = "imagen"
    ROSTER_NAMES_COLUMN: str = "nombres"
    ROSTER_SURNAMES_COLUMN: str = "apellidos"
    ROSTER_STATUS_COLUMN: str = "estatus"
    ROSTER_ACTIVE_VALUE: str = "1"

    # Rostros
    FACE_MODEL: str = "Facenet512"
    FACE_DETECTOR: str = "mtcnn"
    DECODE_MIN_SIDE: int = Field(default=900, ge=160)
    DETECTION_MAX_SIDE: int = Field(default=640, ge=160)
    MIN_FACE_RATIO: float = Field(default=0.1, gt=0, le=0.5)
    MULTIPLE_FACES: Literal["dominant", "largest", "reject"] = "dominant"
    MAX_SECOND_FACE: float = Field(default=0.4, gt=0, le=1)
    SHARED_PHOTOS: Literal["reject", "report"] = "reject"
    BATCH_SIZE: int = Field(default=0, ge=0, le=512)  # 0: what suits the processor
    WORKER_THREADS: int = Field(default_factory=_usable_cores, ge=1, le=MAX_WORKER_THREADS)
    ONNX_PROVIDERS: str = "auto"
    DEEPFACE_HOME: str = ""
    WEIGHTS_MIRROR: str = Field(default="", repr=False)

    # Reconocimiento: umbrales para quien compare contra la galería
    FACE_CONFIDENCE_THRESHOLD: float = Field(default=0.70, ge=0, le=1)
    FACE_DISTANCE_THRESHOLD: float = Field(default=0.4, ge=0, le=2)
    MAX_FACE_MATCHES: int = Field(default=5, ge=1)

    # Archivos
    LOG_DIR: Path = Field(default=Path("logs"), validate_default=True)
    LOG_MAX_MB: float = Field(default=10.0, ge=0)
    LOG_BACKUPS: int = Field(default=5, ge=1)
    LOG_NAMES: bool = True
    TEMP_DIR: Path = Field(default=Path("temp_uploads"), validate_default=True)

    @field_validator("DB_URL")
    @classmethod
    def _readable_url(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value():
            try:
                url = make_url(value.get_secret_value())
            except (ArgumentError, ValueError):
                # The text may hold a password: no part of it is repeated, and the port may be the end of one.
                raise ValueError(f"no es una URL de SQLAlchemy, como {URL_EXAMPLE}") from None
            if url.get_backend_name() not in BACKENDS:
                raise ValueError(f"solo se admiten {', '.join(BACKENDS)}")
            # What follows the first would be taken for host and database, and shown.
            if url.get_backend_name() != "sqlite" and value.get_secret_value().count("@") > 1:
                raise ValueError(f"{SEVERAL_AT_SIGNS}, como {URL_EXAMPLE}")
            if not _can_be_host(url.host or ""):
                raise ValueError(NO_HOST)
        return value

    @field_validator("DB_HOST")
    @classmethod
    def _sound_host(cls, value: str) -> str:
        if not _can_be_host(value):
            raise ValueError(NO_HOST)
        return value

    @field_validator("DB_USER", "DB_NAME")
    @classmethod
    def _needed_without_url(cls, value: str, info: ValidationInfo) -> str:
        url = info.data.get("DB_URL")
        if not value and url is not None and not url.get_secret_value():
            raise ValueError("falta (o indique DB_URL)")
        return value

    @field_validator("IMAGE_BASE_URL", "WEIGHTS_MIRROR")
    @classmethod
    def _sound_address(cls, value: str) -> str:
        """No part of it is repeated: it may hold a password."""
        if value and not value.startswith(URL_SCHEMES):
            raise ValueError(f"debe empezar por {', '.join(URL_SCHEMES)}")
        if value.startswith(("http://", "https://")):
            if not _has_host(value):
                raise ValueError("le falta el servidor, o el puerto no es un número válido")
            if not _can_be_host(urlsplit(value).hostname or ""):
                raise ValueError(NO_HOST)
            if "@" in value.replace(urlsplit(value).netloc, "", 1):
                raise ValueError("la clave lleva / ? o #: escríbalos %2F %3F %23 (y una @ de la ruta, %40)")
        return value

    @field_validator("IMAGE_BASE_URL")
    @classmethod
    def _given(cls, value: str) -> str:
        if not value:
            raise ValueError("falta: la dirección de la que cuelgan las fotos")
        return value.rstrip("/")

    @field_validator("LOG_DIR", "TEMP_DIR")
    @classmethod
    def _from_project(cls, value: Path) -> Path:
        return PROJECT_DIR / value  # an absolute path stays as it is

    def secrets(self) -> tuple[str, ...]:
        """The passwords in it, as they are written."""
        url = make_url(self.DB_URL.get_secret_value()) if self.DB_URL.get_secret_value() else None
        options = [value for name, value in (url.query if url else {}).items() if name.startswith("passw")]
        addresses = (self.IMAGE_BASE_URL, self.WEIGHTS_MIRROR)
        found = [self.DB_PASSWORD.get_secret_value(), url and url.password, *options, *map(password_of, addresses)]
        return tuple(str(secret) for secret in found if secret)

    def database_url(self) -> URL:
        """The SQLAlchemy URL, with the driver that this program ships."""
        if not self.DB_URL.get_secret_value():
            secret = self.DB_PASSWORD.get_secret_value()
            return URL.create(MYSQL_DRIVER, self.DB_USER, secret, self.DB_HOST, self.DB_PORT, self.DB_NAME)
        url = make_url(self.DB_URL.get_secret_value())
        return url.set(drivername=MYSQL_DRIVER) if url.drivername in ("mysql", "mariadb") else url


def load_settings(env_file: Path | None = ENV_FILE, **overrides: Any) -> Settings:
    """Read the settings; `overrides` win over everything. Raises SettingsError naming all problems."""
    try:
        return Settings(_env_file=env_file, **overrides)
    except OSError as error:
        raise SettingsError(f"No se puede leer {env_file}: {error.strerror}", "Revise sus permisos.") from error
    except ValidationError as error:
        problems = "\n".join(f"  - {_describe(dict(problem))}" for problem in error.errors(include_input=False))
        raise SettingsError(f"Configuración incompleta o incorrecta:\n{problems}", _how_to_fix(env_file)) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{env_file} no está en UTF-8", "Guárdelo de nuevo con la codificación UTF-8.") from None


def _has_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number, or too large
        return False


def _can_be_host(name: str) -> bool:
    """Whether DNS could be asked for it: no part between its dots is empty, or longer than 63 letters."""
    try:
        name.encode("idna")
    except UnicodeError:
        return False
    return True


def _how_to_fix(env_file: Path | None) -> str:
    if env_file is not None and not env_file.exists():
        return f"No existe {env_file.name}: copie .env.example como .env y complete los valores."
    return "Corrija esos valores en .env (.env.example explica cada uno)."


def _describe(problem: dict[str, Any]) -> str:
    kind, limits = str(problem["type"]), problem.get("ctx", {})
    texts = {
        "bool_parsing": "debe ser 1 (sí) o 0 (no)",
        "int_parsing": "debe ser un número entero",
        "int_parsing_size": "es un número demasiado largo",
        "float_parsing": "debe ser un número",
        "greater_than": f"debe ser mayor que {limits.get('gt')}",
        "greater_than_equal": f"debe ser {limits.get('ge')} o más",
        "less_than_equal": f"debe ser {limits.get('le')} o menos",
        "literal_error": "debe ser uno de: " + limits.get("expected", "").replace(" or ", ", ").replace("'", ""),
        "value_error": str(limits.get("error", "")),
    }
    return f"{problem['loc'][0]}: {texts.get(kind, problem['msg'])}"
