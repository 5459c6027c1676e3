"""Where a report's files are while it is loaded: a process that was frozen, and its successor, must not share them."""

from pathlib import Path

from bidbeacon_pipelines.amazon_ads.download_folders import download_folder


def test_a_process_that_wakes_up_leaves_its_successors_files_alone(tmp_path: Path) -> None:
    """Both load the same request; the first one ends its block while the second one reads."""
    frozen, successor = (download_folder(tmp_path, "request-1") for _ in range(2))
    frozen.__enter__()
    with successor as folder:
        part = folder / "part-0.json.gz"
        part.write_bytes(b"rows")
        frozen.__exit__(None, None, None)
        assert b"rows" == part.read_bytes()
