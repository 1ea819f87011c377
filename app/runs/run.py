"""One run: makes the plan, carries it out, and returns what came of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from functools import cached_property, partial

from app.core.config import Settings
from app.core.database import Database
from app.errors import RunError
from app.faces.embedding_spec import describe_spec
from app.faces.weights import open_weights
from app.gallery.gallery import Gallery, open_for_reading, open_for_writing
from app.gallery.provenance import known_spec
from app.gallery.tables import find_table, open_table
from app.photos.sources import open_source
from app.photos.urls import photo_url
from app.pipeline.face_extractor import FaceExtractor, open_face_extractor
from app.planning.mass_change import MASS_DEACTIVATION, Limits, mass
from app.planning.plan import Plan
from app.planning.planner import Planner, refuse_mixed_models, retry_no_longer_shared, take_survey
from app.planning.request import Request
from app.planning.rules import make_rules
from app.planning.survey import Survey
from app.records import CrewMember, EmbeddingSpec, Failed
from app.roster.database import open_roster
from app.runs.context import RunContext, clear_suspicion
from app.runs.execution import Execution
from app.runs.migration import Migration, needs_migration, without_prepared
from app.runs.observer import Observer
from app.runs.result import RunResult
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
        self._spec = self._describe_spec()
        self._rules = make_rules(settings, request, self._spec)
        self._gallery = self._open_gallery()
        self._source = open_source(settings, stop)

    def _open_gallery(self) -> Gallery:
        if self._request.plan_only:
            return open_for_reading(self._database, self._spec, self._request.now)
        return open_for_writing(self._database, self._spec, self._rules.judged_by, self._request.now)

    def execute(self, result: RunResult) -> None:
        """Make the plan, and carry it out unless only the plan was requested."""
        request, gallery = self._request, self._gallery
        result.gallery = gallery
        if not request.plan_only:
            asked = request.options() | {"model": self._settings.FACE_MODEL}
            result.run_id = gallery.history.begin(request.now, asked, self._spec.digest)
            result.died_before = gallery.history.died_before(result.run_id, request.now)
        survey = take_survey(request, gallery, request.folder or open_roster(self._settings, self._database))
        if result.died_before is not None:
            under_way = ", ".join(survey.suspects) or "nadie"
            log.warning("La ejecución %s murió sin terminar; en curso: %s", result.died_before.run_id, under_way)
        refuse_mixed_models(request, gallery, self._settings.FACE_MODEL)
        plan = self._make_plan(survey)
        result.plan, result.rules = plan, self._rules
        failed = frozenset(crew_id for crew_id, photo in survey.photo_records.items() if photo.code)
        result.previous = failed if survey.photo_records else None
        self._observer.planned(plan, self._rules)
        if result.run_id is None:
            result.error = plan.suspicion
            return
        gallery.provenance.declare(request.now)
        self._carry_out(plan, result, self._context(result.run_id))
        if request.is_whole and result.complete:
            self._conclude(plan, result)
        if request.thumbnails:
            result.illustrations = gallery.photo_records.illustrations(_not_looked_at(result))

    def _make_plan(self, survey: Survey) -> Plan:
        request, settings, gallery = self._request, self._settings, self._gallery
        days = request.purge_after_days
        limits = Limits(None if days is None else timedelta(days=days), request.allow_mass_change)
        planner = Planner(
            self._rules, limits, self._source.check, self._url_of, self._stop, threads=settings.DOWNLOAD_THREADS
        )
        plan = planner.make(survey, self._observer.checking, gallery.history.seconds_each())
        plan = retry_no_longer_shared(plan, gallery)
        return without_prepared(plan, gallery) if request.migrate else plan

    def _url_of(self, member: CrewMember) -> str:
        return photo_url(self._settings.IMAGE_BASE_URL, member)

    def _conclude(self, plan: Plan, result: RunResult) -> None:
        """Deactivate rows of other models after a complete run, unless that left too many people without any."""
        others = self._gallery.incompatible_rows()
        if len(others) > mass(plan.gallery_size, MASS_DEACTIVATION) and not self._request.allow_mass_change:
            result.mixed = len(others)
            return
        self._gallery.writer.set_active(others, active=False)
        result.retired = len(others)
        self._database.transaction(self._gallery.provenance.unstage)

    def _carry_out(self, plan: Plan, result: RunResult, context: RunContext) -> None:
        if not self._request.migrate:
            Execution(plan, context, result).run()
        elif needs_migration(plan, context.gallery):
            Migration(plan, context, result).run()

    @cached_property
    def _faces(self) -> FaceExtractor:
        return self._load_faces(
            self._settings,
            self._observer.download,
            self._stop,
            accept_low_quality=self._request.accept_low_quality,
        )

    def _load_confirmed_faces(self) -> FaceExtractor:
        """Return the nets, once it is certain that they compute what they did when the gallery was made."""
        request = self._request
        renew = request.force and request.is_whole
        self._gallery.golden_vector.confirm(self._faces.golden_vector(), request.now, renew=renew)
        return self._faces

    def _describe_spec(self) -> EmbeddingSpec:
        """Return what this installation computes. Missing weights are downloaded: without their hash it is unknown
        whether the gallery is of this model."""
        settings = self._settings
        weights = open_weights(settings)
        spec = describe_spec(settings.FACE_MODEL, settings.FACE_DETECTOR, weights)
        if spec.weights_sha256:
            return spec
        if self._request.plan_only:
            return known_spec(self._database, spec)
        _ = self._faces  # loading the nets downloads their weights
        return describe_spec(settings.FACE_MODEL, settings.FACE_DETECTOR, weights)

    def _context(self, run_id: int) -> RunContext:
        return RunContext(
            settings=self._settings,
            request=self._request,
            gallery=self._gallery,
            source=self._source,
            rules=self._rules,
            store=partial(self._gallery.writer.save, rewrite=self._request.force),
            load_faces=self._load_confirmed_faces,
            observer=self._observer,
            stop=self._stop,
            run_id=run_id,
        )


def _not_looked_at(result: RunResult) -> list[str]:
    """Return the members whom the report lists although this run did not look at their photo."""
    recalled = (each.member for each in result.outcomes if isinstance(each, Failed) and each.recalled)
    return [member.crew_id for member in (*recalled, *(member for member, _ in result.improvable))]
