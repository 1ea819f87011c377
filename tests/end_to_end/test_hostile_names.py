"""Names as an attacker would choose them, in every place where the program shows or uses them. Hypothesis tries
what holds for any text on many."""

from __future__ import annotations

import csv
import io
import itertools
import logging
import re
import sys
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from app.cli.commands.forget import forgotten_lines
from app.core.config import PhotoSettings
from app.core.logs import LogOptions, Personal, configure_logs
from app.core.text import printable
from app.errors import BadName, MemberNotProcessable, PhotoNotFound, PhotoUnavailable
from app.faces.quality import COMPONENTS
from app.photos.folder_source import FolderSource
from app.photos.temp_folder import TempFolder
from app.photos.urls import photo_url
from app.planning.decisions import Case, Decision
from app.planning.plan import Plan
from app.planning.rules import Rules
from app.records import CrewMember, Failed, Outcome, Skipped, Stored, Version
from app.reports.console import complain, open_console
from app.reports.console_progress import ConsoleProgress
from app.reports.html_page import COLUMNS, listing, render
from app.reports.photo_review import Review, build_review
from app.reports.plan_report import plan_lines
from app.reports.run_summary import error_lines
from app.runs.outcomes import Outcomes
from app.runs.result import RunResult

# Text with a meaning for a terminal, a log, a page, a spreadsheet, a shell, a path or a URL.
PIECES = (
    *(
        "\x1b[2J",
        "\x1b]0;x\x07",
        "\x9b31m",
        "\x90",
        "\r",
        "\n",
        "\r\n",
        "\t",
        "\x00",
        "\x7f",
        "\x85",
        "\u2028",
        "\u2029",
    ),
    *("\u202a", "\u202e", "\u2066", "\u2069", "\u200b", "\u200d", "\ufeff", "\u00ad", "\U000e0041", "\ud800", "\x0c"),
    *("=1+1", "+1", "-1", "@SUM(A1)", "＝1", "－1", "﹦1", "−1", ";", ",", "|", '"', "'", '";=1', "\t=1", "\r=1"),
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</title>", "&lt;", "{{ 7*7 }}", "{% x %}", "-->"),
    *("../", "..", ".", "/etc/passwd", "\\", "%2e%2e%2f", "%00", "?x", "#x", "//h", "C:", "@h", "~", "．．／"),
    *("$(id)", "`id`", "; rm -rf ~", "%s", "%d", "{0}", "[red]", ":smile:", "Ñandú", "José", "李", " ", "2026-01-01"),
)
NAMES: SearchStrategy[str] = st.one_of(
    st.text(st.characters(exclude_categories=[]), max_size=12),
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join),
)
MEMBERS = st.builds(CrewMember, crew_id=NAMES, photo_name=NAMES, full_name=NAMES)
PLAIN = CrewMember("7", "a.jpg", "Ana Paz")
LIMITS = {component.name: (0.0, 0.0) for component in COMPONENTS}
RULES = Rules("Facenet512", "c1", 512, "j1", datetime(2026, 11, 22), timedelta(hours=20))
FORMULA = re.compile(r"[=+\-@＝＋－＠﹦﹢﹣﹫−\t\r]")
on_many = settings(
    max_examples=120, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def outcomes_of(member: CrewMember) -> list[Outcome]:
    """Return one outcome of each kind, with a name in the detail where there is one."""
    quoting = f"«{member.photo_name}» contiene una barra: {member.full_name}"
    return [
        Failed(member, "roster", "bad_name", quoting),
        Failed(member, "detect", "unexpected", f"OSError: {member.photo_name}"),
        Stored(member, 1),
        Skipped(member, "renamed"),
    ]


def review_of(member: CrewMember) -> Review:
    people = (replace(member, crew_id=f"{member.crew_id}{number}") for number in itertools.count())
    outcomes = Outcomes(replace(each, member=one) for each, one in zip(outcomes_of(member), people, strict=False))
    result = RunResult(
        outcomes,
        error=MemberNotProcessable(f"{member.crew_id} no existe"),
        started_at=datetime(2026, 11, 22),
        previous=frozenset(each.member.crew_id for each in outcomes),
    )
    return build_review(result, LIMITS)


def assert_shows(text: str, lines: Iterable[str]) -> None:
    assert [char for char in text if not char.isprintable() and char != "\n"] == []
    assert text.count("\n") == sum(1 for _ in lines)


def on_console(member: CrewMember) -> str:
    with redirect_stdout(io.StringIO()) as out:
        console = open_console()
        with ConsoleProgress(console) as progress:
            for outcome in outcomes_of(member):
                progress.outcome(outcome)
            progress.withdrawn(Stored(member, 1))
        case = Case(member, "u", None)
        plan = Plan([Decision("new", member.photo_name, case)], blocked=[f"de {member.full_name}"], seconds_each=1.0)
        console.print(
            "\n".join(
                [
                    *error_lines(each for each in outcomes_of(member) if isinstance(each, Failed)),
                    *plan_lines(plan, RULES),
                ]
            )
        )
        console.print("\n".join(plan_lines(plan, RULES, 60)[:1]))
        console.print("\n".join(forgotten_lines(member.crew_id, 1, 0)))
        complain(console, MemberNotProcessable("El tripulante " + member.crew_id.replace("\n", "\x0b") + " no existe"))
    return out.getvalue()


@on_many
@given(member=MEMBERS)
def test_a_terminal_gets_only_text_and_no_extra_line(member: CrewMember) -> None:
    assert_shows(on_console(member), on_console(PLAIN).splitlines())


@on_many
@given(member=MEMBERS)
def test_a_log_gets_one_line_for_each_entry(member: CrewMember, tmp_path: Path) -> None:
    configure_logs(LogOptions(tmp_path, 10_000_000, 1))
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    logging.getLogger("app.run").info("%s decode 1.0 ms: bad_name %s", member.crew_id, Personal(member.photo_name))
    try:
        raise ValueError(member.full_name)
    except ValueError:
        logging.getLogger("app.pipeline.work_item").exception("%s: error inesperado", member.crew_id)
    (line,) = (tmp_path / "generate_embeddings.log").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    first, *traceback = (tmp_path / "app.log").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    assert all(entry.isprintable() for entry in (line, first, *traceback))
    assert all(entry.startswith("    ") for entry in traceback)


def cells_of(member: CrewMember) -> list[list[str]]:
    text = listing(review_of(member)).decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=";"))


@on_many
@given(member=MEMBERS)
def test_no_cell_of_the_spreadsheet_is_a_formula_wherever_it_is_split(member: CrewMember) -> None:
    headings, *rows = cells_of(member)
    assert (headings, len(rows)) == (list(COLUMNS), len(cells_of(PLAIN)) - 1)
    for cell in (cell for row in rows for cell in row):
        assert cell.isprintable()
        for part in re.split(r"[,;|]", cell):
            assert not FORMULA.match(part.lstrip(" \"'\u3000")) or part.lstrip(' "').startswith("'")


class Skeleton(HTMLParser):
    """Collects a page's elements with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[object] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, attrs))

    def handle_endtag(self, tag: str) -> None:
        self.elements.append(tag)

    def handle_comment(self, data: str) -> None:
        self.elements.append(f"<!--{data}")

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def skeleton_of(member: CrewMember) -> Skeleton:
    return Skeleton(render(review_of(member), thumbnails=True))


@settings(on_many, max_examples=25)
@given(member=MEMBERS)
def test_a_page_shows_names_as_text_and_has_no_extra_element(member: CrewMember) -> None:
    assume(member.photo_name)  # without one its element is left out
    page = skeleton_of(member)
    assert page.elements == skeleton_of(PLAIN).elements
    assert all(printable(each) in "".join(page.texts) for each in (member.crew_id, member.photo_name, member.full_name))


@on_many
@given(member=MEMBERS)
def test_no_name_leads_out_of_the_photos_url(member: CrewMember) -> None:
    base = "https://u:clave@fotos.example:8443/img"
    try:
        url = photo_url(base, member)
    except BadName:
        return
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.query, parts.fragment) == ("https", "fotos.example:8443", "", "")
    assert [unquote(each) for each in parts.path.split("/")] == ["", "img", member.crew_id, member.photo_name]
    assert not {".", "..", ""} & set(parts.path.split("/")[1:])


@on_many
@given(member=MEMBERS)
def test_no_name_leads_out_of_the_photos_folder(member: CrewMember, tmp_path: Path) -> None:
    asked: list[str] = []
    hook = Listening(asked.append)
    source = FolderSource(PhotoSettings(IMAGE_BASE_URL=tmp_path.as_uri()))
    temp = TempFolder(tmp_path / "temp")
    refused = []
    for look in (lambda: source.fetch(member, temp), lambda: source.check(member, Version())):
        try:
            with hook, suppress(PhotoNotFound, PhotoUnavailable):
                look()
        except BadName:
            refused.append(look)
    assert len(refused) in (0, 2)  # nor is a file outside asked for, where none is opened
    temp.close()
    assert [path for path in asked if not Path(path).resolve().is_relative_to(tmp_path)] == []


class Listening:
    """Reports every file that is opened while its context lasts. An audit hook cannot be removed, only muted."""

    _told: Callable[[str], object] | None = None
    _is_there = False

    def __init__(self, told: Callable[[str], object]) -> None:
        self._mine = told

    def __enter__(self) -> None:
        if not Listening._is_there:
            sys.addaudithook(Listening._hear)
            Listening._is_there = True
        Listening._told = self._mine

    def __exit__(self, *_: object) -> None:
        Listening._told = None

    @staticmethod
    def _hear(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and Listening._told is not None and isinstance(arguments[0], str):
            Listening._told(arguments[0])


@on_many
@given(crew_id=NAMES)
def test_no_id_leads_out_of_the_temp_folder(crew_id: str, tmp_path: Path) -> None:
    temp = TempFolder(tmp_path / "temp")
    path = temp.write(crew_id, b"x")
    assert re.fullmatch(r"crew_[A-Za-z0-9-]{0,40}_[0-9a-f]{8}_1\.jpg", path.name)
    assert path.resolve().parent == (tmp_path / "temp").resolve()
    temp.close()
    assert list((tmp_path / "temp").iterdir()) == []


def test_the_program_starts_no_shell() -> None:
    """Without a shell no name can reach one."""
    sources = [path.read_text(encoding="utf-8") for path in Path("app").rglob("*.py")]
    assert sources
    assert [
        word for text in sources for word in ("shell=True", "os.system", "os.popen", "getoutput") if word in text
    ] == []


@pytest.mark.parametrize("piece", PIECES)
def test_each_piece_is_shown_in_full_where_it_is_text(piece: str) -> None:
    assert printable(printable(piece)) == printable(piece)
    assert printable(piece).isprintable()
