"""TCP ports of this machine: which is free, and who holds one that isn't."""

import socket

import psutil

from bidbeacon_pipelines.dev.errors import PortInUseError

LOOPBACK = "127.0.0.1"


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Return whether a server could listen on `port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(
            socket.SOL_SOCKET, socket.SO_REUSEADDR, 1
        )  # as servers do: a closed connection is no holder
        try:
            probe.bind((host, port))
            probe.listen(1)  # binding alone succeeds beside another socket that isn't listening yet
        except OSError:
            return False
    return True


def choose_port(preferred: int = 0) -> int:
    """Return `preferred` where it is free, else any free port."""
    if preferred and is_free(preferred):
        return preferred
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def find_holder(port: int) -> str | None:
    """Name the program that listens on `port`, where the system tells us."""
    try:
        sockets = psutil.net_connections(kind="tcp")
    except psutil.AccessDenied:  # macOS tells root alone
        return None
    for entry in sockets:
        if (
            entry.status == psutil.CONN_LISTEN
            and entry.laddr
            and entry.laddr.port == port
            and entry.pid
        ):
            return _describe(entry.pid)
    return None


def check_port(port: int, *, host: str, title: str, variable: str) -> None:
    """Refuse a port that another program holds.

    Args:
        port: The port that a service needs.
        host: The address it will listen on.
        title: What it needs it for.
        variable: The environment variable that sets another port.

    Raises:
        PortInUseError: It is taken.
    """
    if not is_free(port, host):
        holder = find_holder(port)
        raise PortInUseError(
            f"Port {port} ({title}) is in use{f' by {holder}' if holder else ''}: stop that program, or set {variable} "
            "to another port.",
            port,
        )


def _describe(pid: int) -> str:
    try:
        return f"{psutil.Process(pid).name()} (process {pid})"
    except psutil.Error:
        return f"process {pid}"
