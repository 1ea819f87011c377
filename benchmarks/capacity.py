"""Check the model of the queues against runs of the program, and say what larger rosters and clusters would take.

`python -m benchmarks.capacity --photos DIR`: real MariaDB, real web server, real nets. The model is calibrated on the
run with one worker thread, and has to predict the rates of all others to within 15 %; the program ends with code 1 if
it does not. `--figures FILE` prints the tables of an earlier run's `--json`.
"""

from __future__ import annotations

import argparse
import json
import pickle
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean
from typing import Any

from benchmarks.capacity_runs import (
    BATCH,
    Case,
    Measured,
    cases,
    costs_of,
    driver_ms,
    good_photos,
    measure,
    measure_disk,
    measure_quietly,
    measure_slowdowns,
    measure_transaction,
)
from benchmarks.capacity_tables import (
    MB,
    Sizes,
    ceiling_lines,
    on_machines_of_their_own,
    rate_lines,
    roster_lines,
    time_lines,
)
from benchmarks.front_door import open_front_door
from benchmarks.machine import check_machine
from benchmarks.photos import list_photos
from benchmarks.queue_model import Costs, simulate
from benchmarks.single_writer import embeddings
from benchmarks.weights import facenet_home

TOLERANCE = 0.15  # of the issue
# Of the driver's memory for a member: `python -m benchmarks.scale --only time`, many members against few.
REMEMBERED_BYTES = 4_800.0
# Looking for others with the same picture, beside that of a few hundred: `python -m benchmarks.shared_pictures`.
REGISTER_MS = 0.46  # among a million
PRICE = 0.04  # of a core for an hour: an assumption, as all clouds' list prices differ


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity", description=__doc__)
    parser.add_argument("--photos", type=Path, metavar="DIR")
    parser.add_argument("--members", type=int, default=400, metavar="N", help="of each run; default: 400")
    parser.add_argument("--tries", type=int, default=3, metavar="N", help="of a run that others disturb; default: 3")
    parser.add_argument("--figures", type=Path, metavar="FILE", help="of an earlier run: print its tables, run nothing")
    parser.add_argument("--price", type=float, default=PRICE, help=f"of a core for an hour; default: {PRICE}")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    if not (options.photos or options.figures):
        parser.error("--photos or --figures")
    return options


def main() -> None:
    options = parse_arguments()
    if options.figures:
        document = json.loads(options.figures.read_text())
    else:
        check_machine()
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            document = check(options, Path(name))
    if options.json:
        options.json.write_text(json.dumps(document, indent=2) + "\n")
    print_checks(document)
    print_tables(document, options.price)
    sys.exit(any(abs(row["ratio"] - 1) > TOLERANCE for row in document["checks"]))


def check(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Measure, calibrate on the first case, and compare the model with all others."""
    home, photos, members = facenet_home(folder), options.photos, options.members
    slowdowns = measure_slowdowns(home, photos, folder)
    first, *others = cases(slowdowns)
    with open_front_door(folder, photos, home.folder) as door:
        names = good_photos(door, [photo.name for photo in list_photos(photos)])
        start = measure(door, first, photos, names, 1)
        transaction = measure_transaction(door)
        calibrated = measure_quietly(door, first, photos, names, members, options.tries)
        costs = costs_of(calibrated, start, transaction)
        runs = [measure_quietly(door, case, photos, names, members, options.tries) for case in others]
        start_of_ray = measure(door, others[-1], photos, names, 1)
    photo_mb = mean(Path(photos, name).stat().st_size for name in names) / MB
    return {
        "slowdowns": slowdowns,
        "costs": asdict(replace(costs, photo_mb=photo_mb)),
        "disk": measure_disk(),
        "ray_driver_ms": driver_ms(runs[-1], start_of_ray),
        "result_bytes": len(pickle.dumps(next(embeddings(["1234567"], seed=1)))),
        "calibration": compare(costs, first, calibrated),
        "checks": [compare(costs, *pair) for pair in zip(others, runs, strict=True)],
    }


def compare(costs: Costs, case: Case, measured: Measured) -> dict[str, Any]:
    """Return the measured rate of a case and the one that the model says, of whose cores others took a share."""
    predicted = simulate(costs, replace(case.site, others=measured.others), measured.run.members).rate
    figures = {"measured": measured.rate, "predicted": predicted, "ratio": predicted / measured.rate}
    return {"case": case.name} | figures | {"others": measured.others}


def print_checks(document: dict[str, Any]) -> None:
    print(f"\n{describe(Costs(**document['costs']))}\n")
    print("| run | measured | model | model / measured | others took of the cores |\n| --- | --- | --- | --- | --- |")
    for row in (document["calibration"], *document["checks"]):
        rates = f"{row['measured']:.1f} | {row['predicted']:.1f} | {row['ratio']:.2f}"
        print(f"| {row['case']} | {rates} | {row['others']:.0%} |")


def print_tables(document: dict[str, Any], price: float) -> None:
    commit, row, stored = (document["disk"][name] for name in ("commit", "row", "stored_bytes"))
    costs = on_machines_of_their_own(Costs(**document["costs"]), **document["slowdowns"])
    drive = max(0.0, document["ray_driver_ms"] - costs.row - costs.commit / BATCH) + REGISTER_MS
    costs = replace(costs, drive=drive, commit=commit, row=row)
    sizes = Sizes(costs.photo_mb * MB, document["result_bytes"], stored, REMEMBERED_BYTES)
    print(f"\non a cluster: driver {drive:.2f} ms a member, row {row:.2f}, transaction {commit:.2f}; {sizes}")
    parts = ceiling_lines(costs), rate_lines(costs), roster_lines(costs, sizes, price), time_lines(costs)
    print("\n".join(line for part in parts for line in ("", *part)))


def describe(costs: Costs) -> str:
    return (
        f"ms of a core for a photo: fetch {costs.fetch:.1f}, decode and find {mean(costs.prepare):.1f}, embed "
        f"{costs.embed:.1f}; photo server {costs.serve:.1f}; driver {costs.drive:.2f}, row {costs.row:.2f}, "
        f"transaction {costs.commit:.2f}"
    )


if __name__ == "__main__":
    main()
