"""`python -m tests.dagster.judgements ACCOUNT DAY`: prints all judgements of page, `doctor` and checks, after alerts have looked."""

import asyncio
import json
import sys
from typing import Any

import httpx

from bidbeacon_pipelines.database.engine import shared_engine
from bidbeacon_pipelines.definitions import defs
from bidbeacon_pipelines.problems.alerts import AlertWatch
from bidbeacon_pipelines.problems.doctor import as_checked, examine
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_pipelines.web import pipelines_extension
from bidbeacon_sessions import SessionStore
from bidbeacon_sessions.server import create_app


def read_judgements(account: str, window: str) -> dict[str, Any]:
    """Return what is judged to be late, failed or wrong."""
    settings = get_settings()
    assert settings.database_url is not None
    engine = shared_engine(settings.database_url.get_secret_value())
    checks = defs.resolve_job_def("check_datasets").execute_in_process()
    AlertWatch(engine, settings).check_once()
    store = SessionStore(engine)
    app = create_app(store, extension=pipelines_extension(store, settings))

    def read(path: str, **query: str) -> Any:
        async def get() -> httpx.Response:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1"
            ) as client:
                return await client.get(path, params=query)

        return asyncio.run(get()).raise_for_status().json()

    home, coverage = read("/api/home"), read("/api/coverage")
    asked = {"account": account, "dataset": "daily_targets", "window": window}
    return {
        "checks": {
            f"{one.asset_key.to_user_string()} {one.check_name}": one.passed
            for one in checks.get_asset_check_evaluations()
        },
        "home": {one["code"]: one["count"] for one in home["findings"]},
        "datasets": {one["name"]: one["states"] for one in home["datasets"]},
        "map": sorted(one["cells"] for one in coverage["accounts"]),
        "account": [one["states"] for one in read("/api/account", account=account)["datasets"]],
        "explain": read("/api/explain", **asked)["verdict"],
        "doctor": {
            one.code: one.severity
            for one in map(as_checked, examine(settings, engine))
            if one.code != "calls"
        },
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(read_judgements(*sys.argv[1:])))
