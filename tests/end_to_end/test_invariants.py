"""Whatever happens in an organisation, in whatever order: after each run the gallery is what it has to be."""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from app.core.config import Settings, load_settings
from app.core.database import Database
from app.records import Failed
from tests.support.databases import Row
from tests.support.organisation import LOGIN_PAGE, Organisation
from tests.support.tiny_faces import close_to
from tests.support.webserver import NOT_ALLOWED, PhotoServer, serving_photos

EXAMPLES, STEPS = 30, 16
CREW = tuple(f"P{number}" for number in range(7))
EVENTS = ("rehire", "dismiss", "delete", "replace", "rename", "reencode", "lose", "find", "spoil")
MODELS = ("Facenet512", "Dlib")
someone = st.sampled_from(CREW)
sometimes = st.sampled_from((False, False, False, False, True))


class Life(RuleBasedStateMachine):
    """One organisation's history; `web` and `home_of_weights` are the test's."""

    web: PhotoServer
    values: dict[str, Any]

    @initialize(validators=st.booleans(), heads=st.booleans())
    def found(self, validators: bool, heads: bool) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.web.validators = {"etag", "last-modified"} if validators else set()
        self.web.down, self.web.login_page = False, None
        # A server that tells nothing at all has to send its photos.
        self.web.head_status = None if heads or not validators else NOT_ALLOWED
        database = Database(self._settings())
        self.home = Organisation(database, self.web, self._settings())
        self.home.hire(*CREW[:4])

    def _settings(self) -> Settings:
        folder = Path(self.folder.name)
        places = {"DB_URL": f"sqlite:///{folder / 'prueba.db'}", "LOG_DIR": folder, "TEMP_DIR": folder / "temp"}
        return load_settings(None, **self.values, **places)

    def teardown(self) -> None:
        if hasattr(self, "home"):
            self.home.database.engine.dispose()
            self.folder.cleanup()

    # Events

    @rule(events=st.lists(st.tuples(someone, st.sampled_from(EVENTS)), min_size=1, max_size=3))
    def people_come_and_go(self, events: list[tuple[str, str]]) -> None:
        for crew_id, event in events:
            if crew_id not in self.home.people:
                self.home.hire(crew_id)
            elif event == "delete":
                self.home.dismiss(crew_id, deleted=True)
            elif event == "spoil":
                self.home.replace(crew_id, face=False)
            else:
                getattr(self.home, event)(crew_id)

    @rule(lost=sometimes, down=sometimes, page=sometimes, other_model=sometimes, hours=st.sampled_from((1, 24, 960)))
    def world_has_its_moods(self, lost: bool, down: bool, page: bool, other_model: bool, hours: int) -> None:
        self.home.roster_lost, self.web.down = lost, down
        self.web.login_page = LOGIN_PAGE if page else None
        self.home.settings = self.home.settings.model_copy(update={"FACE_MODEL": MODELS[other_model]})
        self.home.now += timedelta(hours=hours)

    # Runs

    @rule(force=sometimes, compare=sometimes, purge=sometimes, confirmed=sometimes)
    def everybody(self, force: bool, compare: bool, purge: bool, confirmed: bool) -> None:
        before = self._good_rows()
        asked = {"force": force, "compare": compare, "purge_after_days": 30 if purge else None}
        ran = self.home.run(**asked, allow_mass_change=confirmed)
        assert ran.result.error is None
        assert ran.codes.keys() == self.home.roster.keys()
        self._hold(before)
        blocked = bool(ran.result.plan and ran.result.plan.blocked)
        assert blocked or self._rows().keys() <= self.home.roster.keys()
        if not self.home.suspicious:
            self._everybody_with_a_face_is_there()
        self._nothing_is_left_to_do(confirmed)

    @rule(stop_after=st.integers(0, 3))
    def migration(self, stop_after: int) -> None:
        before = self._good_rows()
        ran = self.home.run(migrate=True, stop_after=stop_after)
        assert ran.codes.keys() in (set(), self.home.roster.keys())  # empty where there is nothing to switch from
        if ran.result.switched is None:
            assert self._good_rows() == before
        else:
            assert {row[2] for row in self._rows().values()} == {self.home.settings.FACE_MODEL}

    @rule()
    def those_that_failed(self) -> None:
        before = self._good_rows()
        ran = self.home.run(retry_failed=True)
        assert ran.result.error is None
        assert ran.codes.keys() <= self.home.roster.keys()
        self._hold(before, everybody=False)

    @rule(crew_id=someone)
    def one_person(self, crew_id: str) -> None:
        before = self._good_rows()
        ran = self.home.run(crew_id=crew_id)
        if crew_id not in self.home.roster or ran.result.error is not None:
            assert self._good_rows() == before
        else:
            assert ran.codes.keys() == {crew_id}
            self._hold(before, everybody=False)

    @rule(force=sometimes)
    def plan(self, force: bool) -> None:
        self.home.publish()
        before = self.home.dump()
        self.home.run(plan_only=True, force=force)
        after = self.home.dump()
        assert {table: after[table] for table in before} == before
        assert all(rows == [] for table, rows in after.items() if table not in before and table != "face_schema")

    @precondition(lambda self: not self.web.down)
    @rule(stop_after=st.integers(1, 3))
    def interrupted(self, stop_after: int) -> None:
        before = self._good_rows()
        ran = self.home.run(stop_after=stop_after, force=True)
        assert ran.codes.keys() == self.home.roster.keys()
        self._hold(before, everybody=False)

    # What holds

    def _rows(self) -> dict[str, Row]:
        """The active rows: of each member one at most."""
        tables = self.home.dump()
        rows = self.home.active_rows() if "face_embeddings" in tables and "face_vectors" in tables else []
        assert len(rows) == len({row[0] for row in rows})
        return {row[0]: row for row in rows}

    def _good_rows(self) -> dict[str, Row]:
        return self._rows()

    def _hold(self, before: dict[str, Row], *, everybody: bool = True) -> None:
        """Check that active rows are of one spec, and that no member of the roster lost a good row to a failure."""
        rows, model = self._rows(), self.home.settings.FACE_MODEL
        if everybody:
            assert len({row[5] for row in rows.values()}) <= 1
            assert {row[2] for row in rows.values()} <= {model}
        kept = {each: row for each, row in before.items() if row[2] == model and each in self.home.roster}
        assert kept.keys() <= rows.keys()
        for crew_id, row in rows.items():
            person = self.home.people[crew_id]
            same = kept.get(crew_id, (None,) * 6)[3] == row[3] or before.get(crew_id, (None,) * 6)[3] == row[3]
            assert same or (person.face and close_to(np.array(json.loads(row[3]), np.float32), person.picture, row[2]))

    def _everybody_with_a_face_is_there(self) -> None:
        rows = self._rows()
        files = {crew_id: self.home.file(crew_id) for crew_id in self.home.roster}
        good = {crew_id: file for crew_id, file in files.items() if file and file.face}
        assert {crew_id: (rows[crew_id][1], rows[crew_id][4]) for crew_id in good if crew_id in rows} == {
            crew_id: (file.url, file.sha256) for crew_id, file in good.items()
        }
        for crew_id, file in good.items():
            assert close_to(np.array(json.loads(rows[crew_id][3]), np.float32), file.picture, rows[crew_id][2])

    def _nothing_is_left_to_do(self, confirmed: bool) -> None:
        before = self.home.dump()
        again = self.home.run(allow_mass_change=confirmed)
        after = self.home.dump()
        for table in ("face_embeddings", "face_vectors", "face_attempts", "face_contracts"):
            assert after[table] == before[table]
        assert (again.downloads, again.embedded) == (Counter(), Counter())
        assert [each for each in again.result.outcomes if isinstance(each, Failed) and each.code == "set_aside"] == []


def test_whatever_happens_the_gallery_is_true(weights_home: Path) -> None:
    with serving_photos() as web:
        Life.web = web
        Life.values = {
            "IMAGE_BASE_URL": web.base_url,
            "DEEPFACE_HOME": str(weights_home),
            "FACE_MODEL": MODELS[0],
            "HTTP_ATTEMPTS": 1,
            "PHOTO_RECHECK_HOURS": 0,
            "DOWNLOAD_THREADS": 2,
            "WORKER_THREADS": 2,
            "BATCH_SIZE": 2,
        }
        limits = settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            derandomize=True,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
            database=None,
            phases=[Phase.generate],  # to shrink an example would take minutes
        )
        run_state_machine_as_test(Life, settings=limits)
