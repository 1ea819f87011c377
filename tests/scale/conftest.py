"""A Ray cluster of three nodes on this machine for all tests of this folder, and an organisation that uses it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from app.core.database import Database
from tests.conftest import FoundOrganisation
from tests.support.chaos_options import rounds
from tests.support.clusters import running_cluster
from tests.support.organisation import Organisation
from tests.support.tiny_faces import Hook, TinyLoader
from tests.support.webserver import PhotoServer

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

# It fills the memory of the machine, which other tests need that run beside it.
collect_ignore = [] if rounds(quick=0, full=1) else ["test_memory.py"]
NODES = 3
NewCustomer = Callable[..., Organisation]


@pytest.fixture(scope="package")
def cluster() -> Iterator[Cluster]:
    """Start a cluster of NODES nodes with one core each; `cluster.address` is for --ray-address."""
    with running_cluster(NODES) as nodes:
        yield nodes


@pytest.fixture
def new_customer(
    cluster: Cluster, web: PhotoServer, found_organisation: FoundOrganisation, tmp_path: Path
) -> NewCustomer:
    """Found an organisation whose runs take place on the cluster; `hook` is called in its workers."""

    def make(database: Database, hook: Hook = ignore) -> Organisation:
        web.validators = {"etag", "last-modified"}
        home = found_organisation(database, WORKER_THREADS=1)
        home.loader = TinyLoader(hook, journal=tmp_path / "embedded.txt")
        home.always = {"ray": True, "ray_address": cluster.address}
        return home

    return make


def ignore(_stage: str, _crew_id: str) -> None:
    """Do nothing in a worker."""
