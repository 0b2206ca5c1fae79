"""docs/http.md says what the server does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.web.served import document
from web.bodies import DEPTH_LIMIT
from web.connection import Timeouts
from web.events import BEAT
from web.gate import HEAD_LIMIT
from web.operations import BODY_LIMIT
from web.schemas import BATCH, WAIT
from web.serve import CONNECTIONS
from web.standing import STREAMS
from web.submitting import BATCH_LIMIT

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text()


@pytest.mark.parametrize(
    ("words", "number"),
    [
        (r"target and headers \| (\d+) KiB", HEAD_LIMIT / 1024),
        (r"body \| (\d+) MiB", BODY_LIMIT / 1024 / 1024),
        (r"nested up to (\d+) deep", DEPTH_LIMIT),
        (r"a head, from its first byte \| (\d+) s", Timeouts().header),
        (r"a body \| (\d+) s", Timeouts().body),
        (r"between two requests \| (\d+) s", Timeouts().idle),
        (r"does not take its answer \| (\d+) s", Timeouts().write),
        (r"connections \| ([\d,]+);", CONNECTIONS),
        (r"streams of events \| ([\d,]+) of them", STREAMS),
        (r"of a batch (\d+) MiB", BATCH_LIMIT / 1024 / 1024),
        (r"at most ([\d,]+). 200 with a result", BATCH),
        (r"\(at most (\d+)\) for a move", WAIT),
        (r"After (\d+) s of silence", BEAT),
    ],
)
def test_the_limits_are_the_documented_ones(words: str, number: float) -> None:
    """Each limit on the page is the one in the code."""
    (found,) = re.findall(words, PAGE)
    assert number == float(found.replace(",", ""))


def test_the_operations_on_tasks_are_the_documented_ones() -> None:
    """Each operation on tasks has its line on the page, and there is no other line."""
    told = re.findall(r"^\| `([A-Z]+) (/v1/tasks[^`?]*)", PAGE, re.MULTILINE)
    assert {(row.method, row.path) for row in document().rows if "tasks" in row.path} == set(told)
