"""Prefect servers from the outside: the one that a run reports to, its health, and the folder of its records."""

import http.client
import os
import secrets
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Self
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

from pydantic import BaseModel

from stages.errors import DwfError

QUIET = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",  # never a server that outlives us
}
"""Settings with which Prefect sends nothing to its makers and starts no server of its own."""
LOCAL = ("127.0.0.1", "localhost")
UP_RECORD = "server.json"
AUTH = "auth"
"""The file in a store's Prefect folder that holds the secret of its servers."""


class UpRecord(BaseModel):
    """What `dwf up` leaves for runs on the same store while it lives."""

    url: str
    """The API of its Prefect server."""
    pid: int
    reports: str = ""
    """The address of its server of reports."""

    def write(self, home: Path) -> None:
        """Leave it in a store's Prefect folder."""
        (home / UP_RECORD).write_text(self.model_dump_json())

    @classmethod
    def read(cls, home: Path) -> Self | None:
        """That of a `dwf up` whose server is ready."""
        try:
            record = cls.model_validate_json((home / UP_RECORD).read_bytes())
        except (OSError, ValueError):
            return None
        return record if healthy(record.url) else None


def home_of(store: Path) -> Path:
    """Where a store keeps Prefect's database and the records of its runs and servers."""
    return store / ".prefect"


def auth_of(home: Path) -> str:
    """The secret, `user:password`, that the servers of a store ask for; made at first, for its owner alone to read."""
    file = home / AUTH
    if not file.exists():
        with NamedTemporaryFile("w", dir=home) as mine:  # of mode 600
            mine.write(f"dwf:{secrets.token_urlsafe(32)}")
            mine.flush()
            os.fsync(mine.fileno())
            with suppress(FileExistsError):  # another process has made it meanwhile
                os.link(mine.name, file)
    return file.read_text()


def is_own(url: str, home: Path) -> bool:
    """Whether `dwf` started the server at this API, for the store of `home`."""
    address = urlsplit(url)
    return address.hostname in LOCAL and (home / "servers" / f"{address.port}.pid").exists()


def configured_api() -> str | None:
    """The API that the user chose by environment or by Prefect's active profile."""
    if (url := os.environ.get("PREFECT_API_URL")) is not None:
        return url or None  # set to nothing, it overrules the profile
    home = Path(os.environ.get("PREFECT_HOME") or Path.home() / ".prefect")
    file = Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml").expanduser()
    try:
        profiles = tomllib.loads(file.read_text())
    except (OSError, tomllib.TOMLDecodeError):
        return None
    active = os.environ.get("PREFECT_PROFILE") or profiles.get("active", "")
    return profiles.get("profiles", {}).get(active, {}).get("PREFECT_API_URL")


def which_api(home: Path) -> str | None:
    """The API a run reports to: the configured one, that of `dwf up` on the same store, or None for one of its own.

    Raises DwfError when the configured one doesn't answer.
    """
    if url := configured_api():
        if not answers(url):
            raise DwfError(
                f"{url}: no Prefect server answers here (PREFECT_API_URL); start it with `dwf up`, "
                "unset PREFECT_API_URL, or run with --direct"
            )
        return url
    record = UpRecord.read(home)
    return record.url if record else None


def healthy(url: str) -> bool:
    """Whether a Prefect server is ready at this API."""
    return _health(url) == (200, b"true")


def answers(url: str) -> bool:
    """Whether anything speaks HTTP there; a server that asks for a key does too."""
    return 0 < _health(url)[0] < 500


def _health(url: str) -> tuple[int, bytes]:
    try:
        with urlopen(f"{url.rstrip('/')}/health", timeout=3) as response:  # noqa: S310 - the user's own server
            return response.status, response.read(64).strip()
    except HTTPError as error:
        return error.code, b""
    except (OSError, http.client.HTTPException, ValueError):
        return 0, b""


def require_writable(home: Path) -> None:
    """Make `home`.

    Raises DwfError if it isn't writable; Prefect's server would restart for ever over that.
    """
    probe = home / f".writable-{os.getpid()}-{threading.get_ident()}"
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise DwfError(
            f"{home}: can't write here ({error.strerror}), where Prefect keeps its records; "
            "choose another root with --store, or run with --direct"
        ) from error


@contextmanager
def reporting_to(url: str, home: Path, aloud: bool) -> Iterator[None]:
    """Point Prefect at a server for the length of the block; import it no earlier than in there.

    Its log goes to the server, and to the console if `aloud`. `home` replaces the user's own Prefect folder unless
    the server is the configured one, which may need the keys that lie there. A store's own server is told its secret.
    """
    changes = QUIET | {"PREFECT_API_URL": url, "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore"}
    if not aloud:
        silenced = ("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "PREFECT_INTERNAL_LOGGING_LEVEL")
        changes |= dict.fromkeys(silenced, "CRITICAL")
    if not configured_api():
        changes |= {"PREFECT_HOME": str(home), "PREFECT_CLIENT_MAX_RETRIES": "3"}  # 14 s a request, not 62
    if is_own(url, home):
        changes |= {"PREFECT_API_AUTH_STRING": auth_of(home)}
    if (host := urlsplit(url).hostname) in LOCAL:  # where a proxy would find its own machine
        changes |= {name: ",".join(filter(None, [os.environ.get(name), host])) for name in ("no_proxy", "NO_PROXY")}
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
