"""Results of finished units of work within a stage, kept so that a run that was killed doesn't compute them again."""

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from stages.store.files import write_json


def kept(path: Path, compute: Callable[[], Any]) -> Any:
    """The unit's result, as JSON has it: from its file or, if there is none or it isn't as it was written, computed.

    No manifest vouches for the files of a stage that isn't finished, so each has a checksum of its own.
    """
    with suppress(OSError, ValueError, KeyError, TypeError):
        unit = json.loads(path.read_bytes())
        if unit["sha256"] == _checksum(unit["result"]):
            return unit["result"]
    result = json.loads(json.dumps(compute(), allow_nan=False))  # the same whether it is computed or read
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"result": result, "sha256": _checksum(result)})
    return result


def _checksum(result: Any) -> str:
    return hashlib.sha256(json.dumps(result).encode()).hexdigest()
