"""What a run would do, or is about to do: a plan comes in; lines that people read, or a document, go out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.core.text import as_utf8, printable
from app.errors import kind_of
from app.planning.decisions import (
    CHANGED,
    COMPARE,
    DEACTIVATE,
    KINDS,
    KNOWN_FAILURE,
    NEW,
    PROCESSED,
    PURGE,
    REACTIVATE,
    RENAMED,
    RETRY,
    SET_ASIDE,
    STALE,
    UNCHANGED,
    UNPROCESSABLE,
    Decision,
    is_stale,
)
from app.planning.plan import Plan
from app.planning.rules import Rules
from app.reports.columns import fold, in_columns

SHOWN_DECISIONS = 200  # of each kind; the document has all of them
# Each kind of decision: when counted, and beside a person's name.
WORDS = {
    NEW: ("nuevos", "nuevo"),
    CHANGED: ("con foto cambiada o por regenerar", "volver a procesar"),
    RENAMED: ("con la foto con otro nombre", "foto con otro nombre"),
    STALE: ("de otro modelo o versión", "otro modelo o versión"),
    RETRY: ("por reintentar", "reintentar"),
    COMPARE: ("por comparar su contenido", "comparar contenido"),
    REACTIVATE: ("por reactivar", "reactivar"),
    DEACTIVATE: ("por desactivar", "desactivar"),
    PURGE: ("por borrar", "borrar"),
    UNPROCESSABLE: ("sin foto que procesar", "sin foto que procesar"),
    SET_ASIDE: ("apartados", "apartado"),
    KNOWN_FAILURE: ("con error ya conocido", "error ya conocido"),
    UNCHANGED: ("sin cambios", "sin cambios"),
}
HEADINGS = ("ID", "Nombre", "Qué haría", "Por qué")
UNKNOWN_TIME = "sin una ejecución anterior no se puede estimar el tiempo"
SECONDS_PER_MINUTE, MINUTES_PER_HOUR = 60, 60
ROUNDED_MINUTES = 10  # in what takes hours


def plan_lines(plan: Plan, rules: Rules, width: int | None = None, *, migrating: bool = False) -> list[str]:
    """What a run would do, in lines of `width` characters; None: every decision on one line."""
    title = f"QUÉ HARÍA ESTA EJECUCIÓN (modelo {printable(rules.model)})"
    rows = list(_rows(plan))
    notices = [*_row_notices(plan, rules, migrating=migrating), *map(_warning, plan.blocked)]
    return [
        title,
        "=" * len(title),
        *_count_lines(plan),
        *(["", *in_columns(HEADINGS, rows, width)] if rows else []),
        *(f"… y {number} más {words}" for number, words in _left_out(plan)),
        "",
        *(line for notice in notices for line in fold(notice, width, "    ")),
        _say_time(plan),
        "No se ha escrito nada.",
    ]


def plan_document(plan: Plan) -> dict[str, Any]:
    """The plan with every decision, ready to serialise. Its keys are stable."""
    members = [
        {
            "crew_id": as_utf8(decision.member.crew_id),
            "full_name": as_utf8(decision.member.full_name),
            "action": decision.kind,
            "reason": as_utf8(decision.reason),
            "code": decision.failure.code if decision.failure else None,
        }
        for decision in plan.decisions
    ]
    counts = dict.fromkeys(KINDS, 0) | plan.counts
    return {"plan": {"counts": counts, "seconds": plan.seconds, "blocked": [*plan.blocked], "members": members}}


def plan_notices(plan: Plan, rules: Rules, *, migrating: bool = False) -> list[str]:
    """What is to be known of a run that is about to begin; `migrating`: new vectors are laid aside until the end."""
    counts = plan.counts
    return [
        *_row_notices(plan, rules, migrating=migrating),
        *map(_warning, plan.blocked),
        *_told(
            counts.get(SET_ASIDE, 0),
            "⏸️  1 persona apartada: al procesar su foto se cerró el programa (--retry-failed la intenta de nuevo).",
            "⏸️  {} personas apartadas: al procesar su foto se cerró el programa (--retry-failed las intenta de nuevo).",
        ),
        *_told(
            counts.get(DEACTIVATE, 0),
            "👋 1 persona ya no está activa en el padrón: se desactivará.",
            "👋 {} personas ya no están activas en el padrón: se desactivarán.",
        ),
        *_told(
            counts.get(REACTIVATE, 0),
            "↩️  1 persona volvió al padrón: se reactivará.",
            "↩️  {} personas volvieron al padrón: se reactivarán.",
        ),
        *_told(
            counts.get(PURGE, 0),
            "🗑️  1 persona hace tiempo que falta en el padrón: se borrará todo lo suyo.",
            "🗑️  {} personas hace tiempo que faltan en el padrón: se borrará todo lo suyo.",
        ),
    ]


def say_duration(seconds: float) -> str:
    """About how long, as one would say it."""
    minutes = round(seconds / SECONDS_PER_MINUTE)
    if minutes < 1:
        return "menos de un minuto"
    if minutes < MINUTES_PER_HOUR:
        return "un minuto" if minutes == 1 else f"unos {minutes} minutos"
    hours, rest = divmod(round(minutes / ROUNDED_MINUTES) * ROUNDED_MINUTES, MINUTES_PER_HOUR)
    told = "una hora" if hours == 1 else f"unas {hours} horas"
    return f"{told} y {rest} minutos" if rest else told


def _count_lines(plan: Plan) -> list[str]:
    counts = plan.counts
    digits = len(str(max(counts.values(), default=0)))
    lines = [f"  {counts[kind]:>{digits}} {WORDS[kind][0]}" for kind in KINDS if kind in counts]
    return lines or ["No hay nadie en el padrón."]


def _rows(plan: Plan) -> Iterator[tuple[str, str, str, str]]:
    for kind in KINDS:
        for decision in plan.of(kind)[:SHOWN_DECISIONS] if kind != UNCHANGED else ():
            member = decision.member
            yield printable(member.crew_id), printable(member.full_name), WORDS[kind][1], printable(_why(decision))


def _why(decision: Decision) -> str:
    """Of a failure, which one, too."""
    return f"{kind_of(decision.failure.code).title} ({decision.reason})" if decision.failure else decision.reason


def _left_out(plan: Plan) -> Iterator[tuple[int, str]]:
    for kind, count in sorted(plan.counts.items(), key=lambda item: KINDS.index(item[0])):
        number = count - SHOWN_DECISIONS
        if number > 0 and kind != UNCHANGED:
            yield number, f"{WORDS[kind][0]} (con --json salen todos)"


def _say_time(plan: Plan) -> str:
    if not plan.of(*PROCESSED):
        return "No hay ninguna foto por procesar."
    if plan.seconds is None:
        return f"{UNKNOWN_TIME[0].upper()}{UNKNOWN_TIME[1:]}."
    return f"Tiempo estimado: {say_duration(plan.seconds)}."


def _row_notices(plan: Plan, rules: Rules, *, migrating: bool) -> list[str]:
    """What is to be known of the rows that are there."""
    return [*_stale_notices(plan, rules, migrating=migrating), *_stranger_notices(len(plan.adopted))]


def _stale_notices(plan: Plan, rules: Rules, *, migrating: bool) -> Iterator[str]:
    """All rows in use of another contract, whatever is done about them, and the time of those that are done again.
    Rows that are not in use, of people who come back, mix with nothing."""
    stale = [(each.kind, row) for each in plan.decisions if (row := each.case.enrolment) and row.active]
    stale = [(kind, row) for kind, row in stale if is_stale(row, rules)]
    if not stale:
        return
    begin = f"🔁 {len(stale)} de {plan.gallery_size} filas se hicieron con otro modelo o versión"
    pending = sum(kind in PROCESSED for kind, _ in stale)
    time = UNKNOWN_TIME if plan.seconds_each is None else say_duration(plan.seconds_each * pending)
    if migrating:
        time = time if pending else "no queda ninguna por preparar"
        yield f"{begin}: las nuevas se preparan aparte y se cambian todas a la vez al final ({time})."
        return
    again = "se harán de nuevo" if pending == len(stale) else f"de ellas, {pending} por hacer de nuevo"
    yield f"{begin}: {again} ({time})." if pending else f"{begin}: ninguna se hará de nuevo."
    if any(row.model != rules.model for _, row in stale):
        yield (
            "⚠️  Hasta que termine, el servicio de reconocimiento verá una mezcla de vectores de dos modelos, que no se "
            "pueden comparar entre sí. Con --migrate se evita."
        )


def _stranger_notices(number: int) -> list[str]:
    return _told(
        number,
        "1 fila hecha por otro programa cuenta como al día (mismo modelo y longitud); con --force se hace de nuevo.",
        "{} filas hechas por otro programa cuentan como al día (mismo modelo y longitud); con --force se hacen de "
        "nuevo.",
    )


def _told(number: int, one: str, many: str) -> list[str]:
    return [one if number == 1 else many.format(number)] if number else []


def _warning(text: str) -> str:
    return f"⚠️  {printable(text)}"
