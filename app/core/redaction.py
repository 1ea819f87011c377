"""What nothing that is left behind may hold: text comes in, the same without passwords and vectors goes out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus, unquote, urlsplit

# A shorter one stands in dates and ids, too: it is struck out only where it stands as a URL's password.
MIN_SECRET_CHARACTERS = 6
STRUCK_OUT = "***"
# With a point or an exponent; looked for where one begins, or it takes long.
NUMBER = r"(?:np\.float\d+\()?-?(?<![\d.])\d+(?:\.\d*(?:e[-+]?\d+)?|e[-+]?\d+)\)?"
# As JSON, Python and numpy write them, also as quoted words.
VECTOR = re.compile(rf"{NUMBER}(?:(?:[\s,;\[\]\"']|\.{{3}})+{NUMBER}){{3,}}")
USER_INFO = re.compile(r"(?<=://)[^\s/]*@")


def without_credentials(url: str) -> str:
    """The URL as it may be shown and stored."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def password_of(url: str) -> str:
    """What of a URL is secret, as it is written there: the password, or the only word before the @."""
    user, colon, password = urlsplit(url).netloc.rpartition("@")[0].partition(":")
    return password if colon else user


def harmless(text: str) -> str:
    """The words of others, such as an error's, without what they quote: stretches of vectors, URLs' credentials."""
    return USER_INFO.sub(f"{STRUCK_OUT}@", VECTOR.sub("[vector]", text))


class Redactor:
    """`harmless`, and besides without these secrets, however they are written."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def __call__(self, text: str) -> str:
        # The known ones first: what is taken for a URL's credentials may be only the beginning of one.
        return harmless(self._known.sub(STRUCK_OUT, text) if self._known else text)


def _forms(secret: str) -> Iterator[str]:
    for plain in {secret, unquote(secret)}:
        either = plain + '"'  # with either kind of quotation mark, the escaped one too
        in_code = (repr(plain)[1:-1], repr(either)[1:-2], ascii(plain)[1:-1], ascii(either)[1:-2])
        for form in (plain, quote(plain), quote(plain, safe=""), quote_plus(plain), *in_code, json.dumps(plain)[1:-1]):
            if len(plain) >= MIN_SECRET_CHARACTERS:
                yield from (form, re.sub(r"%..", lambda found: found[0].lower(), form))
            elif plain:
                yield f":{form}@"
