"""Decide what to do about one member, from what the caller has read of roster, gallery and earlier runs; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from app.errors import Quarantined, Retry, kind_of
from app.planning.rules import Rules
from app.records import (
    ANSWER_CHANGED,
    ANSWER_FORBIDDEN,
    ANSWER_GONE,
    ANSWER_SAME,
    ANSWER_UNKNOWN,
    ANSWER_UNREACHABLE,
    CrashSuspect,
    CrewMember,
    Enrolment,
    Failed,
    PhotoRecord,
)

# What a run does about a member.
NEW, CHANGED, RENAMED, STALE = "new", "changed", "renamed", "stale"
RETRY, COMPARE, REACTIVATE = "retry", "compare", "reactivate"
UNCHANGED, KNOWN_FAILURE, SET_ASIDE, UNPROCESSABLE = "unchanged", "known_failure", "set_aside", "unprocessable"
DEACTIVATE, PURGE = "deactivate", "purge"
ASK = "ask"  # nothing yet: the run has to ask the photo server first
KINDS = (
    *(NEW, CHANGED, RENAMED, STALE, RETRY, COMPARE, REACTIVATE, DEACTIVATE, PURGE),
    *(UNPROCESSABLE, SET_ASIDE, KNOWN_FAILURE, UNCHANGED),
)
PROCESSED = (NEW, CHANGED, RENAMED, STALE, RETRY, COMPARE)

FIRST_RETRY, LAST_RETRY = timedelta(hours=1), timedelta(hours=20)  # the last leaves no nightly run out
MAX_DOUBLINGS = 5  # beyond the last; a month of failures would be more days than a timedelta holds


@dataclass(frozen=True, slots=True)
class Case:
    """What is known of one member. `url` is the photo's by the roster; runs crashed while processing a `suspect`."""

    member: CrewMember
    url: str
    enrolment: Enrolment | None = None
    photo_record: PhotoRecord | None = None
    suspect: CrashSuspect | None = None

    @property
    def is_active(self) -> bool:
        return self.enrolment is not None and self.enrolment.active

    @property
    def came_back(self) -> bool:
        """Tell whether the member had departed from the roster."""
        return self.photo_record is not None and self.photo_record.left_at is not None

    @property
    def recorded_code(self) -> str:
        """The code of the photo's recorded failure, empty for none."""
        return self.photo_record.code if self.photo_record else ""

    @property
    def failure_before(self) -> PhotoRecord | None:
        """The photo's record if the last run that looked at it failed, and no other program has written an active row
        since."""
        is_foreign = self.enrolment is not None and self.enrolment.active and not self.enrolment.known
        return self.photo_record if self.recorded_code and not is_foreign else None


@dataclass(frozen=True, slots=True)
class Decision:
    """What a run does about a member, and why (Spanish). `failure` is what it reports of one it does not process."""

    kind: str
    reason: str
    case: Case
    failure: Failed | None = None

    @property
    def member(self) -> CrewMember:
        return self.case.member


def decide(case: Case, rules: Rules, answer: str = "") -> Decision:
    """Return the decision. If its kind is ASK, call again with the photo server's `answer`, one of ANSWER_..."""
    if rules.force:
        return Decision(CHANGED if case.is_active else NEW, "se pidió regenerar (--force)", case)
    photo_record = case.failure_before
    if photo_record is not None:
        decision = _after_failure(case, photo_record, rules, answer)
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
    """Return whether the row is of another embedding spec. Where the spec is unknown, model and length decide."""
    if enrolment.spec_digest is not None:
        return enrolment.spec_digest != rules.spec_digest or enrolment.model != rules.model
    lengths = {enrolment.dimensions, rules.dimensions} - {None}
    return enrolment.model != rules.model or len(lengths) > 1


def recalled(member: CrewMember, photo_record: PhotoRecord) -> Failed:
    """Return the failure that an earlier run recorded."""
    stage = photo_record.stage or kind_of(photo_record.code).stage  # older records have none
    return Failed(member, stage, photo_record.code, photo_record.detail, recalled=True)


def _about_its_row(case: Case, rules: Rules) -> Decision | None:
    enrolment, seen = case.enrolment, case.photo_record.sha256 if case.photo_record else ""
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
    if enrolment.spec_digest is None:
        return f"su vector tiene {enrolment.dimensions} números"
    return "su vector se hizo con otra versión de los pesos, del detector o de la preparación"


def _by_answer(case: Case, rules: Rules, answer: str) -> Decision:
    if not _is_due(case.photo_record, rules):
        return _leave(case, "se comprobó hace poco")
    changed = {
        ANSWER_CHANGED: "la foto cambió",
        ANSWER_GONE: "la foto ya no está",
        ANSWER_FORBIDDEN: "el servidor ya no deja ver la foto",
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


def _after_failure(case: Case, photo_record: PhotoRecord, rules: Rules, answer: str) -> Decision:
    retry = kind_of(photo_record.code).retry
    waits_for_photo = retry in (Retry.OTHER_PHOTO, Retry.UNSHARED)
    reasons = (
        (photo_record.url != case.url, "falló, y ahora tiene otra foto o está en otra dirección"),
        (rules.insist, "falló, y se pidió reintentar"),
        (retry is Retry.EVERY_RUN, "el servidor de fotos no respondió la última vez"),
        (photo_record.judged_by != rules.judged_by, "falló con otra configuración u otro modelo"),
        (waits_for_photo and rules.compare, "se compara su contenido (--refresh full)"),
    )
    for holds, reason in reasons:
        if holds:
            return Decision(RETRY, reason, case)
    if waits_for_photo:
        return _after_bad_photo(case, photo_record, rules, answer)
    wait = min(FIRST_RETRY * 2 ** min(max(1, photo_record.failures) - 1, MAX_DOUBLINGS), LAST_RETRY)
    if photo_record.tried_at is None or photo_record.tried_at + wait <= rules.now:
        return Decision(RETRY, f"falló {photo_record.failures} veces seguidas; le toca otro intento", case)
    return _recall(case, photo_record, f"se reintentará a partir del {_local(photo_record.tried_at + wait)}")


def _after_bad_photo(case: Case, photo_record: PhotoRecord, rules: Rules, answer: str) -> Decision:
    if not _is_due(photo_record, rules):
        return _recall(case, photo_record, "la foto falló y se comprobó hace poco")
    if not answer:
        return Decision(ASK, "", case)
    if answer == ANSWER_SAME:
        return _recall(case, photo_record, "la foto falló y no ha cambiado")
    if answer == ANSWER_UNREACHABLE:
        return _recall(case, photo_record, "la foto falló, y el servidor no respondió si ahora es otra")
    return Decision(RETRY, "la foto falló, y puede ser otra", case)


def _recall(case: Case, photo_record: PhotoRecord, reason: str) -> Decision:
    return Decision(KNOWN_FAILURE, reason, case, recalled(case.member, photo_record))


def _local(moment: datetime) -> str:
    return f"{moment.replace(tzinfo=timezone.utc).astimezone():%d/%m/%Y %H:%M}"


def _is_due(photo_record: PhotoRecord | None, rules: Rules) -> bool:
    checked_at = None if photo_record is None else photo_record.checked_at
    return checked_at is None or checked_at + rules.recheck <= rules.now
