"""Secrets in a row: what is stored, and what everybody is shown."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from engine import shown_arguments, task_json
from engine.model import Effect, Mode, State, TaskSnapshot
from engine.sealed import SHOWN, SecretNotGiven, seal, unseal


def test_a_sealed_secret_is_shown_as_dots() -> None:
    """The value is in the stored text and in no shown one; what is null or no secret stays."""
    stored = seal(b'{"a":1,"no":null,"pw":["x",{"y":"hunter2"}]}', {"pw", "no"}).decode()
    assert "hunter2" in stored
    assert {"a": 1, "no": None, "pw": SHOWN} == json.loads(shown_arguments(stored) or "")
    fields: dict[str, Any] = msgspec.json.decode(stored)
    assert {"a": 1, "no": None, "pw": ["x", {"y": "hunter2"}]} == unseal(fields, {"pw", "no"})


@pytest.mark.parametrize("text", [None, '{"a":1}', '{"a": {"b": "•••"}}', "no json"])
def test_what_holds_no_secret_is_shown_as_it_is(text: str | None) -> None:
    """Without the mark of a secret the text is not even read."""
    assert text is shown_arguments(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"pw":{"creche:secret":"hunter2"}',
        '["creche:secret", "hunter2"]',
        '"creche:secret hunter2"',
    ],
)
def test_what_cannot_be_read_is_hidden_as_a_whole(text: str) -> None:
    """A damaged row tells no secret either."""
    assert f'"{SHOWN}"' == shown_arguments(text)


def test_dots_are_no_secret() -> None:
    """They are refused with the argument's name, wrapped or not."""
    for value in (SHOWN, {"creche:secret": SHOWN}):
        with pytest.raises(SecretNotGiven, match=r"^pw is •••"):
            unseal({"pw": value}, {"pw"})


def test_the_json_of_a_task_shows_no_secret() -> None:
    """HTTP, the command line and every reader get the same dots."""
    stored = seal(b'{"pw":"hunter2","user":"u"}', {"pw"}).decode()
    row = TaskSnapshot(
        id=1,
        state=State.QUEUED,
        mode=Mode.AUTO,
        kind="login",
        name="login",
        arguments=stored,
        effect=Effect.AT_LEAST_ONCE,
    )
    document = task_json(row, 0.0)
    assert {"pw": SHOWN, "user": "u"} == document["arguments"]
    assert "hunter2" not in json.dumps(document)
