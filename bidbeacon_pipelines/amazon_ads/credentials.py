"""Credentials and endpoints: region hosts, token endpoints, hosts of downloads."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Self, get_args

import httpx
from pydantic import SecretStr

from bidbeacon_pipelines.amazon_ads.errors import AuthError
from bidbeacon_pipelines.settings import Region, Settings

REGIONS: tuple[Region, ...] = get_args(Region)


@dataclass(frozen=True)
class Credential:
    """One refresh token of a client of Login with Amazon; `region` is the one whose token endpoint issued it."""

    client_id: str
    client_secret: SecretStr
    refresh_token: SecretStr
    region: Region = "NA"

    @property
    def digest(self) -> str:
        """The key of its shared access token; a new refresh token has a new key."""
        identity = f"{self.client_id} {self.refresh_token.get_secret_value()}"
        return sha256(identity.encode()).hexdigest()

    def form(self) -> dict[str, str]:
        """Return the form that asks for an access token."""
        return {
            "grant_type": "refresh_token",
            "client_id": self.client_id,
            "client_secret": self.client_secret.get_secret_value(),
            "refresh_token": self.refresh_token.get_secret_value(),
        }

    @classmethod
    def of(cls, settings: Settings) -> "Credential":
        """Return the credential that is set, or the sandbox's.

        Raises:
            AuthError: A client id is set, and its secret or refresh token isn't.
        """
        if settings.uses_sandbox:
            return SANDBOX_CREDENTIAL
        client_id, secret = settings.ads_api_client_id, settings.ads_api_client_secret
        refresh_token = settings.ads_api_refresh_token
        if not (client_id and secret and refresh_token):
            reason = "some of the settings are missing"
            raise AuthError(reason, cause_code="credentials-incomplete")
        return cls(client_id, secret, refresh_token, settings.ads_api_credential_region)


SANDBOX_CREDENTIAL = Credential(
    "sandbox-client", SecretStr("sandbox-secret"), SecretStr("Atzr|sandbox")
)


@dataclass(frozen=True)
class Endpoints:
    """The addresses of one Amazon: base URL and token endpoint of each region.

    Files may come from `download_hosts`: ".amazonaws.com" is any host below it, by https only;
    "127.0.0.1:3040" is exactly this host and port, where http will do. `uses_proxy` is whether the
    environment's proxy settings count.
    """

    api: Mapping[Region, str]
    token: Mapping[Region, str]
    download_hosts: tuple[str, ...]
    uses_proxy: bool = True

    @classmethod
    def of(cls, settings: Settings) -> "Endpoints":
        """Return Amazon's addresses, or the sandbox's where no credential is set."""
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
        """Return whether files may be downloaded from this URL; never with a user name or an unexpected port."""
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
