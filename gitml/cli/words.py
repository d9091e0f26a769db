"""Reasons as text and as JSON data."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable

from gitml.cli.terminal import printable
from gitml.model.decision import PartChanged, Reason

_LONGEST = 60
_SHOWN = 3


def reason_text(reason: Reason) -> str:
    """Say one reason in a few words."""
    if isinstance(reason, PartChanged) and reason.part.startswith("param:"):
        name = reason.part.partition(":")[2]
        return printable(f"param {name} {_value(reason.before)} -> {_value(reason.after)}")
    return printable(str(reason))


def reasons_text(reasons: Iterable[Reason]) -> str:
    """Say all reasons in one line; the rest is counted when there are many (`gitml why` has them all)."""
    texts = [reason_text(reason) for reason in reasons]
    more = f" (+{len(texts) - _SHOWN} more)" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more


def reason_json(reason: Reason) -> dict[str, object]:
    """Give a reason as data: its `kind`, its fields and its text."""
    kind = re.sub(r"(?<!^)(?=[A-Z])", "_", type(reason).__name__).lower()
    fields = {field.name: getattr(reason, field.name) for field in dataclasses.fields(reason)}
    return {"kind": kind, **fields, "text": reason_text(reason)}


def _value(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
