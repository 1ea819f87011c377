"""Compare speed and memory with an earlier commit of this program, in turns in one run.

`python -m benchmarks.versions --against COMMIT --photos DIR`: the commit is checked out into a temporary folder and
runs with this installation's libraries. Each round runs both versions, the earlier one first in every second round.
Printed are the medians over the rounds, and the ratios of this version to the earlier one.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from app.core.config import PROJECT_DIR
from benchmarks.front_door import FrontDoor, ProgramRun, open_front_door
from benchmarks.machine import describe_machine
from benchmarks.photos import list_photos
from benchmarks.scale import PHOTO, write_small_portrait
from benchmarks.weights import facenet_home, link_into

GIT = shutil.which("git") or "git"
ONE_MEMBER = "0"
MEASURES: dict[str, Callable[[ProgramRun], float]] = {
    "wall s": lambda run: run.process.wall_s,
    "cpu s": lambda run: run.process.cpu_s,
    "peak MB": lambda run: run.process.peak_mb,
}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.versions", description=__doc__)
    parser.add_argument("--against", required=True, metavar="COMMIT")
    parser.add_argument("--photos", type=Path, required=True, metavar="DIR")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="rounds; default: 3")
    parser.add_argument("--members", type=int, default=280, metavar="N", help="new members of one run; default: 280")
    parser.add_argument(
        "--unchanged", type=int, default=5000, metavar="N", help="who are stored, 0: none; default: 5000"
    )
    return parser.parse_args()


@contextmanager
def checked_out(commit: str, folder: Path) -> Iterator[Path]:
    """Check a commit out into a source tree, and remove it on leaving."""
    tree = folder / "earlier"
    subprocess.run([GIT, "worktree", "add", "--detach", "-q", str(tree), commit], cwd=PROJECT_DIR, check=True)
    try:
        yield tree
    finally:
        subprocess.run([GIT, "worktree", "remove", "--force", str(tree)], cwd=PROJECT_DIR, check=True)


def run_new(door: FrontDoor, tree: Path, names: list[str], members: int) -> Iterator[tuple[str, ProgramRun]]:
    """Run over a new roster, then once for a single member (a cold start)."""
    door.enrol(names, members)
    yield f"{members} new members", door.run("--all", tree=tree)
    yield "one member, again", door.run("--crew-id", ONE_MEMBER, "--force", tree=tree)


def run_unchanged(door: FrontDoor, tree: Path, members: int) -> tuple[str, ProgramRun]:
    """Run over many members whom the same version has stored already."""
    door.enrol_stored(PHOTO, members, tree)
    return f"{members} unchanged members", door.run("--all", tree=tree)


Rounds = dict[str, list[dict[Path, ProgramRun]]]


def measure(door: FrontDoor, options: argparse.Namespace, names: list[str], earlier: Path) -> Rounds:
    """Run all cases; return for each case the rounds, each with a run by source tree."""
    found: Rounds = defaultdict(list)
    for number in range(options.repeat):
        both: dict[str, dict[Path, ProgramRun]] = defaultdict(dict)
        for tree in [PROJECT_DIR, earlier] if number % 2 == 0 else [earlier, PROJECT_DIR]:
            for case, run in run_new(door, tree, names, options.members):
                both[case][tree] = run
            if options.unchanged:
                case, run = run_unchanged(door, tree, options.unchanged)
                both[case][tree] = run
        for case, runs in both.items():
            found[case].append(runs)
    return found


def print_table(found: Rounds, earlier: Path) -> None:
    print(f"{'':<28}{'':<10}{'earlier':>10}{'now':>10}{'ratio':>8}  of each round")
    for case, rounds in found.items():
        for name, value in MEASURES.items():
            print(_row(case, name, [(value(runs[earlier]), value(runs[PROJECT_DIR])) for runs in rounds]))


def _row(case: str, name: str, pairs: list[tuple[float, float]]) -> str:
    before, now = (median(pair[side] for pair in pairs) for side in (0, 1))
    ratios = [after / first for first, after in pairs]
    each = " ".join(f"{ratio:.3f}" for ratio in ratios)
    return f"{case:<28}{name:<10}{before:>10.2f}{now:>10.2f}{median(ratios):>8.3f}  {each}"


def main() -> None:
    options = parse_arguments()
    print(describe_machine())
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        photos = list_photos(options.photos)
        link_into(folder / "served", photos)
        write_small_portrait(folder / "served")
        home = facenet_home(folder).folder
        with (
            checked_out(options.against, folder) as earlier,
            open_front_door(folder, folder / "served", home) as door,
        ):
            print_table(measure(door, options, [photo.name for photo in photos], earlier), earlier)


if __name__ == "__main__":
    main()
