"""From what a run finds to what it is going to do: roster, gallery and photo server come in, a `Plan` goes out."""

from __future__ import annotations

import dataclasses
import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from app.core.config import Settings
from app.errors import MixedModels, Retry, kind_of
from app.gallery.gallery import Gallery
from app.photos.source import photo_url
from app.pipeline.stages import Source
from app.planning.decisions import RETRY, Decision, Rules
from app.planning.plan import Entry, Limits, Plan, Planner, Survey
from app.records import CrewMember, Failed
from app.runs.context import Observer, Request
from app.runs.shared_photos import alone_by_now, known_pictures


class Roster(Protocol):
    """Who is to be in the gallery."""

    def active(self) -> list[Entry]: ...

    def find(self, crew_id: str) -> Entry: ...


@dataclass(frozen=True, slots=True)
class Planning:
    """Makes the plan of one run. Raises RunError."""

    settings: Settings
    request: Request
    gallery: Gallery
    source: Source
    rules: Rules
    observer: Observer
    stop: threading.Event

    def survey_all(self, roster: Roster) -> Survey:
        """What there is, before anybody asks the photo server."""
        gallery, request = self.gallery, self.request
        enrolments = gallery.enrolments(request.crew_id)  # before the roster: whoever is hired meanwhile has not left
        remembered = gallery.photo_records.read_all()
        suspects = gallery.crash_suspects.suspects(gallery.history.living(request.now))
        entries = roster.active() if request.crew_id is None else [roster.find(request.crew_id)]
        if request.retry_failed:
            failed = {crew_id for crew_id, photo in remembered.items() if photo.code} | suspects.keys()
            entries = [entry for entry in entries if _id_of(entry) in failed]
        return Survey(entries, request.is_whole, enrolments, remembered, suspects)

    def refuse_mixture(self) -> None:
        """A few people's vectors of another model than everybody else's would help nobody."""
        request, model = self.request, self.settings.FACE_MODEL
        if request.is_whole or request.migrate:
            return
        others = self.gallery.majority_incompatible_models(request.crew_id)
        if others:
            raise MixedModels(
                f"Los embeddings de los demás son de {', '.join(sorted(others))} o de otros pesos, y la configuración "
                f"dice {model}",
                "Revise FACE_MODEL en .env. Para cambiar de modelo a todos: --migrate.",
            )

    def make(self, survey: Survey) -> Plan:
        """What is to be done about everybody."""
        request, settings = self.request, self.settings
        days = request.purge_after_days
        limits = Limits(None if days is None else timedelta(days=days), request.allow_mass_change)
        planner = Planner(
            self.rules, limits, self.source.check, self._url_of, self.stop, threads=settings.DOWNLOAD_THREADS
        )
        plan = planner.make(survey, self.observer.checking)
        plan = dataclasses.replace(plan, seconds_each=self.gallery.history.seconds_each())
        return self._with_second_chances(plan)

    def _with_second_chances(self, plan: Plan) -> Plan:
        """Whoever shared a photo and has it alone by now is tried again."""
        if not any(each.failure and kind_of(each.failure.code).retry is Retry.UNSHARED for each in plan.decisions):
            return plan
        lonely = alone_by_now(plan.decisions, *known_pictures(self.gallery, plan.departed))
        decisions = [
            Decision(RETRY, "nadie más tiene ya su foto", each.case) if each.member.crew_id in lonely else each
            for each in plan.decisions
        ]
        return dataclasses.replace(plan, decisions=decisions)

    def _url_of(self, member: CrewMember) -> str:
        return photo_url(self.settings.IMAGE_BASE_URL, member)


def _id_of(entry: Entry) -> str:
    return entry.member.crew_id if isinstance(entry, Failed) else entry.crew_id
