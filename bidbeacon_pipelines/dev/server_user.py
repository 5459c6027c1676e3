"""Who runs the embedded server: the current user, or an unprivileged account, since PostgreSQL refuses root."""

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from bidbeacon_pipelines.dev.errors import EmbeddedPostgresError

ACCOUNTS = ("postgres", "nobody")
ROOT = 0


@dataclass(frozen=True)
class ServerUser:
    """An account by its numbers; it needs no login, no home and no password."""

    uid: int
    gid: int

    def may(self, path: Path, mode: int) -> bool:
        """Return whether this account has the access `mode` (bits as of a file's owner) to `path` itself."""
        status = path.stat()
        if status.st_uid == self.uid:
            shift = 0
        elif status.st_gid == self.gid:
            shift = 3
        else:
            shift = 6
        return status.st_mode & (mode >> shift) == mode >> shift

    def can_enter(self, folder: Path) -> bool:
        """Return whether this account can reach `folder` and can enter it (access lists aren't looked at)."""
        folder = folder.resolve()
        return all(self.may(step, stat.S_IXUSR) for step in (folder, *folder.parents))


def find_server_user(cluster: Path) -> ServerUser | None:
    """Return the account that has to run the server; `None` means the current user.

    Args:
        cluster: Folder of the data; where it exists, its owner is the one.

    Raises:
        EmbeddedPostgresError: Root has no unprivileged account to turn to.
    """
    if os.geteuid() != ROOT:
        return None
    if cluster.exists() and (status := cluster.stat()).st_uid != ROOT:
        return ServerUser(status.st_uid, status.st_gid)
    for name in ACCOUNTS:
        try:
            account = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(account.pw_uid, account.pw_gid)
    raise EmbeddedPostgresError(
        "PostgreSQL refuses to run as root, and there is neither a `postgres` nor a `nobody` account: "
        "start as another user, or set BIDBEACON_DATABASE_URL."
    )
