"""Face embeddings of an organisation's crew. Layers and rooms: docs/architecture.md."""

import logging

# Until logs.configure_logs() says where to, what we log goes nowhere rather than to somebody's stderr.
logging.getLogger(__name__).addHandler(logging.NullHandler())
