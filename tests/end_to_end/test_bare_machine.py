"""The program in a container or under cron, where what a login shell has may be missing: each test starts a process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from app.core.config import PROJECT_DIR

SCRIPT = PROJECT_DIR / "generate_face_embeddings.py"
NO_ACCOUNT = 12345  # a user id as `docker run --user` gives it
ADVICE = "Ponga en .env DEEPFACE_HOME con la ruta completa de una carpeta, por ejemplo /opt/pesos."
# os.path.expanduser asks for the account where there is no HOME; root, who runs the tests in a container, has one.
WITHOUT_ACCOUNT = f"""
import os, runpy, sys
os.getuid = lambda: {NO_ACCOUNT}
sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
"""
Done = subprocess.CompletedProcess[str]


@pytest.fixture
def photos(tmp_path: Path, portrait_jpeg: bytes) -> Path:
    folder = tmp_path / "fotos"
    (folder / "José").mkdir(parents=True)
    (folder / "José" / "peña ✅.jpg").write_bytes(portrait_jpeg)
    return folder


def run(tmp_path: Path, *words: object, shell: str = "", **environment: object) -> Done:
    """Run the program with this environment and no other, in an empty folder; `shell` follows the command."""
    here = tmp_path / "actual"
    here.mkdir(exist_ok=True)
    values = {"LOG_DIR": tmp_path / "logs", "TEMP_DIR": tmp_path / "temp", "FACE_MODEL": "Dlib"} | environment
    command = [sys.executable, "-c", WITHOUT_ACCOUNT, str(SCRIPT), *map(str, words)]
    if shell:
        command = ["bash", "-c", f'"$@" {shell}', "bash", *command]
    given = {"PATH": "/usr/bin:/bin"} | {name: str(value) for name, value in values.items()}
    return subprocess.run(command, cwd=here, env=given, capture_output=True, text=True, check=False, timeout=120)


@pytest.mark.parametrize("home", [{}, {"HOME": "relativa"}, {"HOME": "~"}])
def test_without_a_home_the_setting_that_mends_it_is_named_and_no_folder_is_made(
    tmp_path: Path, photos: Path, home: dict[str, str]
) -> None:
    document = tmp_path / "run.json"
    done = run(tmp_path, "--photos", photos, "--json", document, **home)
    checked = run(tmp_path, "--photos", photos, "--check", **home)
    assert (done.returncode, checked.returncode) == (3, 2)
    for each in (done, checked):
        assert "No se sabe en qué carpeta están los pesos: la variable HOME falta, o no es una ruta" in each.stdout
        assert ADVICE in each.stdout
    assert json.loads(document.read_text())["summary"]["exit_code"] == 3
    assert list((tmp_path / "actual").iterdir()) == []


def test_with_the_setting_a_run_needs_no_home(tmp_path: Path, photos: Path, weights_home: Path) -> None:
    done = run(tmp_path, "--photos", photos, DEEPFACE_HOME=weights_home)
    assert (done.returncode, done.stderr, list((tmp_path / "actual").iterdir())) == (0, "", [])


@pytest.mark.parametrize("setting", ["DEEPFACE_HOME", "LOG_DIR", "TEMP_DIR"])
def test_a_tilde_in_a_setting_is_the_home_or_is_refused(tmp_path: Path, photos: Path, setting: str) -> None:
    refused = run(tmp_path, "--photos", photos, "--plan", **{setting: "~/dentro"})
    assert (refused.returncode, f"{setting}: no se sabe qué carpeta es ~" in refused.stdout) == (2, True)
    (tmp_path / "casa").mkdir()
    assert (
        run(tmp_path, "--photos", photos, "--plan", **{"HOME": tmp_path / "casa", setting: "~/dentro"}).returncode == 0
    )
    assert not (PROJECT_DIR / "~").exists()


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"LANG": "xx_YY.ISO-8859-1", "TZ": "No/Existe"},
    ],
    ids=str,
)
def test_the_help_is_utf8_whatever_the_locale(tmp_path: Path, environment: dict[str, str]) -> None:
    done = run(tmp_path, "--help", **environment)
    assert (done.returncode, done.stderr, "--purge-after DÍAS" in done.stdout) == (0, "", True)


def test_an_unknown_locale_and_time_zone_change_no_name(tmp_path: Path, photos: Path, weights_home: Path) -> None:
    done = run(tmp_path, "--photos", photos, DEEPFACE_HOME=weights_home, LANG="xx_YY", TZ="No/Existe")
    assert (done.returncode, "✅ Embedding generado exitosamente para José (ID: 1)" in done.stdout) == (0, True)


@pytest.mark.parametrize("shell", ["<&-", ">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("words", [["--help"], ["--check"], []])
def test_closed_streams_end_nothing(
    tmp_path: Path, photos: Path, weights_home: Path, shell: str, words: list[str]
) -> None:
    words = words if words == ["--help"] else ["--photos", str(photos), *words]
    done = run(tmp_path, *words, shell=shell, DEEPFACE_HOME=weights_home)
    written = "".join(path.read_text() for path in tmp_path.glob("logs/*.log"))
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), written


@pytest.mark.parametrize("words", [["--json", "x.json"], ["--metrics", "x.prom"], ["--photos", "fotos"]])
def test_a_current_folder_that_is_gone_is_said_where_a_path_needs_it(tmp_path: Path, words: list[str]) -> None:
    gone = "import os; os.mkdir('ido'); os.chdir('ido'); os.rmdir('../ido')" + textwrap.dedent(WITHOUT_ACCOUNT)
    command = [sys.executable, "-c", gone, str(SCRIPT), *words]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (2, "")
    assert f"Qué hacer: Indique en {words[0]} la ruta completa" in done.stdout


def test_keras_makes_no_folder_in_the_current_one(tmp_path: Path) -> None:
    program = (
        f"import os; os.getuid = lambda: {NO_ACCOUNT}; import app.faces.deepface_api; print(os.environ['KERAS_HOME'])"
    )
    command = [sys.executable, "-c", program]
    environment = {"PYTHONPATH": str(PROJECT_DIR), "TMPDIR": str(tmp_path)}
    assert subprocess.check_output(command, cwd="/", env=environment, text=True) == f"{tmp_path}/.keras\n"


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can become another user")
@pytest.mark.parametrize("option", ["--json", "--metrics", "--photos"])
def test_a_folder_that_cannot_be_entered_is_said(tmp_path: Path, option: str) -> None:
    closed = tmp_path / "ajena"
    closed.mkdir(mode=0o700)
    # What is imported late is imported before: that user may not be able to read this machine's Python.
    program = (
        "import contextlib, io, os, sys, app.cli.commands.run; from generate_face_embeddings import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit): main(['--help'])\n"
        f"os.chdir('/'); os.setgroups([]); os.setgid({NO_ACCOUNT}); os.setuid({NO_ACCOUNT})\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, option, str(closed / "dentro" / "x")]
    done = subprocess.run(command, cwd=PROJECT_DIR, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (2, "")
    assert f"Qué hacer: Indique en {option} la ruta completa" in done.stdout


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("'libGL.so.1: cannot open shared object file', name='cv2'", "cv2: libGL.so.1: cannot open shared object file"),
        ("'failed to map segment', name='numpy._core'", "numpy: failed to map segment"),
    ],
)
def test_a_package_that_cannot_be_loaded_is_named(tmp_path: Path, photos: Path, error: str, said: str) -> None:
    (tmp_path / "sqlalchemy.py").write_text(f"raise ImportError({error})")
    done = run(tmp_path, "--photos", photos, PYTHONPATH=tmp_path, HOME=tmp_path)
    assert (done.returncode, "Traceback" in done.stdout + done.stderr) == (2, False)
    assert f"❌ No se puede cargar el paquete {said}\n   Qué hacer: Borre la carpeta venv" in done.stdout + done.stderr
