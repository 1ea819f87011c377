"""Photo servers, proxies and firewalls that are not ours, from the command line: nothing that they do stays unsaid."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text

from app.cli.arguments import parse_arguments
from app.cli.main import run
from tests.conftest import OpenWorld
from tests.core.test_database import write_certificate
from tests.end_to_end.test_secrets import left_behind
from tests.support.program import Result, World
from tests.support.tiny_faces import TinyLoader
from tests.support.tiny_pictures import draw
from tests.support.webserver import HOST, RESET, PhotoServer, serving_photos

REFUSED = (400, 403, 404, 405, 500, 501, 503, RESET)
TOKEN = "sv=2024-05-04&sig=S3cr%2Feto%3D%3D"
PIECES = ("S3cr", "eto%3D", "2024-05-04")


@dataclass
class Nights:
    """A world whose runs ask about every photo, and embed by the tiny nets."""

    world: World
    monkeypatch: pytest.MonkeyPatch

    @property
    def web(self) -> PhotoServer:
        return self.world.web

    def set(self, **settings: object) -> None:
        for name, value in settings.items():
            self.monkeypatch.setenv(name, str(value))

    def hire(self, *numbers: int) -> None:
        for number in numbers:
            self.world.hire(str(number), "a.jpg", draw(number))

    def replace(self, number: int) -> None:
        self.web.photos[f"{number}/a.jpg"] = draw(1000 + number)

    def run(self, *words: str) -> Result:
        """Run the program; one that has nothing to embed loads no nets."""
        target = self.world.folder / "run.json"
        target.unlink(missing_ok=True)
        exit_code = run(parse_arguments([*words, "--json", str(target)]), TinyLoader())
        printed = self.world.capsys.readouterr()
        return Result(exit_code, printed.out, printed.err, json.loads(target.read_text()))

    def findings(self) -> dict[str, dict[str, str]]:
        """Return what `--check` finds out about the photos, by name."""
        found = self.run("--check").document["findings"]
        return {finding["name"]: finding for finding in found if finding["area"] == "photos"}

    def records(self) -> dict[str, tuple[object, ...]]:
        """Read what is known of each photo: when it was checked, its content and its failure."""
        query = text("SELECT crew_id, checked_at, sha256, code FROM face_photos")
        with self.world.engine.connect() as connection:
            return {row[0]: tuple(row[1:]) for row in connection.execute(query)}

    def embeddings(self) -> list[tuple[object, ...]]:
        return [(row.crew_id, row.id, row.embedding, row.imagen_path) for row in self.world.rows() if row.active]


@pytest.fixture
def nights(open_world: OpenWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Nights:
    settings = {"PHOTO_RECHECK_HOURS": 0, "HTTP_ATTEMPTS": 1, "DOWNLOAD_THREADS": 2}
    return Nights(open_world(f"sqlite:///{tmp_path / 'prueba.db'}", **settings), monkeypatch)


def metrics(path: Path) -> dict[str, float]:
    families = text_string_to_metric_families(path.read_text(encoding="utf-8"))
    return {
        sample.name.removeprefix("face_embeddings_") + "".join(sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


# ----------------------------------------------------------------------------------------------------- HEAD refused


@pytest.mark.parametrize("status", REFUSED)
def test_where_head_is_refused_changes_are_noticed_and_new_people_registered(nights: Nights, status: int) -> None:
    nights.web.head_status = status
    nights.hire(*range(25))
    assert nights.run().document["summary"]["stored"] == 25
    nights.replace(7)
    nights.hire(30)
    nights.web.heads.clear(), nights.web.requests.clear()
    result = nights.run()
    assert {each: code for each, code in result.codes.items() if code != "skipped:current"} == {
        "7": "stored",
        "30": "stored",
    }
    assert (result.exit_code, result.document["summary"]["checks"]["failed"]) == (0, 0)
    assert len(nights.web.heads) <= 2  # by each of the threads that ask, until one knows
    assert len(nights.web.requests) == 25 + 2


# -------------------------------------------------------------------------------------------------- nobody answers


@pytest.mark.parametrize("count", [1, 15])
def test_where_nobody_answers_no_photo_was_checked(nights: Nights, count: int) -> None:
    """The rows stay, and what is known of the photos; so does the time of the last check."""
    nights.hire(*range(count))
    nights.run()
    before = nights.embeddings(), nights.records()
    nights.web.down = True
    target = nights.world.folder / "m.prom"
    result = nights.run("--quiet", "--metrics", str(target))
    assert (result.exit_code, nights.embeddings(), nights.records()) == (3, *before)
    error = (
        f"El servidor de fotos no respondió a nada: {count} pregunta{'s' * (count > 1)} por fotos ya registradas "
        "(la última: el servidor respondió 503)"
    )
    assert f"❌ {error}" in result.stdout
    assert "Qué hacer: Compruebe IMAGE_BASE_URL" in result.stdout
    assert "comprobada" not in result.stdout
    summary = result.document["summary"]
    assert (summary["error"], summary["exit_code"]) == (error, 3)
    assert summary["checks"] == {"answered": 0, "failed": count, "downloaded_again": 0}
    assert set(result.codes.values()) == {"skipped:unchecked"}
    assert summary["unchecked"] == {str(number): "el servidor respondió 503" for number in range(count)}
    found = metrics(target)
    assert (found["last_run_photo_checksfailed"], found["last_run_peopleunchecked"]) == (count, count)
    assert found["last_run_exit_code"] == 3
    log = (nights.world.folder / "logs" / "app.log").read_text(encoding="utf-8")
    assert "No se pudo comprobar la foto de 0: el servidor respondió 503" in log
    history = nights.run("--history").document["runs"][0]
    assert (history["exit_code"], history["error"], history["counts"]["unchecked"]) == (3, error, count)
    nights.web.down = False
    assert nights.run().exit_code == 0


def test_where_some_do_not_answer_they_are_named_and_the_others_done(nights: Nights) -> None:
    nights.hire(*range(5))
    nights.web.default_photo = draw(77)
    nights.world.hire("flaky", "a.jpg")
    nights.web.failures = 0
    assert nights.run().exit_code == 0
    before = nights.records()["flaky"]
    nights.web.failures = 1000
    nights.hire(9)
    result = nights.run("--quiet")
    assert (result.exit_code, result.codes["flaky"], result.codes["9"]) == (1, "skipped:unchecked", "stored")
    assert nights.records()["flaky"] == before
    words = "⚠️  1 foto no se pudo comprobar, y su embedding queda como estaba: flaky (la última: "
    assert f"{words}el servidor respondió 503)" in result.stdout
    assert result.document["report"]["sentence"] == (
        "1 persona quedó registrada, 5 ya estaban al día y de 1 no se pudo comprobar la foto."
    )
    plan = nights.run("--plan")
    assert words in plan.stdout
    assert plan.document["plan"]["unchecked"] == {"flaky": "el servidor respondió 503"}


def test_where_nobody_answers_but_a_new_photo_came_the_server_is_not_down(nights: Nights) -> None:
    """Of an hourly run only that photo may be due which never answers: the others go on."""
    nights.web.default_photo, nights.web.failures = draw(77), 0
    nights.world.hire("flaky", "a.jpg")
    nights.run()
    nights.web.failures = 1000
    nights.hire(9)
    result = nights.run()
    assert (result.exit_code, result.codes) == (1, {"flaky": "skipped:unchecked", "9": "stored"})


def test_a_plan_ends_like_the_run_that_it_is_of(nights: Nights) -> None:
    nights.hire(1, 2)
    nights.run()
    nights.web.down = True
    result = nights.run("--plan")
    assert (result.exit_code, "❌ El servidor de fotos no respondió a nada" in result.stdout) == (3, True)


# ------------------------------------------------------------------------------------- downloaded again for nothing


def test_where_etags_differ_from_node_to_node_the_content_decides_and_the_cost_is_said(nights: Nights) -> None:
    nights.hire(*range(6))
    nights.run()
    before = nights.embeddings()
    nights.web.nodes = 10_000  # no connection comes back to the node that it was
    result = nights.run()
    assert (result.exit_code, nights.embeddings()) == (0, before)
    assert set(result.codes.values()) == {"skipped:same_file"}
    assert "🔁 Descargadas de nuevo sin que hubieran cambiado: 6 (por qué lo dice --check)" in result.stdout
    assert result.document["summary"]["checks"]["downloaded_again"] == 6
    assert "6 fotos descargadas en vano" in nights.run("--history").stdout
    finding = nights.findings()["validators"]
    assert finding["level"] == "warning"
    assert "ya la da por cambiada" in finding["text"]


@pytest.mark.parametrize("status", [403, 404])
def test_where_head_is_refused_nothing_is_downloaded_again(nights: Nights, status: int) -> None:
    nights.hire(*range(6))
    nights.run()
    nights.web.downloads.clear()
    nights.web.head_status = status
    assert set(nights.run().codes.values()) == {"skipped:current"}
    nights.web.head_status, nights.web.head_length, nights.web.hidden_from_head = None, 0, {"ETag", "Last-Modified"}
    assert set(nights.run().codes.values()) == {"skipped:current"}
    assert nights.web.downloads == []


# ------------------------------------------------------------------------------------------------------- forbidden


def test_photos_that_the_server_refuses_are_for_the_technician_and_the_rows_stay(nights: Nights) -> None:
    nights.hire(*range(6))
    nights.run()
    before = nights.embeddings()
    nights.web.refused_agents = {"face-embeddings": 403}
    result = nights.run()
    assert (result.exit_code, nights.embeddings()) == (1, before)
    assert set(result.codes.values()) == {"failed:photo_forbidden"}
    assert {entry["kind"] for entry in result.document["report"]["entries"]} == {"technical"}
    assert "HTTP_USER_AGENT" in result.stdout
    assert "no encontrada" not in result.stdout
    finding = nights.findings()["reach"]
    assert (finding["level"], "HTTP_USER_AGENT" in finding["advice"]) == ("broken", True)
    nights.set(HTTP_USER_AGENT="Fotos/1.0")
    assert nights.run("--retry-failed").exit_code == 0
    assert nights.findings()["reach"]["level"] == "ok"


def test_a_firewall_that_refuses_everybody_stops_the_run(nights: Nights) -> None:
    nights.hire(*range(25))
    nights.run()
    before = nights.embeddings(), nights.records()
    nights.web.refused_agents = {"face-embeddings": 403}
    result = nights.run()
    assert (result.exit_code, nights.embeddings(), nights.records()) == (3, *before)
    assert "(la última: el servidor respondió 403)" in result.document["summary"]["error"]


def test_a_firewall_that_refuses_everybody_new_stops_the_run(nights: Nights) -> None:
    nights.web.refused_agents = {"face-embeddings": 403}
    nights.hire(*range(25))
    result = nights.run()
    assert result.exit_code == 3
    assert "parece que el servidor de fotos no deja entrar al programa" in result.document["summary"]["error"]


# ---------------------------------------------------------------------------------------------------------- tokens


def test_a_token_is_sent_behind_the_path_and_left_nowhere(nights: Nights) -> None:
    """A changed one makes no photo another."""
    nights.web.query = TOKEN
    nights.set(IMAGE_BASE_URL=f"{nights.web.base_url}?{TOKEN}")
    nights.hire(1, 2)
    nights.world.hire("404", "a.jpg")
    nights.world.hire("500", "a.jpg")
    nights.run("--debug")
    nights.web.query = TOKEN.replace("S3cr", "S3cr0")
    nights.set(IMAGE_BASE_URL=f"{nights.web.base_url}?{nights.web.query}")
    result = nights.run("--debug")
    assert {each: result.codes[each] for each in ("1", "2")} == dict.fromkeys(("1", "2"), "skipped:current")
    check = nights.run("--check")
    assert f"{nights.web.base_url}, con lo que sigue a ? (no se muestra)" in check.stdout
    nights.web.query = "otro"
    nights.run("--debug")
    nights.set(IMAGE_BASE_URL=f"http://127.0.0.1:9?{TOKEN}")
    last = nights.run("--debug")
    for result in (check, last):
        assert [piece for piece in PIECES if piece in result.stdout + result.stderr] == []
    left = [*left_behind(nights.world), ("rows", str(nights.embeddings()))]
    assert [(name, piece) for name, content in left for piece in PIECES if piece in content] == []


# --------------------------------------------------------------------------------------------- redirects and proxies


@pytest.fixture
def by_proxy(nights: Nights) -> Iterator[PhotoServer]:
    for name in ("no_proxy", "NO_PROXY"):
        nights.monkeypatch.delenv(name)
    nights.set(HTTP_PROXY=nights.web.base_url, IMAGE_BASE_URL="http://fotos.example")
    yield nights.web


def test_a_proxy_in_use_is_told_by_check_and_a_dead_one_by_the_run(nights: Nights, by_proxy: PhotoServer) -> None:
    nights.hire(1)
    assert nights.run().codes == {"1": "stored"}
    proxy = f"127.0.0.1:{by_proxy.server_port}, de HTTP_PROXY"
    finding = nights.findings()["proxy"]
    assert (finding["level"], finding["text"]) == ("ok", f"se llega a las fotos por el proxy {proxy}")
    nights.set(HTTP_PROXY="http://ana:S3creta@127.0.0.1:9")
    result = nights.run()
    said = "no se pudo conectar con el proxy, o se cortó la conexión (por el proxy 127.0.0.1:9, de HTTP_PROXY)"
    assert (result.exit_code, said in result.stdout, "S3creta" in result.stdout) == (3, True, False)
    reach = nights.findings()["reach"]
    assert (reach["level"], said in reach["text"]) == ("broken", True)


def test_a_redirect_to_https_is_followed_and_the_setting_advised(
    nights: Nights, by_proxy: PhotoServer, tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("falta openssl: apt-get install openssl")
    certificate = write_certificate(tmp_path, "fotos")
    nights.set(REQUESTS_CA_BUNDLE=certificate, HTTPS_PROXY=by_proxy.base_url, IMAGE_BASE_URL=f"http://{HOST}")
    nights.hire(1, 2)
    with serving_photos(certificate) as secure:
        secure.photos = by_proxy.photos
        by_proxy.moved_to, by_proxy.tunnel_to = f"https://{HOST}", secure.server_port
        result = nights.run()
        again = nights.run("--quiet")
        finding = nights.findings()["redirect"]
    assert (result.exit_code, set(result.codes.values())) == (0, {"stored"})
    advice = "ponga esa dirección en IMAGE_BASE_URL, con https:// en lugar de http://."
    assert f"⚠️  El servidor de fotos redirige a https://{HOST}: {advice}" in result.stdout
    assert result.document["summary"]["redirected_to"] == f"https://{HOST}"
    assert (again.exit_code, again.stdout, set(again.codes.values())) == (0, "", {"skipped:current"})
    assert "El servidor de fotos redirige a" in (nights.world.folder / "logs" / "app.log").read_text(encoding="utf-8")
    assert (finding["level"], finding["text"]) == ("warning", f"el servidor redirige a https://{HOST}")


def test_a_proxy_that_cannot_be_used_ends_run_and_check_alike(nights: Nights, by_proxy: PhotoServer) -> None:
    nights.hire(1)
    nights.set(HTTP_PROXY="socks://127.0.0.1:1080")
    error = "No se puede usar el proxy que nombra HTTP_PROXY: es de un tipo desconocido (socks)"
    result, check = nights.run(), nights.run("--check")
    assert (result.exit_code, error in result.stdout, error in result.document["summary"]["error"]) == (2, True, True)
    assert (check.exit_code, error in check.stdout) == (2, True)
