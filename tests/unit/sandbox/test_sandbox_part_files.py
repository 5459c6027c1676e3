"""The files of reports are made by few threads, and few rows do not wait for many."""

import asyncio
from collections.abc import Iterator
from threading import Event

from bidbeacon_sandbox.files import PartFiles


def test_few_rows_do_not_wait_for_many() -> None:
    """With all threads busy with long reports, a short one is made."""
    files, may_end = PartFiles(part_rows=10, cache_bytes=1_000), Event()

    def many_rows() -> Iterator[str]:
        may_end.wait(30)
        yield "{}"

    async def make() -> None:
        long = [
            asyncio.create_task(files.parts(f"long-{number}", many_rows)) for number in range(3)
        ]
        assert 1 == len(await files.parts_within(20, "short", lambda: ["{}"], are_few=True) or ())
        assert not any(task.done() for task in long)
        may_end.set()
        await asyncio.gather(*long)

    asyncio.run(make())
    files.close()
