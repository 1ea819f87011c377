"""What costs one member: each has a stage, a stable code, a title and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


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
    # Never to open it and save it again: what a viewer makes of a damaged file would then pass for a sound photo.
    advice = "Suba otra vez el archivo original, tal como salió de la cámara; si su formato no se lee, cámbielo a JPG."


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


class FaceTooSmall(ItemError):
    stage, code = "detect", "face_too_small"
    title = "La cara sale demasiado pequeña"
    advice = "Tome la foto más de cerca, o recorte el archivo original alrededor de la cara, y súbala otra vez."


class NotAPortrait(ItemError):
    stage, code = "detect", "not_a_portrait"
    title = "La única cara que se ve puede ser de otra persona"
    advice = "Tome la foto de cerca, con la persona de frente y en el centro; recorte de un documento solo la foto."


class UnclearOrientation(ItemError):
    stage, code = "detect", "unclear_orientation"
    title = "No se sabe qué lado de la foto va arriba"
    advice = "Gire la foto hasta que la cara quede derecha, guárdela de nuevo y súbala otra vez."


class NotAPhoto(ItemError):
    stage, code = "detect", "not_a_photo"
    title = "Es un dibujo, no una fotografía"
    advice = "Tome una foto de la persona y súbala en lugar del dibujo."


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


def item_errors(root: type[ItemError] = ItemError) -> Iterator[type[ItemError]]:
    """Every kind of item error, the tree's leaves and branches alike."""
    for kind in root.__subclasses__():
        yield kind
        yield from item_errors(kind)


def kind_of(code: str) -> type[ItemError]:
    """The error class that owns a code (subclasses share their parent's)."""
    return next(kind for kind in item_errors() if kind.code == code)
