"""Face embeddings of an organisation's crew. Layers and rooms: docs/architecture.md."""

import logging
import os

VERSION = "1.0.0"  # pyproject.toml has it, too, and CHANGELOG.md what is new in it

# onnxruntime reports its use to Microsoft unless this is set before it is imported.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Before logs.configure_logs() nothing that this program logs is written to stderr.
logging.getLogger(__name__).addHandler(logging.NullHandler())
