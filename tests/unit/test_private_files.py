"""What we write is for its owner alone, whatever the umask, and what killed processes left behind goes."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bidbeacon_pipelines.amazon_ads.download_folders import download_folder
from bidbeacon_pipelines.amazon_ads.errors import NotWritten
from bidbeacon_pipelines.private_files import PASSAGE, make_private_folder
from bidbeacon_pipelines.settings import PROJECT_ROOT
from bidbeacon_sandbox.store import Store

USER = """
import sys, threading
from pathlib import Path
from bidbeacon_pipelines.amazon_ads.download_folders import download_folder
with download_folder(Path(sys.argv[1]), "request-1") as folder:
    (folder / "part-0.json.gz").write_text("rows")
    print(folder, flush=True)
    threading.Event().wait()
"""


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Run under a umask."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.fixture
def user(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Run a process that uses a folder for downloads; yield the process and the folder."""
    command = [sys.executable, "-c", USER, str(tmp_path / "downloads")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=PROJECT_ROOT) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().strip())
        yield process, folder
        process.kill()


def mode_of(path: Path) -> int:
    """Return a path's permissions."""
    return path.stat().st_mode & 0o777


def test_a_private_folder_can_be_entered_by_its_owner_alone(tmp_path: Path, umask: int) -> None:
    """Those above it that it makes can be passed through; one that was there keeps its mode."""
    make_private_folder(tmp_path / "home" / "logs")
    make_private_folder(tmp_path / "home" / "postgres", PASSAGE)
    folders = ("home", "home/logs", "home/postgres")
    assert [0o711, 0o700, 0o711] == [mode_of(tmp_path / name) for name in folders]
    (tmp_path / "home").chmod(0o750)
    make_private_folder(tmp_path / "home", PASSAGE)
    assert 0o750 == mode_of(tmp_path / "home")


def test_folders_for_downloads_are_private(tmp_path: Path, umask: int) -> None:
    """The folder of all, the folder of one request, and its lock; nothing is left afterwards."""
    downloads = tmp_path / "home" / "downloads"
    with download_folder(downloads, "request-1") as folder:
        assert [0o700, 0o700] == [mode_of(downloads), mode_of(folder)]
        assert {0o600} == {mode_of(path) for path in folder.iterdir()}
    assert [] == list(downloads.iterdir())


def test_what_a_killed_process_left_is_removed(user: tuple[subprocess.Popen[str], Path]) -> None:
    """By the next that downloads on this machine."""
    process, folder = user
    process.kill()
    process.wait()
    assert folder.exists()
    with download_folder(folder.parent, "request-2"):
        assert not folder.exists()


@pytest.mark.parametrize("frozen", [False, True])
def test_what_another_process_uses_stays(
    user: tuple[subprocess.Popen[str], Path], *, frozen: bool
) -> None:
    """Also while that process is stopped."""
    process, folder = user
    if frozen:
        process.send_signal(signal.SIGSTOP)
    with download_folder(folder.parent, "request-2"):
        assert (folder / "part-0.json.gz").exists()


def test_a_folder_that_is_not_locked_yet_stays(tmp_path: Path) -> None:
    """For a minute; later it counts as left behind."""
    new = tmp_path / ".request-1-abc"
    new.mkdir()
    os.utime(new, (time.time(),) * 2)
    with download_folder(tmp_path, "request-2"):
        assert new.exists()
    os.utime(new, (time.time() - 3600,) * 2)
    with download_folder(tmp_path, "request-2"):
        assert not new.exists()


def test_a_folder_that_vanishes_while_it_is_used_is_this_hosts_fault(tmp_path: Path) -> None:
    """Whether a file in it is written or read."""
    with (
        pytest.raises(NotWritten, match="No such file or directory"),
        download_folder(tmp_path / "downloads", "request-1") as folder,
    ):
        shutil.rmtree(tmp_path / "downloads")
        (folder / "part-0.json.gz").open("rb")


def test_the_sandboxs_state_is_private(tmp_path: Path, umask: int) -> None:
    """Its folder and the file in it."""
    folder = tmp_path / "sandbox"
    Store(folder).put("reports", "1", "{}")
    assert ["{}"] == Store(folder).read("reports")
    assert [0o700, 0o600] == [mode_of(folder), mode_of(folder / "state.db")]
