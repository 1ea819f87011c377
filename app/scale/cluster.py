"""The connection to Ray: to a cluster that runs, or to one of its own on this machine, which ends with the run."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from app.core.config import Settings
from app.core.redaction import redacted
from app.errors import ClusterUnavailable, MissingDependency

log = logging.getLogger(__name__)

OWN = "local"  # Ray's word for a cluster of its own: without an address it would join any that runs on the machine
STORE_BYTES = 100_000_000  # of our own cluster: no photo passes through the store of objects
LONGEST_FOLDER = 30  # characters: the system allows 107 for the path of a socket, and Ray's own part has about 65
SHORT_FOLDER = "/tmp"  # noqa: S108  # a folder of a random name and its owner's alone is made in it
AS_THREADS = 0  # levels of niceness beyond this process; 15, as Ray has it, starve workers where other programs run
SETTINGS, FRAME_HEAD = 4, 9  # of HTTP/2, RFC 9113: the type of a frame, the bytes of its head
HTTP2_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, SETTINGS, 0, 0, 0, 0, 0])  # no settings
CONNECT_S = 5.0  # for the port to answer; Ray itself would wait for half a minute
# Without its head node Ray would end this process after a minute, with code 1 and without a word. It is watched here.
WITHOUT_HEAD_S = "86400"
INSTALL = "pip install -r requirements-ray.txt"


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster: Ray's id, a name that people know, its cores and graphics cards."""

    node_id: str
    name: str
    cpus: int
    gpus: float


def import_ray() -> ModuleType:
    """Import Ray, without its reports home. Raises MissingDependency."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_gcs_rpc_server_reconnect_timeout_s", WITHOUT_HEAD_S)
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # else each worker warns of a coming default
    try:
        import ray  # noqa: PLC0415  # an extra
    except ImportError as error:
        if error.name != "ray":
            raise MissingDependency.of(error) from error
        raise MissingDependency(
            "--engine ray necesita el paquete ray",
            f"En la carpeta del programa: venv/bin/python -m {INSTALL}",
        ) from error
    # Else a thread of Ray's prints them, in English, between our lines or into our JSON.
    ray._private.worker.print_to_stdstream = _note_words
    return ray  # type: ignore[no-any-return, unused-ignore]


def _note_words(data: dict[str, Any], ignore_prefix: bool) -> None:
    """Keep what Ray says of its processes in our log."""
    for line in data["lines"]:
        log.info("Ray: %s", redacted(str(line)))


@contextmanager
def connected(ray: ModuleType, address: str | None, cores: int) -> Iterator[None]:
    """Connect to the cluster at `address` (host:port), or start one with so many cores. Raises ClusterUnavailable."""
    with ExitStack() as left_at_the_end:
        own: dict[str, Any] = {}
        if address is not None:
            _knock(address)
        else:
            folder = left_at_the_end.enter_context(make_own_folder())
            _set_own_token(Path(folder, "auth_token"))
            own = {"num_cpus": cores, "object_store_memory": STORE_BYTES, "include_dashboard": False}
            own |= {"_temp_dir": folder, "_system_config": {"worker_niceness": AS_THREADS}}
        left_at_the_end.callback(ray.shutdown)
        with _own_signals(), _without_settings():
            try:
                ray.init(address or OWN, log_to_driver=False, logging_level=logging.CRITICAL, **own)
            except Exception as error:  # a dozen kinds: for another version of Ray, a port that is not Ray's
                raise ClusterUnavailable(*_refusal(address, error)) from error
        yield


def make_own_folder() -> tempfile.TemporaryDirectory[str]:
    """Make a folder for the sockets and logs of our own cluster. In Ray's usual one they would stay for ever, and where
    another user's cluster has made it they cannot be written."""
    parent = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    if len(parent) > LONGEST_FOLDER:
        parent = SHORT_FOLDER
    return tempfile.TemporaryDirectory(prefix="ray-", dir=parent, ignore_cleanup_errors=True)


def _set_own_token(path: Path) -> None:
    """Make the token without which no other program enters our own cluster. Ray would keep it in the home folder, which
    the account of a service may not have."""
    path.touch(0o600)
    path.write_text(secrets.token_hex(32))
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(path)


def _knock(address: str) -> None:
    """Make sure that something like Ray listens there: with another server `ray.init` would wait for ever, and with it
    Ctrl+C. Raises ClusterUnavailable."""
    try:
        if not _answers(address):
            raise ClusterUnavailable(
                f"Lo que escucha en {address} no es un clúster de Ray",
                "Ponga en --ray-address la dirección que mostró `ray start --head`.",
            )
    except OSError as error:
        raise ClusterUnavailable(
            f"No hay ningún clúster de Ray en {address} ({error.strerror or 'no responde'})",
            "Compruebe la dirección (la que mostró `ray start --head`) y que este equipo llegue a ella. Sin "
            "--ray-address se usa solo este equipo.",
        ) from error


def is_head_there(ray: ModuleType) -> bool:
    """Tell whether the cluster's head node answers. While it does not, questions about nodes would wait for it, and
    with them Ctrl+C."""
    try:
        return _answers(ray.get_runtime_context().gcs_address)
    except OSError:
        return False


def _answers(address: str) -> bool:
    """Tell whether a server of gRPC listens there; with TLS, whether any does. Raises OSError if none does."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), CONNECT_S) as connection:
        return bool(os.environ.get("RAY_USE_TLS")) or _speaks_http2(connection)


def _speaks_http2(connection: socket.socket) -> bool:
    """Greet the server as gRPC does, and tell whether it answers with its settings, as a server of gRPC has to."""
    connection.sendall(HTTP2_GREETING)
    answer = connection.recv(FRAME_HEAD, socket.MSG_WAITALL)
    return len(answer) == FRAME_HEAD and answer[3] == SETTINGS


def _refusal(address: str | None, error: Exception) -> tuple[str, str]:
    said = redacted(" ".join(str(error).split()))[:300]
    if address is None:
        return f"Ray no se puso en marcha en este equipo: {said}", "Repita sin --engine ray: el resultado es el mismo."
    return (
        f"No se pudo entrar en el clúster de Ray de {address}: {said}",
        "Ejecute el programa en un nodo del clúster, con las mismas versiones de Python y de ray que los demás. Si "
        "`ray start` dijo «Token authentication is enabled», ponga RAY_AUTH_MODE=token delante de la orden.",
    )


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep our handlers of signals: Ray puts its own in their place, which end the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _without_settings() -> Iterator[None]:
    """Hide our settings from the processes that Ray starts: they would inherit the database's password."""
    hidden = {name: os.environ.pop(name) for name in Settings.model_fields if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


def living_nodes(ray: ModuleType) -> list[Node]:
    """Return the nodes that are alive now."""
    found = []
    for node in ray.nodes():
        if node["Alive"]:
            resources = node["Resources"]
            host, address = node["NodeManagerHostname"], node["NodeManagerAddress"]
            name = f"{host} ({address})" if host != address else host
            found.append(Node(node["NodeID"], name, int(resources.get("CPU", 0)), float(resources.get("GPU", 0))))
    return found


def discard(ray: ModuleType, actor: Any) -> None:
    """Kill an actor that may be dead already."""
    with suppress(ray.exceptions.RayError, ValueError):
        ray.kill(actor, no_restart=True)
