"""What can go wrong, as a tree: each leaf has a stable code, a Spanish sentence and what to do about it.

ItemError            costs one member; becomes a `Failed` outcome
├── NoPhoto, DuplicateMember, SeveralPhotos, BadName          roster: nothing that could be fetched
├── PhotoNotFound, PhotoUnavailable                           download
├── InvalidImage                                              decode
│   └── OversizedPhoto, TruncatedDownload                     download
├── DangerousImage                                            decode
├── SharedPhoto, PlaceholderPhoto                             decode: the same picture as somebody else's
├── NoFace, SeveralFaces, LowQuality                          detect
├── TookTooLong                                               decode, detect: no end was to be seen
├── BadVector                                                 embed
├── RowRefused                                                store
├── SetAside                                                  run: whoever was under way when runs died
└── Unexpected                                                any stage: a defect of ours, the log has the traceback
RunError             ends the run with its `exit_code`
├── SettingsError, UnknownModel, MissingDependency            2: could not start
├── MemberNotProcessable                                      1: the one member asked for cannot be done
├── MixedModels                                               2: one row of another model than all the others
├── DatabaseUnavailable, WeightsUnavailable, NotWritable      3: not available (the last one is in core/disk.py)
├── Suspicious, VectorsChanged                                3: going on would do harm
├── NotSwitched                                               3: new vectors that are not to be used as they are
├── Defect                                                    3: an error of ours, the log has the traceback
├── Stuck                                                     3: photos, downloads or the net do not come to an end
├── AlreadyRunning                                            4: another run is at it
└── Interrupted                                               130: before there was anybody to process
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any

EXIT_OK, EXIT_SOME_FAILED, EXIT_NOT_STARTED, EXIT_NOT_AVAILABLE = 0, 1, 2, 3
EXIT_ALREADY_RUNNING = 4
EXIT_BY_SIGNAL = 128  # plus the signal's number, as shells count
EXIT_INTERRUPTED = EXIT_BY_SIGNAL + signal.SIGINT


class ItemError(Exception):
    """Costs one member. `detail` (Spanish, may be empty) says what was seen in this very case; `sighting`
    (`records.Sighting`) is what is known of the photo, for the reports."""

    stage: str
    code: str
    title: str
    advice: str

    def __init__(self, detail: str = "", sighting: Any = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.sighting = sighting


class NoPhoto(ItemError):
    stage, code = "roster", "no_photo"
    title = "Sin foto registrada"
    advice = "Suba la foto de la persona y anote su nombre de archivo en el padrón."


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
    advice = "Quite del identificador o del nombre de archivo las barras, «..» y caracteres de control."


class PhotoNotFound(ItemError):
    stage, code = "download", "photo_not_found"
    title = "Imagen no encontrada"
    advice = "Compruebe que la foto esté en el servidor con ese nombre exacto y que sea pública."


class PhotoUnavailable(ItemError):
    stage, code = "download", "photo_unavailable"
    title = "Imagen no disponible"
    advice = "El servidor de fotos no respondió bien. Vuelva a ejecutar más tarde; si sigue, avise a su administrador."


class InvalidImage(ItemError):
    stage, code = "decode", "invalid_image"
    title = "No es una imagen válida"
    advice = "Abra la foto en su equipo, guárdela de nuevo como JPG y súbala otra vez."


class OversizedPhoto(InvalidImage):
    stage = "download"


class TruncatedDownload(InvalidImage):
    stage = "download"


class DangerousImage(ItemError):
    stage, code = "decode", "dangerous_image"
    title = "La imagen hace fallar al programa que la abre"
    advice = "Está dañada, o hecha para hacer daño: no la abra. Pida a la persona otra foto y súbala en su lugar."


class SharedPhoto(ItemError):
    stage, code = "decode", "shared_photo"
    title = "La misma foto en varias personas"
    advice = "Averigüe de quién es la foto y suba a cada una de las demás la suya."


class PlaceholderPhoto(ItemError):
    stage, code = "decode", "placeholder_photo"
    title = "Imagen de relleno, no la foto de la persona"
    advice = "Tome una foto de la persona y súbala en lugar de esa imagen."


class NoFace(ItemError):
    stage, code = "detect", "no_face"
    title = "No se detectaron rostros"
    advice = "Tome la foto de nuevo: de frente, con buena luz, la cara completa y sin nada que la cubra."


class SeveralFaces(ItemError):
    stage, code = "detect", "several_faces"
    title = "Varias personas en la foto"
    advice = "Tome la foto de nuevo con una sola persona, o recórtela."


class LowQuality(ItemError):
    stage, code = "detect", "low_quality"
    title = "La foto no sirve para reconocer a la persona"
    advice = "Tome la foto de nuevo: de frente, de cerca, enfocada y con luz pareja."


class TookTooLong(ItemError):
    stage, code = "detect", "took_too_long"
    title = "La foto deja colgado al programa"
    advice = (
        "Abra la foto en su equipo, guárdela de nuevo como JPG y súbala otra vez. Para reintentarla: --retry-failed."
    )


class BadVector(ItemError):
    stage, code = "embed", "bad_vector"
    title = "El modelo devolvió un vector no válido"
    advice = "Compruebe los pesos del modelo (bórrelos para descargarlos de nuevo) y vuelva a ejecutar."


class RowRefused(ItemError):
    stage, code = "store", "row_refused"
    title = "La base de datos rechazó la fila"
    advice = "Compare la fila con las columnas de face_embeddings (longitudes y tipos)."


class SetAside(ItemError):
    stage, code = "run", "set_aside"
    title = "Apartada: al procesar su foto se cerró el programa"
    advice = "Tome o guarde la foto de nuevo y súbala con otro nombre. Para reintentarlo tal cual: --retry-failed."


class Unexpected(ItemError):
    stage, code = "run", "unexpected"
    title = "Error inesperado"
    advice = "Envíe a soporte el archivo logs/app.log."


class RunError(Exception):
    """Ends the run. `str(error)` is the Spanish sentence; `advice` says what to do."""

    exit_code: int

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
    def of(cls, error: ModuleNotFoundError) -> MissingDependency:
        package = (error.name or "?").partition(".")[0]
        return cls(
            f"Módulo no encontrado: {package}. Ejecute: pip install -r requirements.txt",
            "Si usa run_embeddings.sh, basta con borrar la carpeta venv y ejecutarlo de nuevo.",
        )


class MemberNotProcessable(RunError):
    exit_code = EXIT_SOME_FAILED


class DatabaseUnavailable(RunError):
    exit_code = EXIT_NOT_AVAILABLE


class WeightsUnavailable(RunError):
    exit_code = EXIT_NOT_AVAILABLE


class MixedModels(RunError):
    exit_code = EXIT_NOT_STARTED


class Suspicious(RunError):
    exit_code = EXIT_NOT_AVAILABLE


class NotSwitched(RunError):
    exit_code = EXIT_NOT_AVAILABLE


class VectorsChanged(RunError):
    exit_code = EXIT_NOT_AVAILABLE


class Defect(RunError):
    exit_code = EXIT_NOT_AVAILABLE

    @classmethod
    def of(cls, error: Exception) -> Defect:
        return cls(f"{Unexpected.title}: {type(error).__name__}: {error}", Unexpected.advice)


class AlreadyRunning(RunError):
    exit_code = EXIT_ALREADY_RUNNING


class Stuck(RunError):
    exit_code = EXIT_NOT_AVAILABLE

    def __init__(self, message: str) -> None:
        super().__init__(
            message,
            "Compruebe que al equipo no le falte memoria ni procesador y vuelva a ejecutar: continuará donde quedó. "
            "Si cambió FACE_DETECTOR o FACE_MODEL, vuelva a los de antes.",
        )


class Interrupted(RunError):
    exit_code = EXIT_INTERRUPTED


def item_errors(root: type[ItemError] = ItemError) -> Iterator[type[ItemError]]:
    """Every kind of item error, the tree's leaves and branches alike."""
    for kind in root.__subclasses__():
        yield kind
        yield from item_errors(kind)


def kind_of(code: str) -> type[ItemError]:
    """The error class that owns a code (subclasses share their parent's)."""
    return next(kind for kind in item_errors() if kind.code == code)
