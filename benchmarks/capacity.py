"""Check the model of the queues against runs of the program, and say what larger rosters and clusters would take.

`python -m benchmarks.capacity --photos DIR`: real MariaDB, real web server, real nets. The model is calibrated on the
run with one worker thread, and has to predict the rates of all others to within 15 %; the program ends with code 1 if
it does not. Then it says what larger rosters take on larger clusters; `--costs FILE` takes an earlier run's `--json`,
and only says that.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.capacity_runs import (
    Case,
    Measured,
    cases,
    costs_of,
    good_photos,
    measure,
    measure_slowdown,
    measure_transaction,
)
from benchmarks.clusters import extrapolate, show
from benchmarks.front_door import open_front_door
from benchmarks.machine import check_machine, say
from benchmarks.photos import list_photos
from benchmarks.queue_model import Costs, simulate
from benchmarks.weights import facenet_home

TOLERANCE = 0.15  # of the issue
MB = 1e6


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    parser.add_argument("--photos", type=Path, metavar="DIR")
    parser.add_argument("--costs", type=Path, metavar="FILE", help="of an earlier run")
    parser.add_argument("--members", type=int, default=300, metavar="N", help="of each run; default: 300")
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="runs beside the first, by number from 1")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if (options.photos is None) == (options.costs is None):
        parser.error("either --photos or --costs")
    return options


def predict(costs: Costs, case: Case, measured: Measured) -> float:
    """Return the rate that the model says for the run, of whose cores other programs took a share."""
    return simulate(costs, replace(case.site, others=measured.others), measured.run.members).rate


def main() -> None:
    options = parse_arguments()
    if options.costs:
        document = json.loads(options.costs.read_text())
    else:
        check_machine()
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            document = check(options, Path(name))
    document["clusters"] = show(list(extrapolate(Costs(**document["costs"]), document["slowdown"])))
    if options.json:
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    sys.exit(any(abs(row["ratio"] - 1) > TOLERANCE for row in document["checks"]))


def check(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure, calibrate on the first case, and compare the model with each."""
    home, photos = facenet_home(folder), options.photos
    slowdown = measure_slowdown(home, folder)
    first, *others = cases(slowdown)
    with open_front_door(folder, photos, home.folder) as door:
        names = good_photos(door, [photo.name for photo in list_photos(photos)])
        start = measure(door, first, photos, names, 1)
        transaction = measure_transaction(door)
        calibrated = measure(door, first, photos, names, options.members)
        size_mb = mean((photos / name).stat().st_size for name in names) / MB
        costs = replace(costs_of(calibrated, start, transaction), photo_mb=size_mb)
        say(describe(costs))
        rows = [compare(costs, first, calibrated)]
        for number, case in enumerate(others, start=1):
            if not options.only or number in options.only:
                rows.append(compare(costs, case, measure(door, case, photos, names, options.members)))
    return {"slowdown": slowdown, "costs": asdict(costs), "calibration": rows[0], "checks": rows[1:]}


def compare(costs: Costs, case: Case, measured: Measured) -> dict[str, Any]:
    """Print and return the measured and the predicted rate of a case."""
    predicted = predict(costs, case, measured)
    ratio = predicted / measured.rate
    say(
        f"{case.name:<40}{measured.rate:>7.2f} photos a second, model {predicted:>6.2f}, ratio {ratio:.2f}; "
        f"others took {measured.others:.0%} of the cores; {measured.run.process.wall_s:.0f} s"
    )
    return {
        "case": case.name,
        "measured": measured.rate,
        "predicted": predicted,
        "ratio": ratio,
        "others": measured.others,
    }


def describe(costs: Costs) -> str:
    prepare = sum(costs.prepare) / len(costs.prepare)
    return (
        f"ms of a core for a photo: fetch {costs.fetch:.1f}, decode and find {prepare:.1f}, embed {costs.embed:.1f}; "
        f"photo server {costs.serve:.1f}, for {costs.photo_mb:.2f} MB; "
        f"driver {costs.drive:.2f}, row {costs.row:.2f}, transaction {costs.commit:.2f}"
    )


if __name__ == "__main__":
    main()
