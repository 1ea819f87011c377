"""Kinds of `field_pictures` whose files have damaged bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.random import Generator

from benchmarks.field_album import Album, Case, Portrait, as_jpeg, may_store
from tests.support.pictures import encode_picture

BROKEN = {"invalid_image", "dangerous_image"}
BLOCKS_BYTES = (64, 200, 600, 2000)
CUT_SHARES = (0.3, 0.95)
START_OF_IMAGE, START_OF_SCAN, END_OF_IMAGE = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"
OTHER_FORMATS_SIDE_PX = 800
OTHER_FORMATS = {
    "png": lambda portrait: _encoded(portrait, ".png"),
    "webp": lambda portrait: encode_picture(portrait.image, "WEBP", quality=90),
    "webp-lossless": lambda portrait: encode_picture(portrait.image, "WEBP", lossless=True),
    "gif": lambda portrait: encode_picture(portrait.image, "GIF"),
    "bmp": lambda portrait: _encoded(portrait, ".bmp"),
    "tiff": lambda portrait: encode_picture(portrait.image, "TIFF"),
    "tiff-lzw": lambda portrait: encode_picture(portrait.image, "TIFF", compression="tiff_lzw"),
}
Damage = Callable[[bytes, int, Generator], bytes]  # (file, offset of the picture's data, random generator) -> file


def damaged(album: Album) -> Iterator[Case]:
    """Damage each photo's own file and JPEGs of our own: blocks lost, ends cut off, transfers as text."""
    for number, portrait in enumerate(album.portraits):
        for step in range(5):
            name = list(DAMAGES)[(number + 2 * step) % len(DAMAGES)]
            own = step % 2 and portrait.content.startswith(START_OF_IMAGE)
            content = portrait.content if own else as_jpeg(portrait.image, 85)
            yield _broken(portrait, content, f"jpeg-{step}", name, number * 10 + step)


def damaged_others(album: Album) -> Iterator[Case]:
    """Damage files of other formats in the same ways."""
    for number, portrait in enumerate(album.portraits):
        small = portrait.resized(min(1.0, OTHER_FORMATS_SIDE_PX / max(portrait.image.shape[:2])))
        for step in range(3):
            kind = list(OTHER_FORMATS)[(number + step) % len(OTHER_FORMATS)]
            name = list(DAMAGES)[(number // len(OTHER_FORMATS) + 3 * step) % len(DAMAGES)]
            yield _broken(portrait, OTHER_FORMATS[kind](small), kind, name, 1000 + number * 10 + step)


def _broken(portrait: Portrait, content: bytes, kind: str, name: str, seed: int) -> Case:
    """Damage one file. It may still give the right vector, if the damage is not in the picture."""
    start = content.index(START_OF_SCAN) + 14 if kind.startswith("jpeg") else 200
    broken = DAMAGES[name](content, start, np.random.default_rng(seed))
    ending = "jpg" if kind.startswith("jpeg") else kind.split("-", maxsplit=1)[0]
    return may_store(f"{portrait.file}-{kind}-{name}.{ending}", broken, portrait, BROKEN)


def _place(content: bytes, start: int, chance: Generator) -> tuple[int, int]:
    """Choose a block of the picture's data; return its begin and its end."""
    length = int(chance.choice(BLOCKS_BYTES))
    begin = int(chance.integers(start, max(start + 1, len(content) - length - 2)))
    return begin, begin + length


def _zeroed(content: bytes, start: int, chance: Generator) -> bytes:
    begin, end = _place(content, start, chance)
    return content[:begin] + bytes(end - begin) + content[end:]


def _removed(content: bytes, start: int, chance: Generator) -> bytes:
    begin, end = _place(content, start, chance)
    return content[:begin] + content[end:]


def _overwritten(content: bytes, start: int, chance: Generator) -> bytes:
    begin, end = _place(content, start, chance)
    return content[:begin] + chance.bytes(end - begin) + content[end:]


def _cut(content: bytes, start: int, chance: Generator) -> bytes:
    return content[: start + int((len(content) - start) * chance.uniform(*CUT_SHARES))]


def _cut_and_closed(content: bytes, start: int, chance: Generator) -> bytes:
    """Cut a JPEG and end it properly, as a program does that stores what has arrived; other formats are only cut."""
    return _cut(content, start, chance) + END_OF_IMAGE


def _without_returns(content: bytes, *_: object) -> bytes:
    return content.replace(b"\r\n", b"\n")


def _with_returns(content: bytes, *_: object) -> bytes:
    return content.replace(b"\n", b"\r\n")


def _as_text(content: bytes, *_: object) -> bytes:
    """Read and write the file as UTF-8, replacing what is not UTF-8."""
    return content.decode("utf-8", "replace").encode()


DAMAGES: dict[str, Damage] = {
    "zeroed": _zeroed,
    "removed": _removed,
    "overwritten": _overwritten,
    "cut-closed": _cut_and_closed,
    "cut": _cut,
    "lf": _without_returns,
    "crlf": _with_returns,
    "utf8": _as_text,
}


def _encoded(portrait: Portrait, ending: str) -> bytes:
    return bytes(cv2.imencode(ending, portrait.image)[1])
