"""All errors as a tree: an ItemError costs one member, a RunError ends the run.

ItemError            becomes a `Failed` outcome with the class's stage and code
├── NoPhoto, DuplicateMember, SeveralPhotos, BadName          roster: there is no photo to fetch
├── PhotoNotFound, PhotoForbidden, PhotoUnavailable           download
├── InvalidImage                                              decode
│   └── OversizedPhoto, TruncatedDownload                     download
├── DangerousImage                                            decode
├── SharedPhoto, PlaceholderPhoto                             decode: other members have the same picture
├── NoFace, FaceTooSmall, SeveralFaces, NotAPortrait          detect
├── UnclearOrientation, NotAPhoto, LowQuality                 detect
├── TookTooLong                                               decode, detect: the stage did not end
├── BadVector                                                 embed
├── RowRefused                                                store
├── Quarantined                                               run: earlier runs died while processing the member
└── Unexpected                                                any stage: a defect of this program
RunError             ends the run with the class's `exit_code`
├── SettingsError, UnknownModel, MissingDependency            2: could not start
├── MemberNotProcessable                                      1: the one requested member cannot be processed
├── MixedModels                                               2: one row of another model than all the others
├── EmptyGallery                                              2: there is nobody to compare with
├── DatabaseUnavailable, WeightsUnavailable, NotWritable      3: not available
│   └── ValueRefused                                          3: by the database; the writer makes it a RowRefused
├── ImplausibleRun, VectorsChanged                            3: going on would do harm
├── PhotosUnchecked                                           3: not one photo could be asked about
├── NotSwitched                                               3: the new model's vectors do not pass the checks
├── ClusterUnavailable                                        3: no Ray cluster to process photos on
├── WorkersLost                                               3: nobody is left on it who can
├── Defect                                                    3: a defect of this program
├── Stuck                                                     3: photos, downloads or the net do not end
├── AlreadyRunning                                            4: another run is under way
└── Interrupted                                               130: stopped before the first member
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from datetime import timedelta
from enum import Enum
from typing import Any

EXIT_OK, EXIT_SOME_FAILED, EXIT_NOT_STARTED, EXIT_NOT_AVAILABLE = 0, 1, 2, 3
EXIT_ALREADY_RUNNING = 4
EXIT_BY_SIGNAL = 128  # plus the signal's number, as shells count
EXIT_INTERRUPTED = EXIT_BY_SIGNAL + signal.SIGINT


class Retry(Enum):
    """When later runs process a member again whose photo, URL and rules did not change."""

    EVERY_RUN = "every run"
    BACKOFF = "after a pause that doubles with each failure"
    OTHER_PHOTO = "never: only another photo helps"
    UNSHARED = "when no other member has the photo any more"


class Audience(Enum):
    """Who can mend a failure."""

    HR = "who takes the photos"
    TECHNICIAN = "who runs the servers"


class ItemError(Exception):
    """Costs one member. The class says what the code means: its stage, title and advice (Spanish), when a run processes
    the member again and who has to act. `detail` (Spanish, may be empty) says what this case shows; `analysis`
    (`records.PhotoAnalysis`) is what is known of the photo, for the reports."""

    stage: str
    code: str
    title: str
    advice: str
    retry: Retry = Retry.BACKOFF
    audience: Audience = Audience.HR

    def __init__(self, detail: str = "", analysis: Any = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.analysis = analysis


class NoPhoto(ItemError):
    stage, code = "roster", "no_photo"
    title = "Sin foto registrada"
    advice = (
        "Suba la foto de la persona y anote su nombre de archivo en el padrón; con --photos, póngala en su carpeta."
    )


class DuplicateMember(ItemError):
    stage, code = "roster", "duplicate_member"
    title = "Identificador repetido en el padrón"
    advice = "Deje en el padrón una sola fila activa por persona, con su foto."


class SeveralPhotos(ItemError):
    stage, code = "roster", "several_photos"
    title = "Varias fotos en la carpeta"
    advice = "Deje una sola foto en la carpeta de la persona."


class BadName(ItemError):
    stage, code = "roster", "bad_name"
    title = "Nombre no permitido"
    advice = (
        "Quite del identificador o del nombre de archivo las barras, «..», los caracteres de control y los espacios "
        "del principio y del final; use UTF-8."
    )


class PhotoNotFound(ItemError):
    stage, code = "download", "photo_not_found"
    title = "Imagen no encontrada"
    advice = "Compruebe que la foto esté en su sitio con ese nombre exacto y, si es un servidor, que sea pública."


class PhotoForbidden(ItemError):
    stage, code = "download", "photo_forbidden"
    title = "El servidor no deja ver la imagen"
    advice = (
        "Si son todas, revise el usuario, la clave o el token de IMAGE_BASE_URL, y si un cortafuegos rechaza al "
        "programa (HTTP_USER_AGENT). Si son pocas, revise sus permisos en el servidor, y que estén: algunos servidores "
        "responden así por una foto que falta."
    )
    audience = Audience.TECHNICIAN


class PhotoUnavailable(ItemError):
    stage, code = "download", "photo_unavailable"
    title = "Imagen no disponible"
    advice = (
        "El servidor de fotos no respondió bien, o la carpeta no se deja leer. Vuelva a ejecutar más tarde; si sigue, "
        "avise a su administrador."
    )
    retry = Retry.EVERY_RUN
    audience = Audience.TECHNICIAN


class InvalidImage(ItemError):
    stage, code = "decode", "invalid_image"
    title = "No es una imagen válida"
    # Not to open it and save it again: what a viewer makes of a damaged file would pass for a sound photo.
    advice = "Suba otra vez el archivo original, tal como salió de la cámara; si su formato no se lee, cámbielo a JPG."
    retry = Retry.OTHER_PHOTO


class OversizedPhoto(InvalidImage):
    stage = "download"


class TruncatedDownload(InvalidImage):
    stage = "download"


class DangerousImage(ItemError):
    stage, code = "decode", "dangerous_image"
    title = "La imagen hace fallar al programa que la abre"
    advice = "Está dañada, o hecha para hacer daño: no la abra. Pida a la persona otra foto y súbala en su lugar."
    retry = Retry.OTHER_PHOTO


class SharedPhoto(ItemError):
    stage, code = "decode", "shared_photo"
    title = "La misma foto en varias personas"
    advice = "Averigüe de quién es la foto y suba a cada una de las demás la suya."
    retry = Retry.UNSHARED


class PlaceholderPhoto(ItemError):
    stage, code = "decode", "placeholder_photo"
    title = "Imagen de relleno, no la foto de la persona"
    advice = "Tome una foto de la persona y súbala en lugar de esa imagen."
    retry = Retry.UNSHARED


class NoFace(ItemError):
    stage, code = "detect", "no_face"
    title = "No se detectaron rostros"
    advice = "Tome la foto de nuevo: de frente, con buena luz, la cara completa y sin nada que la cubra."
    retry = Retry.OTHER_PHOTO


class FaceTooSmall(ItemError):
    stage, code = "detect", "face_too_small"
    title = "La cara sale demasiado pequeña"
    advice = "Tome la foto más de cerca, o recorte el archivo original alrededor de la cara, y súbala otra vez."
    retry = Retry.OTHER_PHOTO


class NotAPortrait(ItemError):
    stage, code = "detect", "not_a_portrait"
    title = "La única cara que se ve puede ser de otra persona"
    advice = "Tome la foto de cerca, con la persona de frente y en el centro; recorte de un documento solo la foto."
    retry = Retry.OTHER_PHOTO


class UnclearOrientation(ItemError):
    stage, code = "detect", "unclear_orientation"
    title = "No se sabe qué lado de la foto va arriba"
    advice = "Gire la foto hasta que la cara quede derecha, guárdela de nuevo y súbala otra vez."
    retry = Retry.OTHER_PHOTO


class NotAPhoto(ItemError):
    stage, code = "detect", "not_a_photo"
    title = "Es un dibujo, no una fotografía"
    advice = "Tome una foto de la persona y súbala en lugar del dibujo."
    retry = Retry.OTHER_PHOTO


class SeveralFaces(ItemError):
    stage, code = "detect", "several_faces"
    title = "Varias personas en la foto"
    advice = "Tome la foto de nuevo con una sola persona, o recórtela."
    retry = Retry.OTHER_PHOTO


class LowQuality(ItemError):
    stage, code = "detect", "low_quality"
    title = "La foto no sirve para reconocer a la persona"
    advice = (
        "Corrija lo que dice el detalle: por lo general, tómela de nuevo de frente, de cerca, enfocada, con luz pareja "
        "y sin estirarla."
    )
    retry = Retry.OTHER_PHOTO


class TookTooLong(ItemError):
    stage, code = "detect", "took_too_long"
    title = "La foto deja colgado al programa"
    advice = (
        "Abra la foto en su equipo, guárdela de nuevo como JPG y súbala otra vez. Para reintentarla: --retry-failed."
    )
    retry = Retry.OTHER_PHOTO


class BadVector(ItemError):
    stage, code = "embed", "bad_vector"
    title = "El modelo devolvió un vector no válido"
    advice = "Compruebe los pesos del modelo (bórrelos para descargarlos de nuevo) y vuelva a ejecutar."
    audience = Audience.TECHNICIAN


class RowRefused(ItemError):
    stage, code = "store", "row_refused"
    title = "La base de datos rechazó la fila"
    advice = "Compare la fila con las columnas de face_embeddings (longitudes y tipos)."
    audience = Audience.TECHNICIAN


class Quarantined(ItemError):
    stage, code = "run", "set_aside"
    title = "Apartada: al procesar su foto se cerró el programa"
    advice = "Tome o guarde la foto de nuevo y súbala con otro nombre. Para reintentarlo tal cual: --retry-failed."


class Unexpected(ItemError):
    stage, code = "run", "unexpected"
    title = "Error inesperado"
    advice = "Envíe a soporte el archivo logs/app.log."
    audience = Audience.TECHNICIAN


def item_errors(root: type[ItemError] = ItemError) -> Iterator[type[ItemError]]:
    """Yield every class of item errors, parents before their children."""
    for kind in root.__subclasses__():
        yield kind
        yield from item_errors(kind)


def kind_of(code: str) -> type[ItemError]:
    """Return the error class that owns a code (subclasses share their parent's); Unexpected for an unknown code,
    which another version of this program may have recorded."""
    return next((kind for kind in item_errors() if kind.code == code), Unexpected)


def codes_with(retry: Retry) -> set[str]:
    """Return the codes of the failures that are retried like this."""
    return {kind.code for kind in item_errors() if kind.retry is retry}


class RunError(Exception):
    """Ends the run. `str(error)` is the Spanish sentence; `advice` says what to do."""

    exit_code = EXIT_NOT_AVAILABLE

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


class SettingsError(RunError):
    exit_code = EXIT_NOT_STARTED


class UnknownModel(RunError):
    exit_code = EXIT_NOT_STARTED


class MissingDependency(RunError):
    exit_code = EXIT_NOT_STARTED

    @classmethod
    def of(cls, error: ImportError) -> MissingDependency:
        """Return the error for a package that is not there, or that the system cannot load."""
        package = (error.name or "?").partition(".")[0]
        if not isinstance(error, ModuleNotFoundError):
            return cls(
                f"No se puede cargar el paquete {package}: {error.msg}",
                "Borre la carpeta venv y use run_embeddings.sh, que la rehace. Si dice «failed to map segment», el "
                "disco está montado con noexec; si falta un archivo .so, instale en el sistema el paquete que lo trae.",
            )
        return cls(
            f"Módulo no encontrado: {package}. Ejecute: pip install -r requirements.txt",
            "Si usa run_embeddings.sh, basta con borrar la carpeta venv y ejecutarlo de nuevo.",
        )


class MemberNotProcessable(RunError):
    exit_code = EXIT_SOME_FAILED


class DatabaseUnavailable(RunError): ...


class ValueRefused(DatabaseUnavailable):
    """The database refuses what is in one row (too long, wrong type, a constraint): others may still go in."""


class WeightsUnavailable(RunError): ...


class NotWritable(RunError):
    """In the middle of a run a disk is full, or a folder has lost its permissions."""


class MixedModels(RunError):
    exit_code = EXIT_NOT_STARTED


class EmptyGallery(RunError):
    exit_code = EXIT_NOT_STARTED


class ImplausibleRun(RunError): ...


class PhotosUnchecked(RunError): ...


class NotSwitched(RunError): ...


class VectorsChanged(RunError): ...


class Defect(RunError):
    @classmethod
    def of(cls, error: Exception, said: str) -> Defect:
        """Return the error that quotes `said`, the other error's redacted message."""
        return cls(f"{Unexpected.title}: {type(error).__name__}: {said}", Unexpected.advice)


class AlreadyRunning(RunError):
    """`age`: how long the other run has been under way; None if it is unknown."""

    exit_code = EXIT_ALREADY_RUNNING

    def __init__(self, message: str, age: timedelta | None = None) -> None:
        super().__init__(
            message,
            "No hace falta nada: cuando termine, la siguiente continúa. Una que ha muerto no bloquea a nadie; "
            "para que ninguna dure demasiado: --max-minutes.",
        )
        self.age = age


class Stuck(RunError):
    def __init__(self, message: str) -> None:
        super().__init__(
            message,
            "Compruebe que al equipo no le falte memoria ni procesador y vuelva a ejecutar: continuará donde quedó. "
            "Si cambió FACE_DETECTOR o FACE_MODEL, vuelva a los de antes.",
        )


class ClusterUnavailable(RunError): ...


class WorkersLost(RunError): ...


class Interrupted(RunError):
    exit_code = EXIT_INTERRUPTED
