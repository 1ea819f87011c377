"""What `--operating-point` measured, as lines for the console and as a document."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.core.spanish import inflect, say_some
from app.core.text import as_utf8, printable
from app.pipeline.probe_photos import ProbePhoto
from app.recognition.distances import Floats
from app.recognition.genuine import Genuine, Searched
from app.recognition.operating_point import Basis, Figure, OperatingPoint, Row, rate_rows
from app.recognition.rates import Estimate
from app.recognition.wished_threshold import Recommendation
from app.reports.console import fold, in_columns
from app.reports.faces_page import say_distance

DEEPFACE_THRESHOLDS = {"Facenet512": 0.30, "Facenet": 0.40, "Dlib": 0.07}  # DeepFace 0.0.103's own, by model
PER = 1000  # strangers, in sentences
SHOWN_MISSED = 12
SETTING_STEP = 1000  # of the advised setting: three decimals, rounded down
HEADINGS = ("Distancia", "Dos personas al azar (FMR)", "Un desconocido (FPIR)")
BASES = {Basis.MEASURED: "", Basis.EXTRAPOLATED: ", extrapolado", Basis.REFUSED: ""}
CAVEATS = (
    "Las fotos del padrón suelen ser mejores que las del evento: con caras mal iluminadas habrá algunos errores más.",
    "Dos hermanos que trabajan juntos no son desconocidos al azar: se confunden más de lo que dicen estas cifras.",
)


@dataclass(frozen=True, slots=True, eq=False)
class ProbeReport:
    """What labelled photos said (None: none was usable). `labels` and `names` are of the usable ones."""

    genuine: Genuine | None
    labels: tuple[str, ...]
    names: tuple[str, ...]
    failed: tuple[ProbePhoto, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """All that was measured. `threshold` is the set one; `curve` has the thresholds of the drawn curves."""

    point: OperatingPoint
    threshold: float
    model: str
    curve: Floats
    probes: ProbeReport | None

    @property
    def genuine(self) -> Genuine | None:
        return self.probes.genuine if self.probes else None

    def rows_of_curve(self) -> tuple[Row, ...]:
        """Return the rates along the curve."""
        return rate_rows(self.point.scan, self.curve.tolist(), self._asked_people, self.point.tail)

    @property
    def _asked_people(self) -> int | None:
        return None if self.point.people == self.point.members else self.point.people

    def row_at(self, threshold: float) -> Row | None:
        """Return the rates at any threshold; None beyond the known pairs, unless it is one of the shown ones."""
        shown = next((row for row in self.point.rows if row.distance == threshold), None)
        if shown is not None or threshold > self.point.scan.pairs.complete_to:
            return shown
        return rate_rows(self.point.scan, [threshold], self._asked_people, self.point.tail)[0]


def advised_threshold(recommended: Recommendation) -> float | None:
    """Return the threshold to set, rounded down: the assured one, else the point; None where there is neither."""
    chosen = recommended.assured if recommended.assured is not None else recommended.point
    return None if chosen is None or chosen <= 0 else math.floor(chosen * SETTING_STEP) / SETTING_STEP


def say_rate(rate: float) -> str:
    """Return a rate as a percentage of two digits: «1,2 %», «0,0045 %»."""
    number = np.format_float_positional(100 * rate, precision=2, fractional=False, trim="-")
    return f"{number} %".replace(".", ",")


def say_figure(figure: Figure) -> str:
    """Return a rate with its interval, or its bound where there is no figure."""
    if figure.value is None:
        return f"menos de {say_rate(figure.high)}" if not figure.low else _say_between(figure.low, figure.high)
    return f"{say_rate(figure.value)} ({_say_between(figure.low, figure.high)}{BASES[figure.basis]})"


def _say_between(low: float, high: float) -> str:
    return f"de {say_rate(low).removesuffix(' %')} a {say_rate(high)}"


def operating_point_lines(measured: Measured, width: int | None = None) -> list[str]:
    """Return the table of rates, what it means in plain words, and the line for `.env`."""
    point = measured.point
    rows = [(_say_row(row, measured), say_figure(row.fmr), say_figure(row.fpir)) for row in point.rows]
    paragraphs = [*plain_words(measured), *genuine_words(measured), *CAVEATS]
    return [
        summary(measured),
        "",
        *in_columns(HEADINGS, rows, width),
        "",
        *(line for text in paragraphs for line in fold(text, width)),
        "",
        *(line for text in advice_words(measured) for line in fold(text, width)),
    ]


def _say_row(row: Row, measured: Measured) -> str:
    return say_distance(row.distance) + (" ← ahora" if row.distance == measured.threshold else "")


def summary(measured: Measured) -> str:
    """Return what was compared, and who was set aside."""
    point = measured.point
    text = f"📐 {inflect(point.pairs, '# pareja[s]')} de {inflect(point.members, '# persona[s]')}"
    if point.set_aside:
        text += inflect(len(point.set_aside), "; # apartada[s] por tener la foto de otra (vea --audit)")
    return f"{text}. FPIR para {inflect(point.people, '# persona[s] inscrita[s]')}."


def plain_words(measured: Measured) -> Iterator[str]:
    """Yield what the rates mean for an event: at the set threshold, at DeepFace's, at the advised one."""
    names = {measured.threshold: "el de ahora"}
    usual = DEEPFACE_THRESHOLDS.get(measured.model)
    if usual is not None:
        names.setdefault(usual, f"el de DeepFace para {measured.model}")
    advised = advised_threshold(measured.point.recommended)
    if advised is not None:
        names[advised] = f"{names[advised]} y el aconsejado" if advised in names else "el aconsejado"
    for threshold, name in sorted(names.items(), reverse=True):
        row = measured.row_at(threshold)
        if row is not None:
            yield f"Con {say_distance(threshold)} ({name}): {_say_strangers(row.fpir, measured.point.people)}"


def _say_strangers(fpir: Figure, people: int) -> str:
    of_all = f"sería[n] tomado[s] por una de las {people} personas inscritas."
    low, high = (round(PER * rate) for rate in (fpir.low, fpir.high))
    if fpir.value is None:
        bound = f"menos de {math.ceil(PER * fpir.high)}" if not fpir.low else f"entre {low} y {high}"
        return f"de cada {PER} desconocidos ante la cámara, {bound} " + inflect(2, of_all)
    expected = round(PER * fpir.value)
    about = f"unos {expected} (entre {low} y {high})" if expected else f"menos de 1 (a lo más {high})"
    return f"de cada {PER} desconocidos ante la cámara, {about} " + inflect(2, of_all)


def genuine_words(measured: Measured) -> Iterator[str]:
    probes = measured.probes
    for photo in probes.failed if probes else ():
        if photo.error is not None:
            yield f"⚠️  {printable(photo.name)}: {photo.error.title}"
    genuine = measured.genuine
    if genuine is None or probes is None:
        return
    yield (
        f"Fotos de prueba: {inflect(genuine.people, '# persona[s] inscrita[s]')} y "
        f"{inflect(genuine.strangers, '# desconocida[s]')}. "
        + (f"La persona correcta salió primera en el {_say_estimate(genuine.rank_1)}." if genuine.rank_1 else "")
    )
    row = next(each for each in genuine.rows if each.distance == measured.threshold)
    if row.fnir is not None:
        missed = [_say_probe(probes, each) for each in genuine.missed(measured.threshold)]
        who = f": {say_some(missed, SHOWN_MISSED)}" if missed else ""
        yield f"Con {say_distance(measured.threshold)} no se reconoce el {_say_estimate(row.fnir)}{who}."
    if row.fpir is not None:
        yield f"De las fotos de desconocidos, el {_say_estimate(row.fpir)} se toma por alguien."


def _say_estimate(estimate: Estimate) -> str:
    return f"{say_rate(estimate.value)} ({_say_between(estimate.low, estimate.high)})"


def _say_probe(probes: ProbeReport, searched: Searched) -> str:
    return f"{printable(probes.labels[searched.probe])} ({printable(probes.names[searched.probe])})"


def advice_words(measured: Measured) -> Iterator[str]:
    """Yield what to set and how sure that is; the last one is the line for `.env`."""
    recommended = measured.point.recommended
    wish = say_rate(recommended.target_fpir)
    advised = advised_threshold(recommended)
    if advised is None:
        yield (
            f"Con estas personas no se puede asegurar que menos del {wish} de los desconocidos se confunda; lo más que "
            f"se puede asegurar es {say_rate(recommended.smallest_assured)} (--target-fpir)."
        )
        yield f"FACE_DISTANCE_THRESHOLD={measured.threshold:g}"
        return
    if recommended.assured is not None:
        point = f" (estimado: {say_distance(recommended.point)})" if recommended.point is not None else ""
        yield f"Para que a lo más el {wish} de los desconocidos se tome por alguien, asegurado al 95 %{point}:"
    else:
        yield (
            f"Para que cerca del {wish} de los desconocidos se tome por alguien. No está asegurado: en la mitad de las "
            f"galerías resultan más. Asegurar se puede desde {say_rate(recommended.smallest_assured)}:"
        )
    yield f"FACE_DISTANCE_THRESHOLD={advised:g}"


def operating_point_document(measured: Measured) -> dict[str, Any]:
    """Return what was measured, ready to serialise. Its keys are stable."""
    point = measured.point
    return {
        "members": point.members,
        "pairs": point.pairs,
        "people": point.people,
        "set_aside": len(point.set_aside),
        "rows": [*map(_describe_row, point.rows)],
        "rows_with_all": [*map(_describe_row, point.rows_with_all)],
        "recommended": _describe_recommendation(point.recommended),
        "recommended_with_all": _describe_recommendation(point.recommended_with_all),
        "genuine": _describe_genuine(measured),
    }


def _describe_row(row: Row) -> dict[str, Any]:
    return {"distance": row.distance, "fmr": _describe_figure(row.fmr), "fpir": _describe_figure(row.fpir)}


def _describe_figure(figure: Figure) -> dict[str, Any]:
    return {"value": figure.value, "low": figure.low, "high": figure.high, "basis": figure.basis.value}


def _describe_recommendation(recommended: Recommendation) -> dict[str, Any]:
    return {
        "target_fpir": recommended.target_fpir,
        "point": recommended.point,
        "assured": recommended.assured,
        "smallest_assured": recommended.smallest_assured,
    }


def _describe_genuine(measured: Measured) -> dict[str, Any] | None:
    genuine, probes = measured.genuine, measured.probes
    if genuine is None or probes is None:
        return None
    missed = genuine.missed(measured.threshold)
    return {
        "people": genuine.people,
        "strangers": genuine.strangers,
        "rank_1": _describe_estimate(genuine.rank_1),
        "rows": [
            {
                "distance": row.distance,
                "fnmr": _describe_estimate(row.fnmr),
                "fnir": _describe_estimate(row.fnir),
                "fpir": _describe_estimate(row.fpir),
                "fmr": row.fmr,
            }
            for row in genuine.rows
        ],
        "missed": [
            {"crew_id": as_utf8(probes.labels[each.probe]), "photo": as_utf8(probes.names[each.probe])}
            for each in missed
        ],
    }


def _describe_estimate(estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else {"value": estimate.value, "low": estimate.low, "high": estimate.high}
