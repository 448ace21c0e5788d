"""Keep links out of the logs of the servers that a store runs on."""

from __future__ import annotations

import logging
import re
from copy import copy
from typing import TypeVar

T = TypeVar("T")

# Werkzeug's and gunicorn's loggers of requests.
ACCESS_LOGS = ("werkzeug", "gunicorn.access", "waitress", "hypercorn.access", "uvicorn.access")
CHARACTER = r"(?:[\w-]|%[0-9a-f]{2})"  # any may be written by its code, and the dot as well
# A row's random id has 22 characters, a hash has more.
LINK = re.compile(rf"({CHARACTER}{{22}}(?:\.|%2e)){CHARACTER}{{20,}}", re.IGNORECASE)


class MaskLinks(logging.Filter):
    """Replace the signature of a link in a log record: what is left opens nothing."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the links among a record's arguments; every record passes."""
        if isinstance(record.msg, str):
            record.msg = mask(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(mask(each) for each in record.args)
        elif isinstance(record.args, dict):
            masked = copy(record.args)  # gunicorn's is a dict that also answers what is missing
            masked.update({name: mask(each) for name, each in masked.items()})
            record.args = masked
        return True


def mask(value: T) -> T:
    """Return a text with every link's signature replaced; other values as they are."""
    return LINK.sub(r"\1***", value) if isinstance(value, str) else value  # type: ignore[return-value]


def init_logs(app_name: str) -> None:
    """Mask links in the logs of requests, and in the app's own, which names a failed page's path.

    Once a process; the app's logger is only named here, for the store configures it.
    """
    for name in (*ACCESS_LOGS, app_name):
        logger = logging.getLogger(name)
        if not any(isinstance(each, MaskLinks) for each in logger.filters):
            logger.addFilter(MaskLinks())
