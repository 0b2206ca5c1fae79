"""Sample tasks of a chosen kind and duration, submitted over a control socket."""

from __future__ import annotations

import random
from itertools import count

import httpx

PATIENCE = 20.0


def seed_of(kind: str, seconds: int) -> int:
    """A seed with which `gen_task` makes a ``blocking`` or ``polling`` task of this duration.

    It draws the kind first, then the duration, as its docstring promises.
    """
    for seed in count():
        rng = random.Random(seed)
        drawn = "polling" if rng.random() < 0.5 else "blocking"
        if (kind, seconds) == (drawn, rng.randint(1, 99)):
            return seed
    raise AssertionError("unreachable")


def client(control: str) -> httpx.Client:
    """An HTTP client of a control socket."""
    return httpx.Client(
        transport=httpx.HTTPTransport(uds=control),
        base_url="http://localhost",
        timeout=PATIENCE,
        trust_env=False,
    )


def sample(value: int, kind: str = "blocking", seconds: int = 99, scale: float = 1.0) -> object:
    """The body of a ``POST /v1/tasks``."""
    arguments = {"value": value, "scale": scale, "seed": seed_of(kind, seconds)}
    return {"kind": "sample", "arguments": arguments, "name": f"sample {value}"}


def submit(http: httpx.Client, body: object) -> int:
    """Submit one task; its id."""
    answer = http.post("/v1/tasks", json=body)
    assert 202 == answer.status_code, answer.text
    found: int = answer.json()["id"]
    return found
