"""The line to the engine."""

from __future__ import annotations

import asyncio

import pytest

from engine import Owner
from tests.tui.fakes import FakeControl
from tui.cancelling import Told, cancel_all
from tui.link import Contact, Link, read_facts
from tui.ports import ControlUnreachable


def owner(
    *, endpoint: str | None = "/run/a.sock", alive: bool = True, clean: bool = False
) -> Owner:
    return Owner(1, 1, endpoint, 0.0, clean, alive)


async def asked(link: Link, control: FakeControl) -> None:
    """Let the link ask once more."""
    control.answered.clear()
    task = asyncio.create_task(link.run())
    await control.answered.wait()
    await asyncio.sleep(0)
    task.cancel()


@pytest.mark.parametrize(
    ("row", "contact"),
    [
        (None, Contact.NEVER),
        (owner(alive=False, clean=True), Contact.ENDED),
        (owner(alive=False), Contact.DIED),
        (owner(endpoint=None), Contact.NO_SOCKET),
        (owner(), Contact.UNKNOWN),
    ],
)
async def test_the_owner_row_says_how_things_stand(row: Owner | None, contact: Contact) -> None:
    """Each kind of owner row is a contact of its own, none of which allows commands yet."""
    link = Link(FakeControl)
    await link.follow(row)
    assert (link.contact, link.commands) == (contact, False)


async def test_commands_come_and_go_with_the_answers() -> None:
    """An engine that answers can be told what to do; one that falls silent cannot."""
    control = FakeControl()
    link = Link(None, control)
    await link.follow(owner())
    await asked(link, control)
    assert (link.commands, link.facts and link.facts.capacity) == (True, 16)
    control.silent = True
    await asked(link, control)
    assert (link.contact, link.commands, link.facts) == (Contact.SILENT, False, None)


async def test_an_engine_that_starts_again_is_followed() -> None:
    """Another socket in the owner row means another control; the old one is let go."""
    made: list[FakeControl] = []

    def connect(endpoint: str) -> FakeControl:
        made.append(FakeControl(endpoint))
        return made[-1]

    link = Link(connect)
    await link.follow(owner())
    await link.follow(owner())
    await link.follow(owner(alive=False))
    await link.follow(owner(endpoint="/run/b.sock"))
    assert [(control.endpoint, control.closed) for control in made] == [
        ("/run/a.sock", True),
        ("/run/b.sock", False),
    ]
    await link.close()
    assert made[1].closed
    with pytest.raises(ControlUnreachable):
        await link.cancel(1)


async def test_a_bulk_sums_up_and_goes_on_after_failures() -> None:
    """Every task is asked for once; refused ones are told with the engine's own words."""
    control = FakeControl()
    control.refused = {3: "task 3 is held by somebody else"}
    link = Link(None, control)
    await link.follow(owner())
    answered: list[int] = []
    told = await cancel_all(link, range(1, 41), answered=answered.append, reason="why")
    assert (told.rungs, told.failed) == ({"stopped_looking": 39}, control.refused)
    assert sorted(answered) == list(range(1, 41))
    assert sorted(control.cancelled) == [(i, "why") for i in range(1, 41) if i != 3]
    assert told.sentence == (
        "39 no longer looked at; its work may go on elsewhere\n"
        "1 not cancelled: task 3 is held by somebody else"
    )


def test_one_answer_needs_no_count() -> None:
    """A single cancel is told without numbers."""
    assert Told({"dropped": 1}, {}).sentence == "dropped before it started"
    assert Told({}, {4: "no"}).sentence == "no"


def test_odd_facts_are_left_out() -> None:
    """Whatever an engine answers, only what has the right form is shown."""
    facts = read_facts({"slots_taken": True, "capacity": "many", "uptime_ms": None, "zombies": 2})
    assert facts == (None, None, 2, False, None)
