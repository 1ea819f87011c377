"""Ray clusters of several nodes on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from app.scale.cluster import STORE_BYTES, import_ray

if TYPE_CHECKING:
    from ray.cluster_utils import Cluster

NODE = {"num_cpus": 1, "object_store_memory": STORE_BYTES}


@contextmanager
def running_cluster(nodes: int, **of_head: object) -> Iterator[Cluster]:
    """Start a cluster of nodes with one core each, and stop it on leaving; its `address` is for --ray-address.
    `of_head`: further arguments of the first node."""
    import_ray()  # it sets what Ray reads when it is imported
    from ray.cluster_utils import Cluster  # an extra

    cluster = Cluster(initialize_head=True, head_node_args=NODE | of_head)
    try:
        for _ in range(nodes - 1):
            cluster.add_node(**NODE)
        yield cluster
    finally:
        cluster.shutdown()
