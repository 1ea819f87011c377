"""Remove passwords, tokens and vectors from text before it is shown or stored."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus, unquote, urlsplit

# A shorter secret may also be part of a date or an id: it is only struck out as the password of a URL.
MIN_SECRET_CHARACTERS = 6
STRUCK_OUT = "***"
# With a point or an exponent. The lookbehind lets a match begin only at the start of a number; without it, long lines
# take quadratic time.
NUMBER = r"(?:np\.float\d+\()?-?(?<![\d.])\d+(?:\.\d*(?:e[-+]?\d+)?|e[-+]?\d+)\)?"
# Four numbers or more, as JSON, Python and numpy write them, also in quotes.
VECTOR = re.compile(rf"{NUMBER}(?:(?:[\s,;\[\]\"']|\.{{3}})+{NUMBER}){{3,}}")
USER_INFO = re.compile(r"(?<=://)[^\s/]*@")
QUERY = re.compile(r"(?<=\?)[^\s?=&\"']+=[^\s\"'<>)]*")  # of a URL, or of what a library quotes of one


def without_credentials(url: str) -> str:
    """Return the URL without user and password, and without its query, which may hold a token."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def secrets_of(url: str) -> list[str]:
    """Return the secret parts of a URL as they are written there: the password, or the only word before the @, and the
    query with each of its values, one of which may be a token."""
    parts = urlsplit(url)
    user, colon, password = parts.netloc.rpartition("@")[0].partition(":")
    values = [each.partition("=")[2] for each in parts.query.split("&")]
    return [secret for secret in (password if colon else user, parts.query, *values) if secret]


def redacted(text: str) -> str:
    """Remove parts of vectors and the credentials and queries of URLs, which the message of an error may quote."""
    without_vectors = VECTOR.sub("[vector]", text)
    return QUERY.sub(STRUCK_OUT, USER_INFO.sub(f"{STRUCK_OUT}@", without_vectors))


class Redactor:
    """Removes what `redacted` does, and these secrets in every form in which they may be written."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._known = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def __call__(self, text: str) -> str:
        # The known secrets first: what looks like the credentials of a URL may be only the beginning of a secret.
        return redacted(self._known.sub(STRUCK_OUT, text) if self._known else text)


def _forms(secret: str) -> Iterator[str]:
    for plain in {secret, unquote(secret)}:
        either = plain + '"'  # makes repr write single quotes around it, and so escape those in it
        in_code = (repr(plain)[1:-1], repr(either)[1:-2], ascii(plain)[1:-1], ascii(either)[1:-2])
        for form in (plain, quote(plain), quote(plain, safe=""), quote_plus(plain), *in_code, json.dumps(plain)[1:-1]):
            if len(plain) >= MIN_SECRET_CHARACTERS:
                yield from (form, re.sub(r"%..", lambda found: found[0].lower(), form))
            elif plain:
                yield f":{form}@"
