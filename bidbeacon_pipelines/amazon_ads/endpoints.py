"""The addresses of the Ads API: region hosts, token endpoints, hosts of downloads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, get_args

import httpx

from bidbeacon_pipelines.settings import Region, Settings

REGIONS: tuple[Region, ...] = get_args(Region)


@dataclass(frozen=True)
class Endpoints:
    """The addresses of Amazon or a sandbox: base URL and token endpoint of each region.

    Files may be downloaded from `download_hosts`. ".amazonaws.com" allows all of its subdomains, by
    https only; "127.0.0.1:3040" allows this host and port, by http or https. `uses_proxy` is
    whether the environment's proxy settings apply.
    """

    api: Mapping[Region, str]
    token: Mapping[Region, str]
    download_hosts: tuple[str, ...]
    uses_proxy: bool = True

    @classmethod
    def of(cls, settings: Settings) -> "Endpoints":
        """Return Amazon's addresses, or the sandbox's if the settings use the sandbox."""
        return cls.sandbox(settings.sandbox_url) if settings.uses_sandbox else AMAZON

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
        """Return whether files may be downloaded from this URL."""
        if url.userinfo or url.scheme not in {"http", "https"}:
            return False
        if url.netloc.decode() in self.download_hosts:
            return True
        domains = tuple(host for host in self.download_hosts if host.startswith("."))
        return url.host.endswith(domains) and url.scheme == "https" and url.port is None


AMAZON = Endpoints(
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
"""The real addresses, from Amazon's page "API endpoints"."""
