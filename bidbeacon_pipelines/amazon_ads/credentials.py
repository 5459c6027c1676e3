"""Credentials and endpoints: region hosts, token endpoints, hosts of downloads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, get_args

import httpx
from pydantic import SecretStr

from bidbeacon_pipelines.settings import Region

REGIONS: tuple[Region, ...] = get_args(Region)


@dataclass(frozen=True)
class Credentials:
    """One authorisation of Login with Amazon; `region` is the one whose token endpoint issued it."""

    client_id: str
    client_secret: SecretStr
    refresh_token: SecretStr
    region: Region = "NA"


SANDBOX_CREDENTIALS = Credentials(
    "sandbox-client", SecretStr("sandbox-secret"), SecretStr("Atzr|sandbox")
)


@dataclass(frozen=True)
class Endpoints:
    """The addresses of one Amazon.

    Attributes:
        api: Base URL of each region, without a final slash.
        token: Token endpoint of each region.
        download_hosts: Where files may come from: ".amazonaws.com" is any host below it, by https
            only;
            "127.0.0.1:3040" is exactly this host and port, where http will do.
        uses_proxy: Whether the environment's proxy settings count.
    """

    api: Mapping[Region, str]
    token: Mapping[Region, str]
    download_hosts: tuple[str, ...]
    uses_proxy: bool = True

    @classmethod
    def amazon(cls) -> Self:
        """Return the real addresses, from Amazon's page "API endpoints"."""
        return cls(
            api={
                "NA": "https://advertising-api.amazon.com",
                "EU": "https://advertising-api-eu.amazon.com",
                "FE": "https://advertising-api-fe.amazon.com",
            },
            token={
                "NA": "https://api.amazon.com/auth/o2/token",
                "EU": "https://api.amazon.co.uk/auth/o2/token",
                "FE": "https://api.amazon.co.jp/auth/o2/token",
            },
            download_hosts=(".amazonaws.com", ".amazon.com"),
        )

    @classmethod
    def sandbox(cls, url: str) -> Self:
        """Return the addresses of a sandbox at this base URL: each region is a path below it."""
        base = url.rstrip("/")
        api: dict[Region, str] = {region: f"{base}/{region.lower()}" for region in REGIONS}
        return cls(
            api=api,
            token={region: f"{region_url}/auth/o2/token" for region, region_url in api.items()},
            download_hosts=(httpx.URL(base).netloc.decode(),),
            uses_proxy=False,
        )

    def allow_download(self, url: httpx.URL) -> bool:
        """Return whether files may be downloaded from this URL; never with a user name or an unexpected port."""
        if url.userinfo or url.scheme not in {"http", "https"}:
            return False
        if url.netloc.decode() in self.download_hosts:
            return True
        below = any(
            host.startswith(".") and url.host.endswith(host) for host in self.download_hosts
        )
        return below and url.scheme == "https" and url.port is None
