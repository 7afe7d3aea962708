"""A Zarr store on disk whose files are compared with the manifest of their artifact as they are read."""

import asyncio
from collections.abc import Iterable
from pathlib import Path

from zarr.abc.store import ByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.storage import LocalStore

from stages.store.sealed import Sealed


class SealedStore(LocalStore):
    """The files of one store, read-only; a file that the manifest doesn't name isn't there.

    Each is compared when it is read first; what is read again has the chunk's own checksum. A file of which a part is
    read, such as a shard, is compared as a whole.
    """

    def __init__(self, root: Path, artifact: Sealed) -> None:
        """`root` lies within the artifact."""
        super().__init__(root, read_only=True)
        self.artifact = artifact
        self.compared: set[str] = set()

    def with_read_only(self, read_only: bool = False) -> "SealedStore":
        """A copy; nothing makes it writable."""
        del read_only
        return SealedStore(self.root, self.artifact)

    def get_sync(
        self, key: str, *, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The file's bytes, or a part; None if there is no such file. Raises Damaged."""
        path = self.root / key
        if self.artifact.name(path) not in self.artifact.manifest.files:
            return None
        new = key not in self.compared
        if new and byte_range is not None:
            self.artifact.compare(path)
        found = super().get_sync(key, prototype=prototype, byte_range=byte_range)
        if found is None:
            raise self.artifact.missing(path)
        if new and byte_range is None:
            self.artifact.check(path, found.as_buffer_like())
        self.compared.add(key)
        return found

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """The same, in another thread."""
        return await asyncio.to_thread(self.get_sync, key, prototype=prototype, byte_range=byte_range)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Several parts of files."""
        return list(await asyncio.gather(*(self.get(key, prototype, part) for key, part in key_ranges)))
