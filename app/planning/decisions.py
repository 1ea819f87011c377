"""What is to be done about one member: what the roster says, what the gallery holds and what is remembered come in, a
`Decision` goes out. No database and no server is touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from app.errors import Quarantined, Retry, kind_of
from app.gallery.crash_suspects import CrashSuspect
from app.gallery.enrolments import Enrolment
from app.gallery.photo_records import PhotoRecord
from app.records import (
    ANSWER_CHANGED,
    ANSWER_GONE,
    ANSWER_SAME,
    ANSWER_UNKNOWN,
    ANSWER_UNREACHABLE,
    CrewMember,
    Failed,
)

# What a run does about a member.
NEW, CHANGED, RENAMED, STALE = "new", "changed", "renamed", "stale"
RETRY, COMPARE, REACTIVATE = "retry", "compare", "reactivate"
UNCHANGED, KNOWN_FAILURE, SET_ASIDE, UNPROCESSABLE = "unchanged", "known_failure", "set_aside", "unprocessable"
DEACTIVATE, PURGE = "deactivate", "purge"
ASK = "ask"  # nothing yet: the photo's server has to be asked first
KINDS = (
    *(NEW, CHANGED, RENAMED, STALE, RETRY, COMPARE, REACTIVATE, DEACTIVATE, PURGE),
    *(UNPROCESSABLE, SET_ASIDE, KNOWN_FAILURE, UNCHANGED),
)
PROCESSED = (NEW, CHANGED, RENAMED, STALE, RETRY, COMPARE)

FIRST_RETRY, LAST_RETRY = timedelta(hours=1), timedelta(hours=20)  # the last leaves no nightly run out
MAX_DOUBLINGS = 5  # beyond the last; a month of failures would be more days than a timedelta holds


@dataclass(frozen=True, slots=True)
class Rules:
    """What a run goes by. `contract` is the digest, `judged_by` the digest of what photos are rejected by; `now` in
    UTC; a photo checked less than `recheck` ago is not asked about. `force` does everybody anew, `insist` retries
    whoever failed, `compare` looks at everybody's content."""

    model: str
    contract: str
    dimensions: int | None
    judged_by: str
    now: datetime
    recheck: timedelta
    force: bool = False
    insist: bool = False
    compare: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """One member: the photo's URL by the roster, what the gallery holds, what is remembered of the photo, and whether
    runs died of it."""

    member: CrewMember
    url: str
    enrolment: Enrolment | None = None
    remembered: PhotoRecord | None = None
    suspect: CrashSuspect | None = None

    @property
    def is_active(self) -> bool:
        return self.enrolment is not None and self.enrolment.active

    @property
    def came_back(self) -> bool:
        """Whether the member had left the roster."""
        return self.remembered is not None and self.remembered.left_at is not None

    @property
    def failure_before(self) -> PhotoRecord | None:
        """What is remembered, when the last look at the photo failed. A row that somebody else has written since counts
        for more."""
        stranger = self.enrolment is not None and self.enrolment.active and not self.enrolment.known
        return self.remembered if self.remembered and self.remembered.code and not stranger else None


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about a member, and why (Spanish). `failure` is what is reported of whoever is not processed."""

    kind: str
    reason: str
    case: Case
    failure: Failed | None = None

    @property
    def member(self) -> CrewMember:
        return self.case.member


def decide(case: Case, rules: Rules, answer: str = "") -> Decision:
    """The decision. Its kind is ASK when it depends on whether the photo has changed: come again with the answer."""
    if rules.force:
        return Decision(CHANGED if case.is_active else NEW, "se pidió regenerar (--force)", case)
    remembered = case.failure_before
    if remembered is not None:
        decision = _after_failure(case, remembered, rules, answer)
    else:
        decision = _about_its_row(case, rules) or _by_answer(case, rules, answer)
    suspect = case.suspect
    is_quarantined = suspect is not None and suspect.is_quarantined and suspect.url == case.url and not rules.insist
    if suspect is not None and is_quarantined and decision.kind in PROCESSED:
        reason = f"{suspect.deaths} ejecuciones murieron mientras se procesaba"
        failure = Failed(case.member, Quarantined.stage, Quarantined.code, reason, recalled=True)
        return Decision(SET_ASIDE, reason, case, failure)
    return decision


def is_stale(enrolment: Enrolment, rules: Rules) -> bool:
    """Whether the row was made by another contract. Where nobody knows, model and length must do."""
    if enrolment.contract is not None:
        return enrolment.contract != rules.contract or enrolment.model != rules.model
    lengths = {enrolment.dimensions, rules.dimensions} - {None}
    return enrolment.model != rules.model or len(lengths) > 1


def recalled(member: CrewMember, remembered: PhotoRecord) -> Failed:
    """The failure as it was."""
    return Failed(member, remembered.stage, remembered.code, remembered.detail, recalled=True)


def _about_its_row(case: Case, rules: Rules) -> Decision | None:
    """What the row alone gives reason for."""
    enrolment, seen = case.enrolment, case.remembered.sha256 if case.remembered else ""
    if enrolment is None or not (enrolment.active or case.came_back):
        return Decision(NEW, "no tiene embedding activo", case)
    rows = len(enrolment.active_ids)
    reasons = (
        (rows > 1, CHANGED, f"tiene {rows} filas activas: quedará una"),
        (is_stale(enrolment, rules), STALE, _why_stale(enrolment, rules)),
        (enrolment.url != case.url, RENAMED, "la foto está en otra dirección; si es la misma, solo se anota"),
        (rules.compare, COMPARE, "se compara su contenido (--refresh full)"),
        (bool(seen and enrolment.sha256) and seen != enrolment.sha256, CHANGED, "la última foto que se vio es otra"),
    )
    return next((Decision(kind, reason, case) for holds, kind, reason in reasons if holds), None)


def _why_stale(enrolment: Enrolment, rules: Rules) -> str:
    if enrolment.model != rules.model:
        return f"su vector es de {enrolment.model or 'un modelo desconocido'}"
    if enrolment.contract is None:
        return f"su vector tiene {enrolment.dimensions} números"
    return "su vector se hizo con otra versión de los pesos, del detector o de la preparación"


def _by_answer(case: Case, rules: Rules, answer: str) -> Decision:
    if not _is_due(case.remembered, rules):
        return _leave(case, "se comprobó hace poco")
    changed = {
        ANSWER_CHANGED: "la foto cambió en el servidor",
        ANSWER_GONE: "la foto ya no está en el servidor",
    }
    if answer in changed:
        return Decision(CHANGED, changed[answer], case)
    unchanged = {
        ANSWER_SAME: "la foto no ha cambiado",
        ANSWER_UNKNOWN: "el servidor no dice si la foto cambió (--refresh full compara su contenido)",
        ANSWER_UNREACHABLE: "el servidor no respondió al preguntarle por la foto",
    }
    return _leave(case, unchanged[answer]) if answer else Decision(ASK, "", case)


def _leave(case: Case, reason: str) -> Decision:
    if case.is_active:
        return Decision(UNCHANGED, reason, case)
    return Decision(REACTIVATE, f"volvió al padrón; {reason}", case)


def _after_failure(case: Case, remembered: PhotoRecord, rules: Rules, answer: str) -> Decision:
    retry = kind_of(remembered.code).retry
    waits_for_photo = retry in (Retry.OTHER_PHOTO, Retry.UNSHARED)
    reasons = (
        (remembered.url != case.url, "falló, y ahora tiene otra foto"),
        (rules.insist, "falló, y se pidió reintentar"),
        (retry is Retry.EVERY_RUN, "el servidor de fotos no respondió la última vez"),
        (remembered.judged_by != rules.judged_by, "falló con otra configuración u otro modelo"),
        (waits_for_photo and rules.compare, "se compara su contenido (--refresh full)"),
    )
    for holds, reason in reasons:
        if holds:
            return Decision(RETRY, reason, case)
    if waits_for_photo:
        return _after_bad_photo(case, remembered, rules, answer)
    wait = min(FIRST_RETRY * 2 ** min(max(1, remembered.failures) - 1, MAX_DOUBLINGS), LAST_RETRY)
    if remembered.tried_at is None or remembered.tried_at + wait <= rules.now:
        return Decision(RETRY, f"falló {remembered.failures} veces seguidas; le toca otro intento", case)
    return _recall(case, remembered, f"se reintentará a partir del {_local(remembered.tried_at + wait)}")


def _after_bad_photo(case: Case, remembered: PhotoRecord, rules: Rules, answer: str) -> Decision:
    if not _is_due(remembered, rules):
        return _recall(case, remembered, "la foto falló y se comprobó hace poco")
    if not answer:
        return Decision(ASK, "", case)
    if answer in (ANSWER_SAME, ANSWER_UNREACHABLE):
        return _recall(case, remembered, "la foto falló y no ha cambiado")
    return Decision(RETRY, "la foto falló, y puede ser otra", case)


def _recall(case: Case, remembered: PhotoRecord, reason: str) -> Decision:
    return Decision(KNOWN_FAILURE, reason, case, recalled(case.member, remembered))


def _local(moment: datetime) -> str:
    return f"{moment.replace(tzinfo=timezone.utc).astimezone():%d/%m/%Y %H:%M}"


def _is_due(remembered: PhotoRecord | None, rules: Rules) -> bool:
    checked_at = None if remembered is None else remembered.checked_at
    return checked_at is None or checked_at + rules.recheck <= rules.now
