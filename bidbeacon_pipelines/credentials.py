"""Credentials of Login with Amazon: a single one from settings, or named ones from a file."""

import os
import tomllib
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from bidbeacon_sessions.masking import remember_secret

Region = Literal["NA", "EU", "FE"]

DEFAULT: Final = "default"
"""The name of the credential of the sandbox, or of the `BIDBEACON_ADS_API_…` settings."""
_OF_OTHERS: Final = 0o007
_Name = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{1,40}$")]
_Text = Annotated[str, Field(min_length=1)]
_Secret = Annotated[SecretStr, Field(min_length=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Credential(_Table):
    """A named refresh token of a client, issued by the token endpoint of `region`."""

    name: str = DEFAULT
    client_id: str
    client_secret: SecretStr
    refresh_token: SecretStr
    region: Region = "NA"

    @property
    def digest(self) -> str:
        """The key under which processes share the access token; it depends on the refresh token."""
        identity = f"{self.client_id} {self.refresh_token.get_secret_value()}"
        return sha256(identity.encode()).hexdigest()

    def mask_secrets(self) -> None:
        """Mask the client secret and the refresh token in all texts from now on."""
        remember_secret(f"client secret of {self.name}", self.client_secret.get_secret_value())
        remember_secret(f"refresh token of {self.name}", self.refresh_token.get_secret_value())

    def form(self) -> dict[str, str]:
        """Return the form fields of a request for an access token."""
        return {
            "grant_type": "refresh_token",
            "client_id": self.client_id,
            "client_secret": self.client_secret.get_secret_value(),
            "refresh_token": self.refresh_token.get_secret_value(),
        }


SANDBOX_CREDENTIAL: Final = Credential(
    client_id="sandbox-client",
    client_secret=SecretStr("sandbox-secret"),
    refresh_token=SecretStr("Atzr|sandbox"),
)


class _Client(_Table):
    client_id: _Text
    client_secret: _Secret


class _Token(_Table):
    client: str
    refresh_token: _Secret
    region: Region = "NA"


class CredentialsFile(_Table):
    """The content of the credentials file: clients, and refresh tokens that name a client.

    If `sandbox` is true, BidBeacon calls the sandbox instead of Amazon.
    """

    clients: dict[_Name, _Client]
    credentials: dict[_Name, _Token] = Field(min_length=1)
    sandbox: bool = False

    @model_validator(mode="after")
    def _check_clients(self) -> Self:
        for name, one in self.credentials.items():
            if one.client not in self.clients:
                names = ", ".join(self.clients) or "none"
                found = f"credentials.{name}.client is {one.client!r}"
                raise ValueError(f"{found}, expected one of [clients]: {names}")
        return self

    def by_name(self) -> dict[str, Credential]:
        """Return the credentials by name, in the order of the file."""
        return {
            name: Credential(
                name=name,
                client_id=self.clients[one.client].client_id,
                client_secret=self.clients[one.client].client_secret,
                refresh_token=one.refresh_token,
                region=one.region,
            )
            for name, one in self.credentials.items()
        }


def read_credentials_file(path: Path) -> CredentialsFile:
    """Read the credentials file; its secrets are masked from then on.

    Raises:
        ValueError: The file is invalid, or users other than its owner and group may read it. The
            message lists each fault, without secrets.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & _OF_OTHERS:
                raise ValueError(
                    "expected a file that only its owner and group can read (chmod o=)"
                )
            found = CredentialsFile.model_validate(tomllib.load(file))
    except OSError as error:
        raise ValueError(f"expected a file that can be read ({error.strerror})") from None
    except ValidationError as error:
        raise ValueError(
            f"expected clients and credentials as documented: {_faults(error)}"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"expected TOML in UTF-8 ({error})") from None
    for one in found.by_name().values():
        one.mask_secrets()
    return found


def _faults(error: ValidationError) -> str:
    """Return each fault with its place in the file, but without values, which may be secret."""
    faults = []
    for fault in error.errors(include_input=False, include_url=False):
        words = {"missing": "is missing", "extra_forbidden": "is not known"}
        wrong = fault["msg"].replace("Input should be", "expected")
        text = words.get(fault["type"], f"is invalid: {wrong}")
        place = ".".join(map(str, fault["loc"]))
        faults.append(f"{place} {text}" if place else fault["msg"].removeprefix("Value error, "))
    return "; ".join(faults)


def shown_name(credential: str) -> str | None:
    """Return a credential's name for users; None if it comes from settings and has no name."""
    return None if credential == DEFAULT else credential
