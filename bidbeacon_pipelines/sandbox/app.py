"""The sandbox as an ASGI app: each region below its own path, as Amazon has it on its own host."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route

from bidbeacon_pipelines.sandbox import account_api, control_api, export_api, report_api
from bidbeacon_pipelines.sandbox.call import endpoint
from bidbeacon_pipelines.sandbox.config import SandboxConfig
from bidbeacon_pipelines.sandbox.control_api import page
from bidbeacon_pipelines.sandbox.download_api import download
from bidbeacon_pipelines.sandbox.export_files import EXPORT_KINDS
from bidbeacon_pipelines.sandbox.ledger import LedgerMiddleware
from bidbeacon_pipelines.sandbox.markets import REGIONS
from bidbeacon_pipelines.sandbox.state import SandboxState
from bidbeacon_pipelines.sandbox.token_api import issue_token


def create_app(config: SandboxConfig) -> Starlette:
    """Make the app of a sandbox; its state is `app.state.sandbox`, its files go when it shuts down.

    Raises:
        OSError: the faults file can't be read.
        pydantic.ValidationError: what it holds can't be understood.
        StateFolderError: the state folder can't be used.
    """
    sandbox = SandboxState(config)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        sandbox.close()

    app = Starlette(
        routes=[*_ads_routes(), *_own_routes()],
        middleware=[Middleware(LedgerMiddleware, ledger=sandbox.ledger, clock=sandbox.clock)],
        lifespan=lifespan,
    )
    app.state.sandbox = sandbox
    return app


def _ads_routes() -> list[BaseRoute]:
    routes: list[BaseRoute] = []
    for region in REGIONS:
        routes += _region_routes(region.lower())
    path = "/downloads/{kind}/{key}/{part:int}.json.gz"
    return [*routes, Route(path, endpoint("download", download))]


def _region_routes(region: str) -> list[BaseRoute]:
    create_report = endpoint("create_report", report_api.create_report)
    retrieve_report = endpoint("retrieve_report", report_api.retrieve_report)
    return [
        Route(f"/{region}/auth/o2/token", endpoint("token", issue_token), methods=["POST"]),
        Route(
            f"/{region}/adsAccounts/list",
            endpoint("list_accounts", account_api.list_accounts),
            methods=["POST"],
        ),
        Route(f"/{region}/v2/profiles", endpoint("list_profiles", account_api.list_profiles)),
        Route(f"/{region}/adsApi/v1/create/reports", create_report, methods=["POST"]),
        Route(f"/{region}/adsApi/v1/retrieve/reports", retrieve_report, methods=["POST"]),
        *(
            Route(
                f"/{region}/{kind}/export",
                endpoint("create_export", export_api.create_export(kind)),
                methods=["POST"],
            )
            for kind in EXPORT_KINDS
        ),
        Route(f"/{region}/exports/{{export_id}}", endpoint("get_export", export_api.get_export)),
    ]


def _own_routes() -> list[BaseRoute]:
    return [
        Route("/healthz", page(control_api.healthz)),
        Route("/sandbox/ledger", page(control_api.show_ledger)),
        Route("/sandbox/ledger", page(control_api.clear_ledger), methods=["DELETE"]),
        Route("/sandbox/faults", page(control_api.show_faults)),
        Route("/sandbox/faults", page(control_api.add_faults), methods=["POST"]),
        Route("/sandbox/faults", page(control_api.clear_faults), methods=["DELETE"]),
        Route("/sandbox/clock", page(control_api.show_clock)),
        Route("/sandbox/clock", page(control_api.change_clock), methods=["POST"]),
        Route("/sandbox/truth", page(control_api.show_truth)),
    ]
