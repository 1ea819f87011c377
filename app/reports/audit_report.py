"""What `--audit` found, as lines for the console, as a document, and as a page with the faces side by side."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.core.spanish import inflect, say_some
from app.core.text import as_utf8, printable
from app.errors import SharedPhoto
from app.recognition.audit import NEAR, SAME_FILE, SAME_PICTURE, Audit, Confused, Finding
from app.reports.console import fold, in_columns
from app.reports.faces_page import Card, FacesPage, Section, ShownFace, say_distance

DECIMALS = 6  # of a distance, as in every document
SHOWN_LINES, SHOWN_CARDS, SHOWN_PEOPLE, SHOWN_CONFUSED = 30, 200, 12, 20
HEADINGS = ("Qué", "Distancia", "Personas")
TITLES = {
    SAME_FILE: "El mismo archivo",
    SAME_PICTURE: "La misma foto, en otro archivo",
    NEAR: "Se parecen demasiado",
}
PURPOSES = {
    SAME_FILE: "Varias personas tienen exactamente el mismo archivo.",
    SAME_PICTURE: "Varias personas tienen la misma foto: recortada, con un rótulo, en espejo o guardada de nuevo.",
    NEAR: "El programa no puede saber si son la misma persona con dos identificadores o dos que se parecen: mírelas.",
}
ADVICE = {
    SAME_FILE: SharedPhoto.advice,
    SAME_PICTURE: SharedPhoto.advice,
    NEAR: "Si es la misma persona, deje un solo identificador en el padrón. Si una foto es de otra persona, cámbiela. "
    "Si son dos que se parecen, repita la orden con --accept {}.",
}
CONFUSED = (
    "Quiénes se confunden con más gente",
    "Una foto mejor de estas pocas personas es lo que más mejora el reconocimiento.",
    "Tome otra foto: de frente, de cerca, con buena luz.",
)


@dataclass(frozen=True, slots=True, eq=False)
class AuditReport:
    """An audit with the members' ids and names, by place in the gallery."""

    audit: Audit
    crew_ids: Sequence[str]
    names: Sequence[str]

    def label(self, place: int) -> str:
        """Return the member as people know them: «Ana Paz (100001)»."""
        crew_id, name = printable(self.crew_ids[place]), printable(self.names[place])
        return crew_id if name in ("", crew_id) else f"{name} ({crew_id})"

    def advice(self, finding: Finding) -> str:
        return ADVICE[finding.kind].format(" ".join(_as_word(self.crew_ids[place]) for place in finding.places[:2]))

    def confused(self) -> list[Confused]:
        """Return those who are confused with several people, those with most first."""
        return [each for each in self.audit.most_confused if each.within > 1]


def _as_word(crew_id: str) -> str:
    """Return an id as a shell passes it on; after a space, which ids never begin with, it is no option."""
    text = printable(crew_id)
    return shlex.quote(f" {text}" if text.startswith("-") else text)


def audit_lines(report: AuditReport, width: int | None = None) -> list[str]:
    """Return the findings, the most suspicious first, what to do about each kind, and who is confused most."""
    audit = report.audit
    rows = [
        (TITLES[each.kind], say_distance(each.distance), say_some([*map(report.label, each.places)], SHOWN_PEOPLE))
        for each in audit.findings[:SHOWN_LINES]
    ]
    more = len(audit.findings) - len(rows)
    return [
        *fold(_sentence(audit), width),
        *(["", *in_columns(HEADINGS, rows, width)] if rows else []),
        *([f"… y {more} más: todas en la página y en --json."] if more else []),
        *(["", *_what_to_do(report, width)] if rows else []),
        *(line for text in (*_most_confused(report), *_notes(audit)) for line in fold(text, width)),
    ]


def _sentence(audit: Audit) -> str:
    compared = inflect(audit.pairs, "# pareja[s] comparada[s]")
    found = inflect(len(audit.findings), "# hallazgo[s]") if audit.findings else "nada que mirar"
    return f"🔎 {compared} con umbral {say_distance(audit.threshold)}: {found}."


def _what_to_do(report: AuditReport, width: int | None) -> Iterator[str]:
    for kind, title in TITLES.items():
        first = next((each for each in report.audit.findings if each.kind == kind), None)
        if first is not None:
            yield from fold(f"{title}. {report.advice(first)}", width, "   ")


def _most_confused(report: AuditReport) -> Iterator[str]:
    shown = [f"{report.label(each.place)}: {each.within}" for each in report.confused()]
    if shown:
        yield ""
        yield f"{CONFUSED[0]}: {say_some(shown, SHOWN_PEOPLE)}."


def _notes(audit: Audit) -> Iterator[str]:
    if audit.accepted:
        yield inflect(audit.accepted, "# pareja[s] que ya se [dio|dieron] por buena[s] no se [muestra|muestran].")
    if audit.left_out:
        yield (
            inflect(audit.left_out, "⚠️  # pareja[s] más dentro del umbral no se muestra[n]: ")
            + "con un umbral tan alto son demasiadas para mirarlas. Vea --operating-point."
        )


def audit_document(report: AuditReport) -> dict[str, Any]:
    """Return the audit, ready to serialise. Its keys are stable."""
    audit, ids = report.audit, [as_utf8(crew_id) for crew_id in report.crew_ids]
    return {
        "members": audit.members,
        "pairs": audit.pairs,
        "threshold": audit.threshold,
        "findings": [
            {
                "kind": each.kind,
                "crew_ids": [ids[place] for place in each.places],
                "distance": round(each.distance, DECIMALS),
            }
            for each in audit.findings
        ],
        "most_confused": [{"crew_id": ids[each.place], "within": each.within} for each in audit.most_confused],
        "accepted": audit.accepted,
        "left_out": audit.left_out,
    }


def places_to_show(audit: Audit) -> set[int]:
    """Return the members whose faces the page shows."""
    shown = {place for finding in audit.findings[:SHOWN_CARDS] for place in finding.places[:SHOWN_PEOPLE]}
    return shown | {each.place for each in audit.most_confused[:SHOWN_CONFUSED]}


def audit_page(report: AuditReport, pictures: Mapping[str, bytes]) -> FacesPage:
    """Return the page. `pictures`: the members' faces, by crew id."""
    audit = report.audit
    more = len(audit.findings) - SHOWN_CARDS
    return FacesPage(
        title="Revisión de la galería",
        sentence=_sentence(audit).removeprefix("🔎 "),
        figures=tuple((TITLES[kind], sum(each.kind == kind for each in audit.findings)) for kind in TITLES),
        notes=(*([f"Se muestran las {SHOWN_CARDS} primeras; hay {more} más."] if more > 0 else []), *_notes(audit)),
        sections=tuple(_sections(report, pictures)),
    )


def _sections(report: AuditReport, pictures: Mapping[str, bytes]) -> Iterator[Section]:
    shown = report.audit.findings[:SHOWN_CARDS]
    for kind, title in TITLES.items():
        cards = tuple(_card(report, each, pictures) for each in shown if each.kind == kind)
        if cards:
            yield Section(title, PURPOSES[kind], cards)
    confused = report.confused()[:SHOWN_CONFUSED]
    if confused:
        heading, purpose, advice = CONFUSED
        cards = tuple(
            Card("warn", f"Cerca de {each.within} personas", "", advice, (_face(report, each.place, pictures),))
            for each in confused
        )
        yield Section(heading, purpose, cards)


def _card(report: AuditReport, finding: Finding, pictures: Mapping[str, bytes]) -> Card:
    faces = [_face(report, place, pictures) for place in finding.places[:SHOWN_PEOPLE]]
    more = len(finding.places) - len(faces)
    detail = f"Y {inflect(more, '# persona[s] más')}." if more > 0 else ""
    title = " · ".join(face.name for face in faces[:2])
    kind = "warn" if finding.kind == NEAR else "bad"
    return Card(kind, title, detail, report.advice(finding), tuple(faces), round(finding.distance, DECIMALS))


def _face(report: AuditReport, place: int, pictures: Mapping[str, bytes]) -> ShownFace:
    crew_id = report.crew_ids[place]
    return ShownFace(report.names[place], crew_id, pictures.get(crew_id, b""))
