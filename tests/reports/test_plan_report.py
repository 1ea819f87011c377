from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import pytest

from app.planning import decisions as reconcile
from app.planning.decisions import KINDS, Case, Decision
from app.planning.plan import Plan
from app.planning.rules import Rules
from app.records import CrewMember, Enrolment, Failed
from app.reports import plan_report
from app.reports.document import write_document
from app.reports.plan_report import UNKNOWN_TIME, WORDS, plan_document, plan_lines, plan_notices

RULES = Rules("Facenet512", "c1", 512, "j1", datetime(2026, 11, 22), timedelta(hours=20))
MIXTURE = (
    "⚠️  Hasta que termine, el servicio de reconocimiento verá una mezcla de vectores de dos modelos, que no se pueden "
    "comparar entre sí. Con --migrate se evita."
)


def row(model: str = "Facenet512", *, active: bool = True) -> Enrolment:
    return Enrolment(7, model, "u", (7,) if active else (), (7,), known=True)


OLDER = replace(row(), spec_digest="c0")


def decision(kind: str, crew_id: str = "1", reason: str = "porque sí", enrolment: Enrolment | None = None) -> Decision:
    member = CrewMember(crew_id, f"{crew_id}.jpg", f"Persona {crew_id}")
    failing = kind in (reconcile.KNOWN_FAILURE, reconcile.SET_ASIDE, reconcile.UNPROCESSABLE)
    failure = Failed(member, "detect", "no_face", recalled=True) if failing else None
    return Decision(kind, reason, Case(member, "u", enrolment), failure)


def test_every_kind_has_its_words() -> None:
    assert WORDS.keys() == set(KINDS)


def test_a_plan_is_told_in_counts_rows_warnings_and_time() -> None:
    decisions = [
        decision("unchanged", "1"),
        decision("unchanged", "2"),
        decision("known_failure", "3", "la foto falló y no ha cambiado"),
        decision("new", "44", "no tiene embedding activo"),
    ]
    lines = plan_lines(Plan(decisions, blocked=["Se borrarían 9 personas"], seconds_each=170.0), RULES)
    assert lines == [
        "QUÉ HARÍA ESTA EJECUCIÓN (modelo Facenet512)",
        "============================================",
        "  1 nuevos",
        "  1 con error ya conocido",
        "  2 sin cambios",
        "",
        "ID  Nombre      Qué haría          Por qué",
        "44  Persona 44  nuevo              no tiene embedding activo",
        "3   Persona 3   error ya conocido  No se detectaron rostros (la foto falló y no ha cambiado)",
        "",
        "⚠️  Se borrarían 9 personas",
        "Tiempo estimado: unos 3 minutos.",
        "No se ha escrito nada.",
    ]


def test_every_kind_but_the_unchanged_has_rows_in_the_order_of_the_counts() -> None:
    plan = Plan([decision(kind, str(number)) for number, kind in enumerate(reversed(KINDS))])
    lines = plan_lines(plan, RULES)
    counted = [line.strip().split(" ", 1)[1] for line in lines[2 : 2 + len(KINDS)]]
    assert counted == [WORDS[kind][0] for kind in KINDS]
    rows = lines[lines.index("") + 2 : -3]
    assert [line.split("Persona ")[1].split("  ")[1].strip() for line in rows] == [
        WORDS[kind][1] for kind in KINDS if kind != "unchanged"
    ]


def test_of_each_kind_only_so_many_rows_are_shown_and_the_rest_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_report, "SHOWN_DECISIONS", 2)
    plan = Plan([decision(kind, f"{kind}-{n}") for n in range(5) for kind in ("new", "retry", "unchanged")])
    lines = plan_lines(plan, RULES)
    assert [line.split()[0] for line in lines if "Persona" in line] == ["new-0", "new-1", "retry-0", "retry-1"]
    assert [line for line in lines if line.startswith("…")] == [
        "… y 3 más nuevos (con --json salen todos)",
        "… y 3 más por reintentar (con --json salen todos)",
    ]
    assert len(list(plan_document(plan)["plan"]["members"])) == 15


def test_nothing_is_wider_than_the_terminal() -> None:
    reason = "la foto está en otra dirección; si es la misma, solo se anota"
    blocked = "Se desactivarían 30 personas de 90, más del 10%: no se hizo. Revise el padrón y repita."
    plan = Plan([decision("renamed", reason=reason)], blocked=[blocked])
    for width in (80, 140):
        assert max(map(len, plan_lines(plan, RULES, width))) <= width


def test_what_the_roster_holds_cannot_forge_a_line() -> None:
    member = CrewMember("1\n2", "a.jpg", "Ana\x1b[31m")
    lines = plan_lines(Plan([Decision("new", "foto \x00", Case(member, "u"))]), replace(RULES, model="M\n"), 80)
    assert "\n".join(lines).isprintable() is False  # only for our own line ends
    assert all(line.isprintable() for line in lines)
    assert "1\\n2  Ana\\x1b[31m" in "\n".join(lines)


@pytest.mark.parametrize(
    ("decisions", "seconds_each", "told"),
    [
        ([decision("unchanged")], 1.0, "No hay ninguna foto por procesar."),
        ([decision("new")], None, "Sin una ejecución anterior no se puede estimar el tiempo."),
        ([decision("new"), decision("unchanged")], 61.0, "Tiempo estimado: un minuto."),
    ],
)
def test_the_time_is_told_as_far_as_it_is_known(
    decisions: list[Decision], seconds_each: float | None, told: str
) -> None:
    assert plan_lines(Plan(decisions, seconds_each=seconds_each), RULES)[-2:] == [told, "No se ha escrito nada."]


def test_of_an_empty_roster_nothing_is_counted() -> None:
    assert plan_lines(Plan([]), RULES)[2:4] == ["No hay nadie en el padrón.", ""]


def test_the_document_has_every_kind_and_everybody(tmp_path: Path) -> None:
    member = CrewMember("\udcff", "a.jpg", "Ana")
    plan = Plan(
        [Decision("new", "no tiene", Case(member, "u")), decision("known_failure", "2", "no ha cambiado")],
        blocked=["demasiados: \udcff"],
        held_back=["\udcff"],
        seconds_each=2.5,
        passed_over=["1/\udcff.xmp"],
        settled=[(CrewMember("3", "a.jpg", "Eva"), "la foto no ha cambiado")],
    )
    write_document(plan_document(plan), str(tmp_path / "plan.json"))
    assert orjson.loads((tmp_path / "plan.json").read_bytes()) == {
        "plan": {
            "counts": dict.fromkeys(KINDS, 0) | {"new": 1, "known_failure": 1, "unchanged": 1},
            "seconds": 2.5,
            "blocked": ["demasiados: \\udcff"],
            "held_back": ["\\udcff"],
            "unchecked": {},
            "passed_over": ["1/\\udcff.xmp"],
            "members": [
                {"crew_id": "\\udcff", "full_name": "Ana", "action": "new", "reason": "no tiene", "code": None},
                {
                    "crew_id": "2",
                    "full_name": "Persona 2",
                    "action": "known_failure",
                    "reason": "no ha cambiado",
                    "code": "no_face",
                },
                {
                    "crew_id": "3",
                    "full_name": "Eva",
                    "action": "unchanged",
                    "reason": "la foto no ha cambiado",
                    "code": None,
                },
            ],
        }
    }
    assert plan_document(Plan([]))["plan"]["seconds"] is None


def test_who_is_back_is_told_beside_what_else_there_is_to_do() -> None:
    decisions = [
        decision("changed", "1", "la foto cambió"),
        decision("known_failure", "2", "la foto falló y no ha cambiado"),
        decision("reactivate", "3", "volvió al padrón; la foto no ha cambiado"),
        decision("changed", "4", "la foto cambió"),
    ]
    plan = Plan(decisions, returned={11: "1", 12: "2", 13: "3"})
    reasons = [member["reason"] for member in plan_document(plan)["plan"]["members"]]
    assert reasons == [
        "volvió al padrón y se reactiva; la foto cambió",
        "volvió al padrón y se reactiva; la foto falló y no ha cambiado",
        "volvió al padrón; la foto no ha cambiado",
        "la foto cambió",
    ]
    lines = "\n".join(plan_lines(plan, RULES))
    assert "↩️  3 personas volvieron al padrón: se reactivarán con el vector que tenían." in lines
    assert all(reason in lines for reason in reasons)


def test_a_run_without_anything_particular_begins_without_a_word() -> None:
    assert plan_notices(Plan([decision("new"), decision("unchanged", enrolment=row())]), RULES) == []


def test_rows_of_another_version_are_announced_with_the_time_that_they_take() -> None:
    stale = [decision("stale", str(n), enrolment=OLDER) for n in range(3)]
    begin = "🔁 3 de 40 filas se hicieron con otro modelo o versión: se harán de nuevo"
    assert plan_notices(Plan(stale, gallery_size=40, seconds_each=60.0), RULES) == [f"{begin} (unos 3 minutos)."]
    assert plan_notices(Plan(stale, gallery_size=40), RULES) == [f"{begin} ({UNKNOWN_TIME})."]


def test_a_mixture_of_models_is_warned_of_unless_the_run_avoids_it() -> None:
    stale = [decision("stale", "1", enrolment=OLDER), decision("stale", "2", enrolment=row("Facenet"))]
    plan = Plan(stale, gallery_size=2, seconds_each=1.0)
    assert plan_notices(plan, RULES)[1:] == [MIXTURE]
    assert plan_notices(plan, RULES, migrating=True) == [
        "🔁 2 de 2 filas se hicieron con otro modelo o versión: las nuevas se preparan aparte y se cambian todas a "
        "la vez al final (menos de un minuto)."
    ]


def test_rows_of_another_version_count_whatever_is_done_about_them_and_only_work_takes_time() -> None:
    kinds = ("unchanged", "known_failure", "set_aside", "deactivate", "changed", "retry")
    plan = Plan([decision(kind, enrolment=OLDER) for kind in kinds], gallery_size=40, seconds_each=90.0)
    begin = "🔁 6 de 40 filas se hicieron con otro modelo o versión"
    assert plan_notices(plan, RULES)[0] == f"{begin}: de ellas, 2 por hacer de nuevo (unos 3 minutos)."
    assert plan_notices(plan, RULES, migrating=True)[0] == (
        f"{begin}: las nuevas se preparan aparte y se cambian todas a la vez al final (unos 3 minutos)."
    )


def test_where_everything_is_prepared_already_the_switch_takes_no_time() -> None:
    plan = Plan([decision("unchanged", enrolment=OLDER)], gallery_size=1)
    begin = "🔁 1 de 1 filas se hicieron con otro modelo o versión"
    assert plan_notices(plan, RULES) == [f"{begin}: ninguna se hará de nuevo."]
    assert plan_notices(plan, RULES, migrating=True) == [
        f"{begin}: las nuevas se preparan aparte y se cambian todas a la vez al final (no queda ninguna por preparar)."
    ]


@pytest.mark.parametrize("migrating", [False, True])
def test_the_plan_tells_of_the_rows_what_the_run_would_tell(migrating: bool) -> None:
    stale = decision("stale", enrolment=row("Facenet"))
    plan = Plan([stale], gallery_size=2, adopted={7: "2"}, blocked=["Se retuvo"])
    notices = plan_notices(plan, RULES, migrating=migrating)
    assert len(notices) == (3 if migrating else 4)
    lines = plan_lines(plan, RULES, migrating=migrating)
    assert lines[-len(notices) - 3 : -2] == ["", *notices]
    assert lines[-1] == "No se ha escrito nada."
    assert max(map(len, plan_lines(plan, RULES, 80, migrating=migrating))) <= 80


def test_inactive_rows_are_no_mixture() -> None:
    assert plan_notices(Plan([decision("stale", enrolment=row("Facenet", active=False))]), RULES) == []


def test_everything_else_that_is_to_be_known_is_told_once_each() -> None:
    kinds = ("set_aside", "deactivate", "purge")
    plan = Plan([*map(decision, kinds)], adopted={7: "2"}, returned={8: "3"}, blocked=["Se borrarían 9"])
    one = plan_notices(plan, RULES)
    assert one == [
        "1 fila hecha por otro programa cuenta como al día (mismo modelo y longitud); con --force se hace de nuevo.",
        "↩️  1 persona volvió al padrón: se reactivará con el vector que tenía.",
        "⚠️  Se borrarían 9",
        "⏸️  1 persona apartada: al procesar su foto se cerró el programa (--retry-failed la intenta de nuevo).",
        "👋 1 persona ya no está activa en el padrón: se desactivará.",
        "🗑️  1 persona hace tiempo que falta en el padrón: se borrará todo lo suyo.",
    ]
    many = plan_notices(Plan([decision(kind, str(n)) for kind in kinds for n in range(12)]), RULES)
    assert [line.split()[1:3] for line in many] == [["12", "personas"]] * 3


def test_several_rows_of_another_program_are_counted() -> None:
    assert plan_notices(Plan([], adopted={n: str(n) for n in range(3)}), RULES) == [
        "3 filas hechas por otro programa cuentan como al día (mismo modelo y longitud); con --force se hacen de nuevo."
    ]
