"""One run: settings and what was asked for come in, a plan is made and carried out, and the result goes out."""

from __future__ import annotations

import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Protocol

from app.core.config import Settings
from app.core.database import Database
from app.errors import MixedModels, RunError
from app.execution import Execution
from app.faces.contract import describe_contract
from app.gallery.gallery import open_gallery
from app.gallery.lock import holding_run_lock
from app.gallery.reconcile import REACTIVATE, RETRY, SHARED_CODES, UNCHANGED, Decision
from app.gallery.schema import open_table
from app.gallery.shadow import is_prepared, shadow_of
from app.gallery.vectors import known_contract
from app.migration import Migration, needs_migration, staging_of, without_prepared
from app.photos.source import photo_url
from app.plan import MASS_DEACTIVATION, Entry, Limits, Plan, Planner, Situation, mass
from app.records import Contract, CrewMember, Failed, Sighting
from app.rules import make_rules
from app.run import Means, Observer, Request, RunResult
from app.screening import alone_by_now, known_pictures, note_quality
from app.stages import FaceStages, build_face_stages, build_roster, build_source, open_weights

log = logging.getLogger(__name__)
LoadFaces = Callable[..., FaceStages]
HoldLock = Callable[[Database, datetime, Callable[[RunError], None]], AbstractContextManager[None]]


class Roster(Protocol):
    """Who is to be in the gallery."""

    def active(self) -> list[Entry]: ...

    def find(self, crew_id: str) -> Entry: ...


def run_batch(
    settings: Settings,
    request: Request,
    observer: Observer,
    stop: threading.Event,
    load_faces: LoadFaces = build_face_stages,
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
            _Run(settings, request, observer, stop, load_faces, database).execute(result)
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
        self._limits = settings.quality_limits()
        self._database = database
        home = self._home()  # before anything is loaded or downloaded: whether there is a database at all
        self._contract = self._describe_contract(home)
        self._rules = make_rules(settings, request, self._contract)
        self._gallery = open_gallery(home, self._contract, self._note_quality, self._rules.judged_by, request.now)
        self._source = build_source(settings, stop)

    def _home(self) -> Database:
        """Where the gallery is; what is only planned is planned on a copy when tables would have to be made."""
        if not self._request.plan_only:
            open_table(self._database)
        elif not is_prepared(self._database):
            return shadow_of(self._database, self._settings)
        return self._database

    def execute(self, result: RunResult) -> None:
        """Make the plan, and carry it out unless only the plan was asked for."""
        request, gallery = self._request, self._gallery
        result.gallery = gallery
        if not request.plan_only:
            asked = request.options() | {"model": self._settings.FACE_MODEL}
            result.run_id = gallery.runs.begin(request.now, asked, self._contract.digest)
        situation = self._situation()
        self._refuse_mixture()
        plan = self._plan(situation)
        result.plan, result.rules = plan, self._rules
        self._look_back(situation, plan, result)
        self._observer.planned(plan, self._rules)
        if result.run_id is None:
            result.error = plan.suspicion
            return
        gallery.vectors.declare(request.now)
        self._carry_out(plan, result, self._means(result.run_id))
        if request.is_whole and result.complete:
            self._conclude(plan, result)
        if request.thumbnails:
            result.illustrations = gallery.ledger.illustrations(_unseen(result))

    def _conclude(self, plan: Plan, result: RunResult) -> None:
        """Everybody was dealt with: no row of another model stays in use, unless that left too many without any."""
        others = self._gallery.incomparable()
        if len(others) > mass(plan.gallery_size, MASS_DEACTIVATION) and not self._request.allow_mass_change:
            result.mixed = len(others)
            return
        self._gallery.upkeep.deactivate(others)
        result.retired = len(others)
        self._gallery.vectors.await_nothing()

    def _carry_out(self, plan: Plan, result: RunResult, means: Means) -> None:
        if not self._request.migrate:
            Execution(plan, means, result).run()
        elif needs_migration(plan, staging_of(means.gallery)):
            Migration(plan, means, result).run()

    @cached_property
    def _faces(self) -> FaceStages:
        return self._load_faces(
            self._settings,
            self._observer.download,
            self._stop,
            accept_low_quality=self._request.accept_low_quality,
        )

    def _describe_contract(self, home: Database) -> Contract:
        """What this installation makes. Weights that are still to be downloaded are: without them nobody can tell
        whether the gallery is of this model."""
        settings = self._settings
        weights = open_weights(settings)
        contract = describe_contract(settings.FACE_MODEL, settings.FACE_DETECTOR, weights)
        if contract.weights_sha256:
            return contract
        if self._request.plan_only:
            return known_contract(home, contract)
        self._faces  # noqa: B018  # downloads them
        return describe_contract(settings.FACE_MODEL, settings.FACE_DETECTOR, weights)

    def _note_quality(self, sighting: Sighting) -> Any:
        return note_quality(sighting, self._limits)

    def _situation(self) -> Situation:
        gallery, request = self._gallery, self._request
        holdings = gallery.holdings(request.crew_id)  # before the roster: whoever is hired meanwhile has not left
        remembered = gallery.ledger.remembered()
        suspects = gallery.attempts.suspects(gallery.runs.living(request.now))
        roster: Roster = request.folder or build_roster(self._settings, self._database)
        entries = roster.active() if request.crew_id is None else [roster.find(request.crew_id)]
        if request.retry_failed:
            failed = {crew_id for crew_id, photo in remembered.items() if photo.code} | suspects.keys()
            entries = [entry for entry in entries if _id_of(entry) in failed]
        return Situation(entries, request.is_whole, holdings, remembered, suspects)

    def _refuse_mixture(self) -> None:
        """A few people's vectors of another model than everybody else's would help nobody."""
        request, model = self._request, self._settings.FACE_MODEL
        if request.is_whole or request.migrate:
            return
        others = self._gallery.other_models_in_use(request.crew_id)
        if others:
            raise MixedModels(
                f"Los embeddings de los demás son de {', '.join(sorted(others))} o de otros pesos, y la configuración "
                f"dice {model}",
                "Revise FACE_MODEL en .env. Para cambiar de modelo a todos: --migrate.",
            )

    def _plan(self, situation: Situation) -> Plan:
        request, settings = self._request, self._settings
        days = request.purge_after_days
        limits = Limits(None if days is None else timedelta(days=days), request.allow_mass_change)
        planner = Planner(
            self._rules, limits, self._source.check, self._url_of, self._stop, threads=settings.DOWNLOAD_THREADS
        )
        plan = planner.make(situation, self._observer.checking)
        plan = dataclasses.replace(plan, seconds_each=self._gallery.runs.seconds_each())
        plan = self._with_second_chances(plan)
        return without_prepared(plan, staging_of(self._gallery)) if request.migrate else plan

    def _with_second_chances(self, plan: Plan) -> Plan:
        """Whoever shared a photo and has it alone by now is tried again."""
        if not any(each.failure and each.failure.code in SHARED_CODES for each in plan.decisions):
            return plan
        lonely = alone_by_now(plan.decisions, *known_pictures(self._gallery, plan.gone))
        decisions = [
            Decision(RETRY, "nadie más tiene ya su foto", each.case) if each.member.crew_id in lonely else each
            for each in plan.decisions
        ]
        return dataclasses.replace(plan, decisions=decisions)

    def _look_back(self, situation: Situation, plan: Plan, result: RunResult) -> None:
        """What the report compares with."""
        remembered = situation.remembered
        failed = frozenset(crew_id for crew_id, photo in remembered.items() if photo.code)
        result.previous = failed if remembered else None
        seen = ((each.member, each.case.remembered) for each in plan.decisions if each.kind in (UNCHANGED, REACTIVATE))
        result.improvable = [(member, photo.improvable) for member, photo in seen if photo and photo.improvable]

    def _means(self, run_id: int) -> Means:
        request = self._request
        return Means(
            self._settings,
            self._gallery,
            self._source,
            self._rules,
            self._gallery.store.save,
            lambda: self._faces,
            self._observer,
            self._stop,
            run_id,
            request.allow_mass_change,
            request.thumbnails,
            request.debug,
        )

    def _url_of(self, member: CrewMember) -> str:
        return photo_url(self._settings.IMAGE_BASE_URL, member)


def _unseen(result: RunResult) -> list[str]:
    """Whom the report lists although nobody looked at the photo in this run."""
    recalled = (each.member for each in result.outcomes if isinstance(each, Failed) and each.recalled)
    return [member.crew_id for member in (*recalled, *(member for member, _ in result.improvable))]


def _id_of(entry: Entry) -> str:
    return entry.member.crew_id if isinstance(entry, Failed) else entry.crew_id
