"""Hosts of one machine: network, mount, UTS, IPC and process namespaces of their own, joined by a bridge.

A host sees the system's programs and the installed product, both read-only as in an image, and
nothing else of this machine. Its temp folder and homes are its own. All hosts are made inside of
the namespaces that `make test-cluster` runs the tests in, so nothing outlives these.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from tests.support.waiting import wait_until

BRIDGE = "hosts"
NETWORK = "10.77.0"
NOWHERE = "02:00:00:00:00:01"
"""A hardware address that no host has: what is sent to it is lost without a word."""
NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid")
SYSTEM = {Path(path): Path(path) for path in ("/etc", "/usr", sys.base_prefix, sys.prefix)}
"""Folders that every host sees: the system's programs, this Python, and the environment with all packages."""
KILL_SECONDS = 30
PATIENCE = float(os.environ.get("CLUSTER_PATIENCE", "1"))
"""By how much all deadlines are longer, on a machine that is busy with other things."""
_INIT = """
set -e
name=$1 files=$2 root=$2/root
shift 2
mount -t tmpfs -o mode=755 host "$root"
while [ $# -gt 0 ]; do
    mkdir -p "$root$2"
    mount --bind "$1" "$root$2"
    mount -o remount,bind,ro "$root$2"
    shift 2
done
for file in hosts passwd group; do mount --bind "$files/$file" "$root/etc/$file"; done
for link in /bin /sbin /lib /lib64; do if [ -L "$link" ]; then cp -P "$link" "$root"; fi; done
mkdir "$root/proc" "$root/dev" "$root/home" "$root/old"
mkdir -m 1777 "$root/tmp" "$root/dev/shm"
mount -t proc proc "$root/proc"
for device in null zero full random urandom; do
    touch "$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
cd "$root"
pivot_root . old
umount -l /old
hostname "$name"
echo ready
while :; do sleep 3600 & wait; done
"""


def run(*command: str | Path) -> None:
    """Run a command of the system, which has to succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"


class Program:
    """A program that runs on a host.

    Attributes:
        log: What it prints.
    """

    def __init__(self, process: subprocess.Popen[bytes], log: Path, grace_seconds: float) -> None:
        self.log = log
        self._process = process
        self._grace_seconds = grace_seconds

    def wait(self, seconds: float) -> int:
        """Return its exit code once it has ended."""
        return self._process.wait(seconds)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self._process.poll() is None

    def send(self, number: signal.Signals, *, to_all: bool = True) -> None:
        """Send a signal to it, and to all processes that it has started."""
        for process in self._processes()[: None if to_all else 1]:
            with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
                process.send_signal(number)
        if number == signal.SIGCONT:
            self._process.send_signal(number)  # `nsenter` has stopped with it

    def ask_to_stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to end."""
        if self.is_running:
            self.send(number, to_all=False)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it as a service manager does."""
        self.ask_to_stop(number)
        self.await_end()

    def await_end(self) -> None:
        """Wait for a program that was asked to stop; kill it where that takes too long."""
        try:
            self._process.wait(self._grace_seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """Kill it and all that it has started."""
        self.send(signal.SIGKILL)
        self._process.wait(KILL_SECONDS)

    def _processes(self) -> list[psutil.Process]:
        """Return its processes, the main one first; `nsenter`, which only waits for it, is left out."""
        try:
            return psutil.Process(self._process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            return []


class Host:
    """A host with an address and a user of its own."""

    def __init__(self, name: str, number: int, folder: Path) -> None:
        self.name = name
        self.address = f"{NETWORK}.{number}"
        self.user = 2000 + number
        self._number = number
        self._folder = folder / name
        self._programs: list[Program] = []

    def boot(self, names: Mapping[str, str], image: Mapping[Path, Path]) -> None:
        """Start it.

        Args:
            names: The addresses of `/etc/hosts`, by name.
            image: Folders of this machine that it sees, read-only, each with its place there.
        """
        (self._folder / "root").mkdir(parents=True)
        hosts = {"localhost": "127.0.0.1", self.name: self.address, **names}
        lines = "".join(f"{address} {name}\n" for name, address in hosts.items())
        (self._folder / "hosts").write_text(lines)
        account = f"{self.name}:x:{self.user}:{self.user}"
        root = "root:x:0:0"
        (self._folder / "passwd").write_text(f"{root}::/:/bin/sh\n{account}::{self.home}:/bin/sh\n")
        (self._folder / "group").write_text(f"{root}:\n{self.name}:x:{self.user}:\n")
        command = ("unshare", *NAMESPACES, "--fork", "--kill-child", "sh", "-c", _INIT, "init")
        seen = [path for pair in {**SYSTEM, **image}.items() for path in pair]
        self._unshare = subprocess.Popen(
            [*command, self.name, self._folder, *seen], stdout=subprocess.PIPE
        )
        assert self._unshare.stdout is not None
        assert self._unshare.stdout.readline() == b"ready\n"
        [self._init] = psutil.Process(self._unshare.pid).children()
        self._join_network()
        self.make_folder(self.home)

    @property
    def home(self) -> Path:
        """The home folder of its user."""
        return Path("/home", self.name)

    def path(self, path: Path | str) -> Path:
        """Return where this machine's root sees a path of the host."""
        return Path(f"/proc/{self._init.pid}/root{path}")

    def make_folder(self, path: Path) -> None:
        """Make a folder that its user may write to."""
        self.path(path).mkdir(parents=True, exist_ok=True)
        os.chown(self.path(path), self.user, self.user)

    def start(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        grace_seconds: float = 10,
    ) -> Program:
        """Start a program as the host's user; what it prints goes to a file."""
        log = self._folder / f"{name}-{len(self._programs)}.log"
        own = {"HOME": str(self.home), "PATH": os.defpath, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*self._enter(*NAMESPACES), *self._as_user(), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**own, **environment},
            )
        self._programs.append(Program(process, log, grace_seconds))
        return self._programs[-1]

    def run(self, name: str, command: Sequence[str], environment: Mapping[str, str]) -> str:
        """Run a program to its end, and return what it prints."""
        program = self.start(name, command, environment)
        code = program.wait(300)
        printed = program.log.read_text()
        assert code == 0, f"{name} on {self.name}: {printed}"
        return printed

    def cut_from(self, other: "Host") -> None:
        """Lose every packet between two hosts, in both directions and without a word."""
        for one, another in ((self, other), (other, self)):
            one._neighbor("replace", another.address, "lladdr", NOWHERE, "nud", "permanent")

    def join_with(self, other: "Host") -> None:
        """Let packets pass again between two hosts that were cut from each other."""
        for one, another in ((self, other), (other, self)):
            one._neighbor("del", another.address)

    def halt(self) -> None:
        """End it with all that runs on it, as by a loss of power."""
        self._unshare.kill()
        self._unshare.wait()

    def logs(self) -> str:
        """Return the end of what each of its programs printed."""
        texts = ((program.log.name, program.log.read_text()) for program in self._programs)
        return "\n".join(f"--- {self.name}: {name}\n{text[-3000:]}" for name, text in texts)

    def _enter(self, *namespaces: str) -> list[str]:
        return ["nsenter", "--target", str(self._init.pid), *namespaces]

    def _as_user(self) -> list[str]:
        account = (f"--reuid={self.user}", f"--regid={self.user}", "--clear-groups")
        folder = ("env", f"--chdir={self.home}")
        return ["setpriv", *account, "--no-new-privs", *folder]

    def _join_network(self) -> None:
        cable = f"to-{self.name}"
        run(
            "ip", "link", "add", cable, "type", "veth", "peer", "eth0", "netns", str(self._init.pid)
        )
        run("ip", "link", "set", cable, "master", BRIDGE, "up")
        within = self._enter("--net")
        run(*within, "ip", "link", "set", "lo", "up")
        run(*within, "ip", "address", "add", f"{self.address}/24", "dev", "eth0")
        run(*within, "ip", "link", "set", "eth0", "up")

    def _neighbor(self, *change: str) -> None:
        run(*self._enter("--net"), "ip", "neighbor", *change, "dev", "eth0")


def make_bridge() -> None:
    """Make the network of the hosts, in which the tests themselves have the first address."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "address", "add", f"{NETWORK}.1/24", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")


def wait_patiently(condition: Callable[[], bool], what: str, seconds: float) -> float:
    """Wait for a condition, longer on a machine that is told to be slow; return the seconds it took."""
    return wait_until(condition, what, seconds * PATIENCE, pause=0.2)
