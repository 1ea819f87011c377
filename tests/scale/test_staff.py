"""Workers that compute something else, whose node fails, or that freeze; and what does not leave the driver."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray
from ray.cluster_utils import Cluster

from app.core.config import PROJECT_DIR, Settings
from app.errors import EXIT_BY_SIGNAL, EXIT_INTERRUPTED, EXIT_NOT_AVAILABLE, ClusterUnavailable, NoFace, WorkersLost
from app.faces.embedding_spec import describe_spec
from app.faces.weights import open_weights
from app.photos.urls import photo_url
from app.pipeline.work_item import Processed
from app.planning.decisions import NEW, Case, Decision
from app.planning.rules import Request, make_rules
from app.records import CrewMember, Embedding
from app.scale.cluster import connected, living_nodes, make_own_folder
from app.scale.contract import Contract, installed_versions
from app.scale.ray_pipeline import RayPipeline
from app.scale.setup import Setup
from app.scale.staff import Staff, StaffOptions
from tests.conftest import MakeSettings, OpenWorld
from tests.scale.conftest import NODES
from tests.scale.hooks import Unbuildable, Witness
from tests.scale.test_faults import meanwhile, wait_until
from tests.support.clusters import NODE
from tests.support.mariadb import MariaDb
from tests.support.program import World
from tests.support.tiny_faces import TinyLoader, vector_by_hand
from tests.support.tiny_pictures import draw
from tests.support.webserver import PhotoServer

SCRIPT = PROJECT_DIR / "generate_face_embeddings.py"
GOLDEN = 7  # another picture than the driver's golden one


@dataclass(frozen=True)
class FailOn(Witness):
    """Finds no face in the worker that came first."""

    def befall(self, crew_id: str) -> None:
        if os.getppid() == self.seen()[0].worker:
            raise NoFace


@pytest.fixture
def settings(make_settings: MakeSettings, web: PhotoServer, weights_home: Path) -> Settings:
    return make_settings(IMAGE_BASE_URL=web.base_url, DEEPFACE_HOME=str(weights_home), WORKER_THREADS=1)


@contextmanager
def staff_of(
    cluster: Cluster, settings: Settings, loader: TinyLoader, said: list[str], **limits: float
) -> Iterator[Staff]:
    """Hire on the cluster, with a driver whose golden vector is that of picture 0."""
    spec = describe_spec(settings.FACE_MODEL, settings.FACE_DETECTOR, open_weights(settings))
    setup = Setup(settings, make_rules(settings, Request(), spec), loader, False, False, False)
    ours = Contract(spec, vector_by_hand(0, settings.FACE_MODEL), installed_versions())
    options = dataclasses.replace(StaffOptions(worker_cpus=1, worker_gpus=0.0, downloads=NODES), **limits)
    with connected(ray, cluster.address, 1):
        staff = Staff(ray, setup, options, ours, said.append)
        try:
            yield staff
        finally:
            staff.leave(5.0)


def enrol(web: PhotoServer, settings: Settings, count: int) -> list[Decision]:
    members = [CrewMember(f"P{number:03}", "a.jpg") for number in range(count)]
    web.photos = {f"{each.crew_id}/a.jpg": draw(number) for number, each in enumerate(members)}
    return [Decision(NEW, "", Case(each, photo_url(settings.IMAGE_BASE_URL, each))) for each in members]


def run(staff: Staff, decisions: list[Decision]) -> list[Processed]:
    stop = threading.Event()
    staff.wait_for_first(stop)
    return [each for group in RayPipeline(staff, stop).run(decisions) for each in group]


def test_a_worker_that_computes_other_vectors_is_refused_by_its_name(cluster: Cluster, settings: Settings) -> None:
    said: list[str] = []
    with (
        pytest.raises(WorkersLost, match=r"El nodo .+ calcula otros vectores que este equipo: el vector del rostro"),
        staff_of(cluster, settings, TinyLoader(golden=GOLDEN), said) as staff,
    ):
        staff.wait_for_first(threading.Event())
    assert len([line for line in said if "Se sigue sin ese nodo" in line]) == NODES


def test_a_node_where_everything_fails_is_left_out_and_its_members_are_done_again(
    cluster: Cluster, settings: Settings, web: PhotoServer, tmp_path: Path
) -> None:
    said: list[str] = []
    hook = FailOn(tmp_path / "came.txt", wait_s=0.02)
    with staff_of(cluster, settings, TinyLoader(hook), said) as staff:
        done = run(staff, enrol(web, settings, 150))
    assert [type(each.result) for each in done] == [Embedding] * 150
    assert any("fotos fallan todas en el nodo" in line for line in said)


@pytest.mark.parametrize("freezes", ["worker and child", "child"])
def test_a_worker_that_freezes_is_given_up_and_what_it_says_later_changes_nothing(
    cluster: Cluster, settings: Settings, web: PhotoServer, tmp_path: Path, freezes: str
) -> None:
    """Its worker replaces a child that freezes alone."""
    hook = Witness(tmp_path / "came.txt", wait_s=0.05)
    frozen: list[int] = []

    def freeze_then_thaw() -> None:
        wait_until(lambda: len(hook.seen()) >= 5)
        come = hook.seen()[0]
        frozen.extend((come.worker, come.child) if freezes == "worker and child" else (come.child,))
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(8)
        for pid in frozen:
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:  # given up, and killed
                continue

    said: list[str] = []
    thread = threading.Thread(target=freeze_then_thaw)
    with staff_of(cluster, settings, TinyLoader(hook), said, silent_s=4.0) as staff:
        decisions = enrol(web, settings, 120)
        thread.start()
        done = run(staff, decisions)
        thread.join()
    assert sorted(each.decision.member.crew_id for each in done) == [f"P{number:03}" for number in range(120)]
    assert all(isinstance(each.result, Embedding) for each in done)
    if freezes == "child":
        worker = next(come.worker for come in hook.seen() if come.child == frozen[0])
        assert len({come.child for come in hook.seen() if come.worker == worker}) == 2
    assert any("Se perdió un trabajador" in line for line in said) == (freezes == "worker and child")


def test_a_database_that_takes_longer_than_workers_may_be_silent_costs_none_of_them(
    cluster: Cluster, settings: Settings, web: PhotoServer, tmp_path: Path
) -> None:
    said: list[str] = []
    stop, hook = threading.Event(), Witness(tmp_path / "came.txt", wait_s=0.02)
    with staff_of(cluster, settings, TinyLoader(hook), said, silent_s=2.0) as staff:
        staff.wait_for_first(stop)
        done: list[Processed] = []
        for number, group in enumerate(RayPipeline(staff, stop).run(enrol(web, settings, 150))):
            done += group
            if number in (2, 5):
                time.sleep(4)
    assert len(done) == 150
    assert not any("Se perdió" in line for line in said)


def test_a_node_that_joins_gets_its_share_of_the_downloads_and_of_the_work(
    cluster: Cluster, settings: Settings, web: PhotoServer, tmp_path: Path
) -> None:
    said: list[str] = []
    stop, done, hook = threading.Event(), [], Witness(tmp_path / "came.txt", wait_s=0.1)
    with staff_of(cluster, settings, TinyLoader(hook), said, downloads=2 * NODES) as staff:
        staff.wait_for_first(stop)
        groups = RayPipeline(staff, stop).run(enrol(web, settings, 400))
        done += next(groups)
        node = cluster.add_node(**NODE)
        try:
            done += [each for group in groups for each in group]
            shares = [worker.downloads for worker in staff.accepted()]
        finally:
            cluster.remove_node(node)
    assert [type(each.result) for each in done] == [Embedding] * 400
    assert (len(shares), sum(shares)) == (NODES + 1, 2 * NODES)
    assert f"🖥️  {NODES + 1} nodos, {NODES + 1} trabajadores" in said
    assert not any("Se perdió" in line for line in said)


def test_a_cluster_whose_cores_are_taken_is_said_and_waited_for(cluster: Cluster, settings: Settings) -> None:
    said: list[str] = []
    with staff_of(cluster, settings, TinyLoader(), said, patience_s=1.0) as staff:
        other_job = ray.remote(num_cpus=1)(threading.Event)
        taken = [other_job.remote() for _ in range(NODES)]
        ray.get([each.is_set.remote() for each in taken])

        def leave_when_said() -> None:
            wait_until(lambda: any(f"0 de {NODES} núcleos" in line for line in said))
            for each in taken:
                ray.kill(each)

        with meanwhile(leave_when_said):
            staff.wait_for_first(threading.Event())
        assert staff.accepted()


def test_who_waits_for_cores_in_vain_leaves_its_downloads_to_another_node(cluster: Cluster, settings: Settings) -> None:
    with staff_of(cluster, settings, TinyLoader(), [], patience_s=1.0, downloads=1) as staff:
        busy = living_nodes(ray)[0].node_id  # where the only worker would be hired
        there = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(busy, soft=False)
        other_job = ray.remote(num_cpus=1)(threading.Event).options(scheduling_strategy=there).remote()
        ray.get(other_job.is_set.remote())
        staff.wait_for_first(threading.Event())
        (worker,) = staff.accepted()
        ray.kill(other_job)
    assert worker.node.node_id != busy


def test_workers_that_cannot_be_built_end_the_run_with_the_cause(
    cluster: Cluster, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("app.scale.staff.Supervisor", Unbuildable)
    with (
        pytest.raises(WorkersLost, match="se pierden uno tras otro: ActorDiedError: OSError: no space left"),
        staff_of(cluster, settings, TinyLoader(), said) as staff,
    ):
        staff.wait_for_first(threading.Event())
    assert len([line for line in said if "uno tras otro. Se sigue sin ese nodo" in line]) == NODES


def test_ray_keeps_no_secret_in_the_tables_that_its_state_api_reads(
    cluster: Cluster, settings: Settings, web: PhotoServer
) -> None:
    secret = "token-de-las-fotos"  # a test's
    settings = settings.model_copy(update={"IMAGE_BASE_URL": f"{settings.IMAGE_BASE_URL}?t={secret}"})
    with staff_of(cluster, settings, TinyLoader(), []) as staff:
        assert len(run(staff, enrol(web, settings, 20))) == 20
        wait_until(lambda: b"exchange" in read_tables())  # Ray writes down what was called after a while
        assert secret.encode() not in read_tables()


def read_tables() -> bytes:
    """Read all that the cluster knows of nodes, jobs, workers, actors and calls."""
    tables = ray._private.state.state
    tables._connect_and_get_accessor()
    found = tables._global_state_accessor
    actors, calls = found.get_actor_table(None, None), found.get_task_events()
    rows = (*actors, *calls, *found.get_worker_table(), *found.get_job_table())
    return b"".join(rows) + repr(found.get_node_table()).encode()


def test_a_server_that_is_not_ray_s_is_told_from_a_cluster(cluster: Cluster, web: PhotoServer) -> None:
    with pytest.raises(ClusterUnavailable, match="no es un clúster de Ray"):
        connected(ray, web.base_url.removeprefix("http://"), 1).__enter__()
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(ClusterUnavailable, match="no responde"):
        connected(ray, f"127.0.0.1:{mute.getsockname()[1]}", 1).__enter__()
    with connected(ray, cluster.address, 1):
        assert len(ray.nodes()) >= NODES


def test_no_cluster_at_the_address_is_said(settings: Settings, open_world: OpenWorld, tmp_path: Path) -> None:
    with pytest.raises(ClusterUnavailable, match=r"No hay ningún clúster de Ray en 127\.0\.0\.1:9 "):
        connected(ray, "127.0.0.1:9", 1).__enter__()
    world = open_world(f"sqlite:///{tmp_path / 'prueba.db'}")
    world.hire("1", "a.jpg", draw(1))
    ended = world.run("--all", "--engine", "ray", "--ray-address", "127.0.0.1:9")
    assert ended.exit_code == EXIT_NOT_AVAILABLE
    assert "No hay ningún clúster de Ray en 127.0.0.1:9" in ended.stdout
    assert world.run("--all", "--engine", "ray", "--ray-address", "127.0.0.1:9", "--plan").exit_code == 0


def test_a_run_for_one_person_that_is_stopped_from_outside_says_so_and_can_be_repeated(
    cluster: Cluster, open_world: OpenWorld, tmp_path: Path, portrait_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKER_THREADS", "1")
    world = open_world(f"sqlite:///{tmp_path / 'prueba.db'}", HTTP_READ_TIMEOUT_S=60, HTTP_TOTAL_TIMEOUT_S=90)
    for crew_id in ("slow", "A2"):
        world.hire(crew_id, "a.jpg")
    world.web.slow_s = 60.0
    words = ("--crew-id", "slow", "--engine", "ray", "--ray-address", cluster.address)
    with subprocess.Popen([sys.executable, str(SCRIPT), *words], stdout=subprocess.PIPE, text=True) as process:
        wait_until(lambda: bool(world.web.requests))
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=60)
    assert process.returncode == EXIT_BY_SIGNAL + signal.SIGTERM
    assert "Interrumpido: 1 sin procesar. Al ejecutar de nuevo se continúa." in output
    world.web.slow_s, world.web.default_photo = 0.0, portrait_jpeg
    again = world.run(*words, "--max-minutes", "5")
    assert (again.exit_code, again.codes) == (0, {"slow": "stored"})


def test_a_signal_ends_a_run_on_its_own_cluster_and_no_secret_is_left_anywhere(
    mariadb: MariaDb, mariadb_name: str, open_world: OpenWorld, portrait_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the database's password nor the photo server's token is in any process of Ray or in any of its files."""
    secrets = (b"palabra-de-la-base", b"token-de-las-fotos")
    mariadb.create_user("batch", secrets[0].decode(), f"ALL ON {mariadb_name}.*")
    url = mariadb.url(mariadb_name, "batch", secrets[0].decode()).render_as_string(hide_password=False)
    world = open_world(mariadb.url(mariadb_name).render_as_string(hide_password=False), DB_URL=url)
    world.web.default_photo, world.web.slow_s = portrait_jpeg, 60.0
    monkeypatch.setenv("IMAGE_BASE_URL", f"{world.web.base_url}?t={secrets[1].decode()}")
    monkeypatch.setenv("HTTP_READ_TIMEOUT_S", "60")
    monkeypatch.setenv("HTTP_TOTAL_TIMEOUT_S", "90")
    for crew_id in ("1", "2", "slow"):
        world.hire(crew_id, "a.jpg", portrait_jpeg)
    exit_code, output, told = end_own_cluster(world, interrupt)
    assert (exit_code, "✅ Exitosos: 2" in output) == (EXIT_INTERRUPTED, True)
    assert not any(secret in text for secret in secrets for text in told)
    assert not any(secret.decode() in output for secret in secrets)


def test_a_head_node_that_dies_ends_the_run_with_its_summary_and_its_own_code(
    open_world: OpenWorld, tmp_path: Path, portrait_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray would end the process after a minute, without a word."""
    world = open_world(f"sqlite:///{tmp_path / 'prueba.db'}")
    monkeypatch.setenv("HTTP_READ_TIMEOUT_S", "60")
    monkeypatch.setenv("HTTP_TOTAL_TIMEOUT_S", "90")
    world.web.default_photo, world.web.slow_s = portrait_jpeg, 60.0
    for crew_id in ("1", "2", "slow"):
        world.hire(crew_id, "a.jpg", portrait_jpeg)
    exit_code, output, _ = end_own_cluster(world, kill_head)
    assert exit_code == EXIT_NOT_AVAILABLE
    assert "✅ Exitosos: 2" in output
    assert "El nodo principal del clúster de Ray ya no responde" in output


def interrupt(program: int, _others: list[int]) -> None:
    """Do as a terminal does on Ctrl+C."""
    os.killpg(program, signal.SIGINT)


def kill_head(_program: int, others: list[int]) -> None:
    for pid in others:
        if b"gcs_server" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0]:
            os.kill(pid, signal.SIGKILL)


def end_own_cluster(world: World, end: Callable[[int, list[int]], None]) -> tuple[int, str, list[bytes]]:
    """Run on a cluster of its own, without a home folder, until two are stored, and end it; return the exit code, the
    output, and all that Ray's processes and files say."""
    command = [sys.executable, str(SCRIPT), "--all", "--engine", "ray"]
    with tempfile.TemporaryDirectory(prefix="r") as folder:  # a short name: Ray's sockets lie in it
        environment = os.environ | {"RAY_TMPDIR": folder, "HOME": "/proc/none"}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=environment, start_new_session=True
        ) as process:
            wait_until(lambda: len(_stored(world)) == 2)
            others = [pid for pid in _of_session(folder) if pid != process.pid]
            assert len(others) > 3
            told = [Path(f"/proc/{pid}/{name}").read_bytes() for pid in others for name in ("environ", "cmdline")]
            written = [path.open("rb") for path in Path(folder).rglob("*") if path.is_file()]
            assert len(written) > 5
            end(process.pid, others)
            output, _ = process.communicate(timeout=60)
        for file in written:  # to their end, though the program has removed them
            with file:
                told.append(file.read())
        assert list(Path(folder).iterdir()) == []
    return process.returncode, output, told


def test_our_own_cluster_s_folder_has_a_name_that_its_sockets_fit_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / ("x" * 100)))
    with make_own_folder() as folder:
        assert len(folder) < 107 - len("/session_2026-11-26_12-25-04_136362_1234567/sockets/plasma_store")
        assert Path(folder).stat().st_mode & 0o077 == 0


def _stored(world: World) -> list[object]:
    try:
        return world.rows()
    except Exception:  # the table is not there yet
        return []


def _of_session(folder: str) -> list[int]:
    """List the processes that name this folder of Ray's, and those that they started."""
    parents, found = {}, set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            stat = (path / "stat").read_text().rpartition(")")[2].split()
            words = (path / "cmdline").read_bytes()
        except OSError:
            continue
        parents[int(path.name)] = int(stat[1])
        if folder.encode() in words:
            found.add(int(path.name))
    for _ in range(5):
        found |= {pid for pid, parent in parents.items() if parent in found}
    return sorted(found)


def test_what_a_worker_is_given_names_no_database(settings: Settings) -> None:
    spec = describe_spec(settings.FACE_MODEL, settings.FACE_DETECTOR, open_weights(settings))
    setup = Setup(settings, make_rules(settings, Request(), spec), TinyLoader(), False, False, False)
    of_worker = setup.of_worker(2, 3).settings
    assert (of_worker.DB_URL.get_secret_value(), of_worker.DB_USER, of_worker.DB_NAME) == ("", "", "")
    assert (of_worker.DOWNLOAD_THREADS, of_worker.WORKER_THREADS) == (2, 3)
    assert of_worker.IMAGE_BASE_URL == settings.IMAGE_BASE_URL
