"""Face embeddings of an organisation's crew. Layers and rooms: docs/architecture.md."""

import logging
import os

# onnxruntime reports its use to Microsoft unless told not to before it is imported. What runs here is nobody's affair.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

# Until logs.configure_logs() says where to, what we log goes nowhere rather than to somebody's stderr.
logging.getLogger(__name__).addHandler(logging.NullHandler())
