"""A run on a cluster ends as one on this machine's threads does."""

from __future__ import annotations

from ray.cluster_utils import Cluster

from tests.conftest import NewHome
from tests.support.organisation import Organisation


def test_photos_are_processed_on_the_cluster(new_home: NewHome, cluster: Cluster) -> None:
    home: Organisation = new_home()
    home.hire(*(f"P{number:02}" for number in range(30)))
    home.replace("P03", face=False)
    home.lose("P04")
    home.settings = home.settings.model_copy(update={"WORKER_THREADS": 1})
    ran = home.run(ray=True, ray_address=cluster.address)
    assert ran.result.error is None
    assert len(home.active_rows()) == 28
