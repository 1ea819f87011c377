"""Test the model of the queues where one can compute by hand what it must say."""

from __future__ import annotations

import pytest

from benchmarks.queue_model import Costs, Site, simulate, steady_rate

COSTS = Costs(prepare=[80.0], embed=20.0)
MEMBERS = 200  # of each worker: batches come in waves, which so many even out
MANY = {"workers": 10, "machines": 10, "downloads": 80, "cluster": True}


@pytest.mark.parametrize(
    ("costs", "site", "rate", "bottleneck"),
    [
        pytest.param(COSTS, Site(), 10, "cores", id="one core: 1 / cost"),
        pytest.param(Costs([40.0, 120.0], 20.0), Site(), 10, "cores", id="unlike photos: 1 / their mean"),
        pytest.param(COSTS, Site(threads=4, cores=4), 40, "cores", id="four threads on four cores"),
        pytest.param(COSTS, Site(threads=4, cores=2), 20, "cores", id="four threads on two cores"),
        pytest.param(COSTS, Site(**MANY), 100, "cores", id="ten machines"),
        pytest.param(COSTS, Site(latency_ms=400, downloads=2), 5, "download threads", id="threads / latency"),
        pytest.param(
            COSTS, Site(latency_ms=400, server_places=2), 5, "photo server's places", id="the server's places / latency"
        ),
        pytest.param(Costs([80.0], 20.0, photo_mb=0.5), Site(line_mb_s=2), 4, "photo server's line", id="line / bytes"),
        pytest.param(Costs([80.0], 20.0, row=25), Site(**MANY), 40, "driver and writer", id="one writer: 1 / row"),
        pytest.param(Costs([80.0], 20.0, drive=25), Site(**MANY), 40, "driver and writer", id="one driver: 1 / cost"),
        pytest.param(
            Costs([80.0], 20.0, fetch=30, serve=30, drive=20, row=20),
            Site(threads=2, cores=2, one_machine=True),
            10,
            "cores",
            id="all on the same two cores: 2 / the sum",
        ),
        pytest.param(COSTS, Site(others=0.2), 8, "cores", id="others take a fifth of the core"),
        pytest.param(COSTS, Site(threads=2, cores=2, row_wait_ms=200), 5, "driver and writer", id="a slow database"),
        pytest.param(
            COSTS,
            Site(threads=2, cores=2, slowdown=1.25, prepare_slowdown=1.25),
            16,
            "cores",
            id="two cores that slow each other down",
        ),
        pytest.param(
            Costs([50.0], 50.0),
            Site(threads=2, cores=2, prepare_slowdown=1.5),
            16,
            "cores",
            id="threads that wait for each other when they find faces",
        ),
    ],
)
def test_the_rate_is_the_narrowest_part_s(costs: Costs, site: Site, rate: float, bottleneck: str) -> None:
    simulated = simulate(costs, site, MEMBERS * site.workers)
    assert len(simulated.stored_at_s) / simulated.stored_at_s[-1] == pytest.approx(rate, rel=0.1)
    assert simulated.bottleneck == bottleneck
    assert len(simulated.stored_at_s) == MEMBERS * site.workers


def test_no_part_is_busy_for_longer_than_the_run() -> None:
    costs = Costs([80.0], 20.0, fetch=5, serve=5, drive=5, row=5, commit=10, photo_mb=0.1)
    busy = simulate(costs, Site(threads=2, cores=2, one_machine=True, server_places=3, line_mb_s=10), 200).busy
    assert len(busy) == 5
    assert all(0 < share <= 1 for share in busy.values())


def test_rows_that_come_late_share_a_transaction() -> None:
    """Two hundred workers whose single rows would take the writer 100 ms each: it takes what has come meanwhile at
    once, so that it is never as slow as that."""
    costs = Costs([80.0], 20.0, commit=100.0)
    site = Site(workers=20, machines=20, downloads=80, cluster=True, batch=1)
    assert simulate(costs, site, 2000).rate > 100


def test_the_steady_rate_leaves_out_start_and_end() -> None:
    times = [0.0, *(100 + number / 10 for number in range(98)), 500.0]
    assert steady_rate(times) == pytest.approx(10)
