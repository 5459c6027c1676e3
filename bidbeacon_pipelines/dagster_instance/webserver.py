"""The guard around Dagster's webserver, which executes mutations sent by GET, and checks neither `Host` nor `Origin`.

Dagster has no setting for middleware. Its webserver loads our storage, as each of its processes
does, so the guard is there however the webserver was started: by `bidbeacon dev`, `dg dev`,
`dagster dev` or `dagster-webserver`.
"""

import sys
from functools import cache
from typing import Any

from starlette.middleware import Middleware

from bidbeacon_pipelines.browser_guard import BrowserGuard
from bidbeacon_pipelines.settings import get_settings


def guard_webserver() -> None:
    """Put the guard before the middleware of Dagster's webserver, where this process is one."""
    # A process that has not imported the webserver is none, and importing it would cost every run a
    # second.
    module = sys.modules.get("dagster_webserver.webserver")
    if module is not None:
        _guard(module.DagsterWebserver)


@cache
def _guard(webserver: type[Any]) -> None:
    """Put the guard into the list of middleware that a webserver class builds; once, however often it is called."""
    build = webserver.build_middleware

    def build_middleware(self: Any) -> list[Middleware]:
        guard = Middleware(
            BrowserGuard, public_url=get_settings().dagster_public_url, post_only="/graphql"
        )
        return [guard, *build(self)]

    webserver.build_middleware = build_middleware
