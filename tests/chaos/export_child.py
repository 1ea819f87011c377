"""Export two galleries over each other, to be killed meanwhile: `python -m tests.chaos.export_child TARGET [steps]`.

Without `steps` it goes on for ever, after a line on standard output. With it, a process of its own dies at each call
that changes a file (a descriptor opened, a file renamed, linked, deleted, given other permissions), from the first to
the last; after each death the target must be whole, and the next export must clear up. Prints the number of deaths.
"""

from __future__ import annotations

import itertools
import os
import sys
from pathlib import Path

from app.recognition.export.contents import Contents
from tests.support.exports import export, make_contents, read_whole

DEATH = 77
CHANGES = {"open", "os.rename", "os.link", "os.remove", "os.chmod"}
SMALL, LARGE = 300, 3000  # members


def main(target: Path, *words: str) -> None:
    if words:
        sys.stdout.write(str(die_at_each_step(target)))
        return
    galleries = [make_contents(LARGE, 128, seed, prefix) for seed, prefix in ((1, "a"), (2, "b"))]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for gallery in itertools.cycle(galleries):
        export(target, gallery)


def die_at_each_step(target: Path) -> int:
    before, after = make_contents(SMALL, prefix="a"), make_contents(SMALL + 1, seed=2, prefix="b")
    whole = [list(gallery.templates.crew_ids) for gallery in (before, after)]
    changed = False
    for step in itertools.count():
        export(target, before)
        kept = {path.name for path in target.parent.iterdir()}
        died = export_and_die(target, after, step)
        found = whole.index(read_whole(target))
        assert found >= changed, f"the old gallery is back at step {step}"
        changed = bool(found)
        export(target, after)
        assert read_whole(target) == whole[1]
        left = {path.name for path in target.parent.iterdir()} - kept
        assert len(left) <= 1, f"step {step} leaves {left}"  # the version's own file
        if not died:
            assert changed
            return step
    raise AssertionError


def export_and_die(target: Path, gallery: Contents, step: int) -> bool:
    """Export in a process that dies at this step; tell whether there was one."""
    child = os.fork()
    if not child:
        steps = itertools.count()

        def die(event: str, _arguments: object) -> None:
            if event in CHANGES and next(steps) == step:
                os._exit(DEATH)

        sys.addaudithook(die)
        export(target, gallery)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == DEATH


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
