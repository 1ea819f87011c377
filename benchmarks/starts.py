"""Measure how long the program's short commands take, from their start to their end.

`python -m benchmarks.starts`: real MariaDB, a real web server, 20 members with photos. `--help`, `--history`, `--plan`,
and `--crew-id` for one photo with all nets (seeded weights, unless DEEPFACE_HOME has trained ones).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.front_door import open_front_door
from benchmarks.machine import check_machine
from benchmarks.scale import PHOTO, write_small_portrait
from benchmarks.weights import facenet_home

MEMBERS = 20
WITHOUT_NETS_S = 0.5  # limit of issue 18
WITHOUT_NETS = (("--help",), ("--history",), ("--plan",))
COMMANDS = (*WITHOUT_NETS, ("--crew-id", "0", "--force"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.starts", description=__doc__)
    parser.add_argument("--repeat", type=int, default=9, metavar="N", help="starts of each; the figure is their median")
    repeat = parser.parse_args().repeat
    check_machine()
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        write_small_portrait(folder / "served")
        with open_front_door(folder, folder / "served", facenet_home(folder).folder) as door:
            door.enrol([PHOTO], MEMBERS)
            door.run("--all")  # notes the weights' hash, and keeps what ONNX Runtime makes of the nets
            taken: dict[tuple[str, ...], list[float]] = {words: [] for words in COMMANDS}
            for _ in range(repeat):  # interleaved
                for words in COMMANDS:
                    taken[words].append(door.start(*words).wall_s)
    print(f"{'s, from start to end':<28}{'median':>8}{'least':>8}{'most':>8}")
    for words, seconds in taken.items():
        print(f"{' '.join(words):<28}{median(seconds):>8.2f}{min(seconds):>8.2f}{max(seconds):>8.2f}")
    slow = [" ".join(words) for words in WITHOUT_NETS if median(taken[words]) > WITHOUT_NETS_S]
    print(f"FAIL: {', '.join(slow)}" if slow else f"PASS: what loads no net takes at most {WITHOUT_NETS_S} s")


if __name__ == "__main__":
    main()
