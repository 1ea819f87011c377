"""The photo's URL."""

from __future__ import annotations

import pytest

from app.errors import BadName
from app.photos.urls import photo_url
from app.records import CrewMember

# Names as rosters have them, and their encoding in a URL.
NAMES = [
    ("FAED(1).jpg", "FAED%281%29.jpg"),
    ("foto de Ana.jpg", "foto%20de%20Ana.jpg"),
    ("ñandú.JPG", "%C3%B1and%C3%BA.JPG"),
    ("100%.jpg", "100%25.jpg"),
    ("a%2Fb.jpg", "a%252Fb.jpg"),
    ("#1.jpg", "%231.jpg"),
    ("quién?.jpg", "qui%C3%A9n%3F.jpg"),
    ("a&b=c+d;e.jpg", "a%26b%3Dc%2Bd%3Be.jpg"),
    ("a:b@c.jpg", "a%3Ab%40c.jpg"),
    ("..a.jpg", "..a.jpg"),
    ("%2e%2e", "%252e%252e"),
    ("~a_b-c.jpg", "~a_b-c.jpg"),
    ("Captura 10.30\u202fa.m.jpg", "Captura%2010.30%E2%80%AFa.m.jpg"),  # macOS writes this space
    ("\u200eFOTO-2026-01-02.jpg", "%E2%80%8EFOTO-2026-01-02.jpg"),  # messengers write this mark
    ("می\u200cخواهم.jpg", "%D9%85%DB%8C%E2%80%8C%D8%AE%D9%88%D8%A7%D9%87%D9%85.jpg"),
    ("👩\u200d🎓.jpg", "%F0%9F%91%A9%E2%80%8D%F0%9F%8E%93.jpg"),
    ("\ufeffa\u00adb\u2060c\u200f\u202e.jpg", "%EF%BB%BFa%C2%ADb%E2%81%A0c%E2%80%8F%E2%80%AE.jpg"),
    ("pen\u0303a.jpg", "pen%CC%83a.jpg"),  # macOS writes ñ as two characters
]
REFUSED = ["", ".", "..", "/", "a/b.jpg", "../a.jpg", "..\\a.jpg", "a\nb.jpg", "a\x00.jpg", "a\x7f.jpg", "a\u2028b.jpg"]


@pytest.mark.parametrize(("name", "encoded"), NAMES)
def test_each_name_is_one_encoded_segment(name: str, encoded: str) -> None:
    base = "https://fotos.example/img/Cultura"
    assert photo_url(base, CrewMember("789123", name)) == f"{base}/789123/{encoded}"
    assert photo_url(base, CrewMember(name, "a.jpg")) == f"{base}/{encoded}/a.jpg"


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_is_not_one_segment_is_refused(name: str) -> None:
    for member in (CrewMember("789123", name), CrewMember(name, "a.jpg")):
        with pytest.raises(BadName, match=r"^«"):
            photo_url("https://fotos.example", member)


@pytest.mark.parametrize(
    ("base", "stored"),
    [
        ("http://ana:S3creta@h:8080/img", "http://h:8080/img/7/a.jpg"),
        ("http://ana@h/img", "http://h/img/7/a.jpg"),
        ("http://ana:p%40s@h", "http://h/7/a.jpg"),
        ("http://h/a@b", "http://h/a@b/7/a.jpg"),
        ("http://h/img?sig=S3creta/", "http://h/img/7/a.jpg"),
        ("http://ana:S3creta@h?v=1", "http://h/7/a.jpg"),
        ("file:///fotos", "file:///fotos/7/a.jpg"),
    ],
)
def test_the_url_that_is_stored_has_no_credentials(base: str, stored: str) -> None:
    assert photo_url(base, CrewMember("7", "a.jpg")) == stored
