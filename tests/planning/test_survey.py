"""What a run reads before it plans comes in parts, each with all that is known of its people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Select, insert

from app.core import spool
from app.core.config import RosterSettings
from app.core.database import Database
from app.gallery.embeddings_table import open_table
from app.gallery.gallery import Gallery, open_for_writing
from app.gallery.photo_records import records_of
from app.gallery.reading import read_folded
from app.gallery.tables import PHOTOS
from app.planning.rules import Request
from app.planning.survey import Part, Survey, take_survey
from app.records import CrewMember, EmbeddingSpec, Failed
from app.roster.database import DatabaseRoster
from app.roster.folder import FolderRoster
from tests.planning.test_decisions import RULES
from tests.support.databases import create_roster

NOW = datetime(2026, 3, 1, 2)
SPEC = EmbeddingSpec("Facenet512", "a1", "mtcnn", "aligned", "base", "bgr", 1)
HIRED = [f"{number:05}" for number in range(3000)]
LEFT = [f"X{number:02}" for number in range(70)]


@pytest.fixture(autouse=True)
def _on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "AT_ONCE", 7)


@pytest.fixture
def gallery(database: Database) -> Gallery:
    """Return a gallery of some that were hired, each third twice, and of some who left."""
    table = open_table(database)
    gallery = open_for_writing(database, table, SPEC, "reglas", NOW)
    people = [*HIRED[:2000], *HIRED[:2000:3], *LEFT]
    rows = [{"crew_id": each, "embedding": "[1,2]", "active": True, "modelo": "Facenet512"} for each in people]
    seen = [{"crew_id": each, "code": "no_face" if each in HIRED[::100] else None} for each in (*HIRED[500:], *LEFT)]
    database.transaction(lambda connection: connection.execute(insert(table), rows))
    database.transaction(lambda connection: connection.execute(insert(PHOTOS), seen))
    return gallery


def survey(gallery: Gallery, folder: Path, request: Request) -> tuple[Survey, list[Part]]:
    roster = request.folder or DatabaseRoster(RosterSettings(), gallery.database)
    found = take_survey(request, RULES, gallery, roster, folder)
    return found, list(found.parts)


def test_the_parts_are_together_all_that_is_known(gallery: Gallery, tmp_path: Path) -> None:
    twice = [(each, "Ana", "Peña", "otra.jpg", 1) for each in HIRED[10:20]]
    create_roster(gallery.database, [*((each, "Ana", "Peña", "a.jpg", 1) for each in HIRED), *twice])
    found, parts = survey(gallery, tmp_path, Request())
    entries = dict(entry for part in parts for entry in part.entries)
    in_order = [entries[place] for place in sorted(entries)]
    assert [entry.crew_id for entry in in_order] == HIRED
    assert in_order == DatabaseRoster(RosterSettings(), gallery.database).active()
    assert [entry.code for entry in in_order if isinstance(entry, Failed)] == ["duplicate_member"] * 10
    enrolments = {crew_id: row for part in parts for crew_id, row in part.enrolments.items()}
    records = {crew_id: photo for part in parts for crew_id, photo in part.photo_records.items()}
    assert (enrolments, sorted(enrolments)) == (gallery.enrolments(), [*HIRED[:2000], *LEFT])
    assert (records, sorted(records)) == (gallery.photo_records.fold_rows(records_of), [*HIRED[500:], *LEFT])
    assert (found.whole, {len(row.all_ids) for row in enrolments.values()}) == (True, {1, 2})


def test_nobody_is_in_two_parts(gallery: Gallery, tmp_path: Path) -> None:
    create_roster(gallery.database, [(each, "Ana", "Peña", "a.jpg", 1) for each in HIRED])
    _, parts = survey(gallery, tmp_path, Request())
    people = [{*part.enrolments, *part.photo_records, *(entry.crew_id for _, entry in part.entries)} for part in parts]
    assert (sum(map(len, people)), len(set().union(*people))) == (len(HIRED) + len(LEFT),) * 2
    assert max(map(len, people)) < 2 * len(HIRED) / len(people)
    assert [each.name for each in tmp_path.iterdir() if each.suffix != ".db"] == []


def test_of_one_member_only_the_own_rows_are_read(
    gallery: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def ask(database: Database, query: Select[Any], fold: Callable[..., Any]) -> Any:
        asked.append(str(query.whereclause))
        return read_folded(database, query, fold)

    monkeypatch.setattr("app.gallery.enrolments.read_folded", ask)
    create_roster(gallery.database, [(each, "Ana", "Peña", "a.jpg", 1) for each in HIRED])
    found, parts = survey(gallery, tmp_path, Request(crew_id=HIRED[600]))
    entries = [entry for part in parts for entry in part.entries]
    assert (entries, found.whole) == ([(0, CrewMember(HIRED[600], "a.jpg", "Ana Peña"))], False)
    assert [list(part.enrolments) for part in parts if part.enrolments] == [[HIRED[600]]]
    assert len(asked) == 1 and "crew_id = " in asked[0]


def test_only_members_whose_photo_failed_are_tried_again(gallery: Gallery, tmp_path: Path) -> None:
    create_roster(gallery.database, [(each, "Ana", "Peña", "a.jpg", 1) for each in HIRED])
    _, parts = survey(gallery, tmp_path, Request(retry_failed=True))
    assert sorted(entry.crew_id for part in parts for _, entry in part.entries) == HIRED[500::100]


def test_a_folder_of_photos_is_a_roster_too(gallery: Gallery, tmp_path: Path) -> None:
    for crew_id in HIRED[:40]:
        (tmp_path / "fotos" / crew_id).mkdir(parents=True)
        for name in ("a.jpg", "b.jpg")[: 2 if crew_id == HIRED[7] else 1]:
            (tmp_path / "fotos" / crew_id / name).write_bytes(b"x")
    _, parts = survey(gallery, tmp_path, Request(folder=FolderRoster(tmp_path / "fotos")))
    entries = dict(entry for part in parts for entry in part.entries)
    assert [entries[place] for place in range(40)] == FolderRoster(tmp_path / "fotos").active()
    assert isinstance(entries[7], Failed)
