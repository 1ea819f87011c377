"""The answers of `--match` as lines for the console, as a document, and as a page with the faces side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.spanish import inflect, say_all
from app.core.text import as_utf8, printable
from app.pipeline.probe_photos import ProbePhoto
from app.recognition.match import AMBIGUOUS, RECOGNISED, UNKNOWN, Candidate, Match, MatchRules, Strangers, repeated
from app.reports.console import fold, in_columns
from app.reports.faces_page import Card, FacesPage, Section, ShownFace, say_confidence, say_distance

DECIMALS = 6  # of a distance, as in every document
VERDICTS = {RECOGNISED: "✅ reconocida", AMBIGUOUS: "❓ dudosa", UNKNOWN: "❌ desconocida"}
COUNTED = {
    RECOGNISED: "# reconocida[s]",
    AMBIGUOUS: "# dudosa[s]",
    UNKNOWN: "# desconocida[s]",
}
PLURALS = {RECOGNISED: "Reconocidas", AMBIGUOUS: "Dudosas", UNKNOWN: "Desconocidas"}
TITLES = {
    RECOGNISED: "Reconocida",
    AMBIGUOUS: "Dudosa: dos personas se parecen casi igual",
    UNKNOWN: "Desconocida: nadie queda bastante cerca",
}
ADVICE = {
    RECOGNISED: "",
    AMBIGUOUS: "Compare las caras: decide una persona, no el programa.",
    UNKNOWN: "Si es de la organización, revise su foto en el padrón, o pida una mejor.",
}
RARE = 10  # of so many strangers one: a rounded fraction says enough
SHARE_OF_NAME, LEAST_END = 5, 12  # of a terminal's width, and characters: a photo's name
HEADINGS = ("Foto", "Cara", "Respuesta", "Persona", "Distancia", "Confianza", "Desconocidos igual de cerca")


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """All that `--match` found out. `matches` has those of each photo's faces, in their order; `crew_ids` and `names`
    are the members', by place in the gallery."""

    photos: Sequence[ProbePhoto]
    matches: Sequence[Sequence[Match]]
    crew_ids: Sequence[str]
    names: Sequence[str]
    rules: MatchRules
    strangers: Strangers
    model: str

    def of_photos(self) -> Iterator[tuple[ProbePhoto, Sequence[Match]]]:
        return zip(self.photos, self.matches, strict=True)


def match_lines(answers: Answers, width: int | None = None) -> list[str]:
    """Return one row for each face and further candidate, then what to know about single photos."""
    cut = None if width is None else max(LEAST_END, width // SHARE_OF_NAME)
    rows = [row for photo, matches in answers.of_photos() for row in _rows(answers, photo, matches, cut)]
    verdicts = [each.verdict for matches in answers.matches for each in matches]
    counted = ", ".join(inflect(verdicts.count(verdict), words) for verdict, words in COUNTED.items())
    return [
        *(["", *in_columns(HEADINGS, rows, width, cut_to_fit=True), ""] if rows else []),
        *(line for notice in _notices(answers) for line in fold(notice, width, "   ")),
        *fold(
            f"{inflect(len(verdicts), '# cara[s]')} en {inflect(len(answers.photos), '# foto[s]')}: {counted}.", width
        ),
        *fold(_say_rules(answers), width),
    ]


def _rows(answers: Answers, photo: ProbePhoto, matches: Sequence[Match], cut: int | None) -> Iterator[tuple[str, ...]]:
    """Yield the rows of a photo; of a name of more than `cut` characters its end is shown."""
    name = printable(photo.name)
    shown_name = name if cut is None or len(name) <= cut else f"…{name[1 - cut :]}"
    for number, match in enumerate(matches, start=1):
        for place, candidate in enumerate(_shown(match, answers.rules)):
            head = (shown_name, str(number), VERDICTS[match.verdict]) if place == 0 else ("", "", "")
            yield (
                *head,
                printable(_who(answers, candidate)),
                say_distance(candidate.distance),
                say_confidence(candidate.confidence),
                say_strangers(match, answers.strangers) if place == 0 else "",
            )


def _shown(match: Match, rules: MatchRules) -> Sequence[Candidate]:
    """Return the candidates that the service would take into account, and the first two where it is a close thing."""
    least = 2 if match.verdict == AMBIGUOUS else 1
    return [each for place, each in enumerate(match.candidates) if place < least or each.distance <= rules.threshold]


def _who(answers: Answers, candidate: Candidate) -> str:
    crew_id, name = answers.crew_ids[candidate.place], answers.names[candidate.place]
    return crew_id if name in ("", crew_id) else f"{name} ({crew_id})"


def say_strangers(match: Match, strangers: Strangers) -> str:
    """Return how many strangers would find a member as near: «1 de 400», «menos de 1 de 1000». A share of more than one
    in RARE is given as it was counted, «3 de 6», so that people see how many were asked."""
    asked, near = len(strangers.distances), match.as_near
    if not asked:
        return ""
    if not near:
        return f"menos de 1 de {asked}"
    return f"1 de {round(asked / near)}" if near * RARE <= asked else f"{near} de {asked}"


def _notices(answers: Answers) -> Iterator[str]:
    for photo, matches in answers.of_photos():
        if photo.error is not None:
            detail = f" ({printable(photo.error.detail)})" if photo.error.detail else ""
            yield f"⚠️  {printable(photo.name) or '«»'}: {photo.error.title}{detail}"
        twice = [answers.crew_ids[place] for place in sorted(repeated(matches))]
        if twice:
            yield f"⚠️  {printable(photo.name)}: varias caras llevan a la misma persona: {printable(say_all(twice))}"


def _say_rules(answers: Answers) -> str:
    hidden = answers.rules.most == 1 and any(each.verdict == AMBIGUOUS for found in answers.matches for each in found)
    measured = "medida en su galería" if answers.strangers.is_measured else "por omisión: hay poca gente para medirla"
    return (
        f"Umbral {say_distance(answers.rules.threshold)}; dudosa si la segunda persona queda a menos de "
        f"{say_distance(answers.strangers.margin)} de la primera ({measured})."
        + (" Para ver a esa segunda, suba MAX_FACE_MATCHES." if hidden else "")
    )


def match_document(answers: Answers, *, interrupted: bool) -> dict[str, Any]:
    """Return the answers, ready to serialise. Its keys are stable."""
    return {
        "interrupted": interrupted,
        "gallery": {
            "members": len(answers.crew_ids),
            "model": answers.model,
            "threshold": answers.rules.threshold,
            "margin": round(answers.strangers.margin, DECIMALS),
            "strangers": len(answers.strangers.distances),
        },
        "faces": [
            _describe(answers, photo, place, match)
            for photo, matches in answers.of_photos()
            for place, match in enumerate(matches)
        ],
        "photos": [
            {
                "photo": as_utf8(photo.name),
                "faces": len(photo.faces),
                "code": photo.error.code if photo.error else None,
                "repeated": [as_utf8(answers.crew_ids[place]) for place in sorted(repeated(matches))],
            }
            for photo, matches in answers.of_photos()
        ],
    }


def _describe(answers: Answers, photo: ProbePhoto, place: int, match: Match) -> dict[str, Any]:
    return {
        "photo": as_utf8(photo.name),
        "box": photo.faces[place].box,
        "verdict": match.verdict,
        "strangers_as_near": match.as_near,
        "candidates": [
            {
                "crew_id": as_utf8(answers.crew_ids[each.place]),
                "distance": round(each.distance, DECIMALS),
                "confidence": round(each.confidence, DECIMALS),
            }
            for each in match.candidates
        ],
    }


def match_page(answers: Answers, pictures: Mapping[str, bytes]) -> FacesPage:
    """Return the page: each face beside its candidates. `pictures`: the members' faces, by crew id."""
    verdicts = [each.verdict for matches in answers.matches for each in matches]
    return FacesPage(
        title="Quién sale en las fotos",
        sentence=f"{inflect(len(verdicts), '# cara[s]')} en {inflect(len(answers.photos), '# foto[s]')}",
        figures=tuple((PLURALS[verdict], verdicts.count(verdict)) for verdict in VERDICTS),
        notes=(*_notices(answers), _say_rules(answers)),
        sections=tuple(
            Section(photo.name, "", tuple(_cards(answers, photo, matches, pictures)))
            for photo, matches in answers.of_photos()
            if matches
        ),
    )


def _cards(
    answers: Answers, photo: ProbePhoto, matches: Sequence[Match], pictures: Mapping[str, bytes]
) -> Iterator[Card]:
    kinds = {RECOGNISED: "good", AMBIGUOUS: "warn", UNKNOWN: "bad"}
    for number, (face, match) in enumerate(zip(photo.faces, matches, strict=True), start=1):
        shown = [
            ShownFace(
                answers.names[each.place],
                answers.crew_ids[each.place],
                pictures.get(answers.crew_ids[each.place], b""),
                round(each.distance, DECIMALS),
                round(each.confidence, DECIMALS),
                is_far=each.distance > answers.rules.threshold,
            )
            for each in match.candidates
        ]
        strangers = say_strangers(match, answers.strangers)
        detail = f"Desconocidos igual de cerca: {strangers}." if strangers else ""
        asked = ShownFace(f"Cara {number}", "", face.picture)
        yield Card(kinds[match.verdict], TITLES[match.verdict], detail, ADVICE[match.verdict], (asked, *shown))
