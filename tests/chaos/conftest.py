"""Open scenes: an organisation on MariaDB, its twin on SQLite, and random events from one seed."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.core.database import Database
from tests.chaos.scene import Scene
from tests.conftest import FoundOrganisation, OpenDatabase
from tests.support.organisation import Organisation

SEED = int(os.environ.get("CHAOS_SEED", "6"))
OpenScene = Callable[..., Scene]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.chaos)


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> Iterator[random.Random]:
    """Give each test its own random numbers, the same in every session."""
    print(f"CHAOS_SEED={SEED}")  # noqa: T201  # pytest shows it when the test fails
    return random.Random(f"{SEED} {request.node.name}")  # noqa: S311  # not a secret


@pytest.fixture
def open_scene(
    chance: random.Random, found_organisation: FoundOrganisation, open_database: OpenDatabase, tmp_path: Path
) -> OpenScene:
    """Open a scene on a database."""

    def organisation(database: Database) -> Organisation:
        return found_organisation(database, PHOTO_RECHECK_HOURS=0, SHARED_PHOTOS="report")

    def open_one(database: Database) -> Scene:
        twin = open_database(DB_URL=f"sqlite:///{tmp_path / 'gemela.db'}")
        return Scene(organisation(database), organisation(twin), tmp_path, chance)

    return open_one


@pytest.fixture
def scene(open_scene: OpenScene, mariadb_database: Database) -> Scene:
    return open_scene(mariadb_database)
