"""What we write is for its owner alone, whatever the umask, and what killed processes left behind goes."""

import os
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from bidbeacon_pipelines.amazon_ads import download_folders
from bidbeacon_pipelines.amazon_ads.download_folders import download_folder
from bidbeacon_pipelines.amazon_ads.errors import NotWritten
from bidbeacon_pipelines.private_files import PASSAGE, make_private_folder
from tests.support.waiting import wait_until


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Run under a umask."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode_of(path: Path) -> int:
    """Return a path's permissions."""
    return path.stat().st_mode & 0o777


def date_back(path: Path, minutes: float) -> None:
    """Date a file back; `make test-clock` shifts the times that are read, not those written."""
    written = path.stat().st_mtime
    os.utime(path, (0, 0))
    shift = path.stat().st_mtime
    os.utime(path, (written - shift - 60 * minutes,) * 2)


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
    """The folder of all, and the folder of one request; nothing is left afterwards."""
    downloads = tmp_path / "home" / "downloads"
    with download_folder(downloads, "request-1") as folder:
        assert [0o700, 0o700] == [mode_of(downloads), mode_of(folder)]
    assert [] == list(downloads.iterdir())


@pytest.mark.parametrize(
    ("folder_minutes", "file_minutes", "stays"), [(61, 61, False), (59, 61, True), (61, 59, True)]
)
def test_what_a_killed_process_left_is_removed_after_an_hour(
    tmp_path: Path, folder_minutes: float, file_minutes: float, *, stays: bool
) -> None:
    """By the next download on this machine; what was written to within the hour may be in use."""
    folder, part = tmp_path / "request-1-abc", tmp_path / "request-1-abc" / "part-0.json.gz"
    folder.mkdir()
    part.write_bytes(b"rows")
    for path, minutes in ((folder, folder_minutes), (part, file_minutes)):
        date_back(path, minutes)
    with download_folder(tmp_path, "request-2") as own:
        assert ({folder, own} if stays else {own}) == {*tmp_path.iterdir()}


def test_a_folder_in_use_is_kept_however_long_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load that reads its files for hours keeps them."""
    monkeypatch.setattr(download_folders, "_TOUCHED_EVERY", timedelta(seconds=0.01))
    with download_folder(tmp_path, "request-1") as loading:
        (loading / "part-0.json.gz").write_bytes(b"rows")
        for path in (loading / "part-0.json.gz", loading):
            os.utime(path, (0, 0))
        wait_until(lambda: loading.stat().st_mtime > 0)
        with download_folder(tmp_path, "request-2"):
            assert b"rows" == (loading / "part-0.json.gz").read_bytes()


def test_a_folder_that_vanishes_while_it_is_used_is_this_hosts_fault(tmp_path: Path) -> None:
    """Whether a file in it is written or read."""
    with (
        pytest.raises(NotWritten, match="No such file or directory"),
        download_folder(tmp_path / "downloads", "request-1") as folder,
    ):
        shutil.rmtree(tmp_path / "downloads")
        (folder / "part-0.json.gz").open("rb")
