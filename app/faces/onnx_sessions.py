"""Open ONNX Runtime sessions: the one place that decides on execution providers, threads and batch size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnxruntime as ort

from app.errors import SettingsError

LOG_ERRORS_ONLY = 3  # onnxruntime's severity scale: 0 verbose .. 4 fatal
CPU = "CPUExecutionProvider"
# With ONNX_PROVIDERS=auto: those of these that the installed onnxruntime offers, in this order.
AUTO_PROVIDERS = ("CUDAExecutionProvider", CPU)
THREADS = 1  # several photos or batches are computed side by side
# A spinning pool would take the core away from the threads that decode and detect meanwhile.
ENTRIES = {"session.intra_op.allow_spinning": "0"}
# Faces in a batch. With more, a layer's values no longer fit a processor's cache; with fewer, a GPU is idle.
CPU_BATCH, ACCELERATOR_BATCH = 8, 128


def parse_providers(setting: str) -> tuple[str, ...]:
    """Return the providers that ONNX_PROVIDERS names; none for `auto`."""
    return () if setting == "auto" else tuple(name.strip() for name in setting.split(",") if name.strip())


def choose_batch_size(wanted: Sequence[str]) -> int:
    """Return the batch size (faces) that suits the provider that sessions will use. Raises SettingsError."""
    on_processor = choose_providers(wanted, ort.get_available_providers())[0] == CPU
    return CPU_BATCH if on_processor else ACCELERATOR_BATCH


def choose_providers(wanted: Sequence[str], available: Sequence[str]) -> list[str]:
    """Return the providers to ask for, best first and the CPU last. Raises SettingsError when `wanted` names one that
    the installed onnxruntime does not offer."""
    missing = [name for name in wanted if name not in available]
    if missing:
        raise SettingsError(
            f"ONNX_PROVIDERS: {', '.join(missing)} no está disponible (instalados: {', '.join(available)})",
            "Use auto, o vea en docs/instalacion.md cómo instalar onnxruntime-gpu.",
        )
    chosen = list(wanted) or [name for name in AUTO_PROVIDERS if name in available]
    return list(dict.fromkeys([*chosen, CPU]))


def options_text() -> str:
    """Say with which options sessions are opened: a graph optimised with others may be another."""
    return f"{THREADS} {ENTRIES} {ort.SessionOptions().graph_optimization_level}"


def open_session(
    model: Path | bytes,
    providers: Sequence[str] = (),
    *,
    optimised_to: Path | None = None,
    is_optimised: bool = False,
) -> ort.InferenceSession:
    """Load a graph from a file or from its serialised bytes; one that `is_optimised` is taken as it is.
    What onnxruntime makes of the graph is also written to `optimised_to`. Raises onnxruntime's own errors when it
    is not a graph."""
    config = ort.SessionOptions()
    config.log_severity_level = LOG_ERRORS_ONLY
    config.intra_op_num_threads = THREADS
    for name, value in ENTRIES.items():
        config.add_session_config_entry(name, value)
    if is_optimised:
        config.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    if optimised_to is not None:
        config.optimized_model_filepath = str(optimised_to)
    chosen = choose_providers(providers, ort.get_available_providers())
    return ort.InferenceSession(model if isinstance(model, bytes) else str(model), config, providers=chosen)
