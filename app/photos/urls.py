"""The photo's URL: `<base>/<crew_id>/<photo>`, or BadName for a name that is not one plain path segment."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from urllib.parse import quote

from app.core.redaction import without_credentials
from app.core.text import as_utf8
from app.errors import BadName
from app.records import CrewMember

PLAIN = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.~-]*")  # needs no encoding, and is neither `.` nor `..`
FORBIDDEN_IN_NAMES = ("/", "\\")
# Unicode's categories: control, line separator, paragraph separator. Format characters are part of names: messengers
# begin a name with U+200E, Persian has U+200C within words, and emoji U+200D.
FORBIDDEN_CATEGORIES = ("Cc", "Zl", "Zp")
SURROGATE = "Cs"  # stands for a byte that is no UTF-8


def photo_url(base_url: str, member: CrewMember) -> str:
    """Build the photo's URL: each segment percent-encoded, without the base's credentials and query, which the requests
    add: a new token makes no new photo. Raises BadName."""
    return f"{_public(base_url)}/{_segment(member.crew_id)}/{_segment(member.photo_name)}"


def _segment(name: str) -> str:
    if PLAIN.fullmatch(name):
        return name  # the usual name, settled without a look at each character: rosters have 100,000 members
    _refuse_bad_name(name)
    return quote(name, safe="")


@lru_cache(maxsize=1)
def _public(base_url: str) -> str:
    return without_credentials(base_url)


def _refuse_bad_name(name: str) -> None:
    if name in ("", ".", ".."):
        raise BadName(f"«{name}»")
    if any(unicodedata.category(char) == SURROGATE for char in name):
        raise BadName(f"«{as_utf8(name)}» no es texto UTF-8")
    if any(char in FORBIDDEN_IN_NAMES or unicodedata.category(char) in FORBIDDEN_CATEGORIES for char in name):
        raise BadName(f"«{name}» contiene una barra o un carácter de control")
