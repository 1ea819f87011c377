"""What `--operating-point` measured, as lines for the console and as a document."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.core.spanish import inflect, say_some
from app.core.text import as_utf8, printable
from app.pipeline.probe_photos import ProbePhoto
from app.recognition.distances import Floats
from app.recognition.genuine import Genuine, ProbeRow, Searched
from app.recognition.match import accepted_distance, confidence_of
from app.recognition.operating_point import Basis, Figure, OperatingPoint, Row, rate_rows
from app.recognition.rates import Estimate
from app.recognition.wished_threshold import Recommendation
from app.reports.console import fold, in_columns
from app.reports.faces_page import say_distance

DEEPFACE_THRESHOLDS = {"Facenet512": 0.30, "Facenet": 0.40, "Dlib": 0.07}  # DeepFace 0.0.103's own, by model
PER = 1000  # strangers, in sentences
SHOWN_MISSED = 12
SET_ASIDE = "duplicate"  # in place of an error's code: the person has another one's picture in the gallery
CURVE_STEPS = 100
BELOW_DIGITS = 6  # what is beyond is rounding
SETTING_STEP, DIGITS_BELOW_STEP = 1000, 3  # of the advised setting: three decimals, rounded down; distances have six
CONFIDENCE_STEP = 100
HEADINGS = ("Distancia", "Dos personas al azar (FMR)", "Un desconocido (FPIR)")
BASES = {Basis.MEASURED: "", Basis.EXTRAPOLATED: ", extrapolado", Basis.REFUSED: ""}
CAVEATS = (
    "Las fotos del padrón suelen ser mejores que las del evento: con caras mal iluminadas habrá algunos errores más.",
    "Dos hermanos que trabajan juntos no son desconocidos al azar: se confunden más de lo que dicen estas cifras.",
    "Lo asegurado al 95 % mira solo el lado de arriba; los intervalos tienen dos lados, y su extremo es algo mayor.",
)


@dataclass(frozen=True, slots=True, eq=False)
class NotUsed:
    """A labelled photo that the rates leave out: no face could be had from it, or its person was set aside."""

    label: str
    photo: ProbePhoto

    @property
    def code(self) -> str:
        return self.photo.error.code if self.photo.error else SET_ASIDE


@dataclass(frozen=True, slots=True, eq=False)
class ProbeReport:
    """What labelled photos said (None: none was usable). `labels` and `names` are of the usable ones."""

    genuine: Genuine | None
    labels: tuple[str, ...]
    names: tuple[str, ...]
    not_used: tuple[NotUsed, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """All that was measured. `threshold` is what the two settings amount to now, `advised` the one to set; `curve` has
    the thresholds of the drawn curves."""

    point: OperatingPoint
    threshold: float
    least_confidence: float
    model: str
    advised: float | None
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


def curve_up_to(threshold: float) -> Floats:
    """Return the thresholds of the drawn curves."""
    return np.linspace(0, threshold, CURVE_STEPS + 1)[1:].round(6)


def advised_threshold(point: OperatingPoint, threshold: float) -> float | None:
    """Return the threshold to set, rounded down: the assured one; where the wish cannot be assured, the safest one, so
    that a stricter wish never gives a laxer threshold. None where there is neither.

    Without assurance it is never above the set `threshold`: that nobody was confused with anybody among few people is
    no reason to let more strangers pass.
    """
    recommended = point.recommended
    chosen = recommended.assured
    if chosen is None and recommended.safest is not None:
        chosen = min(recommended.safest, threshold)
    if chosen is None:
        return None
    return math.floor(round(chosen * SETTING_STEP, DIGITS_BELOW_STEP)) / SETTING_STEP or None


def say_rate(rate: float) -> str:
    """Return a rate as a percentage of two digits, or of as many as tell it from all: «1,2 %», «0,0045 %», «99,8 %»."""
    number = np.format_float_positional(100 * rate, precision=2, fractional=False, trim="-")
    if number == "100" and rate < 1:
        number = f"{100 * rate:.{-math.floor(math.log10(100 - 100 * rate))}f}"
    return f"{number} %".replace(".", ",")


def say_bound(rate: float) -> str:
    """Return a rate that is not exceeded as a percentage of two digits, rounded up."""
    if rate <= 0:
        return say_rate(0)
    step = 10.0 ** (math.floor(math.log10(rate)) - 1)
    return say_rate(min(1.0, math.ceil(round(rate / step, BELOW_DIGITS)) * step))


def say_figure(figure: Figure) -> str:
    """Return a rate with its interval, or its bound where there is no figure."""
    if figure.value is None:
        if (figure.low, figure.high) == (0, 1):
            return "no se sabe"
        return f"menos de {say_bound(figure.high)}" if not figure.low else _say_between(figure.low, figure.high)
    return f"{say_rate(figure.value)} ({_say_between(figure.low, figure.high)}{BASES[figure.basis]})"


def _say_between(low: float, high: float) -> str:
    return f"de {say_rate(low).removesuffix(' %')} a {say_rate(high)}"


def operating_point_lines(measured: Measured, width: int | None = None) -> list[str]:
    """Return the table of rates, what it means in plain words, and the line for `.env`."""
    point = measured.point
    rows = [(_say_row(row, measured), say_figure(row.fmr), say_figure(row.fpir)) for row in point.rows]
    paragraphs = [*plain_words(measured), *genuine_words(measured), *CAVEATS]
    return [
        *fold(summary(measured), width),
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
        aside = inflect(len(point.set_aside), "# apartada[s] por tener la foto de otra")
        text += f"; {aside} (vea --audit; aquí también cuentan las que aceptó)"
    return f"{text}. FPIR para {inflect(point.people, '# persona[s] inscrita[s]')}."


def plain_words(measured: Measured) -> Iterator[str]:
    """Yield what the rates mean for an event: at the set threshold, at DeepFace's, at the advised one."""
    names = {measured.threshold: "el de ahora"}
    usual = DEEPFACE_THRESHOLDS.get(measured.model)
    if usual is not None:
        names.setdefault(usual, f"el de DeepFace para {measured.model}")
    advised = measured.advised
    if advised is not None:
        names[advised] = f"{names[advised]} y el aconsejado" if advised in names else "el aconsejado"
    for threshold, name in sorted(names.items(), reverse=True):
        row = measured.row_at(threshold)
        if row is not None:
            yield f"Con {say_distance(threshold)} ({name}): {say_taken(row.fpir, measured.point.people)}"


def say_taken(fpir: Figure, people: int) -> str:
    """Return what FPIR means before the camera, in whole strangers."""
    if fpir.value is None and math.ceil(PER * fpir.high) >= PER and not fpir.low:
        return "con tan poca gente no se puede decir cuántos desconocidos serían tomados por una de ellas."
    number, words = _count_strangers(fpir)
    taken = "sería tomado" if number == 1 else "serían tomados"
    against = "la única persona inscrita" if people == 1 else f"una de las {people} personas inscritas"
    return f"de cada {PER} desconocidos ante la cámara, {words} {taken} por {against}."


def _count_strangers(fpir: Figure) -> tuple[int, str]:
    """Return how many of PER strangers are taken for somebody, in words, after the last number in these words: it
    decides between singular and plural."""
    low, high = (round(PER * rate) for rate in (fpir.low, fpir.high))
    if fpir.value is None:
        bound = math.ceil(PER * fpir.high)
        return (bound, f"menos de {bound}") if not fpir.low else (high, f"entre {low} y {high}")
    expected = round(PER * fpir.value)
    if expected:
        return expected, f"{'' if expected == 1 else 'unos '}{expected} (entre {low} y {high})"
    return 1, f"menos de 1 (a lo más {high})"


def genuine_words(measured: Measured) -> Iterator[str]:
    probes = measured.probes
    if probes is None:
        return
    yield from _say_not_used(probes)
    genuine = probes.genuine
    if genuine is None:
        return
    strangers = dict.fromkeys(probes.labels[each.probe] for each in genuine.searches if each.own_distance is None)
    who = f" ({printable(say_some([*strangers], SHOWN_MISSED))})" if strangers else ""
    first = f" La persona correcta salió primera en el {_say_estimate(genuine.rank_1)}." if genuine.rank_1 else ""
    yield (
        f"Fotos de prueba: {inflect(genuine.people, '# persona[s] inscrita[s]')} y "
        f"{inflect(genuine.strangers, '# desconocida[s]')}{who}.{first}"
    )
    thresholds = sorted({measured.threshold, measured.advised or measured.threshold}, reverse=True)
    for row in (each for at in thresholds for each in genuine.rows if each.distance == at):
        with_it = f"Con {say_distance(row.distance)}"
        if row.fnir is not None:
            missed = [_say_probe(probes, each) for each in genuine.missed(row.distance)]
            who = f": {say_some(missed, SHOWN_MISSED)}" if missed else ""
            yield f"{with_it} no se reconoce el {_say_estimate(row.fnir)}{who}."
        if row.fpir is not None:
            yield f"{with_it} se toma por alguien el {_say_estimate(row.fpir)} de las fotos de desconocidos."


def _say_not_used(probes: ProbeReport) -> Iterator[str]:
    """Yield what is wrong with each photo, and what the rates leave out because of it: they are of the others only."""
    for photo in (each.photo for each in probes.not_used):
        if photo.error is not None:
            detail = f" ({printable(photo.error.detail)})" if photo.error.detail else ""
            yield f"⚠️  {printable(photo.name)}: {photo.error.title}{detail}"
    without_face = [each for each in probes.not_used if each.code != SET_ASIDE]
    set_aside = [each for each in probes.not_used if each.code == SET_ASIDE]
    if without_face:
        untested = {each.label for each in without_face}.difference(probes.labels)
        who = f"; personas que así no se probaron: {_say_labels(untested)}" if untested else ""
        counted = inflect(len(without_face), "# foto[s] de prueba sin una cara utilizable no cuenta[n] en estas cifras")
        yield f"{counted}{who}."
    if set_aside:
        counted = inflect(len(set_aside), "# foto[s] de prueba no cuenta[n] en estas cifras")
        who = _say_labels({each.label for each in set_aside})
        yield f"{counted}: en el padrón, quien sale en ellas tiene la foto de otra persona ({who})."


def _say_labels(labels: Collection[str]) -> str:
    return printable(say_some(sorted(labels), SHOWN_MISSED))


def _say_estimate(estimate: Estimate) -> str:
    return f"{say_rate(estimate.value)} ({_say_between(estimate.low, estimate.high)})"


def _say_probe(probes: ProbeReport, searched: Searched) -> str:
    return f"{printable(probes.labels[searched.probe])} ({printable(probes.names[searched.probe])})"


def advice_words(measured: Measured) -> Iterator[str]:
    """Yield what to set and how sure that is; the last one is the line for `.env`, or two where the confidence that is
    set would overrule the advised distance."""
    recommended, advised = measured.point.recommended, measured.advised
    wish, least = say_rate(recommended.target_fpir), say_bound(recommended.smallest_assured)
    point = f" (estimado: {say_distance(recommended.point)})" if recommended.point is not None else ""
    if recommended.assured is not None:
        yield f"Para que a lo más el {wish} de los desconocidos se tome por alguien, asegurado al 95 %{point}:"
    else:
        who = f"Con {inflect(measured.point.members, '# persona[s]')} no se puede asegurar"
        yield f"{who} que a lo más el {wish} de los desconocidos se tome por alguien{point}."
    if advised is None:
        yield "No hay ningún umbral que aconsejar. Este es el de ahora, no un consejo:"
        yield f"FACE_DISTANCE_THRESHOLD={measured.threshold:g}"
        return
    if recommended.assured is None:
        safest = "Lo más prudente es un umbral sin ninguna pareja dentro"
        yield f"{safest}, que asegura menos del {least}." if recommended.smallest_assured < 1 else f"{safest}."
    if advised < measured.threshold and measured.genuine is None:
        yield "Un umbral menor también reconoce a menos gente: compruébelo con --probes."
    yield f"FACE_DISTANCE_THRESHOLD={advised:g}"
    if accepted_distance(advised, measured.least_confidence) < advised:
        yield f"FACE_CONFIDENCE_THRESHOLD={math.floor(confidence_of(advised) * CONFIDENCE_STEP) / CONFIDENCE_STEP:g}"


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
        "advised": measured.advised,
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
    if probes is None:
        return None
    missed = genuine.missed(measured.threshold) if genuine else ()
    return {
        "people": genuine.people if genuine else 0,
        "strangers": genuine.strangers if genuine else 0,
        "rank_1": _describe_estimate(genuine.rank_1) if genuine else None,
        "rows": [*map(_describe_probe_row, genuine.rows if genuine else ())],
        "missed": [
            {"crew_id": as_utf8(probes.labels[each.probe]), "photo": as_utf8(probes.names[each.probe])}
            for each in missed
        ],
        "not_used": [
            {"crew_id": as_utf8(each.label), "photo": as_utf8(each.photo.name), "code": each.code}
            for each in probes.not_used
        ],
    }


def _describe_probe_row(row: ProbeRow) -> dict[str, Any]:
    return {
        "distance": row.distance,
        "fnmr": _describe_estimate(row.fnmr),
        "fnir": _describe_estimate(row.fnir),
        "fpir": _describe_estimate(row.fpir),
        "fmr": row.fmr,
    }


def _describe_estimate(estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else {"value": estimate.value, "low": estimate.low, "high": estimate.high}
