"""A Ray cluster of three nodes on this machine, for all tests of a session."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"

from ray.cluster_utils import Cluster

NODES = 3
STORE_BYTES = 100_000_000


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Start a cluster of NODES nodes with one core each; `cluster.address` is for --ray-address."""
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": STORE_BYTES})
    for _ in range(NODES - 1):
        nodes.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
    yield nodes
    nodes.shutdown()
