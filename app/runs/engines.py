"""What processes a run's photos: the threads of this process, or the workers of a Ray cluster."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Protocol

from app.photos.temp_folder import TempFolder
from app.pipeline.face_extractor import FaceExtractor
from app.pipeline.stages import Stages
from app.pipeline.thread_pipeline import Pipeline, PipelineOptions
from app.pipeline.work_item import Processed
from app.planning.decisions import Decision
from app.runs.context import RunContext

LOCAL, RAY = "local", "ray"
LEAVE_S = 8.0  # for workers to remove their files


class Engine(Protocol):
    """Runs members through the stages, as `Pipeline.run` does; each of those `alone` has a process or thread to
    itself."""

    def run(self, decisions: Iterable[Decision], *, alone: bool = False) -> Iterator[list[Processed]]: ...


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """The threads of this process."""

    stages: Stages
    options: PipelineOptions
    stop: threading.Event

    def run(self, decisions: Iterable[Decision], *, alone: bool = False) -> Iterator[list[Processed]]:
        """Yield one result for each member; those to go `alone` go one after the other."""
        options = dataclasses.replace(self.options, download_threads=1, worker_threads=1, batch_size=1)
        return Pipeline(self.stages, options if alone else self.options, self.stop).run(decisions)


@contextmanager
def open_engine(context: RunContext, faces: FaceExtractor) -> Iterator[Engine]:
    """Open the engine that the run asks for; `faces` are the driver's nets. Raises RunError."""
    request, settings = context.request, context.settings
    with _open_on_ray(context, faces) if request.engine == RAY else closing(TempFolder(settings.TEMP_DIR)) as opened:
        if not isinstance(opened, TempFolder):
            yield opened
            return
        stages = Stages(context.source, faces, opened, context.rules, request.thumbnails, request.debug)
        yield LocalEngine(stages, PipelineOptions.of(settings), context.stop)
