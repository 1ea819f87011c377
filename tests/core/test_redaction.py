from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import numpy as np
import pytest

from app.core.redaction import Redactor, redacted, secrets_of, without_credentials

SECRET = "p@ss: /w%rd'"
VECTOR = np.linspace(-1.5, 1e-7, 512, dtype=np.float32)


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote(SECRET, safe="").lower(),
        quote_plus(SECRET),
        "p@ss: /w%rd\\'",
    ],
)
def test_a_known_secret_is_struck_out_however_it_is_written(form: str) -> None:
    assert Redactor([SECRET])(f"antes {form} después") == "antes *** después"


@pytest.mark.parametrize("form", [json.dumps, ascii, lambda secret: ascii(secret + '"')])
def test_a_secret_with_letters_beyond_ascii_is_struck_out_where_they_are_escaped(form: Callable[[str], str]) -> None:
    secret = "peña'y\\más"
    shown = Redactor([secret])(form(secret))
    assert (shown[0], shown[1:4]) == (form(secret)[0], "***")


def test_a_secret_that_was_given_encoded_is_known_in_its_plain_form(tmp_path: object) -> None:
    assert Redactor(["clave%40larga"])("clave@larga clave%40larga") == "*** ***"


@pytest.mark.parametrize("secret", ["", "1", "2026", "clave"])
def test_a_short_secret_goes_from_urls_and_leaves_all_other_words_alone(secret: str) -> None:
    line = "2026-11-22 tripulante 2026123: la clave 1"
    redacted = Redactor([secret])
    assert redacted(line) == line
    assert redacted(f"usuario:{secret}@servidor" if secret else "usuario:@servidor").count(secret or "\0") == 0


def test_of_two_secrets_one_of_which_holds_the_other_nothing_is_left() -> None:
    assert Redactor(["secreto", "secreto-largo"])("secreto-largo") == "***"


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(VECTOR.tolist()),
        str(VECTOR),
        repr(VECTOR),
        repr(list(VECTOR)),
        str(VECTOR[:400].reshape(2, 200)),
        json.dumps(VECTOR.tolist(), indent=2),
        json.dumps(VECTOR.tolist())[:60],
        json.dumps([str(number) for number in VECTOR.tolist()]),
        str([str(number) for number in VECTOR.tolist()]),
    ],
    ids=["json", "str", "repr", "scalars", "matrix", "indented", "cut short", "words", "Python's words"],
)
def test_no_part_of_a_vector_stays(text: str) -> None:
    shown = redacted(f"odd: {text}")
    assert "[vector]" in shown
    assert not any(f"{abs(number):.4f}"[:6] in shown for number in VECTOR[:400].tolist())


@pytest.mark.parametrize("text", ["[1e-05, -2e-06, 3e-05, 4e-05, 0.1]", "1e5 2.5 3e+17 4e-05"])
def test_numbers_that_are_written_without_a_point_belong_to_the_vector(text: str) -> None:
    assert redacted(text).strip("[]") == "vector"


@pytest.mark.parametrize(
    "text",
    [
        "descarga 12.5, lectura 3.1, rostro 40.2, vector 9.9; 4.5 fotos por segundo",
        "127.0.0.1:3306, base b, usuario u",
        "(12.5, 40.25, 3.5)",
        "mide 3000 x 2000, 1, 2, 3, 4, 5",
        "mtcnn 1.0.0, numpy 2.2.1",
        "https://servidor/ana@empresa.jpg",
    ],
)
def test_ordinary_numbers_and_addresses_stay(text: str) -> None:
    assert redacted(text) == text


def test_credentials_of_any_url_go() -> None:
    assert (
        redacted("401 for url: http://u:clave@h:80/a y ftp://t0ken@h") == "401 for url: http://***@h:80/a y ftp://***@h"
    )


@pytest.mark.parametrize(
    ("url", "secrets", "shown"),
    [
        ("https://u:p%40@h:1/a", ["p%40"], "https://h:1/a"),
        ("https://token@h/a", ["token"], "https://h/a"),
        ("https://u:a@b:c@h/a", ["a@b:c"], "https://h/a"),
        ("https://h/a", [], "https://h/a"),
        ("https://h/a?sig=S3cr%2Fet/&v=1", ["sig=S3cr%2Fet/&v=1", "S3cr%2Fet/", "1"], "https://h/a"),
        ("https://u:p@h/a?S3creto", ["p", "S3creto"], "https://h/a"),
        ("file:///fotos", [], "file:///fotos"),
        ("", [], ""),
    ],
)
def test_what_is_secret_of_a_url_and_what_may_be_shown(url: str, secrets: list[str], shown: str) -> None:
    assert (secrets_of(url), without_credentials(url)) == (secrets, shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "Max retries exceeded with url: /7/a.jpg?sig=S3cr (Caused by X)",
            "Max retries exceeded with url: /7/a.jpg?*** (Caused by X)",
        ),
        ("url='http://h/a?sig=S3cr&v=1'", "url='http://h/a?***'"),
        ("¿Quiso decir A=1? b = 2", "¿Quiso decir A=1? b = 2"),
    ],
)
def test_the_query_of_any_url_goes(text: str, shown: str) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "1" * 50_000 + " 1.5" * 3 + "." * 50_000,
        "1e" * 50_000 + " 1e5" * 3 + "'" * 50_000,
        "1.5" + "\" '" * 50_000,
        "1e" + "1" * 50_000,
        "1e5,'" * 3 + "1" * 50_000,
        "?" * 50_000 + "a" * 50_000,
    ],
    ids=["digits", "exponents", "marks", "a long exponent", "a long number", "questions"],
)
def test_a_long_line_takes_no_time(text: str) -> None:
    assert redacted(text) == text
