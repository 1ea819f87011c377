"""Read the roster from a folder of photos: each `DIR/<crew_id>/<photo>` is a member."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from app.core.files import why
from app.core.spanish import inflect, say_some, suggest
from app.errors import BadName, MemberNotProcessable, NoPhoto, PhotoUnavailable, SettingsError, SeveralPhotos
from app.records import CrewMember, Failed
from app.roster.litter import choose_photos, is_litter

Rows = TypeVar("Rows")

FOLDER_DATABASE = "embeddings.db"  # the gallery, beside the members' folders
SHOWN_FILES = 3  # of those that are no photos
NOTHING_LEFT = "no hay ningún archivo que pueda serlo"  # in a folder without files but those that systems leave
PASSED_OVER = "# archivo[s] o carpeta[s] de la carpeta de fotos no cuenta[n] como foto"


class FolderRoster:
    """Reads the crew from the names of the folders. What systems and programs leave in folders of pictures is ignored.

    `passed_over`: all else that the last reading took for no member and no photo, as paths in the folder; that of a
    folder ends in a slash.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.passed_over: list[str] = []

    def active(self) -> list[CrewMember | Failed]:
        """List all members by id; those without exactly one photo as Failed. Raises SettingsError."""
        folders, others = self._read()
        self.passed_over = [_shown(path) for path in others if not path.name.startswith(FOLDER_DATABASE)]
        names = Counter(path.name.strip() for path in folders)
        return [_padded(path.name, names) or self._entry(path) for path in folders]

    def fold_rows(self, fold: Callable[[Iterator[CrewMember | Failed]], Rows]) -> Rows:
        """Return what `fold` makes of all members, as `DatabaseRoster.fold_rows`. Raises SettingsError."""
        return fold(iter(self.active()))

    def find(self, crew_id: str) -> CrewMember | Failed:
        """Return one member. Raises MemberNotProcessable if the member is unknown or has no photo; SettingsError."""
        self.passed_over = []
        folders = {path.name: path for path in self._read()[0]}
        if crew_id not in folders:
            raise MemberNotProcessable(
                f"El tripulante {crew_id} no existe: no hay carpeta {self._folder / crew_id}",
                f"Revise el identificador.{suggest(crew_id, folders)}",
            )
        entry = _padded(crew_id, Counter(map(str.strip, folders))) or self._entry(folders[crew_id])
        if isinstance(entry, Failed) and entry.code == BadName.code:
            raise MemberNotProcessable(entry.detail, BadName.advice)
        if isinstance(entry, Failed) and entry.code == NoPhoto.code:
            words = f"El tripulante {crew_id} no tiene foto en su carpeta: {entry.detail}"
            raise MemberNotProcessable(words, NoPhoto.advice)
        return entry

    def _read(self) -> tuple[list[Path], list[Path]]:
        try:
            return list_folder(self._folder)
        except OSError as error:
            raise unreadable(self._folder, error, "--photos") from error

    def _entry(self, folder: Path) -> CrewMember | Failed:
        try:
            others, files = list_folder(folder)
        except OSError as error:
            detail = f"no se puede leer su carpeta: {why(error)}"
            return Failed(CrewMember(folder.name, ""), PhotoUnavailable.stage, PhotoUnavailable.code, detail)
        photos = choose_photos([path.name for path in files])
        others += [path for path in files if path.name not in photos]
        self.passed_over += [f"{folder.name}/{_shown(path)}" for path in others]
        member = CrewMember(folder.name, photos[0] if photos else "")
        if not photos:
            left = say_some([_shown(path) for path in others], SHOWN_FILES)
            return Failed(member, NoPhoto.stage, NoPhoto.code, f"solo hay {left}" if left else NOTHING_LEFT)
        if len(photos) > 1:
            return Failed(member, SeveralPhotos.stage, SeveralPhotos.code, ", ".join(photos))
        return member


def _padded(name: str, names: Counter[str]) -> Failed | None:
    """Return the failure of a folder whose name begins or ends with a space: the database's ids have none, so that its
    member would be another one every night. `names`: of all folders, without such spaces; the member has that as its id
    where it is one folder's only."""
    bare = name.strip()
    if name == bare:
        return None
    member = CrewMember(bare if bare and names[bare] == 1 else name, "")
    return Failed(member, BadName.stage, BadName.code, f"la carpeta «{name}» empieza o termina con un espacio")


def say_passed_over(names: Sequence[str]) -> str:
    """Return how many files and folders the roster passed over, and the first of them."""
    return f"{inflect(len(names), PASSED_OVER)}: {say_some(names, SHOWN_FILES)}"


def unreadable(folder: Path, error: OSError, option: str) -> SettingsError:
    """Return the error about a folder that was given with an option and cannot be read."""
    advice = f"Revise {option}, los permisos de esa carpeta y, si es de red, que esté conectada."
    return SettingsError(f"No se puede leer la carpeta {folder}: {why(error)}", advice)


def list_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the folders and the files in a folder, in the order of their names, without litter. Raises OSError."""
    folders: list[Path] = []
    files: list[Path] = []
    for path in sorted(path for path in folder.iterdir() if not is_litter(path.name)):
        (folders if path.is_dir() else files).append(path)
    return folders, files


def _shown(path: Path) -> str:
    return f"{path.name}/" if path.is_dir() else path.name
