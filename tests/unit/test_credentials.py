"""The file of clients and credentials: what it must hold, who may read it, and what is said of one that is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bidbeacon_pipelines.accounts.rules import choose_owner
from bidbeacon_pipelines.settings import get_settings
from bidbeacon_sessions.errors import SettingsError
from bidbeacon_sessions.masking import mask_text

GOOD = """
    [clients.agency]
    client_id = "amzn1.agency"
    client_secret = "SECRET-1"

    [credentials.acme]
    client = "agency"
    refresh_token = "SECRET-2"

    [credentials.shops-eu]
    client = "agency"
    refresh_token = "SECRET-3"
    region = "EU"
"""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that writes the file that the environment names, which is read again then."""
    path = tmp_path / "credentials.toml"
    monkeypatch.setenv("BIDBEACON_CREDENTIALS_FILE", str(path))

    def write_file(text: str = GOOD, mode: int = 0o640) -> Path:
        path.write_text(text)
        path.chmod(mode)
        get_settings.cache_clear()
        return path

    return write_file


def test_credentials_are_read_in_the_order_of_the_file(write: Callable[..., Path]) -> None:
    """Each with the client that it names; Amazon is asked then, or the sandbox where the file says so."""
    write()
    settings = get_settings()
    found = [(one.name, one.client_id, one.region) for one in settings.credentials.values()]
    assert [("acme", "amzn1.agency", "NA"), ("shops-eu", "amzn1.agency", "EU")] == found
    assert "SECRET-3" == settings.credentials["shops-eu"].form()["refresh_token"]
    assert "SECRET" not in f"{settings!r} {settings.credentials}"
    assert "real" == settings.mode
    write(f"sandbox = true\n{GOOD}")
    assert "sandbox" == get_settings().mode


def test_secrets_of_the_file_are_masked_wherever_they_stand(write: Callable[..., Path]) -> None:
    """By their values, as those of other settings: no name or form tells of them."""
    write(GOOD.replace("SECRET-", "a-value-without-a-form-"))
    get_settings()
    for number in (1, 2, 3):
        secret = f"a-value-without-a-form-{number}"
        assert secret not in mask_text(f"We got {secret} from Amazon")


def test_the_three_variables_are_one_credential(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has a name like the others; without all three there is none."""
    for name in ("CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.setenv(f"BIDBEACON_ADS_API_{name}", "x")
    assert {} == get_settings().credentials
    monkeypatch.setenv("BIDBEACON_ADS_API_REFRESH_TOKEN", "x")
    get_settings.cache_clear()
    assert ["default"] == list(get_settings().credentials)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[clients", "expected TOML in UTF-8 (Expected ']'"),
        ("", "clients is missing; credentials is missing"),
        (GOOD.replace("client_id", "id"), "clients.agency.client_id is missing; clients.agency.id is not known"),
        (GOOD.replace('"SECRET-2"', '""'), "credentials.acme.refresh_token is invalid: Value should have at least 1 item"),
        (GOOD.replace('"SECRET-2"', "17"), "credentials.acme.refresh_token is invalid: expected a valid string"),
        (GOOD.replace('client = "agency"', 'client = "agancy"', 1), "credentials.acme.client is 'agancy', expected one of [clients]: agency"),
        (GOOD.replace("shops-eu", '"shops eu"'), "credentials.shops eu.[key] is invalid: String should match pattern"),
        (GOOD.replace('"EU"', '"US"'), "credentials.shops-eu.region is invalid: expected 'NA', 'EU' or 'FE'"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_said_with_the_place_of_each_fault(
    text: str, said: str, write: Callable[..., Path]
) -> None:
    """In one line, with its path, and without any value of a secret."""
    file = write(text)
    with pytest.raises(SettingsError) as refused:
        get_settings()
    [line] = str(refused.value).splitlines()
    assert line.startswith("BIDBEACON_CREDENTIALS_FILE: expected ")
    assert said in line
    assert line.endswith(f"got '{file}', set in the environment.")
    assert "SECRET" not in line


@pytest.mark.parametrize("mode", [0o644, 0o602, 0o604])
def test_a_file_that_others_can_read_or_write_is_refused(
    mode: int, write: Callable[..., Path]
) -> None:
    """Its owner's group may read it, as Kubernetes mounts a secret."""
    write(mode=mode)
    with pytest.raises(SettingsError, match="only its owner and group can read"):
        get_settings()


def test_a_file_that_is_missing_or_stands_beside_the_variables_is_refused(
    write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is asked as the wrong one."""
    file = write()
    monkeypatch.setenv("BIDBEACON_ADS_API_REFRESH_TOKEN", "x")
    with pytest.raises(
        SettingsError,
        match="BIDBEACON_CREDENTIALS_FILE or BIDBEACON_ADS_API_REFRESH_TOKEN, not both",
    ):
        get_settings()
    file.unlink()
    with pytest.raises(SettingsError, match="No such file or directory"):
        get_settings()


@pytest.mark.parametrize(
    ("owner", "listed_by", "unsure", "chosen"),
    [
        (None, ["a", "b"], [], "a"),
        ("b", ["a", "b"], [], "b"),
        ("b", ["a"], ["b"], "b"),
        ("b", ["a"], [], "a"),
        ("gone", ["b"], ["a"], "b"),
    ],
)
def test_an_ads_account_stays_with_its_owner_as_long_as_that_lists_it(
    owner: str | None, listed_by: list[str], unsure: list[str], chosen: str
) -> None:
    """Also while the owner can't be asked; else it belongs to the first that lists it."""
    assert chosen == choose_owner(owner, listed_by, unsure)
