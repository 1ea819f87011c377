"""Read the roster from a folder of photos: each `DIR/<crew_id>/<photo>` is a member."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from app.errors import MemberNotProcessable, NoPhoto, PhotoUnavailable, SeveralPhotos
from app.records import CrewMember, Failed

LEFT_BY_WINDOWS = {"Thumbs.db", "desktop.ini"}


class FolderRoster:
    """Reads the crew from the names of the folders, without files beside them, hidden files, and those that Windows
    leaves in folders of pictures."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def active(self) -> list[CrewMember | Failed]:
        """List all members in the order of their ids; those without exactly one photo as Failed. Raises OSError."""
        folders = sorted(path for path in _visible(self._folder) if path.is_dir())
        return [_entry(path) for path in folders]

    def find(self, crew_id: str) -> CrewMember | Failed:
        """Return one member. Raises MemberNotProcessable if the member is unknown or has no photo."""
        entries = {entry.crew_id: entry for entry in self.active()}
        if crew_id not in entries:
            raise MemberNotProcessable(
                f"El tripulante {crew_id} no existe: no hay carpeta {self._folder / crew_id}",
                "Revise el identificador.",
            )
        entry = entries[crew_id]
        if isinstance(entry, Failed) and entry.code == NoPhoto.code:
            raise MemberNotProcessable(f"El tripulante {crew_id} no tiene foto en su carpeta", NoPhoto.advice)
        return entry


def _visible(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if not path.name.startswith(".") and path.name not in LEFT_BY_WINDOWS)


def _entry(folder: Path) -> CrewMember | Failed:
    try:
        photos = sorted(path.name for path in _visible(folder) if path.is_file())
    except OSError as error:
        detail = f"no se puede leer su carpeta: {error.strerror}"
        return Failed(CrewMember(folder.name, ""), PhotoUnavailable.stage, PhotoUnavailable.code, detail)
    member = CrewMember(folder.name, photos[0] if photos else "")
    if not photos:
        return Failed(member, NoPhoto.stage, NoPhoto.code)
    if len(photos) > 1:
        return Failed(member, SeveralPhotos.stage, SeveralPhotos.code, ", ".join(photos))
    return member
