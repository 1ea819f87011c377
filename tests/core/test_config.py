from __future__ import annotations

import io
import os
import re
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.core.config import PROJECT_DIR, Settings, load_settings
from app.core.database_url import build_url, describe_url
from app.core.redaction import Redactor, without_credentials
from app.errors import EXIT_NOT_STARTED, SettingsError

NEEDED = {"DB_USER": "ana", "DB_NAME": "rrhh", "IMAGE_BASE_URL": "https://fotos.example/img/"}
ORGANISATION_URL = "https://echcarst.myscriptcase.com/scriptcase9/file/img/Cultura"
PASSWORD = "S3creta-ñ"


def write_env(path: Path, **values: str) -> Path:
    path.write_text("".join(f"{name}={value}\n" for name, value in values.items()), encoding="utf-8")
    return path


def problems(**values: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(None, **values)
    title, *listed = str(caught.value).split("\n")
    assert title == "Configuración incompleta o incorrecta:"
    return [line.removeprefix("  - ") for line in listed]


def test_the_file_is_read(tmp_path: Path) -> None:
    settings = load_settings(write_env(tmp_path / ".env", **NEEDED, DB_PASSWORD=f"'{PASSWORD} #1'", DB_PORT="3307"))
    url = build_url(settings)
    assert url.render_as_string(hide_password=False).startswith("mysql+mysqlconnector://ana:")
    assert (url.username, url.password, url.host, url.port, url.database) == (
        *("ana", f"{PASSWORD} #1", "localhost"),
        *(3307, "rrhh"),
    )
    assert settings.IMAGE_BASE_URL == "https://fotos.example/img"


def test_the_shell_wins_over_the_file_and_an_override_over_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = write_env(tmp_path / ".env", **NEEDED, DB_HOST="archivo", DB_PORT="1", FACE_DISTANCE_THRESHOLD="0.1")
    monkeypatch.setenv("DB_HOST", "entorno")
    monkeypatch.setenv("DB_PORT", "2")
    monkeypatch.setenv("FACE_CONFIDENCE_THRESHOLD", "0.9")
    settings = load_settings(file, DB_PORT=3)
    assert (settings.DB_HOST, settings.DB_PORT) == ("entorno", 3)
    assert (settings.FACE_CONFIDENCE_THRESHOLD, settings.FACE_DISTANCE_THRESHOLD) == (0.9, 0.1)


def test_an_empty_value_means_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_HOST", "")
    assert load_settings(write_env(tmp_path / ".env", **NEEDED, DB_PORT="")).DB_PORT == 3306
    assert load_settings(None, **NEEDED).DB_HOST == "localhost"
    assert build_url(load_settings(None, **NEEDED)).password == ""


def test_the_recognition_thresholds_have_the_agreed_names_and_defaults() -> None:
    settings = load_settings(None, **NEEDED)
    thresholds = settings.FACE_CONFIDENCE_THRESHOLD, settings.FACE_DISTANCE_THRESHOLD, settings.MAX_FACE_MATCHES
    assert thresholds == (0.70, 0.4, 5)


def test_every_problem_is_reported_at_once() -> None:
    values = {
        "DB_PORT": "70000",
        "DB_TLS": "sí",
        "DB_CONNECT_TIMEOUT_S": "0",
        "DB_RETRY_TOTAL_S": "-1",
        "IMAGE_BASE_URL": "ftp://fotos",
        "HTTP_CONNECT_TIMEOUT_S": "0",
        "HTTP_READ_TIMEOUT_S": "nan",
        "HTTP_ATTEMPTS": "1.5",
        "MAX_PHOTO_MB": "1,5",
        "MIN_FACE_RATIO": "0.6",
        "BATCH_SIZE": "9" * 5000,
    }
    assert sorted(problems(**values)) == [
        "BATCH_SIZE: es un número demasiado largo",
        "DB_CONNECT_TIMEOUT_S: debe ser 1 o más",
        "DB_NAME: falta (o indique DB_URL)",
        "DB_PORT: debe ser 65535 o menos",
        "DB_RETRY_TOTAL_S: debe ser 0.0 o más",
        "DB_TLS: debe ser uno de: auto, off, required, verify",
        "DB_USER: falta (o indique DB_URL)",
        "HTTP_ATTEMPTS: debe ser un número entero",
        "HTTP_CONNECT_TIMEOUT_S: debe ser mayor que 0.0",
        "HTTP_READ_TIMEOUT_S: debe ser mayor que 0.0",
        "IMAGE_BASE_URL: debe empezar por http://, https://, file://",
        "MAX_PHOTO_MB: debe ser un número, como 0.5",
        "MIN_FACE_RATIO: debe ser 0.5 o menos",
    ]


def test_any_setting_of_the_wrong_type_is_refused_in_spanish() -> None:
    values = {name: "ab\x00c" for name, field in Settings.model_fields.items() if field.annotation in (int, float)}
    listed = problems(**NEEDED, **values)
    assert {line.split(":")[0] for line in listed} == values.keys()
    assert {line.split(": ")[1] for line in listed} == {"debe ser un número, como 0.5", "debe ser un número entero"}


def test_without_a_file_the_way_to_make_one_is_shown(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path / ".env")
    assert str(caught.value).split("\n")[1:] == [
        "  - DB_USER: falta (o indique DB_URL)",
        "  - DB_NAME: falta (o indique DB_URL)",
        "  - IMAGE_BASE_URL: falta: la dirección de la que cuelgan las fotos",
    ]
    assert caught.value.advice == "No existe .env: copie .env.example como .env y complete los valores."
    assert caught.value.exit_code == EXIT_NOT_STARTED == 2


@pytest.mark.parametrize("codec", ["latin-1", "utf-16"])
def test_a_file_in_another_encoding_is_refused_without_a_traceback(tmp_path: Path, codec: str) -> None:
    file = tmp_path / ".env"
    file.write_text(f"DB_USER=peña\nDB_PASSWORD={PASSWORD}\n", encoding=codec)
    with pytest.raises(SettingsError, match=r"\.env no está en UTF-8$") as caught:
        load_settings(file)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("name", ["DB_USER", "DB_PASSWORD"])
def test_what_windows_writes_before_and_after_the_lines_does_no_harm(tmp_path: Path, name: str) -> None:
    values = {name: "primera"} | NEEDED | {name: "primera"}
    text = "".join(f"{key}={value}\r\n" for key, value in values.items())
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbf" + text.encode())
    url = build_url(load_settings(tmp_path / ".env"))
    assert "primera" in (url.username, url.password)


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("mysql://ana:x@h/b", "mysql+mysqlconnector"),
        ("mariadb://ana:x@h/b", "mysql+mysqlconnector"),
        ("mysql+mysqlconnector://ana:x@h/b", "mysql+mysqlconnector"),
        ("sqlite:////tmp/a.db", "sqlite"),
    ],
)
def test_a_database_url_stands_for_all_and_gets_the_driver_that_is_shipped(url: str, driver: str) -> None:
    settings = load_settings(None, DB_URL=url, IMAGE_BASE_URL="file:///fotos", DB_HOST="otro")
    assert (build_url(settings).drivername, build_url(settings).host) == (
        driver,
        None if "sqlite" in url else "h",
    )


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://ana:{PASSWORD}@h:33x/b",
        f"mysql://ana:x@{PASSWORD}@h/b",  # an unescaped @ in the password
        f"mysql://ana:x@y:{PASSWORD}@h/b",
        f"mysql:/ana:{PASSWORD}@h/b",
        PASSWORD,
    ],
)
def test_a_database_url_that_cannot_be_read_is_not_repeated(url: str) -> None:
    (line,) = problems(DB_URL=url, IMAGE_BASE_URL="file:///fotos")
    assert line.startswith("DB_URL: ")
    assert "mysql://usuario:clave@host/base" in line
    assert PASSWORD not in line


@pytest.mark.parametrize("values", [{"DB_PASSWORD": PASSWORD}, {"DB_URL": f"mysql://ana:{PASSWORD}@h/b"}])
def test_the_password_is_never_shown(values: dict[str, str]) -> None:
    settings = load_settings(None, **NEEDED | values)
    shown = f"{settings!r} {settings} {build_url(settings)} {settings.model_dump()} {settings.model_dump_json()}"
    assert PASSWORD not in shown
    assert build_url(settings).password == PASSWORD
    assert all(PASSWORD not in line for line in problems(**NEEDED | values, DB_PORT="x"))


@pytest.mark.parametrize("url", ["http://", "https://:80/fotos", "http://h:puerto", "http://h:99999", "http://[::1"])
def test_a_photo_address_without_a_server_is_refused(url: str) -> None:
    assert problems(**NEEDED | {"IMAGE_BASE_URL": url}) == [
        "IMAGE_BASE_URL: le falta el servidor, o el puerto no es un número válido"
    ]


@pytest.mark.parametrize(
    ("url", "taken"),
    [
        ("https://h/fotos/?sig=ab/cd/", "https://h/fotos?sig=ab/cd/"),  # a token may end in a slash
        ("https://h/?sig=x", "https://h?sig=x"),
        ("https://h/fotos%23/", "https://h/fotos%23"),
    ],
)
def test_a_photo_address_may_have_a_query(url: str, taken: str) -> None:
    assert taken == load_settings(None, **NEEDED | {"IMAGE_BASE_URL": url}).IMAGE_BASE_URL


@pytest.mark.parametrize("name", ["IMAGE_BASE_URL", "WEIGHTS_MIRROR"])
def test_what_would_be_cut_off_an_address_without_a_word_is_refused(name: str) -> None:
    assert problems(**NEEDED | {name: "https://h/fotos#1"}) == [f"{name}: lleva un #: escríbalo %23"]
    assert problems(**NEEDED | {name: "file:///fotos#1"}) == [f"{name}: lleva un #: escríbalo %23"]
    wrong = "el nombre de la carpeta lleva un ?: escríbalo %3F"
    assert problems(**NEEDED | {name: "file:///fotos?1"}) == [f"{name}: {wrong}"]


@pytest.mark.parametrize("name", ["ñandú", "a\nb: c", " a", "a\x00"])
def test_a_user_agent_that_no_header_can_hold_is_refused(name: str) -> None:
    assert problems(**NEEDED, HTTP_USER_AGENT=name) == [
        "HTTP_USER_AGENT: solo puede llevar letras sin acento, cifras, signos y espacios entre ellos"
    ]


@pytest.mark.parametrize("host", ["a..b", ".a", "a" * 70, f"fotos.{'ñ' * 60}.es"])
def test_a_host_that_dns_cannot_be_asked_for_is_refused(host: str) -> None:
    wrong = "ningún servidor puede llamarse así: revise los puntos y el largo de su nombre"
    assert problems(**NEEDED | {"IMAGE_BASE_URL": f"https://u:x@{host}/a"}) == [f"IMAGE_BASE_URL: {wrong}"]
    assert problems(**NEEDED, DB_HOST=host) == [f"DB_HOST: {wrong}"]
    assert problems(**NEEDED, DB_URL=f"mysql://u:x@{host}/b") == [f"DB_URL: {wrong}"]


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "fotos.example.", "peña.example", "a_b"])
def test_any_other_host_is_taken(host: str) -> None:
    urls = {"IMAGE_BASE_URL": f"https://u:x@{host}/a", "DB_URL": f"mysql://u:x@{host}/b"}
    found = load_settings(None, **NEEDED | urls, DB_HOST=host.strip("[]"))
    assert (found.IMAGE_BASE_URL, found.DB_URL.get_secret_value()) == (urls["IMAGE_BASE_URL"], urls["DB_URL"])


@pytest.mark.parametrize("url", ["mysql://u:p@h/d?ssl_ca=/etc/a@b.pem", "mysql://user@host:clave@srv/db"])
def test_an_at_sign_too_many_is_not_said_to_be_in_the_password(url: str) -> None:
    (line,) = problems(**NEEDED, DB_URL=url)
    assert line.startswith("DB_URL: hay más de una @ en la dirección: escriba %40 en el usuario, la clave o las opc")
    found = load_settings(None, **NEEDED, DB_URL=url.replace("a@b", "a%40b").replace("user@host", "user%40host"))
    assert "@" in f"{build_url(found).query.get('ssl_ca')} {build_url(found).username}"


def test_folders_are_the_project_s_wherever_the_program_is_run_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(None, **NEEDED)
    assert (settings.LOG_DIR, settings.TEMP_DIR) == (PROJECT_DIR / "logs", PROJECT_DIR / "temp_uploads")
    other = load_settings(None, **NEEDED, LOG_DIR="otra", TEMP_DIR=str(tmp_path))
    assert [PROJECT_DIR / "otra", tmp_path] == [other.LOG_DIR, other.TEMP_DIR]


def test_settings_do_not_change() -> None:
    settings = load_settings(None, **NEEDED)
    with pytest.raises(ValueError, match="frozen"):
        settings.FACE_MODEL = "Dlib"  # type: ignore[misc]
    assert settings.FACE_MODEL == "Facenet512"


@pytest.mark.parametrize(
    "url", ["postgresql://ana:x@h/b", "mysqll://ana:x@h/b", "MYSQL://h/b", "oracle+oracledb://h/b"]
)
def test_a_database_of_another_kind_is_refused(url: str) -> None:
    assert problems(**NEEDED, DB_URL=url) == ["DB_URL: solo se admiten mysql, mariadb, sqlite, en minúsculas"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://ana:x@h:33o6/b", "o su puerto no es un número; es como mysql://"),
        ("mysql:/ana:x@h/b", "no es una dirección, o "),
        ("mysql://ana:x@h:0/b", "el puerto debe ser un número de 1 a 65535"),
        ("mysql://ana:x@h:65536/b", "el puerto debe ser un número de 1 a 65535"),
        ("mysql://ana:x@h:-1/b", "el puerto debe ser un número de 1 a 65535"),
        ("mysql://ana:x@h", "falta el nombre de la base, detrás del servidor; es como mysql://"),
        ("mariadb://ana:x@h:3306/", "falta el nombre de la base, detrás del servidor; es como mysql://"),
        ("mysql://ana:x@h?charset=utf8", "falta el nombre de la base, detrás del servidor"),
        ("mysql://ana:x@h/?database=b", "falta el nombre de la base, detrás del servidor"),
        ("sqlite://carpeta/base.db", "faltan barras: sqlite:///base.db, o con cuatro una ruta completa"),
    ],
)
def test_an_address_that_leads_nowhere_is_said_before_connecting(url: str, said: str) -> None:
    (line,) = problems(**NEEDED, DB_URL=url)
    assert line.startswith("DB_URL: ")
    assert said in line
    assert not re.search(r"SQLAlchemy|33o6|:0|65536|-1", line)


def example_values() -> dict[str, str]:
    """Read every setting in .env.example, also those that are commented out."""
    text = (PROJECT_DIR / ".env.example").read_text(encoding="utf-8")
    assignments = re.findall(r"^#?[ \t]*([A-Z][A-Z0-9_]*=.*)$", text, flags=re.MULTILINE)
    names = [line.partition("=")[0] for line in assignments]
    assert len(names) == len(set(names)), "a setting stands there twice"
    return {name: value or "" for name, value in dotenv_values(stream=io.StringIO("\n".join(assignments))).items()}


def test_the_example_file_documents_every_setting_and_nothing_else() -> None:
    assert example_values().keys() == Settings.model_fields.keys()


def test_the_example_file_shows_the_defaults(tmp_path: Path) -> None:
    of_this_place = {"DB_URL", "DB_USER", "DB_PASSWORD", "DB_NAME", "IMAGE_BASE_URL"}
    of_this_machine = {"WORKER_THREADS": os.cpu_count()}
    shown = load_settings(write_env(tmp_path / ".env", **example_values() | NEEDED), DB_URL="", **of_this_machine)
    default = load_settings(None, **NEEDED, **of_this_machine)
    names = Settings.model_fields.keys() - of_this_place
    assert {name: getattr(shown, name) for name in names} == {name: getattr(default, name) for name in names}


def test_the_example_file_carries_the_organisation_s_own_address() -> None:
    assert example_values()["IMAGE_BASE_URL"] == ORGANISATION_URL


# --------------------------------------------------------------------------------------------------- any text at all

SECRET_SETTINGS = ("DB_URL", "DB_PASSWORD", "IMAGE_BASE_URL", "WEIGHTS_MIRROR")
MARK = "QZ7xwv"
on_many = settings(max_examples=200, deadline=None, derandomize=True)
TEXTS = st.one_of(
    st.text(max_size=20), st.text("0123456789.,-+ eEinfNa_", max_size=8), st.text("://@[]%?#\\ ab1", max_size=20)
)
AROUND = st.text("aZ9@:/%#?&=' [\\;", max_size=5)
SECRETS = st.builds(lambda before, after: f"{before}{MARK}{after}", AROUND, AROUND)


@on_many
@given(st.sampled_from(sorted(Settings.model_fields)), TEXTS)
def test_any_text_for_any_setting_gives_settings_or_what_is_wrong_with_them(name: str, text: str) -> None:
    try:
        load_settings(None, **NEEDED | {name: text})
    except SettingsError as error:
        assert f"  - {name}: " in str(error)


@on_many
@given(st.sampled_from(SECRET_SETTINGS), SECRETS)
def test_what_is_wrong_with_a_secret_is_said_without_it(name: str, secret: str) -> None:
    try:
        load_settings(None, **NEEDED | {name: secret}, DB_PORT="x")
    except SettingsError as error:
        assert MARK not in f"{error} {error.advice} {error.__cause__!r}"
    else:
        pytest.fail("DB_PORT is wrong")


@on_many
@given(SECRETS)
@example(f"9@ {MARK}")
def test_a_password_in_an_address_is_refused_or_all_of_it_is_taken_for_one(secret: str) -> None:
    """No part of a badly written password may become host, port, path or database, which are shown."""
    addresses = {"DB_URL": f"mysql://u:{secret}@h/b", "IMAGE_BASE_URL": f"https://u:{secret}@h/b"}
    for name, address in (*addresses.items(), ("WEIGHTS_MIRROR", addresses["IMAGE_BASE_URL"])):
        try:
            found = load_settings(None, **NEEDED | {name: address})
        except SettingsError as error:
            assert MARK not in str(error)
            continue
        shown = (
            describe_url(build_url(found)),
            *map(without_credentials, (found.IMAGE_BASE_URL, found.WEIGHTS_MIRROR)),
        )
        assert MARK not in f"{shown} {found!r} {Redactor(found.secrets())(f'<{address}> <{secret}>')}"


def test_all_passwords_are_known_as_secrets() -> None:
    found = load_settings(
        None,
        **NEEDED
        | {
            "DB_PASSWORD": "uno",
            "DB_URL": "mysql://u:d%40s@h/b?password=tres&ssl_ca=x",
            "IMAGE_BASE_URL": "https://u:cu%40tro@h",
            "WEIGHTS_MIRROR": "https://cinco@h/",
        },
    )
    assert found.secrets() == ("uno", "d@s", "tres", "cu%40tro", "cinco")
    assert load_settings(None, **NEEDED).secrets() == ()


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        (
            "IMAGE_BASE_URL",
            "http://u:12/x@h",
            "la clave lleva / ? o #: escríbalos %2F %3F %23 (y una @ de la ruta, %40)",
        ),
        (
            "WEIGHTS_MIRROR",
            "http://u:12#x@h",
            "la clave lleva / ? o #: escríbalos %2F %3F %23 (y una @ de la ruta, %40)",
        ),
        ("WEIGHTS_MIRROR", "servidor/pesos", "debe empezar por http://, https://, file://"),
        ("WEIGHTS_MIRROR", "http://", "le falta el servidor, o el puerto no es un número válido"),
        ("LOG_NAMES", "quizás", "debe ser 1 (sí) o 0 (no)"),
    ],
)
def test_an_address_or_a_switch_that_is_none_is_refused(name: str, value: str, problem: str) -> None:
    assert problems(**NEEDED | {name: value}) == [f"{name}: {problem}"]


def test_every_setting_is_used_by_the_program() -> None:
    """Apart from its definition."""
    code = "".join(path.read_text(encoding="utf-8") for path in (PROJECT_DIR / "app").rglob("*.py"))
    by_name = [name for name in Settings.model_fields if not re.match(r"QUALITY_|ROSTER_\w+_COLUMN", name)]
    unused = {name for name in by_name if len(re.findall(rf"\b{name}\b", code)) < 2}
    assert unused == set()
