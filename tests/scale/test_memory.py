"""A worker that Ray's memory monitor kills: nobody's fault, and everybody is done."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from app.core.database import Database
from tests.conftest import FoundOrganisation
from tests.scale.hooks import Hoard
from tests.support.clusters import running_cluster
from tests.support.tiny_faces import TinyLoader

pytestmark = pytest.mark.chaos
HOARD_BYTES = 6 * 2**30
SPARE_BYTES = 3 * 2**30  # that all processes together may take beyond what they have now


def memory() -> tuple[int, int]:
    """Read this machine's memory: in use, in all; bytes."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    kilobytes = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}
    return (kilobytes["MemTotal"] - kilobytes["MemAvailable"]) * 1024, kilobytes["MemTotal"] * 1024


@pytest.fixture
def watched() -> Iterator[Cluster]:
    """Start a node whose memory monitor looks often, and allows little."""
    used, total = memory()
    limits = {"memory_usage_threshold": (used + SPARE_BYTES) / total, "memory_monitor_refresh_ms": 100}
    with running_cluster(1, _system_config=limits) as nodes:
        yield nodes


def test_a_photo_that_fills_the_memory_once_costs_a_worker_and_nobody_else(
    watched: Cluster,
    found_organisation: FoundOrganisation,
    sqlite_database: Database,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hook = Hoard(tmp_path / "came.txt", crew_id="P020", most_bytes=HOARD_BYTES)
    home = found_organisation(sqlite_database, WORKER_THREADS=1)
    home.loader = TinyLoader(hook, journal=tmp_path / "embedded.txt")
    home.always = {"ray": True, "ray_address": watched.address}
    home.hire(*(f"P{number:03}" for number in range(60)))
    ran = home.run()
    assert ran.result.error is None
    assert set(ran.codes.values()) == {"stored"}
    assert "OutOfMemoryError" in caplog.text
