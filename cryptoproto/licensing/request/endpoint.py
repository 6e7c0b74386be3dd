"""Where requests are posted, and as what: the path and the media type that agents and managers agree on."""

from __future__ import annotations

from typing import Final

__all__ = ["CONTENT_TYPE", "REQUEST_PATH"]

CONTENT_TYPE: Final = "application/octet-stream"
REQUEST_PATH: Final = "/v1/license"
