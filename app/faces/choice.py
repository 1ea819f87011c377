"""Which of several faces is the member's: regions come in, the one to enrol goes out, or an error that says why not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from app.errors import SeveralFaces
from app.faces.engine import FacialAreaRegion

DOMINANT, LARGEST, REJECT = "dominant", "largest", "reject"
Policy = Literal["dominant", "largest", "reject"]


def by_size(regions: Sequence[FacialAreaRegion]) -> list[FacialAreaRegion]:
    """The largest first."""
    return sorted(regions, key=area, reverse=True)


def area(region: FacialAreaRegion) -> float:
    return float(region.w * region.h)


def check_dominance(sorted_regions: Sequence[FacialAreaRegion], policy: Policy, max_ratio: float) -> None:
    """Raises SeveralFaces when it is not clear whose photo it is: any second face with `reject`, with `dominant`
    one of more than `max_ratio` of the first one's area (SingleFacePresent, ISO/IEC 29794-5). Never with `largest`."""
    if len(sorted_regions) == 1 or policy == LARGEST:
        return
    ratio = area(sorted_regions[1]) / area(sorted_regions[0])
    if policy == REJECT or ratio > max_ratio:
        raise SeveralFaces(f"se ven {len(sorted_regions)}; el segundo rostro mide el {ratio:.0%} del primero")
