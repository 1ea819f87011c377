"""The body of a response, piece by piece: as large as a photo may be, unpacked, and within the time limit."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from http.client import IncompleteRead

import requests
from urllib3.exceptions import DecodeError

from app.errors import PhotoUnavailable
from app.photos.http_deadline import is_over
from app.photos.source_rules import refuse_oversized

CHUNK_BYTES = 256 * 1024
GZIP = {"gzip", "x-gzip"}  # sent by servers that compress although the request forbids it
COMPRESSIONS = GZIP | {"deflate", "compress", "x-compress", "br", "zstd", "dcb", "dcz"}
GZIP_FORMAT = 16 + zlib.MAX_WBITS


def read_body(response: requests.Response, limit_mb: float) -> Iterator[bytes]:
    """Yield the file's content in chunks. Both the content and what the server sends have at most `limit_mb`.

    urllib3's own unpacking applies every compression that the server names: a bomb within a bomb takes minutes.
    """
    words = (word.strip() for word in response.headers.get("Content-Encoding", "").lower().split(","))
    compressions = [word for word in words if word in COMPRESSIONS]  # `utf-8` or `aws-chunked` compress nothing
    sent = _limited(_sent(response), limit_mb)
    if not compressions:
        return sent
    if len(compressions) == 1 and compressions[0] in GZIP:
        return _limited(_unpacked(sent), limit_mb)
    raise PhotoUnavailable("respuesta comprimida de un modo que no se pidió")


def _sent(response: requests.Response) -> Iterator[bytes]:
    # `iter_content` would wait for a whole chunk, however slowly the server sends.
    while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):
        yield chunk


def _limited(chunks: Iterable[bytes], limit_mb: float) -> Iterator[bytes]:
    total = 0
    for chunk in chunks:
        total += len(chunk)
        refuse_oversized(total, limit_mb)
        if is_over():  # asked here too: the connections of a SOCKS proxy do not keep to the time limit
            raise TimeoutError
        yield chunk


def _unpacked(packed: Iterable[bytes]) -> Iterator[bytes]:
    """Unpack gzip, CHUNK_BYTES at a time, however much the rest would expand to. A file may consist of several gzip
    members, each followed by zeros as padding."""
    member = zlib.decompressobj(GZIP_FORMAT)
    for chunk in packed:
        rest = chunk
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
