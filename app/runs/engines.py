"""What processes a run's photos: the threads of this process, or the workers of a Ray cluster."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import Protocol

from app.faces.embedding_spec import describe_spec
from app.faces.weights import open_weights
from app.photos.temp_folder import TempFolder
from app.pipeline.face_extractor import FaceExtractor
from app.pipeline.stages import Stages
from app.pipeline.thread_pipeline import Pipeline, PipelineOptions
from app.pipeline.work_item import Processed
from app.planning.decisions import Decision
from app.runs.context import RunContext
from app.scale.cluster import connected, import_ray
from app.scale.contract import Contract, installed_versions
from app.scale.ray_pipeline import RayPipeline
from app.scale.setup import Setup
from app.scale.staff import Staff, StaffOptions

LEAVE_S = 8.0  # for workers to remove their files


class Engine(Protocol):
    """Runs members through the stages, as `Pipeline.run` does; those to go `alone` share no process or thread."""

    def run(self, decisions: Iterable[Decision], *, alone: bool = False) -> Iterator[list[Processed]]: ...


@dataclass(frozen=True, slots=True)
class ThreadEngine:
    """The threads of this process."""

    stages: Stages
    options: PipelineOptions
    stop: threading.Event

    def run(self, decisions: Iterable[Decision], *, alone: bool = False) -> Iterator[list[Processed]]:
        """Yield one result for each member; those to go `alone` go one after the other."""
        one = dataclasses.replace(self.options, download_threads=1, worker_threads=1, batch_size=1)
        return Pipeline(self.stages, one if alone else self.options, self.stop).run(decisions)


def open_engine(context: RunContext, faces: FaceExtractor) -> AbstractContextManager[Engine]:
    """Open the engine that the run asks for; `faces` are this process's nets. Raises RunError."""
    return _on_cluster(context, faces) if context.request.ray else _on_threads(context, faces)


@contextmanager
def _on_threads(context: RunContext, faces: FaceExtractor) -> Iterator[Engine]:
    request, settings = context.request, context.settings
    with closing(TempFolder(settings.TEMP_DIR)) as temp:
        stages = Stages(context.source, faces, temp, context.rules, request.thumbnails, request.debug)
        yield ThreadEngine(stages, PipelineOptions.of(settings), context.stop)


@contextmanager
def _on_cluster(context: RunContext, faces: FaceExtractor) -> Iterator[Engine]:
    request, settings, ray = context.request, context.settings, import_ray()
    spec = describe_spec(settings.FACE_MODEL, settings.FACE_DETECTOR, open_weights(settings))
    ours = Contract(spec, faces.golden_vector(), installed_versions())
    accept_low_quality, thumbnails = request.accept_low_quality, request.thumbnails
    setup = Setup(settings, context.rules, context.load_elsewhere, accept_low_quality, thumbnails, request.debug)
    options = StaffOptions(settings.WORKER_THREADS, settings.WORKER_GPUS, settings.DOWNLOAD_THREADS)
    where = f"Entrando en el clúster de {request.ray_address}" if request.ray_address else "Poniendo en marcha Ray"
    context.observer.notice(f"🖥️  {where}…")
    with connected(ray, request.ray_address, settings.WORKER_THREADS):
        staff = Staff(ray, setup, options, ours, context.observer.notice)
        try:
            staff.wait_for_first(context.stop)
            yield RayPipeline(staff, context.stop)
        finally:
            staff.leave(LEAVE_S)
