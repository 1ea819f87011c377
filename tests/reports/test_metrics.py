"""`--metrics`: what Prometheus reads of a run, and what a failed run keeps of the file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.errors import item_errors
from app.reports.metrics import write_metrics
from app.runs.result import RunCounts

COUNTS = RunCounts(
    stored=7, failed=3, skipped=5, interrupted=1, seconds=2.5, by_code={"no_face": 2, "bad_name": 1},
    stages_ms={"download": 12.5, "embed": 40}, recalled=2, changes={"deactivated": 2},
    unchecked=2, returned=1, checks={"answered": 5, "failed": 3, "downloaded_again": 1},
)  # fmt: skip
ENDED = 1_790_000_000.5


def read(path: Path) -> dict[str, float]:
    """Return the metrics: `name` or `name{label's value}` -> value, without the common prefix."""
    found = {}
    for family in text_string_to_metric_families(path.read_text(encoding="utf-8")):
        for sample in family.samples:
            label = f"{{{next(iter(sample.labels.values()))}}}" if sample.labels else ""
            found[sample.name.removeprefix("face_embeddings_") + label] = sample.value
    return found


def test_all_that_is_known_of_a_run(tmp_path: Path) -> None:
    target = tmp_path / "embeddings.prom"
    write_metrics(target, 1, ENDED, COUNTS, 11)
    codes = {f"last_run_failures{{{kind.code}}}": 0 for kind in item_errors()}
    assert read(target) == codes | {
        "last_run_exit_code": 1,
        "last_run_timestamp_seconds": ENDED,
        "last_success_timestamp_seconds": ENDED,
        "gallery_people": 11,
        "last_run_seconds": 2.5,
        "last_run_people{stored}": 7,
        "last_run_people{failed}": 1,
        "last_run_people{failed_before}": 2,
        "last_run_people{skipped}": 2,
        "last_run_people{interrupted}": 1,
        "last_run_people{unchecked}": 2,
        "last_run_photo_checks{answered}": 5,
        "last_run_photo_checks{failed}": 3,
        "last_run_photo_checks{downloaded_again}": 1,
        "last_run_failures{no_face}": 2,
        "last_run_failures{bad_name}": 1,
        "last_run_stage_seconds{download}": 0.0125,
        "last_run_stage_seconds{embed}": 0.04,
        "last_run_changes{deactivated}": 2,
    }


def test_a_run_that_did_not_begin_says_so_and_keeps_the_last_success(tmp_path: Path) -> None:
    target = tmp_path / "embeddings.prom"
    write_metrics(target, 0, ENDED, COUNTS, 11)
    for exit_code in (2, 3):
        write_metrics(target, exit_code, ENDED + 60 * exit_code)
    assert read(target) == {
        "last_run_exit_code": 3,
        "last_run_timestamp_seconds": ENDED + 180,
        "last_success_timestamp_seconds": ENDED,
    }


@pytest.mark.parametrize("content", [None, "", "no es {{ de Prometheus", "\xff\x00"])
def test_before_the_first_success_there_is_none(tmp_path: Path, content: str | None) -> None:
    target = tmp_path / "embeddings.prom"
    if content is not None:
        target.write_text(content, encoding="latin-1")
    write_metrics(target, 3, ENDED)
    assert read(target) == {"last_run_exit_code": 3, "last_run_timestamp_seconds": ENDED}


def test_the_exporter_may_read_it_whatever_the_umask_and_nothing_else_is_left(tmp_path: Path) -> None:
    target = tmp_path / "embeddings.prom"
    before = os.umask(0o077)
    try:
        write_metrics(target, 0, ENDED)
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == 0o644
    assert list(tmp_path.iterdir()) == [target]
