"""What is still to be done: the roster and the gallery come in, the members to process go out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from app.errors import BadName
from app.records import SKIPPED_CURRENT, CrewMember, Failed, Skipped

Entry = CrewMember | Failed


def split_current(
    entries: Iterable[Entry], stored_urls: Mapping[str, str], url_of: Callable[[CrewMember], str]
) -> tuple[list[Entry], list[Skipped]]:
    """Those to process, and those whose stored photo URL is the roster's (`stored_urls`: crew_id -> URL)."""
    pending: list[Entry] = []
    current: list[Skipped] = []
    for entry in entries:
        if isinstance(entry, CrewMember) and _is_current(entry, stored_urls, url_of):
            current.append(Skipped(entry, SKIPPED_CURRENT))
        else:
            pending.append(entry)
    return pending, current


def _is_current(member: CrewMember, stored_urls: Mapping[str, str], url_of: Callable[[CrewMember], str]) -> bool:
    stored = stored_urls.get(member.crew_id)
    try:
        return stored is not None and stored == url_of(member)
    except BadName:
        return False  # the download stage says what is wrong with the name
