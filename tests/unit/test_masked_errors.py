"""Errors hold no secret, and are otherwise the errors that they were; the forms of secrets are in `test_secret_forms.py`."""

import traceback

from pydantic import BaseModel, SecretStr

from bidbeacon_sessions.errors import masked
from bidbeacon_sessions.session import describe_error

CANARY = "CANARY0123456789"


class Credentials(BaseModel):
    """Refuses text that is no number, and quotes it."""

    client_secret: int


def test_an_error_is_masked_before_it_is_cut() -> None:
    """A secret that the bound cuts in two is no longer there to be half kept."""
    for length in range(7_900, 8_010, 10):
        described = describe_error(ValueError("x" * length + f" Atza|{CANARY}"))
        assert "CANARY" not in str(described)
        assert len(described["message"]) <= 8_000


def test_an_error_is_masked_in_place_with_all_that_led_to_it() -> None:
    """The very same exception goes on; its text, notes, cause, context and members hold no secret."""
    error = _raised(
        ExceptionGroup(f"g Atza|{CANARY}", [LookupError({"token": CANARY})]), f"Bearer {CANARY}"
    )
    clean = masked(error)
    assert clean is error
    assert CANARY not in "".join(traceback.format_exception(clean))
    assert "no such thing" in str(clean)


def test_an_error_that_cannot_be_changed_is_replaced_by_one_that_says_the_same() -> None:
    """Its type's name and its text stay, its traceback too; the secret does not."""
    try:
        Credentials.model_validate({"client_secret": f"Atza|{CANARY}"})
    except ValueError as error:
        clean = masked(error)
    assert CANARY not in "".join(traceback.format_exception(clean))
    assert str(clean).startswith("ValidationError: 1 validation error for Credentials")
    assert clean.__traceback__ is not None


def test_an_error_without_secrets_is_left_alone() -> None:
    """Its arguments are the very same objects."""
    secret = SecretStr("x")
    error = LookupError("no such window", secret, 7)
    assert masked(error) is error
    assert error.args[1] is secret


def _raised(cause: Exception, context: str) -> Exception:
    try:
        try:
            raise KeyError(context)  # noqa: TRY301 - the context that it leaves is what is tested
        except KeyError:
            error = LookupError(f"no such thing: token='{CANARY}'")
            error.add_note(f"https://h?sig={CANARY}")
            raise error from cause
    except LookupError as raised:
        return raised
