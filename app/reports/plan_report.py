"""What a run would do, or is about to do, as lines for the console and as a document."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from typing import Any

from app.core.spanish import inflect, say_about, say_some
from app.core.text import as_utf8, printable
from app.errors import kind_of
from app.planning import decisions
from app.planning.decisions import Decision, is_stale
from app.planning.plan import Plan
from app.planning.rules import Rules
from app.records import CrewMember
from app.reports.console import fold, in_columns
from app.roster.folder import say_passed_over

SHOWN_UNCHECKED = 10  # crew ids
SHOWN_DECISIONS = 200  # of each kind; the document has all of them
# Each kind of decision: when counted, and beside a person's name.
WORDS = {
    decisions.NEW: ("nuevos", "nuevo"),
    decisions.CHANGED: ("con foto cambiada o por regenerar", "volver a procesar"),
    decisions.RENAMED: ("con la foto con otro nombre", "foto con otro nombre"),
    decisions.STALE: ("de otro modelo o versión", "otro modelo o versión"),
    decisions.RETRY: ("por reintentar", "reintentar"),
    decisions.COMPARE: ("por comparar su contenido", "comparar contenido"),
    decisions.REACTIVATE: ("por reactivar", "reactivar"),
    decisions.DEACTIVATE: ("por desactivar", "desactivar"),
    decisions.PURGE: ("por borrar", "borrar"),
    decisions.UNPROCESSABLE: ("que no se pueden procesar", "no se puede procesar"),
    decisions.SET_ASIDE: ("apartados", "apartado"),
    decisions.KNOWN_FAILURE: ("con error ya conocido", "error ya conocido"),
    decisions.UNCHANGED: ("sin cambios", "sin cambios"),
}
HEADINGS = ("ID", "Nombre", "Qué haría", "Por qué")
UNKNOWN_TIME = "sin una ejecución anterior no se puede estimar el tiempo"
# What a run does without a photo, by kind of decision.
ROSTER_NOTICES = {
    decisions.SET_ASIDE: "⏸️  # persona[s] apartada[s]: al procesar su foto se cerró el programa (--retry-failed "
    "la[s] intenta de nuevo).",
    decisions.DEACTIVATE: "👋 # persona[s] ya no está[n] activa[s] en el padrón: se desactivará[n].",
    decisions.PURGE: "🗑️  # persona[s] hace tiempo que falta[n] en el padrón: se borrará todo lo suyo.",
}
RETURNED = "↩️  # persona[s] [volvió|volvieron] al padrón: se reactivará[n] con el vector que tenía[n]."
EACH_IN_ITS_FOLDER = "⚠️  Ninguna persona: cada foto va en la carpeta de su persona, DIR/identificador/foto.jpg."
UNCHECKED = "# foto[s] no se [pudo|pudieron] comprobar, y su[s] embedding[s] queda[n] como estaba[n]"
ADOPTED = (
    "# fila[s] hecha[s] por otro programa cuenta[n] como al día (mismo modelo y longitud); con --force se hace[n] de "
    "nuevo."
)


def plan_lines(plan: Plan, rules: Rules, width: int | None = None, *, migrating: bool = False) -> list[str]:
    """Return what a run would do, in lines of `width` characters; None: every decision on one line."""
    title = f"QUÉ HARÍA ESTA EJECUCIÓN (modelo {printable(rules.model)})"
    rows = list(_rows(plan, set(plan.returned.values())))
    notices = _notices(plan, rules, migrating=migrating)
    return [
        title,
        "=" * len(title),
        *_count_lines(plan),
        *(["", *in_columns(HEADINGS, rows, width)] if rows else []),
        *_left_out(plan),
        "",
        *(line for notice in notices for line in fold(notice, width, "    ")),
        _say_time(plan),
        "No se ha escrito nada.",
    ]


def plan_document(plan: Plan) -> dict[str, Any]:
    """Return the plan with every decision, ready for `write_document`, which goes through its members. Its keys are
    stable."""
    counts = dict.fromkeys(decisions.KINDS, 0) | plan.counts
    unchecked = describe_unchecked(plan.unchecked)
    lists = {"blocked": plan.blocked, "held_back": plan.held_back, "passed_over": plan.passed_over}
    shown = {name: [*map(as_utf8, texts)] for name, texts in lists.items()}
    known = {"counts": counts, "seconds": plan.seconds, "unchecked": unchecked}
    return {"plan": known | shown | {"members": _members(plan)}}


def _members(plan: Plan) -> Iterator[dict[str, Any]]:
    returned = set(plan.returned.values())
    for each in plan.decisions:
        code = each.failure.code if each.failure else None
        yield _describe(each.member, each.kind, _reason(each, returned), code)
    for member, reason in plan.settled:
        yield _describe(member, decisions.UNCHANGED, reason, None)


def _describe(member: CrewMember, kind: str, reason: str, code: str | None) -> dict[str, Any]:
    words = {"crew_id": member.crew_id, "full_name": member.full_name, "action": kind, "reason": reason}
    return {name: as_utf8(word) for name, word in words.items()} | {"code": code}


def describe_unchecked(unchecked: Mapping[str, str]) -> dict[str, str]:
    """Return why the server gave no answer, by crew id, ready to serialise."""
    return {as_utf8(crew_id): as_utf8(reason) for crew_id, reason in unchecked.items()}


def plan_notices(plan: Plan, rules: Rules, *, migrating: bool = False) -> list[str]:
    """Return what to know of a run that is about to begin; `migrating`: new vectors are staged until its end."""
    counts = plan.counts
    return [
        *_notices(plan, rules, migrating=migrating),
        *(inflect(counts[kind], notice) for kind, notice in ROSTER_NOTICES.items() if kind in counts),
    ]


def _count_lines(plan: Plan) -> list[str]:
    counts = plan.counts
    digits = len(str(max(counts.values(), default=0)))
    lines = [f"  {counts[kind]:>{digits}} {WORDS[kind][0]}" for kind in decisions.KINDS if kind in counts]
    return lines or ["No hay nadie en el padrón."]


def _rows(plan: Plan, returned: Container[str]) -> Iterator[tuple[str, str, str, str]]:
    for kind in decisions.KINDS:
        for decision in plan.of(kind)[:SHOWN_DECISIONS] if kind != decisions.UNCHANGED else ():
            member = decision.member
            why = printable(_why(decision, returned))
            yield printable(member.crew_id), printable(member.full_name), WORDS[kind][1], why


def _why(decision: Decision, returned: Container[str]) -> str:
    reason = _reason(decision, returned)
    return f"{kind_of(decision.failure.code).title} ({reason})" if decision.failure else reason


def _reason(decision: Decision, returned: Container[str]) -> str:
    """Return the decision's reason. Of a returned member it says so, too, when there is more to do than that."""
    is_more = decision.member.crew_id in returned and decision.kind != decisions.REACTIVATE
    return f"volvió al padrón y se reactiva; {decision.reason}" if is_more else decision.reason


def _left_out(plan: Plan) -> Iterator[str]:
    for kind in decisions.KINDS:
        number = plan.counts.get(kind, 0) - SHOWN_DECISIONS
        if number > 0 and kind != decisions.UNCHANGED:
            yield f"… y {number} más {WORDS[kind][0]} (con --json salen todos)"


def _say_time(plan: Plan) -> str:
    if not plan.of(*decisions.PROCESSED):
        return "No hay ninguna foto por procesar."
    if plan.seconds is None:
        return f"{UNKNOWN_TIME[0].upper()}{UNKNOWN_TIME[1:]}."
    return f"Tiempo estimado: {say_about(plan.seconds)}."


def _notices(plan: Plan, rules: Rules, *, migrating: bool) -> list[str]:
    passed_over = [printable(say_passed_over(plan.passed_over))] if plan.passed_over else []
    passed_over += [EACH_IN_ITS_FOLDER] if plan.passed_over and not plan.counts else []
    adopted = [inflect(len(plan.adopted), ADOPTED)] if plan.adopted else []
    blocked = [f"⚠️  {printable(each)}" for each in plan.blocked]
    returned = [inflect(len(plan.returned), RETURNED)] if plan.returned else []
    unchecked = [say_unchecked(plan)] if plan.unchecked else []
    stale = _stale_notices(plan, rules, migrating=migrating)
    return [*passed_over, *stale, *adopted, *returned, *unchecked, *blocked]


def say_unchecked(plan: Plan) -> str:
    """Return whose photos the server gave no answer about, and its last reason."""
    who, reasons = list(plan.unchecked), list(plan.unchecked.values())
    count = inflect(len(who), UNCHECKED)
    return printable(f"⚠️  {count}: {say_some(who, SHOWN_UNCHECKED)} (la última: {reasons[-1]})")


def _stale_notices(plan: Plan, rules: Rules, *, migrating: bool) -> Iterator[str]:
    """Say how many active rows (only these are compared) another contract made, and how long it takes to redo them."""
    rows = [(each.kind, row) for each in plan.decisions if (row := each.case.enrolment)]
    stale = [(kind, row) for kind, row in rows if row.active and is_stale(row, rules)]
    if not stale:
        return
    begin = f"🔁 {len(stale)} de {plan.gallery_size} filas se hicieron con otro modelo o versión"
    pending = sum(kind in decisions.PROCESSED for kind, _ in stale)
    time = UNKNOWN_TIME if plan.seconds_each is None else say_about(plan.seconds_each * pending)
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
