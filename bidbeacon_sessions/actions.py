"""Actions: the typed milestones of a session, each with payload, sentence and references.

```python
class ReportRequested(Action):
    \"\"\"A report was requested from Amazon.\"\"\"

    sentence = "Requested report {report_id:badge} for {windows:count:window} {windows:windows}"

    report_id: str
    windows: list[date]
```

A stored payload never changes. The sentence is rendered at each read, so its wording may change.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict

from bidbeacon_sessions.errors import ActionDefinitionError
from bidbeacon_sessions.sentences import Part, Template, parse_template

CUT_MARK = "cut"
"""The key under which a payload lists its shortened fields, with their original length."""
Tone = Literal["neutral", "progress", "success", "warning", "error"]

_RESERVED = frozenset({"type", "at", "ord", "tone", CUT_MARK})
_registry: dict[str, type["Action"]] = {}


@dataclass(frozen=True)
class Subject:
    """The subject of a session, such as an account.

    Args:
        key: the subject's identifier, which never changes.
        label: the display name. Earlier sessions of the subject also show the newest label.
    """

    key: str
    label: str | None = None


@dataclass(frozen=True)
class Reference:
    """The account, dataset and window that an action affected, and the effect.

    Args:
        account: the account's key, which Dagster also shows as partition key and in run tags.
        effect: one word, e.g. `queued`, `requested`, `loaded`.
        dataset: the dataset's name, if any.
        window: the window's key (an ISO date), if any.
    """

    account: str
    effect: str
    dataset: str | None = None
    window: str | None = None


class Action(BaseModel):
    """Base class of actions. A subclass is registered under its class name in kebab-case.

    If the session waited before the action, `ends_wait_for` names what it waited for, such as
    "Amazon". `own_seconds` names the field with the seconds that the session worked between this
    wait and the action. If the field that `warns_with` names is not empty, the action is a warning.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: ClassVar[str]
    sentence: ClassVar[str] = ""
    tone: ClassVar[Tone] = "neutral"
    warns_with: ClassVar[str | None] = None
    ends_wait_for: ClassVar[str | None] = None
    own_seconds: ClassVar[str | None] = None
    template: ClassVar[Template]

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Check and register the class, unless its name begins with `_` (an abstract class)."""
        if cls.__name__.startswith("_"):
            return
        cls.type = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", cls.__name__).lower()
        cls.template = _checked_template(cls)
        _refuse_duplicate(cls)
        _registry[cls.type] = cls

    def references(self) -> Iterable[Reference]:
        """Return the references of this action; none by default."""
        return ()

    def own_tone(self) -> Tone:
        """Return `warning` if the field that `warns_with` names is not empty, else `tone`."""
        warns = self.warns_with is not None and getattr(self, self.warns_with)
        return "warning" if warns else self.tone

    def parts(self) -> list[Part]:
        """Return the sentence of this action as parts (see `sentences.py`)."""
        return self.template.render(self.__dict__)


def action_classes() -> Mapping[str, type[Action]]:
    """Return all registered action classes by action type, sorted by type."""
    return dict(sorted(_registry.items()))


def render_action(action_type: str, payload: Mapping[str, Any]) -> list[Part]:
    """Return a stored action's sentence, or its type and payload if no action class fits it."""
    if action := _find_action(action_type, payload):
        if CUT_MARK not in payload:
            return action.parts()
        shortened = ", ".join(payload[CUT_MARK])
        return [*action.parts(), {"kind": "text", "text": f" (shortened: {shortened})"}]
    shown = json.dumps(payload, ensure_ascii=False, sort_keys=True)
    return [
        {"kind": "badge", "text": action_type, "value": action_type},
        {"kind": "text", "text": f" {shown}"},
    ]


def accounts_of(action_type: str, payload: Mapping[str, Any]) -> list[str]:
    """Return the keys of the accounts that a stored action is about, without duplicates.

    The first of these sources that is not empty is used: the keys of the payload's object
    `accounts`; the values of `account` and of the fields that the sentence shows as accounts; the
    accounts of the action's references.
    """
    action_class = _registry.get(action_type)
    if action_class is None:
        return []
    if isinstance(several := payload.get("accounts"), dict) and several:
        return list(several)
    shown = (piece.name for piece in action_class.template.fields if piece.kind == "account")
    values = [payload.get(name) or () for name in dict.fromkeys(["account", *shown])]
    keys = [key for each in values for key in ([each] if isinstance(each, str) else map(str, each))]
    if not keys and (action := _find_action(action_type, payload)):
        keys = [reference.account for reference in action.references()]
    return list(dict.fromkeys(keys))


def _find_action(action_type: str, payload: Mapping[str, Any]) -> Action | None:
    """Parse a stored action, ignoring unknown fields; return None if no action class fits it."""
    action_class = _registry.get(action_type)
    if action_class is None:
        return None
    known = {name: value for name, value in payload.items() if name in action_class.model_fields}
    try:
        return action_class.model_validate(known)
    except ValueError:
        return None


def _refuse_duplicate(cls: type[Action]) -> None:
    taken = _registry.get(cls.type)
    # The same class may come again: from a reloaded module, or a notebook cell that is run again.
    if taken and (taken.__module__, taken.__qualname__) != (cls.__module__, cls.__qualname__):
        raise ActionDefinitionError(
            f"Action type {cls.type!r} of {cls.__module__} is already used by {taken.__module__}: "
            "choose another class name."
        )


def _checked_template(cls: type[Action]) -> Template:
    name, fields = cls.__name__, cls.model_fields.keys()
    if not cls.sentence:
        raise ActionDefinitionError(f'{name} has no sentence: declare `sentence = "…"`.')
    if clash := _RESERVED & fields:
        raise ActionDefinitionError(
            f"{name} declares fields {sorted(clash)}, which every action already has: rename them."
        )
    try:
        template = parse_template(cls.sentence)
    except ValueError as error:
        raise ActionDefinitionError(f"The sentence of {name} can't be read: {error}.") from error
    named = {*template.field_names(), *filter(None, (cls.warns_with, cls.own_seconds))}
    if missing := named - fields:
        raise ActionDefinitionError(
            f"{name} mentions unknown fields {sorted(missing)}; known: {sorted(fields)}."
        )
    return template
