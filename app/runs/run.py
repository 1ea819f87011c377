"""One run: makes the plan, carries it out, and returns what came of it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING

from sqlalchemy import Table

from app.core.account_limits import Allowance
from app.core.config import Settings
from app.core.database import Database
from app.core.spanish import inflect
from app.errors import PhotosUnchecked, RunError
from app.faces.embedding_spec import describe_spec, max_dimensions
from app.faces.weights import open_weights
from app.gallery.embeddings_table import find_table, open_table
from app.gallery.gallery import open_for_reading, open_for_writing
from app.gallery.obstacles import require_writable
from app.gallery.provenance import known_spec
from app.gallery.run_history import RunEnd
from app.photos.sources import open_source
from app.photos.urls import photo_url
from app.pipeline.face_loading import LoadFaces, open_faces
from app.planning.decisions import STALE
from app.planning.mass_change import MASS_DEACTIVATION, mass
from app.planning.plan import Plan
from app.planning.planner import Planner, keep_out_twins, refuse_mixed_models, retry_no_longer_shared
from app.planning.rules import Request, make_rules
from app.planning.survey import Survey, take_survey
from app.records import EmbeddingSpec, Failed
from app.roster.database import DatabaseRoster
from app.runs.context import Observer, RunContext
from app.runs.outcomes import Outcomes
from app.runs.result import RunResult
from app.runs.run_lock import holding_run_lock
from app.scale.cluster import import_ray

if TYPE_CHECKING:  # the nets' libraries take longer to import than all the rest: not before they are loaded
    from app.pipeline.face_extractor import FaceExtractor

log = logging.getLogger(__name__)
HoldLock = Callable[[Database, datetime, Callable[[RunError], None]], AbstractContextManager[None]]


def run_batch(
    settings: Settings,
    request: Request,
    observer: Observer,
    stop: threading.Event,
    load_faces: LoadFaces = open_faces,
    hold: HoldLock = holding_run_lock,
) -> RunResult:
    """Bring the gallery up to the roster; `load_faces` loads the nets, `hold` keeps other runs out.

    Never raises RunError: it is in the result, after what was done.
    """
    result = RunResult(Outcomes(folder=settings.TEMP_DIR))
    started = time.perf_counter()

    def lose(error: RunError) -> None:
        result.error = error
        stop.set()

    try:
        if request.ray:
            import_ray()
        database = Database(settings, stop)
        if request.folder is None:  # the roster is in the database, so that an SQLite file has to exist already
            database.require_file()
        with nullcontext() if request.plan_only else hold(database, request.now, lose):
            try:
                context = _open_context(settings, request, observer, stop, load_faces, database)
                _execute(context, database, result)
            finally:  # before the next run may begin: it would take members still marked for crash suspects
                _unmark_members(result)
    except RunError as error:
        result.error = result.error or error
    if result.error is not None:
        log.error("%s", result.error, exc_info=result.error if request.debug else None)
    result.seconds = time.perf_counter() - started
    return result


def close_run(result: RunResult, request: Request, end: RunEnd) -> None:
    """Complete the run's row in the history. An error is only logged: the run itself is over."""
    if result.gallery is None or result.run_id is None:
        return
    ended_at = request.now + timedelta(seconds=round(result.seconds))
    try:
        result.gallery.history.end(result.run_id, ended_at, end)
    except RunError:
        log.exception("No se pudo anotar el final de la ejecución")


def _unmark_members(result: RunResult) -> None:
    """Remove the marks of members whom a run that ends in good order did not reach: it did not crash with them."""
    if result.gallery is None or result.run_id is None:
        return
    try:
        result.gallery.crash_suspects.end(result.run_id)
    except RunError:
        log.exception("No se pudo anotar quién quedó sin procesar")


def _open_context(
    settings: Settings,
    request: Request,
    observer: Observer,
    stop: threading.Event,
    load_faces: LoadFaces,
    database: Database,
) -> RunContext:
    table, allowance = _reach_table(request, database)  # before anything is loaded or downloaded

    @cache
    def load() -> FaceExtractor:
        return load_faces(settings, observer.download, stop, accept_low_quality=request.accept_low_quality)

    spec = _describe_spec(settings, request, database, load)
    rules = make_rules(settings, request, spec)
    if request.plan_only or table is None:
        gallery = open_for_reading(database, table, spec, request.now)
    else:
        gallery = open_for_writing(database, table, spec, rules.judged_by, request.now)

    def load_confirmed() -> FaceExtractor:
        """Return the nets, once it is certain that they compute what they did when the gallery was made."""
        renew = request.force and request.is_whole
        gallery.golden_vector.confirm(load().golden_vector(), request.now, renew=renew)
        return load()

    return RunContext(
        settings=settings,
        request=request,
        gallery=gallery,
        allowance=allowance,
        source=open_source(settings, stop),
        rules=rules,
        store=partial(gallery.writer.save, rewrite=request.force),
        load_faces=load_confirmed,
        load_elsewhere=load_faces,
        observer=observer,
        stop=stop,
    )


def _reach_table(request: Request, database: Database) -> tuple[Table | None, Allowance]:
    """Make sure that there is a database with the table, and an account that may do what a run needs."""
    if request.plan_only:
        return find_table(database), Allowance([], {})
    allowance = database.allowance()
    return open_table(database), allowance


def _describe_spec(
    settings: Settings, request: Request, database: Database, load: Callable[[], FaceExtractor]
) -> EmbeddingSpec:
    """Return what this installation computes. Missing weights are downloaded: without their hash it is unknown whether
    the gallery is of this model."""
    weights = open_weights(settings)
    spec = describe_spec(settings.FACE_MODEL, settings.FACE_DETECTOR, weights)
    if spec.weights_sha256:
        return spec
    if request.plan_only:
        return known_spec(database, spec)
    load()
    return describe_spec(settings.FACE_MODEL, settings.FACE_DETECTOR, weights)


def _execute(context: RunContext, database: Database, result: RunResult) -> None:
    """Make the plan, and carry it out unless only the plan was requested."""
    settings, request, gallery = context.settings, context.request, context.gallery
    result.gallery, result.source = gallery, context.source
    if not request.plan_only:
        requested = request.options() | {"model": settings.FACE_MODEL}
        result.run_id = gallery.history.begin(request.now, requested, context.rules.spec_digest)
        result.died_before = gallery.history.died_before(result.run_id, request.now)
    require_writable(database, gallery.table, settings.FACE_MODEL, max_dimensions(settings.FACE_MODEL))
    roster = request.folder or DatabaseRoster(settings, database)
    survey = take_survey(request, context.rules, gallery, roster, settings.TEMP_DIR)
    if result.died_before is not None:
        under_way = ", ".join(survey.suspects) or "nadie"
        log.warning("La ejecución %s murió sin terminar; en curso: %s", result.died_before.run_id, under_way)
    refuse_mixed_models(request, gallery, settings.FACE_MODEL)
    plan = _make_plan(context, survey)
    result.plan, result.rules = plan, context.rules
    result.previous = plan.failed_before
    for crew_id, reason in plan.unchecked.items():
        log.warning("No se pudo comprobar la foto de %s: %s", crew_id, reason)
    context.observer.planned(plan, context.rules)
    if request.plan_only:
        result.error = plan.implausible
    else:
        _carry_out(context, plan, result)
    _refuse_unchecked(result)


def _carry_out(context: RunContext, plan: Plan, result: RunResult) -> None:
    # Imported for a run only: they bring the decoders of photos, and a plan decodes none.
    from app.runs.execution import Execution  # noqa: PLC0415
    from app.runs.migration import Migration  # noqa: PLC0415

    request, gallery = context.request, context.gallery
    gallery.provenance.declare(request.now)
    if not request.migrate:
        Execution(plan, context, result).run()
    elif plan.of(STALE) or gallery.staged():
        Migration(plan, context, result).run()
    if request.is_whole and not plan.uniform and result.complete:  # else the database would read every vector
        _retire_other_models(context, plan, result)
    if request.thumbnails:
        result.illustrations = gallery.photo_records.illustrations(_not_looked_at(result))


def _refuse_unchecked(result: RunResult) -> None:
    """Raise PhotosUnchecked if the photo server answered about no photo, and gave none either. What could be done
    without it is done."""
    reasons = list(result.unchecked.values())
    if not reasons or result.error is not None or result.plan is None:
        return
    if len(reasons) == result.plan.asked and not any(outcome.photo for outcome in result.outcomes):
        asked = inflect(len(reasons), "# pregunta[s]")
        raise PhotosUnchecked(
            f"El servidor de fotos no respondió a nada: {asked} por fotos ya registradas (la última: {reasons[-1]})",
            "Compruebe IMAGE_BASE_URL y que el servidor funcione. Los embeddings siguen como estaban.",
        )


def _make_plan(context: RunContext, survey: Survey) -> Plan:
    settings, gallery = context.settings, context.gallery
    url_of = partial(photo_url, settings.IMAGE_BASE_URL)
    planner = Planner(
        context.rules,
        context.source.check,
        url_of,
        gallery.writer.refusal,
        context.stop,
        settings.DOWNLOAD_THREADS,
        settings.TEMP_DIR,
        settle=not context.request.migrate,  # the switch looks at everybody once more
    )
    plan = planner.make(survey, context.observer.checking, gallery.history.seconds_each())
    if settings.SHARED_PHOTOS == "reject":
        plan = keep_out_twins(plan, gallery)
    plan = retry_no_longer_shared(plan, gallery)
    if not context.request.migrate:
        return plan
    from app.runs.migration import without_prepared  # noqa: PLC0415  # as in _carry_out

    return without_prepared(plan, gallery)


def _retire_other_models(context: RunContext, plan: Plan, result: RunResult) -> None:
    """Deactivate rows of other models after a complete run, unless too many people would be left without any."""
    others = context.gallery.incompatible_rows()
    if len(others) > mass(plan.gallery_size, MASS_DEACTIVATION) and not context.request.allow_mass_change:
        result.mixed = len(others)
        return
    context.gallery.writer.set_active(others, active=False)
    result.retired = len(others)
    context.gallery.database.transaction(context.gallery.provenance.unstage)


def _not_looked_at(result: RunResult) -> list[str]:
    """Return the members whom the report lists although this run did not look at their photo."""
    recalled = (each.member for each in result.outcomes.of(Failed) if each.recalled)
    return [member.crew_id for member in (*recalled, *(member for member, _ in result.improvable))]
