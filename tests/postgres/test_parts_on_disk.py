"""Where a report's files are while it is loaded: a process that was frozen, and its successor, must not share them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from bidbeacon_pipelines.amazon_ads.client import Owner
from bidbeacon_pipelines.amazon_ads.download_folders import download_folder
from bidbeacon_pipelines.amazon_ads.downloads import download_report
from bidbeacon_pipelines.amazon_ads.reports import Report, retrieve_report
from tests.support.world import World

Download = Callable[[], AbstractContextManager[list[Path]]]


@pytest.fixture
def download(world: World) -> Download:
    """Return what downloads a completed report in the name of a new session."""
    account = world.account()
    request_id = world.ask(account, world.day(3))
    world.advance(minutes=2)
    report_id = world.request(request_id).report_id or ""

    def retrieve() -> Report:
        return retrieve_report(world.context.client_for("default"), account.region, report_id)

    @contextmanager
    def downloaded() -> Iterator[list[Path]]:
        with download_folder(world.context.downloads, f"request-{request_id}") as folder:
            owner = Owner(account.region, account.account_id)
            yield download_report(
                world.context.client_for("default"), retrieve(), folder, owner, retrieve=retrieve
            )

    return downloaded


def test_a_process_that_wakes_up_leaves_its_successors_files_alone(download: Download) -> None:
    """The first one ends its block while the second one reads."""
    frozen, successor = download(), download()
    frozen.__enter__()
    with successor as parts:
        before = [part.read_bytes() for part in parts]
        frozen.__exit__(None, None, None)
        assert before == [part.read_bytes() for part in parts]
