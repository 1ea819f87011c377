"""Measure how often the intervals of error rates hold what they say, on simulated galleries whose true rates are known.

`python -m benchmarks.rate_intervals`: galleries of people from four populations (isotropic; anisotropic; hubs, who are
near to many; four unequal groups). The truth comes from a large draw of the same population. Nominal are 95 %; with 300
galleries the standard error is 1.3 points. Seeds are fixed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from app.recognition.distances import DECIMALS, STEP, UnitTemplates
from app.recognition.extrapolation import fit_tail
from app.recognition.genuine import Probes, rate_probes
from app.recognition.rates import (
    Estimate,
    estimate_fmr,
    estimate_fpir,
    estimate_fpir_of_fewer,
    hit_chances,
)
from app.recognition.scan import scan_gallery
from app.recognition.wished_threshold import recommend
from benchmarks.machine import say

SIZE = 128  # numbers of a vector
FMRS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-7)  # at the last one hardly any gallery has a pair within
WISHES = (0.10, 0.03, 0.01)
PERSONS, PHOTOS, FNMR_THRESHOLD = (6, 30, 100), 5, 0.3
HELD, KEPT = 0.93, 0.95  # limits of issue 16
PARTS = ("intervals", "wishes", "tails", "probes")

Generator = np.random.Generator
Population = Callable[[Generator, int], np.ndarray]


def isotropic(generator: Generator, count: int) -> np.ndarray:
    return generator.standard_normal((count, SIZE), dtype=np.float32)


def anisotropic(generator: Generator, count: int) -> np.ndarray:
    """Differ more in some directions than in others, as embeddings do."""
    return isotropic(generator, count) * (np.arange(1, SIZE + 1) ** -0.5).astype(np.float32)


def hubs(generator: Generator, count: int) -> np.ndarray:
    """Share a direction, each to another degree: who has much of it is near to all others who have."""
    shared = generator.gamma(1.0, 3.0, (count, 1))
    return (isotropic(generator, count) + shared * np.eye(1, SIZE)).astype(np.float32)


def groups(generator: Generator, count: int) -> np.ndarray:
    """Belong to one of four groups of 55, 25, 15 and 5 %; the smaller, the more alike."""
    chosen = generator.choice(4, size=count, p=[0.55, 0.25, 0.15, 0.05])
    strength = np.array([3.0, 4.5, 6.0, 8.0])[chosen, None]
    return (isotropic(generator, count) + strength * np.eye(4, SIZE)[chosen]).astype(np.float32)


POPULATIONS: dict[str, Population] = {each.__name__: each for each in (isotropic, anisotropic, hubs, groups)}


@dataclass(frozen=True, slots=True)
class Truth:
    """A population's true rates at the thresholds: the degrees (n, g) of large draws say all."""

    population: str
    thresholds: tuple[float, ...]
    draws: tuple[np.ndarray, ...]

    def fmr(self, place: int) -> float:
        return float(np.mean([each[:, place].mean() / (len(each) - 1) for each in self.draws]))

    def fpir(self, place: int, people: int) -> float:
        return float(np.mean([hit_chances(len(each) - 1, people)[each[:, place]].mean() for each in self.draws]))


@dataclass(frozen=True, slots=True)
class Cell:
    """How often something held: `share` of `of` galleries, at least `wanted`; `note` has the middle figures."""

    part: str
    population: str
    members: int
    at: str
    what: str
    true: float
    share: float
    of: int
    wanted: float
    note: str = ""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rate_intervals", description=__doc__)
    parser.add_argument("--galleries", type=int, default=300, metavar="N", help="of each cell; default: 300")
    parser.add_argument("--wished", type=int, default=100, metavar="N", help="galleries for thresholds; default: 100")
    parser.add_argument("--members", type=int, nargs="+", default=[300, 1_000], metavar="N", help="default: 300 1000")
    parser.add_argument(
        "--truth", type=int, default=40_000, metavar="N", help="people of the large draw; default: 40000"
    )
    parser.add_argument("--draws", type=int, default=6, metavar="N", help="of so many people; default: 6")
    parser.add_argument("--strangers", type=int, default=20_000, metavar="N", help="for wishes; default: 20000")
    parser.add_argument("--seed", type=int, default=16, metavar="N", help="default: 16")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def find_truth(name: str, people: int, draws: int, seed: int) -> Truth:
    """Draw many people several times: one gives the thresholds of FMRS, the others the rates there."""
    generator = np.random.default_rng([seed, *name.encode()])
    templates = UnitTemplates.of(POPULATIONS[name](generator, people))
    part = people // 8
    some = 1 - templates.unit[:part] @ templates.unit[part : 2 * part].T
    first = round(float(np.quantile(some, FMRS[0])), DECIMALS)
    distances, pairs = scan_gallery(templates, first, [first]).pairs.distances, people * (people - 1) // 2
    thresholds = first, *(float(distances[min(int(fmr * pairs), len(distances) - 1)]) for fmr in FMRS[1:])
    found = []
    for _ in range(draws):
        scan = scan_gallery(UnitTemplates.of(POPULATIONS[name](generator, people)), 0.0, thresholds[::-1])
        found.append(scan.degrees[:, ::-1])
    truth = Truth(name, thresholds, tuple(found))
    rates = (f"{truth.fmr(place):.2e} at {at:.3f}" for place, at in enumerate(thresholds))
    say(f"{name}: FMR {', '.join(rates)}")
    return truth


def draw(truth: Truth, members: int, seed: Sequence[int]) -> UnitTemplates:
    generator = np.random.default_rng([*seed, members, *truth.population.encode()])
    return UnitTemplates.of(POPULATIONS[truth.population](generator, members))


def measure_intervals(truth: Truth, members: int, options: argparse.Namespace) -> Iterator[Cell]:
    """Yield, for each FMR, how often the intervals of FMR, FPIR and FPIR of a quarter of the members hold the truth."""
    quarter, found = members // 4, []
    for gallery in range(options.galleries):
        scan = scan_gallery(
            draw(truth, members, (options.seed, 1, gallery)), truth.thresholds[0], truth.thresholds[::-1]
        )
        found.append([])
        for threshold in truth.thresholds:
            degrees = scan.degrees_at(threshold)
            fewer = estimate_fpir_of_fewer(degrees, scan.pairs.within(threshold), quarter)
            found[-1].append((estimate_fmr(degrees), estimate_fpir(degrees, scan.nearest), fewer))
    for place, fmr in enumerate(FMRS):
        kinds = zip(*(each[place] for each in found), strict=True)
        trues = (truth.fmr(place), truth.fpir(place, members), truth.fpir(place, quarter))
        for what, true, estimates in zip(("FMR", "FPIR", "FPIR of a quarter"), trues, kinds, strict=True):
            yield covered("intervals", truth.population, members, f"FMR {fmr:.0e}", (what, true), estimates)


def covered(
    part: str, population: str, members: int, at: str, of: tuple[str, float], estimates: Sequence[Estimate]
) -> Cell:
    what, true = of
    held = np.array([each.low <= true <= each.high for each in estimates])
    above = np.mean([true > each.high for each in estimates])
    none = np.mean([each.value == 0 for each in estimates])
    note = (
        f"mean {np.mean([each.value for each in estimates]):.2e}, above the upper end {above:.3f}, no event {none:.2f}"
    )
    return Cell(part, population, members, at, what, true, float(held.mean()), len(held), HELD, note)


def measure_wishes(truth: Truth, members: int, options: argparse.Namespace) -> Iterator[Cell]:
    """Yield how often thresholds for a wished FPIR keep it, against strangers who had no part in choosing them."""
    realised: dict[tuple[float, str], list[float]] = {}
    for gallery in range(options.wished):
        templates = draw(truth, members, (options.seed, 2, gallery))
        strangers = draw(truth, options.strangers, (options.seed, 3, gallery))
        nearest = np.sort(1 - (strangers.unit @ templates.unit.T).max(axis=1))
        scan = scan_gallery(templates, truth.thresholds[0], [truth.thresholds[0]])
        for wish in WISHES:
            chosen = recommend(scan, wish)
            for what, threshold in (("point", chosen.point), ("assured", chosen.assured)):
                if threshold is not None:
                    share = np.searchsorted(nearest, threshold + STEP / 2) / len(nearest)
                    realised.setdefault((wish, what), []).append(float(share))
    for (wish, what), shares in realised.items():
        kept, low, middle, high = float(np.mean(np.array(shares) <= wish)), *np.percentile(shares, [5, 50, 95])
        note = f"realised {middle:.4f} ({low:.4f} to {high:.4f})"
        wanted = KEPT if what == "assured" else 0.0
        yield Cell("wishes", truth.population, members, f"wish {wish:g}", what, wish, kept, len(shares), wanted, note)


def measure_tails(truth: Truth, members: int, options: argparse.Namespace) -> Iterator[Cell]:
    """Yield how often the extrapolated interval holds the truth, where it is not refused."""
    pairs = members * (members - 1) / 2
    for place, fmr in enumerate(FMRS):
        if not 1 / pairs / 10 <= fmr < 30 / pairs:
            continue
        found, asked = [], 0
        for gallery in range(options.wished):
            scan = scan_gallery(draw(truth, members, (options.seed, 4, gallery)), 0.0, [truth.thresholds[place]])
            tail = fit_tail(scan.pairs, members)
            asked += 1
            if tail and (beyond := tail.fmr(truth.thresholds[place])):
                found.append(beyond)
        if not found:
            yield Cell("tails", truth.population, members, f"FMR {fmr:.0e}", "refused", fmr, 1.0, asked, 0.0)
            continue
        ratios = {
            "Pareto": np.array([each.point for each in found]) / truth.fmr(place),
            "exponential": np.array([each.cautious for each in found]) / truth.fmr(place),
        }
        texts = [
            f"{name} {np.median(each):.2f} ({np.percentile(each, 5):.2f} to {np.percentile(each, 95):.2f})"
            for name, each in ratios.items()
        ]
        held = np.mean([each.low <= truth.fmr(place) <= each.high for each in found])
        note = f"refused {1 - len(found) / asked:.2f}; of the truth: " + ", ".join(texts)
        yield Cell(
            "tails",
            truth.population,
            members,
            f"FMR {fmr:.0e}",
            "extrapolated",
            truth.fmr(place),
            float(held),
            len(found),
            0.0,
            note,
        )


def draw_probes(generator: Generator, persons: int) -> tuple[UnitTemplates, Probes]:
    """Draw persons of whom some change more from photo to photo than others."""
    enrolled = anisotropic(generator, persons)
    change = generator.lognormal(-0.8, 0.4, persons).repeat(PHOTOS)[:, None]
    photos = enrolled.repeat(PHOTOS, axis=0) + change * anisotropic(generator, persons * PHOTOS)
    return UnitTemplates.of(enrolled), Probes.of(UnitTemplates.of(photos), np.arange(persons).repeat(PHOTOS))


def measure_probes(options: argparse.Namespace) -> Iterator[Cell]:
    """Yield how often FNMR's interval, with the person as the unit, holds the truth."""
    generator = np.random.default_rng([options.seed, 5])
    true = np.mean([_fnmr(generator, 1_000).value for _ in range(20)])
    for persons in PERSONS:
        found = [_fnmr(generator, persons) for _ in range(options.galleries)]
        at = f"{PHOTOS} photos each"
        yield covered("probes", "anisotropic", persons, at, ("FNMR", float(true)), found)


def _fnmr(generator: Generator, persons: int) -> Estimate:
    gallery, probes = draw_probes(generator, persons)
    found = rate_probes(probes, gallery, [FNMR_THRESHOLD]).rows[0].fnmr
    assert found is not None
    return found


MEASURES = {"intervals": measure_intervals, "wishes": measure_wishes, "tails": measure_tails}


def measure(options: argparse.Namespace) -> Iterator[Cell]:
    if "probes" in options.only:
        yield from measure_probes(options)
    for name in POPULATIONS if set(MEASURES) & set(options.only) else ():
        truth = find_truth(name, options.truth, options.draws, options.seed)
        for members in options.members:
            for part in (part for part in MEASURES if part in options.only):
                yield from MEASURES[part](truth, members, options)


def print_cell(cell: Cell) -> None:
    verdict = "" if cell.share >= cell.wanted else "  NOT REACHED"
    where = f"{cell.population:<12}{cell.members:>6}  {cell.at:<15}{cell.what:<18}"
    print(f"{where}{cell.true:>10.2e}{cell.share:>7.3f} of {cell.of}{verdict}  {cell.note}", flush=True)


def main() -> None:
    options, cells = parse_arguments(), []
    for cell in measure(options):
        print_cell(cell)
        cells.append(cell)
    fallen = [cell for cell in cells if cell.share < cell.wanted]
    print(f"\n{len(cells) - len(fallen)} of {len(cells)} cells reach what they should; lowest by measure:")
    for what in dict.fromkeys(cell.what for cell in cells if cell.wanted):
        print(f"  {what}: {min(cell.share for cell in cells if cell.what == what and cell.wanted):.3f}")
    if options.json:
        options.json.write_text(json.dumps([asdict(cell) for cell in cells], indent=2) + "\n")


if __name__ == "__main__":
    main()
