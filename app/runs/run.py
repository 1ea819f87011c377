"""One run: settings and what was asked for come in, a plan is made and carried out, and the result goes out."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from functools import cached_property, partial

from app.core.config import Settings
from app.core.database import Database
from app.errors import RunError
from app.faces.embedding_spec import describe_spec
from app.gallery.embeddings_table import find_table, open_table
from app.gallery.gallery import Gallery, open_for_reading, open_for_writing
from app.gallery.provenance import known_spec
from app.pipeline.stages import FaceExtractor, build_roster, build_source, open_face_extractor, open_weights
from app.planning.plan import MASS_DEACTIVATION, Plan, Survey, mass
from app.planning.planner import Planning
from app.planning.rules import make_rules
from app.records import EmbeddingSpec, Failed
from app.runs.context import Means, Observer, Request, RunResult, clear_suspicion
from app.runs.execution import Execution
from app.runs.migration import Migration, needs_migration, staged_vectors_of, without_prepared
from app.runs.run_lock import holding_run_lock

log = logging.getLogger(__name__)
LoadFaces = Callable[..., FaceExtractor]
HoldLock = Callable[[Database, datetime, Callable[[RunError], None]], AbstractContextManager[None]]


def run_batch(
    settings: Settings,
    request: Request,
    observer: Observer,
    stop: threading.Event,
    load_faces: LoadFaces = open_face_extractor,
    hold: HoldLock = holding_run_lock,
) -> RunResult:
    """Bring the gallery up to the roster; `load_faces` loads the nets, `hold` keeps other runs out.

    Never raises RunError: it is in the result, after what was done.
    """
    result = RunResult()
    started = time.perf_counter()

    def lose(error: RunError) -> None:
        result.error = error
        stop.set()

    try:
        database = Database(settings, stop)
        with nullcontext() if request.plan_only else hold(database, request.now, lose):
            try:
                _Run(settings, request, observer, stop, load_faces, database).execute(result)
            finally:  # before the next run may begin: it would take whoever was under way for a suspect
                clear_suspicion(result)
    except RunError as error:
        result.error = result.error or error
    if result.error is not None:
        log.error("%s", result.error, exc_info=result.error if request.debug else None)
    result.seconds = time.perf_counter() - started
    return result


class _Run:
    """What the steps of one run share."""

    def __init__(
        self,
        settings: Settings,
        request: Request,
        observer: Observer,
        stop: threading.Event,
        load_faces: LoadFaces,
        database: Database,
    ) -> None:
        self._settings = settings
        self._request = request
        self._observer = observer
        self._stop = stop
        self._load_faces = load_faces
        self._database = database
        # Before anything is loaded or downloaded: is there a database at all?
        _ = find_table(database) if request.plan_only else open_table(database)
        self._contract = self._describe_contract()
        self._rules = make_rules(settings, request, self._contract)
        self._gallery = self._open_gallery()
        self._source = build_source(settings, stop)

    def _open_gallery(self) -> Gallery:
        if self._request.plan_only:
            return open_for_reading(self._database, self._contract, self._request.now)
        return open_for_writing(self._database, self._contract, self._rules.judged_by, self._request.now)

    def execute(self, result: RunResult) -> None:
        """Make the plan, and carry it out unless only the plan was asked for."""
        request, gallery = self._request, self._gallery
        result.gallery = gallery
        if not request.plan_only:
            asked = request.options() | {"model": self._settings.FACE_MODEL}
            result.run_id = gallery.history.begin(request.now, asked, self._contract.digest)
            result.died_before = gallery.history.died_before(result.run_id, request.now)
        planning = self._planning()
        survey = planning.survey_all(request.folder or build_roster(self._settings, self._database))
        if result.died_before is not None:
            under_way = ", ".join(survey.suspects) or "nadie"
            log.warning("La ejecución %s murió sin terminar; en curso: %s", result.died_before.run_id, under_way)
        planning.refuse_mixture()
        plan = planning.make(survey)
        if request.migrate:
            plan = without_prepared(plan, staged_vectors_of(gallery))
        result.plan, result.rules = plan, self._rules
        self._look_back(survey, plan, result)
        self._observer.planned(plan, self._rules)
        if result.run_id is None:
            result.error = plan.suspicion
            return
        gallery.provenance.declare(request.now)
        self._carry_out(plan, result, self._means(result.run_id))
        if request.is_whole and result.complete:
            self._conclude(plan, result)
        if request.thumbnails:
            result.illustrations = gallery.photo_records.illustrations(_unseen(result))

    def _conclude(self, plan: Plan, result: RunResult) -> None:
        """Everybody was dealt with: no row of another model stays in use, unless that left too many without any."""
        others = self._gallery.incompatible_rows()
        if len(others) > mass(plan.gallery_size, MASS_DEACTIVATION) and not self._request.allow_mass_change:
            result.mixed = len(others)
            return
        self._gallery.row_status.deactivate(others)
        result.retired = len(others)
        self._gallery.provenance.unstage()

    def _carry_out(self, plan: Plan, result: RunResult, means: Means) -> None:
        if not self._request.migrate:
            Execution(plan, means, result).run()
        elif needs_migration(plan, staged_vectors_of(means.gallery)):
            Migration(plan, means, result).run()

    @cached_property
    def _faces(self) -> FaceExtractor:
        return self._load_faces(
            self._settings,
            self._observer.download,
            self._stop,
            accept_low_quality=self._request.accept_low_quality,
        )

    def _confirmed_faces(self) -> FaceExtractor:
        """The nets, once it is certain that they compute what they did when the gallery was made."""
        request = self._request
        renew = request.force and request.is_whole
        self._gallery.golden_vector.confirm(self._faces.golden_vector(), request.now, renew=renew)
        return self._faces

    def _describe_contract(self) -> EmbeddingSpec:
        """What this installation makes. Weights that are still to be downloaded are: without them nobody can tell
        whether the gallery is of this model."""
        settings = self._settings
        weights = open_weights(settings)
        contract = describe_spec(settings.FACE_MODEL, settings.FACE_DETECTOR, weights)
        if contract.weights_sha256:
            return contract
        if self._request.plan_only:
            return known_spec(self._database, contract)
        self._faces  # noqa: B018  # downloads them
        return describe_spec(settings.FACE_MODEL, settings.FACE_DETECTOR, weights)

    def _planning(self) -> Planning:
        return Planning(
            self._settings, self._request, self._gallery, self._source, self._rules, self._observer, self._stop
        )

    def _look_back(self, survey: Survey, plan: Plan, result: RunResult) -> None:
        """What the report compares with."""
        remembered = survey.remembered
        failed = frozenset(crew_id for crew_id, photo in remembered.items() if photo.code)
        result.previous = failed if remembered else None

    def _means(self, run_id: int) -> Means:
        request = self._request
        return Means(
            self._settings,
            self._gallery,
            self._source,
            self._rules,
            partial(self._gallery.writer.save, rewrite=request.force),
            self._confirmed_faces,
            self._observer,
            self._stop,
            run_id,
            request.allow_mass_change,
            request.thumbnails,
            request.debug,
        )


def _unseen(result: RunResult) -> list[str]:
    """Whom the report lists although nobody looked at the photo in this run."""
    recalled = (each.member for each in result.outcomes if isinstance(each, Failed) and each.recalled)
    return [member.crew_id for member in (*recalled, *(member for member, _ in result.improvable))]
