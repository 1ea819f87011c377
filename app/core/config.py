"""Read the settings from `.env` and the environment into one frozen `Settings`, or report all problems at once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic.config import JsonDict

from app.core.files import why
from app.core.redaction import secrets_of
from app.errors import SettingsError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

PROJECT_DIR = Path(__file__).resolve().parents[2]
ENV_FILE = PROJECT_DIR / ".env"
MAX_WORKER_THREADS = 64
BYTES_PER_MB = 1_000_000  # in every setting that ends in _MB
URL_SCHEMES = ("http://", "https://", "file://")
BACKENDS = ("mysql", "mariadb", "sqlite")
URL_EXAMPLE = "mysql://usuario:clave@host/base (en la clave, @ : / # se escriben %40 %3A %2F %23)"
MAX_PORT = 65535
MAX_SCORE = 100.0
# Marks a setting that can reject a photo: a recorded failure is retried when such a setting changes. FACE_MODEL and
# FACE_DETECTOR need no mark: they are parts of the embedding spec, which is compared, too.
REJECTS: JsonDict = {"rejects": True}


def _usable_cores() -> int:
    # A container may have fewer than the machine.
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 2
    return min(usable, MAX_WORKER_THREADS)


def has_host(url: str) -> bool:
    """Tell whether a URL names a server that a connection could be made to."""
    try:
        parts = urlsplit(url)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:  # the port is no number, or too large
        return False


def _check_host(name: str) -> str:
    try:
        name.encode("idna")
    except UnicodeError:  # a part between dots is empty or longer than 63 letters
        raise ValueError("ningún servidor puede llamarse así: revise los puntos y el largo de su nombre") from None
    return name


def _check_address(value: str) -> str:
    # No message repeats the address: it may hold a password.
    if value and not value.startswith(URL_SCHEMES):
        raise ValueError(f"debe empezar por {', '.join(URL_SCHEMES)}")
    if value.startswith(("http://", "https://")):
        if not has_host(value):
            raise ValueError("le falta el servidor, o el puerto no es un número válido")
        _check_host(urlsplit(value).hostname or "")
        if "@" in value.replace(urlsplit(value).netloc, "", 1):
            raise ValueError("la clave lleva / ? o #: escríbalos %2F %3F %23 (y una @ de la ruta, %40)")
    if "#" in value:  # nothing behind it would reach the server
        raise ValueError("lleva un #: escríbalo %23")
    if value.startswith("file://") and "?" in value:
        raise ValueError("el nombre de la carpeta lleva un ?: escríbalo %3F")
    return value


def _check_header(value: str) -> str:
    if not (value.isascii() and value.isprintable()) or value != value.strip():
        raise ValueError("solo puede llevar letras sin acento, cifras, signos y espacios entre ellos")
    return value


def _parse_database_url(value: SecretStr) -> URL:
    """Parse DB_URL, which must not be empty. Raises ValueError, whose text may hold a part of the password."""
    # Not imported above: a worker's process needs no SQLAlchemy, and would start a tenth of a second later.
    from sqlalchemy.engine import make_url  # noqa: PLC0415
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415

    try:
        return make_url(value.get_secret_value())
    except ArgumentError as error:
        raise ValueError(error) from None


def _check_database_url(value: SecretStr) -> SecretStr:
    # No message repeats the URL, not even the port: it may be the end of a password.
    if not value.get_secret_value():
        return value
    try:
        url = _parse_database_url(value)
    except ValueError:
        raise ValueError(f"no es una dirección, o su puerto no es un número; es como {URL_EXAMPLE}") from None
    if url.get_backend_name() not in BACKENDS:
        raise ValueError(f"solo se admiten {', '.join(BACKENDS)}, en minúsculas")
    # What follows the first @ would be taken for host and database, and shown.
    if url.get_backend_name() != "sqlite" and value.get_secret_value().count("@") > 1:
        text = "hay más de una @ en la dirección: escriba %40 en el usuario, la clave o las opciones"
        raise ValueError(f"{text}, como {URL_EXAMPLE}")
    _check_host(url.host or "")
    if url.port is not None and not 1 <= url.port <= MAX_PORT:
        raise ValueError(f"el puerto debe ser un número de 1 a {MAX_PORT}")
    if url.get_backend_name() != "sqlite" and not url.database:
        raise ValueError(f"falta el nombre de la base, detrás del servidor; es como {URL_EXAMPLE}")
    if url.get_backend_name() == "sqlite" and url.host:
        raise ValueError("faltan barras: sqlite:///base.db, o con cuatro una ruta completa, sqlite:////carpeta/base.db")
    return value


def parse_limit(text: str) -> tuple[float, float]:
    """Parse `40,15` to (40.0, 15.0). Raises ValueError with the Spanish reason."""
    try:
        warn, reject = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError("deben ser dos números separados por una coma, como 40,15") from None
    if not 0 <= reject <= warn <= MAX_SCORE:
        raise ValueError("deben ir de 0 a 100, y el primero (avisar) no puede ser menor que el segundo (rechazar)")
    return warn, reject


def _check_limit(text: str) -> str:
    parse_limit(text)
    return text


def _in_project(path: Path) -> Path:
    try:
        return PROJECT_DIR / path.expanduser()  # an absolute path stays as it is
    except RuntimeError:
        raise ValueError("no se sabe qué carpeta es ~ (falta HOME): escriba la ruta completa") from None


def _home(value: str) -> str:
    return str(_in_project(Path(value))) if value else ""


Host = Annotated[str, AfterValidator(_check_host)]
Address = Annotated[str, AfterValidator(_check_address)]
HeaderText = Annotated[str, AfterValidator(_check_header)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_check_database_url)]
ProjectPath = Annotated[Path, AfterValidator(_in_project)]
Limit = Annotated[str, AfterValidator(_check_limit), Field(json_schema_extra=REJECTS)]


class SettingsGroup(BaseModel):
    """Settings that belong together, under the names they have in `.env`."""

    # `defer_build`: of all the groups a run only ever fills the one that joins them.
    model_config = ConfigDict(frozen=True, extra="ignore", validate_default=True, defer_build=True)


class DatabaseSettings(SettingsGroup):
    """How to reach the database."""

    DB_URL: DatabaseUrl = SecretStr("")
    DB_HOST: Host = "localhost"
    DB_PORT: int = Field(default=3306, ge=1, le=MAX_PORT)
    DB_USER: str = Field(default="", validate_default=True)
    DB_PASSWORD: SecretStr = SecretStr("")
    DB_NAME: str = Field(default="", validate_default=True)
    DB_TLS: Literal["auto", "off", "required", "verify"] = "auto"
    DB_TLS_CA: str = ""
    DB_CONNECT_TIMEOUT_S: int = Field(default=10, ge=1)
    DB_ANSWER_TIMEOUT_S: int = Field(default=30, ge=1)
    DB_RETRY_TOTAL_S: float = Field(default=60.0, ge=0)

    @field_validator("DB_USER", "DB_NAME")
    @classmethod
    def _needed_without_url(cls, value: str, info: ValidationInfo) -> str:
        url = info.data.get("DB_URL")
        if not value and url is not None and not url.get_secret_value():
            raise ValueError("falta (o indique DB_URL)")
        return value


class PhotoSettings(SettingsGroup):
    """Where photos come from, and how they are downloaded and decoded."""

    IMAGE_BASE_URL: Address = Field(default="", validate_default=True, repr=False)
    HTTP_CONNECT_TIMEOUT_S: float = Field(default=5.0, gt=0)
    HTTP_READ_TIMEOUT_S: float = Field(default=15.0, gt=0)
    HTTP_TOTAL_TIMEOUT_S: float = Field(default=60.0, gt=0)
    HTTP_ATTEMPTS: int = Field(default=4, ge=1)
    HTTP_USER_AGENT: HeaderText = "face-embeddings"
    DOWNLOAD_THREADS: int = Field(default=8, ge=1, le=64)
    PHOTO_RECHECK_HOURS: float = Field(default=20.0, ge=0)
    MAX_PHOTO_MB: float = Field(default=25.0, gt=0, json_schema_extra=REJECTS)
    MAX_PHOTO_MEGAPIXELS: float = Field(default=100.0, gt=0, json_schema_extra=REJECTS)
    DECODE_MIN_SIDE: int = Field(default=900, ge=160, json_schema_extra=REJECTS)
    SHARED_PHOTOS: Literal["reject", "report"] = Field(default="reject", json_schema_extra=REJECTS)

    @field_validator("IMAGE_BASE_URL")
    @classmethod
    def _given(cls, value: str) -> str:
        if not value:
            raise ValueError("falta: la dirección de la que cuelgan las fotos")
        base, mark, query = value.partition("?")  # a token in the query may end in a slash
        return base.rstrip("/") + mark + query


class RosterSettings(SettingsGroup):
    """The names of the roster's table and columns."""

    ROSTER_TABLE: str = "tripulantes"
    ROSTER_ID_COLUMN: str = "crew_id"
    ROSTER_PHOTO_COLUMN: str = "imagen"
    ROSTER_NAMES_COLUMN: str = "nombres"
    ROSTER_SURNAMES_COLUMN: str = "apellidos"
    ROSTER_STATUS_COLUMN: str = "estatus"
    ROSTER_ACTIVE_VALUE: str = "1"


class FaceSettings(SettingsGroup):
    """How faces are found and embedded, and on what."""

    FACE_MODEL: str = "Facenet512"
    FACE_DETECTOR: str = "mtcnn"
    DETECTION_MAX_SIDE: int = Field(default=640, ge=160, json_schema_extra=REJECTS)
    MIN_FACE_RATIO: float = Field(default=0.1, gt=0, le=0.5, json_schema_extra=REJECTS)
    MULTIPLE_FACES: Literal["dominant", "largest", "reject"] = Field(default="dominant", json_schema_extra=REJECTS)
    MAX_SECOND_FACE: float = Field(default=0.4, gt=0, le=1, json_schema_extra=REJECTS)
    BATCH_SIZE: int = Field(default=0, ge=0, le=512)  # 0: what suits the processor
    WORKER_THREADS: int = Field(default_factory=_usable_cores, ge=1, le=MAX_WORKER_THREADS)
    WORKER_GPUS: float = Field(default=0.0, ge=0, le=64)  # of each worker on a cluster; 0.5: two share one
    ONNX_PROVIDERS: str = "auto"
    DEEPFACE_HOME: Annotated[str, AfterValidator(_home)] = ""
    WEIGHTS_MIRROR: Address = Field(default="", repr=False)


class QualitySettings(SettingsGroup):
    """For each component of ISO/IEC 29794-5 two scores out of 100: a photo below the first is reported as improvable,
    below the second it is rejected. docs/quality.md shows the measurements behind them."""

    QUALITY_SINGLE_FACE_PRESENT: Limit = "40,0"
    QUALITY_INTER_EYE_DISTANCE: Limit = "10,6"
    QUALITY_PIXEL_ASPECT_RATIO: Limit = "50,2"
    QUALITY_HEAD_POSE_ROLL: Limit = "65,20"
    QUALITY_HEAD_POSE_YAW: Limit = "80,60"
    QUALITY_HEAD_POSE_PITCH: Limit = "75,50"
    QUALITY_HEAD_SIZE: Limit = "0,0"
    QUALITY_LEFTWARD_CROP_OF_THE_FACE_IMAGE: Limit = "5,0"
    QUALITY_RIGHTWARD_CROP_OF_THE_FACE_IMAGE: Limit = "5,0"
    QUALITY_MARGIN_ABOVE_OF_THE_FACE_IMAGE: Limit = "9,5"
    QUALITY_MARGIN_BELOW_OF_THE_FACE_IMAGE: Limit = "8,4"
    QUALITY_SHARPNESS: Limit = "65,4"
    QUALITY_ILLUMINATION_UNIFORMITY: Limit = "25,0"
    QUALITY_UNDER_EXPOSURE_PREVENTION: Limit = "5,0"
    QUALITY_OVER_EXPOSURE_PREVENTION: Limit = "13,2"
    QUALITY_LUMINANCE_MEAN: Limit = "10,0"
    QUALITY_LUMINANCE_VARIANCE: Limit = "20,0"
    QUALITY_DYNAMIC_RANGE: Limit = "60,15"

    def quality_limits(self) -> dict[str, tuple[float, float]]:
        """Return the two scores by the component's name in the standard, such as `HeadPoseYaw`."""
        names = {name: name.removeprefix("QUALITY_").title().replace("_", "") for name in QualitySettings.model_fields}
        return {component: parse_limit(getattr(self, name)) for name, component in names.items()}


class RecognitionSettings(SettingsGroup):
    """Thresholds for comparing a face with the gallery."""

    FACE_CONFIDENCE_THRESHOLD: float = Field(default=0.70, ge=0, le=1)
    FACE_DISTANCE_THRESHOLD: float = Field(default=0.4, ge=0, le=2)
    MAX_FACE_MATCHES: int = Field(default=5, ge=1)


class FileSettings(SettingsGroup):
    """Where log files and temporary files go."""

    LOG_DIR: ProjectPath = Field(default=Path("logs"), validate_default=True)
    LOG_MAX_MB: float = Field(default=10.0, ge=0)
    LOG_BACKUPS: int = Field(default=5, ge=1)
    LOG_NAMES: bool = True
    TEMP_DIR: ProjectPath = Field(default=Path("temp_uploads"), validate_default=True)


# Pydantic takes the fields of the last base first: problems are reported from the database on.
class Settings(
    FileSettings,
    RecognitionSettings,
    QualitySettings,
    FaceSettings,
    RosterSettings,
    PhotoSettings,
    DatabaseSettings,
):
    """Every setting."""

    def secrets(self) -> tuple[str, ...]:
        """Return the passwords and tokens in the settings, as they are written there."""
        url = _parse_database_url(self.DB_URL) if self.DB_URL.get_secret_value() else None
        options = [value for name, value in (url.query if url else {}).items() if name.startswith("passw")]
        in_addresses = (*secrets_of(self.IMAGE_BASE_URL), *secrets_of(self.WEIGHTS_MIRROR))
        found = [self.DB_PASSWORD.get_secret_value(), url and url.password, *options, *in_addresses]
        return tuple(str(secret) for secret in found if secret)

    def rejecting(self) -> dict[str, Any]:
        """Return the settings that can reject a photo, by name."""
        fields = type(self).model_fields.items()
        return {name: getattr(self, name) for name, field in fields if field.json_schema_extra == REJECTS}


def load_settings(env_file: Path | None = ENV_FILE, **overrides: Any) -> Settings:
    """Read the settings; `overrides` win over the environment, this over the file, and what is empty counts as not
    given. Raises SettingsError naming all problems."""
    try:
        # Not by pydantic-settings: importing it takes a third of the time of a command without nets.
        written = dotenv_values(env_file) if env_file is not None and env_file.exists() else {}
        given = {name: os.environ.get(name) or written.get(name) for name in Settings.model_fields}
        return Settings.model_validate({name: value for name, value in given.items() if value} | overrides)
    except OSError as error:
        raise SettingsError(f"No se puede leer {env_file}: {why(error)}", "Revise sus permisos.") from error
    except ValidationError as error:
        problems = "\n".join(f"  - {_describe(dict(problem))}" for problem in error.errors(include_input=False))
        raise SettingsError(f"Configuración incompleta o incorrecta:\n{problems}", _how_to_fix(env_file)) from None
    except UnicodeDecodeError:
        raise SettingsError(f"{env_file} no está en UTF-8", "Guárdelo de nuevo con la codificación UTF-8.") from None


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
        "float_parsing": "debe ser un número, como 0.5",
        "greater_than": f"debe ser mayor que {limits.get('gt')}",
        "greater_than_equal": f"debe ser {limits.get('ge')} o más",
        "less_than_equal": f"debe ser {limits.get('le')} o menos",
        "literal_error": "debe ser uno de: " + limits.get("expected", "").replace(" or ", ", ").replace("'", ""),
        "value_error": str(limits.get("error", "")),
    }
    return f"{problem['loc'][0]}: {texts.get(kind, problem['msg'])}"
