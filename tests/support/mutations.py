"""Damage image files at random, as a fuzzer does."""

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
HEAD_BYTES = 256  # where headers lie, which get half of the damage
# Where the parts of a file begin: a marker, chunk or block. Other files are cut into twelve bytes, as TIFF entries.
PARTS = re.compile(
    rb"\xff[\xc0-\xfe]|....(?=IHDR|PLTE|tRNS|IDAT|eXIf|acTL|fcTL|fdAT|IEND)|VP8|ALPH|ANIM|ANMF|[\x21\x2c](?=.[\x00-\x0f])",
    re.DOTALL,
)
ENTRY_BYTES = 12
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF)
NUMBERS = ("<H", ">H", "<I", ">I")


def mutate(content: bytes, chance: Chance) -> bytes:
    """Damage the file in one or two ways. A PNG's checksums are often corrected, else decoders stop early."""
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
    """Swap two parts, repeat one, or leave one out."""
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
    """Overwrite some number, perhaps a length, a size or an offset, with an extreme one."""
    form = NUMBERS[chance.integers(len(NUMBERS))]
    size = struct.calcsize(form)
    value = (*EXTREMES, len(content))[chance.integers(len(EXTREMES) + 1)] % (1 << 8 * size)
    start = _place(content, chance)
    return content[:start] + struct.pack(form, value) + content[start + size :]


MUTATIONS: tuple[Mutation, ...] = (flip_bits, replace_block, cut_off, move_parts, overwrite_number)


def with_good_checksums(content: bytes) -> bytes:
    """Correct every chunk's checksum in a PNG, as far as the chunks' lengths lead."""
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
