from __future__ import annotations

import pytest

from app.records import CrewMember, Failed, Skipped, Stored
from app.reports.run_summary import roster_lines, summary_lines, timing_line
from app.runs.outcomes import Outcomes
from app.runs.result import RunResult

ANA, EVA = CrewMember("a", "a.jpg"), CrewMember("e", "e.jpg")
NEW = Failed(CrewMember("n", "n.jpg"), "detect", "no_face")
OLD = [Failed(CrewMember(str(number), "o.jpg"), "detect", "no_face", recalled=True) for number in range(3)]


def test_failures_of_earlier_runs_count_as_failures_but_cost_no_time() -> None:
    summary = RunResult(Outcomes([Stored(ANA, 1), NEW, *OLD[:2], Skipped(EVA, "current")]), seconds=6.0).count()
    assert (summary.failed, summary.recalled, summary.processed, summary.total) == (3, 2, 2, 5)
    assert summary.seconds_each == 3.0
    assert timing_line(summary).endswith("0.3 fotos por segundo")


def test_where_no_member_was_processed_the_time_is_not_divided() -> None:
    assert RunResult(Outcomes(OLD[:1]), seconds=6.0).count().seconds_each == 6.0


@pytest.mark.parametrize(("number", "words"), [(1, "1 ya conocido"), (3, "3 ya conocidos")])
def test_old_news_is_told_beneath_the_errors(number: int, words: str) -> None:
    lines = summary_lines(RunResult(Outcomes([NEW, *OLD[:number]]), seconds=1.0).count())
    place = lines.index(f"❌ Errores: {number + 1}")
    assert lines[place + 1] == f"   (de ellos, {words}: nada nuevo desde entonces)"


def test_where_no_photo_was_processed_there_is_no_mean() -> None:
    lines = summary_lines(RunResult(Outcomes(OLD), seconds=9.0).count())
    assert lines[-1] == "⏱️  Tiempo total: 9.00 segundos"


def test_without_old_news_the_summary_has_no_such_line() -> None:
    assert summary_lines(RunResult(Outcomes([NEW]), seconds=2.0).count()) == [
        "📊 RESUMEN FINAL",
        "================",
        "✅ Exitosos: 0",
        "❌ Errores: 1",
        "⏭️  Saltados: 0",
        "📋 Total procesados: 1",
        "⏱️  Tiempo total: 2.00 segundos",
        "⚡ Promedio: 2.00 seg/tripulante",
    ]


def test_what_the_roster_changed_is_told_in_words() -> None:
    assert roster_lines({"deactivated": 1, "purged": 1, "reactivated": 1, "retired": 1}, 0) == [
        "👋 1 persona ya no está activa en el padrón: desactivada",
        "↩️  1 persona volvió al padrón: reactivada",
        "🗑️  1 persona borrada; filas que quedan de ellas: 0",
        "🧹 1 fila de otro modelo desactivada",
    ]
    assert roster_lines({"deactivated": 2, "purged": 2, "reactivated": 2, "retired": 6}, 5) == [
        "👋 2 personas ya no están activas en el padrón: desactivadas",
        "↩️  2 personas volvieron al padrón: reactivadas",
        "🗑️  2 personas borradas; filas que quedan de ellas: 5",
        "🧹 6 filas de otro modelo desactivadas",
    ]


def test_where_the_roster_changed_nothing_there_is_nothing_to_tell() -> None:
    assert roster_lines(RunResult().count().changes, None) == []
