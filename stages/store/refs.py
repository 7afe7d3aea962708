"""The small references that stages and tasks exchange instead of tensors."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict


class Ref(BaseModel):
    """A finished artifact: which stage made it, its key, where it lies, and the digest of its content."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    key: str
    path: Path
    digest: str
