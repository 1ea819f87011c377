"""Damaged images: a good file and a source of chance come in, a file that is no longer good goes out."""

from __future__ import annotations

import itertools
import re
import struct
import zlib
from collections.abc import Callable

import numpy as np

from app.photos.kinds import PNG_START

Chance = np.random.Generator
Mutation = Callable[[bytes, Chance], bytes]
HEAD_BYTES = 256  # where headers are: half of the damage goes there
# Where a file's parts begin: marker, chunk or block; whatever else it is, twelve bytes are a TIFF's entry.
PARTS = re.compile(
    rb"\xff[\xc0-\xfe]|....(?=IHDR|PLTE|tRNS|IDAT|eXIf|acTL|fcTL|fdAT|IEND)|VP8|ALPH|ANIM|ANMF|[\x21\x2c](?=.[\x00-\x0f])",
    re.DOTALL,
)
ENTRY_BYTES = 12
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
NUMBERS = ("<H", ">H", "<I", ">I")


def mutate(content: bytes, chance: Chance) -> bytes:
    """The file after one or two kinds of damage; a PNG's checksums are often made good, or nobody would look on."""
    for number in chance.integers(0, len(MUTATIONS), chance.integers(1, 3)):
        content = MUTATIONS[number](content, chance)
    return with_good_checksums(content) if content.startswith(PNG_START) and chance.random() < 0.7 else content


def flip_bits(content: bytes, chance: Chance) -> bytes:
    damaged = bytearray(content)
    for _ in range(chance.integers(1, 12)):
        damaged[_place(content, chance)] ^= 1 << chance.integers(8)
    return bytes(damaged)


def replace_block(content: bytes, chance: Chance) -> bytes:
    start, length = _place(content, chance), int(chance.integers(1, 64))
    blocks = (chance.bytes(length), b"\0" * length, b"\xff" * length, content[:length])
    return content[:start] + blocks[chance.integers(len(blocks))] + content[start + length :]


def cut_off(content: bytes, chance: Chance) -> bytes:
    return content[: max(1, int(len(content) * chance.random()))]


def move_parts(content: bytes, chance: Chance) -> bytes:
    """Two parts swapped, one twice, or one left out."""
    starts = [found.start() for found in PARTS.finditer(content)]
    if len(starts) < 3:
        starts = list(range(8, len(content), ENTRY_BYTES))
    bounds = [0, *sorted(set(starts) - {0}), len(content)]
    parts = [content[start:end] for start, end in itertools.pairwise(bounds)]
    one, other = chance.integers(len(parts)), chance.integers(len(parts))
    deed = chance.integers(3)
    if deed == 0:
        parts[one], parts[other] = parts[other], parts[one]
    elif deed == 1:
        parts.insert(other, parts[one] * int(chance.integers(1, 20)))
    else:
        del parts[one]
    return b"".join(parts) or content


def overwrite_number(content: bytes, chance: Chance) -> bytes:
    """A length, a size or an offset becomes an extreme."""
    form = NUMBERS[chance.integers(len(NUMBERS))]
    size = struct.calcsize(form)
    value = (*EXTREMES, len(content))[chance.integers(len(EXTREMES) + 1)] % (1 << 8 * size)
    start = _place(content, chance)
    return content[:start] + struct.pack(form, value) + content[start + size :]


MUTATIONS: tuple[Mutation, ...] = (flip_bits, replace_block, cut_off, move_parts, overwrite_number)


def with_good_checksums(content: bytes) -> bytes:
    """A PNG with every chunk's checksum as it has to be, as far as its lengths lead."""
    mended, place = bytearray(content), len(PNG_START)
    while place + 12 <= len(mended):
        (length,) = struct.unpack_from(">I", mended, place)
        end = place + 8 + length
        if end + 4 > len(mended):
            break
        struct.pack_into(">I", mended, end, zlib.crc32(mended[place + 4 : end]))
        place = end + 4
    return bytes(mended)


def _place(content: bytes, chance: Chance) -> int:
    within = min(len(content), HEAD_BYTES) if chance.random() < 0.5 else len(content)
    return int(chance.integers(within))
