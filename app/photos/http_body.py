"""The body of an answer: what comes over the wire goes in, the file's bytes come out, never more than a limit."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from http.client import IncompleteRead

import requests
from urllib3.exceptions import DecodeError

from app.errors import PhotoUnavailable
from app.photos import http_deadline as deadline
from app.photos.folder_source import CHUNK_BYTES, too_large

GZIP = {"gzip", "x-gzip"}  # by servers that compress whatever they are asked for
COMPRESSIONS = GZIP | {"deflate", "compress", "x-compress", "br", "zstd", "dcb", "dcz"}
GZIP_FORMAT = 16 + zlib.MAX_WBITS


def read_body(response: requests.Response, limit_bytes: int) -> Iterator[bytes]:
    """What the file holds, in pieces; both it and what came over the wire have at most that many bytes.

    urllib3 would unpack whatever the server names, as often as it says: a bomb of bombs costs minutes of computing,
    and older versions unpack a piece as a whole. Raises OversizedPhoto, PhotoUnavailable and the libraries' errors.
    """
    words = (word.strip() for word in response.headers.get("Content-Encoding", "").lower().split(","))
    compressions = [word for word in words if word in COMPRESSIONS]  # others, as `utf-8` and `aws-chunked`, are none
    wire = _limited(_pieces(response), limit_bytes)
    if not compressions:
        return wire
    if len(compressions) == 1 and compressions[0] in GZIP:
        return _limited(_unpacked(wire), limit_bytes)
    raise PhotoUnavailable("respuesta comprimida de un modo que no se pidió")


def _pieces(response: requests.Response) -> Iterator[bytes]:
    # As it arrives: `iter_content` waits for a whole piece, however slowly the server drips.
    while piece := response.raw.read1(CHUNK_BYTES, decode_content=False):
        yield piece


def _limited(pieces: Iterable[bytes], limit_bytes: int) -> Iterator[bytes]:
    total = 0
    for piece in pieces:
        total += len(piece)
        if total > limit_bytes:
            raise too_large(limit_bytes)
        if deadline.is_over():  # also through a proxy whose connections are not ours
            raise TimeoutError
        yield piece


def _unpacked(packed: Iterable[bytes]) -> Iterator[bytes]:
    """The content of gzip's members, a piece at a time, however much the next bytes would expand to. Behind each may
    be zeros, as blocks are filled up with."""
    member = zlib.decompressobj(GZIP_FORMAT)
    for piece in packed:
        rest = piece
        while rest:
            if member.eof:
                rest = rest.lstrip(b"\0")
                if not rest:
                    break
                member = zlib.decompressobj(GZIP_FORMAT)
            try:
                yield member.decompress(rest, CHUNK_BYTES)
            except zlib.error as error:
                raise DecodeError(str(error)) from error
            rest = member.unconsumed_tail or member.unused_data
    if not member.eof:
        raise IncompleteRead(b"")
