"""Check the model of the queues against runs of the program, and say what larger rosters and clusters would take.

`python -m benchmarks.capacity --photos DIR`: real MariaDB, real web server, real nets. The model is calibrated on the
run with one worker thread, and has to predict the rates of all others to within 15 %; the program ends with code 1 if
it does not. `--costs FILE` takes the costs of an earlier run's `--json` and only prints the tables.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
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
from benchmarks.front_door import open_front_door
from benchmarks.machine import check_machine, say
from benchmarks.photos import list_photos
from benchmarks.queue_model import Costs, simulate
from benchmarks.weights import facenet_home

TOLERANCE = 0.15  # of the issue


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR")
    parser.add_argument("--members", type=int, default=300, metavar="N", help="of each run; default: 300")
    parser.add_argument("--only", type=int, nargs="+", metavar="N", help="runs beside the first, by number from 1")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def predict(costs: Costs, case: Case, measured: Measured) -> float:
    """Return the rate that the model says for the run, of whose cores other programs took a share."""
    return simulate(costs, replace(case.site, others=measured.others), measured.run.members).rate


def main() -> None:
    options = parse_arguments()
    check_machine()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        document = check(options, Path(name))
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
        costs = costs_of(calibrated, start, transaction)
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
        f"photo server {costs.serve:.1f}; driver {costs.drive:.2f}, row {costs.row:.2f}, transaction {costs.commit:.2f}"
    )


if __name__ == "__main__":
    main()
