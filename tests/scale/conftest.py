"""A Ray cluster of three nodes on this machine for all tests of a session, and an organisation that uses it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"

from ray.cluster_utils import Cluster

from app.core.database import Database
from tests.conftest import FoundOrganisation
from tests.support.chaos_options import rounds
from tests.support.organisation import Organisation
from tests.support.tiny_faces import Hook, TinyLoader
from tests.support.webserver import PhotoServer

# It fills the memory of the machine, which other tests need that run beside it.
collect_ignore = [] if rounds(quick=0, full=1) else ["test_memory.py"]
NODES = 3
STORE_BYTES = 100_000_000
NewCustomer = Callable[..., Organisation]


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Start a cluster of NODES nodes with one core each; `cluster.address` is for --ray-address."""
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": STORE_BYTES})
    for _ in range(NODES - 1):
        nodes.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
    yield nodes
    nodes.shutdown()


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
