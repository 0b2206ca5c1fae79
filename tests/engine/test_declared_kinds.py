"""Kinds made of functions, classes and async functions: the schema is the signature."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from engine import Engine, Mode, State, TaskFailed
from engine.errors import BadArguments, BadOption, KindExists, NotATask
from engine.kinds import Kind, NotAKind, Registry, default_registry
from engine.model import Effect
from engine.submission import prepare, recipe_of_kind

if TYPE_CHECKING:
    from collections.abc import Iterable

WALL = 1_700_000_000.0


class Colour(Enum):
    RED = "red"


class Point(msgspec.Struct, forbid_unknown_fields=True):
    x: int = 0


def schema_of(registry: Registry, name: str) -> dict[str, Any]:
    """The schema's object of a kind's own arguments."""
    schema = registry.schema(name)
    found: dict[str, Any] = schema["$defs"][schema["$ref"].rpartition("/")[2]]
    return found


def test_a_function_becomes_a_kind_and_stays_what_it_is() -> None:
    """Names, types, bounds, defaults and words of a signature are the schema; the decorated
    function can be called as before."""
    registry = Registry()

    @registry.kind("net.fetch-2_x")
    def fetch(
        url: Annotated[str, Meta(min_length=1, description="From where.")],
        *,
        retries: Annotated[int, Meta(ge=0)] = 3,
        mode: Literal["fast", "slow"] = "fast",
        headers: dict[str, str] = {},  # noqa: B006  that no two tasks share it is tested below
        colour: Colour = Colour.RED,
        at: Point | None = None,
    ) -> str:
        """Fetch a page.

        All of it.
        """
        headers[url] = "seen"
        return f"{url} {retries} {mode} {len(headers)} {colour} {at}"

    schema = schema_of(registry, "net.fetch-2_x")
    assert "Fetch a page.\n\nAll of it." == schema["description"]
    assert ["url"] == schema["required"]
    assert False is schema["additionalProperties"]
    properties = schema["properties"]
    assert {"type": "string", "description": "From where.", "minLength": 1} == properties["url"]
    assert {"type": "integer", "minimum": 0, "default": 3} == properties["retries"]
    assert {} == properties["headers"]["default"]
    assert "red" == properties["colour"]["default"]
    text = registry.check("net.fetch-2_x", {"url": "u", "at": {"x": 1}})
    for _ in range(2):
        body = registry.build("net.fetch-2_x", text)
        assert callable(body)
        assert "u 3 fast 1 Colour.RED Point(x=1)" == body()
    assert "v 1 slow 1 Colour.RED None" == fetch("v", retries=1, mode="slow", headers={})


def test_a_default_that_could_be_changed_is_each_tasks_own() -> None:
    """What one task does to a list it got by default is not seen by the next."""
    registry = Registry()

    @registry.kind("grow")
    def grow(numbers: list[int] = [1, 2], at: Point = Point(5)) -> list[int]:  # noqa: B006, B008  as above
        numbers.append(at.x)
        at.x += 1
        return numbers

    text = registry.check("grow", None)
    assert '{"at":{"x":5},"numbers":[1,2]}' == text
    defaults = schema_of(registry, "grow")["properties"]
    assert [[1, 2], {"x": 5}] == [defaults[name]["default"] for name in ("numbers", "at")]
    task = registry.get("grow")
    for _ in range(2):
        body: Any = task.build(task.arguments())
        assert [1, 2, 5] == body()


def test_a_class_is_made_anew_for_each_attempt() -> None:
    """A class takes its arguments in its constructor, of a dataclass too; its mode is its own."""
    registry = Registry()

    @registry.kind("poll")
    @dataclasses.dataclass
    class Poll:
        """Looks."""

        times: int
        creche_mode = "polling"

        def run(self) -> None:
            pass

        def check_output(self) -> int | None:
            return self.times

    text = registry.check("poll", {"times": 2})
    first, second = registry.build("poll", text), registry.build("poll", text)
    assert (Poll(2), Poll(2)) == (first, second)
    assert first is not second
    assert Mode.POLLING is registry.get("poll").mode


async def test_every_shape_runs_in_an_engine() -> None:
    """Functions give blocking tasks, async functions async ones, classes whatever they do; an
    async kind runs in the nursery's own thread and fails like any other."""
    registry = Registry()

    @registry.kind("double")
    def double(value: int) -> int:
        return 2 * value

    @registry.kind("triple")
    async def triple(value: int) -> int:
        if value < 0:
            raise ValueError("below zero")
        return 3 * value

    @registry.kind("box")
    class Box:
        def __init__(self, value: int) -> None:
            self._value = value

        def run(self) -> None:
            pass

        def check_output(self) -> int:
            return 4 * self._value

    async with Engine(kinds=registry) as engine:
        ids = [
            await engine.submit(name, arguments={"value": 7})
            for name in ("double", "triple", "box")
        ]
        assert [14, 21, 28] == [await engine.result(task_id) for task_id in ids]
        modes = [engine.status(task_id).mode for task_id in ids]
        assert [Mode.BLOCKING, Mode.ASYNC, Mode.BLOCKING] == modes
        failing = await engine.submit("triple", arguments={"value": -1})
        with pytest.raises(TaskFailed, match="below zero"):
            await engine.result(failing)
    with pytest.raises(BadOption, match="async"):
        prepare("triple", {"mode": "blocking", "arguments": {"value": 1}}, WALL, registry)


def test_a_row_older_than_its_kind_runs_as_the_kind_is_now() -> None:
    """Whether a function is async is asked of the kind, not of the row that a past one left."""
    registry = Registry()

    @registry.kind("now")
    async def now() -> None: ...

    @registry.kind("then")
    def then() -> None: ...

    assert Mode.ASYNC is recipe_of_kind("now", "{}", registry, Mode.BLOCKING).mode
    recipe = recipe_of_kind("then", "{}", registry, Mode.ASYNC)
    assert (Mode.AUTO, True) == (recipe.mode, recipe.asks)
    assert Mode.POLLING is recipe_of_kind("then", "{}", registry, Mode.POLLING).mode


def test_a_kinds_options_hold_where_a_submission_says_nothing() -> None:
    """Attempts, timeout, key and effect are the kind's, until the submission says otherwise."""
    registry = Registry()

    @registry.kind("k", effect="at_most_once", attempts=3, timeout=7.5, key="group")
    def k() -> None: ...

    silent = prepare("k", {}, WALL, registry).draft
    nothing = prepare("k", {"timeout": None, "key": None}, WALL, registry).draft
    assert silent == nothing
    assert (3, 7.5, "group") == (silent.attempts_allowed, silent.timeout, silent.key)
    assert Effect.AT_MOST_ONCE is silent.effect
    said = prepare("k", {"attempts": 1, "timeout": 0, "key": ""}, WALL, registry).draft
    assert (1, 0.0, "") == (said.attempts_allowed, said.timeout, said.key)
    with pytest.raises(TypeError, match="timout"):
        prepare("k", {"timout": None}, WALL, registry)  # type: ignore[typeddict-unknown-key]


def no_annotation(x) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001  what is refused
    pass


def not_json(x: complex) -> None: ...


def not_fitting(x: int = "three") -> None: ...  # type: ignore[assignment]  # what is refused


def no_number(x: float = float("nan")) -> None: ...


def many(*x: int) -> None: ...


def anything(**x: int) -> None: ...


def by_place(x: int, /) -> None: ...


def of_python(__doc__: int) -> None: ...  # noqa: A002  what is refused


def unknown_name(x: Nonsense) -> None: ...  # type: ignore[name-defined]  # noqa: F821  what is refused


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (no_annotation, "argument 'x' has no annotation: write 'x: str', say"),
        (not_json, "argument 'x' is nothing that JSON carries"),
        (not_fitting, "the default of 'x' does not fit it"),
        (no_number, "the default of 'x' does not fit it"),
        (many, "cannot be given by its name"),
        (anything, "cannot be given by its name"),
        (by_place, "cannot be given by its name"),
        (of_python, "argument '__doc__' has a name of Python's own"),
        (unknown_name, "name 'Nonsense' is not defined"),
        (len, "only a function, a class or an async function"),
        ("text", "only a function, a class or an async function"),
    ],
)
def test_what_has_no_schema_is_refused(target: Any, words: str) -> None:
    """The error names the kind and the argument, and nothing is registered."""
    registry = Registry()
    with pytest.raises(NotAKind, match="kind 'k': ") as caught:
        registry.kind("k")(target)
    assert words in str(caught.value)
    assert () == registry.names()


class NoRun:
    """Nothing to run."""


class AsyncRun:
    async def run(self) -> None: ...


@pytest.mark.parametrize("target", [NoRun, AsyncRun])
def test_what_cannot_be_minded_is_no_kind(target: type) -> None:
    """A class without run(), or with one that nobody would await, is refused at once."""
    with pytest.raises(NotATask):
        Registry().kind("k")(target)


@pytest.mark.parametrize(
    ("options", "option"),
    [
        ({"effect": "twice"}, "effect"),
        ({"attempts": 0}, "attempts"),
        ({"timeout": -1}, "timeout"),
        ({"key": 5}, "key"),
        ({"secret": ("nothing",)}, "secret"),
        ({"secret": "x"}, "secret"),
    ],
)
def test_options_that_no_submission_could_have_are_refused(
    options: dict[str, Any], option: str
) -> None:
    """A kind's defaults are checked where they are written down, not at the first submission."""
    registry = Registry()
    with pytest.raises(BadOption) as caught:
        registry.kind("k", **options)(_takes_x)
    assert option == caught.value.option
    assert () == registry.names()


def _takes_x(x: int = 0) -> None: ...


def test_a_decorator_without_its_name_says_how_it_is_written() -> None:
    """`@registry.kind` alone is a common slip."""
    registry: Any = Registry()
    with pytest.raises(BadOption, match=r'@registry\.kind\("name"\)'):
        registry.kind(_takes_x)


def test_a_registry_takes_in_another() -> None:
    """All kinds of one can be added to another, but none whose name is taken."""
    mine = Registry()
    mine.kind("mine")(_takes_x)
    both = default_registry()
    both.include(mine)
    assert {"mine", "path", "port", "sample"} == set(both.names())
    with pytest.raises(KindExists, match="'mine'"):
        both.include(mine)


# -- secrets -------------------------------------------------------------------------------------


def login(user: str, password: Annotated[str, Meta(min_length=3)], pin: int | None = None) -> str:
    return f"{user}:{password}:{pin}"


def secretive() -> Registry:
    """A registry with the kind ``login``."""
    registry = Registry()
    registry.kind("login", secret=("password", "pin"))(login)
    return registry


def test_a_secret_reaches_its_task_and_is_marked_in_the_schema() -> None:
    """The stored text is canonical, builds the task, and is as good as what was given."""
    registry = secretive()
    text = registry.check("login", {"user": "u", "password": "hunter2"})
    body: Any = registry.build("login", text)
    assert "u:hunter2:None" == body()
    assert text == registry.check("login", registry.decode(text))
    kind = registry.get("login")
    assert text == registry.check("login", kind.arguments(user="u", password="hunter2"))
    properties = schema_of(registry, "login")["properties"]
    assert [None, True, True] == [one.get("writeOnly") for one in properties.values()]
    assert 3 == properties["password"]["minLength"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"user": "u", "password": ["hunter2"]},
        {"user": "u", "password": {"creche:secret": "hunter2", "more": 1}},
        {"user": "u", "password": "ok!", "pin": "hunter2"},
        {"user": 5, "password": "hunter2"},
        {"user": "u", "password": "hunter2", "more": 1},
        {"user": "u", "pin": 1234},
    ],
)
def test_no_error_quotes_a_secret(arguments: dict[str, object]) -> None:
    """A refusal says what is wrong; neither its words nor its cause tell the value."""
    with pytest.raises(BadArguments) as caught:
        secretive().check("login", arguments)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_type_that_quotes_its_value_is_kept_quiet() -> None:
    """The decoder's own words would quote what is no member of an enum."""
    registry = Registry()

    @registry.kind("level", secret=("word",))
    def level(word: Literal["abc", "def"]) -> None: ...

    with pytest.raises(BadArguments, match="word does not fit its type"):
        registry.check("level", {"word": "hunter2"})
    with pytest.raises(BadArguments) as stored:
        registry.build("level", '{"word":{"creche:secret":"hunter2"}}')
    assert "hunter2" not in str(stored.value)


def test_a_check_of_ones_own_is_kept_quiet_too() -> None:
    """What a Struct's own check says could quote a secret: it is not passed on."""

    class Checked(msgspec.Struct, forbid_unknown_fields=True):
        word: str

        def __post_init__(self) -> None:
            raise ValueError(f"{self.word} will not do")

    registry = Registry([Kind("checked", Checked, lambda _: print, secret=("word",))])
    with pytest.raises(BadArguments, match="could quote a secret") as caught:
        registry.check("checked", {"word": "hunter2"})
    assert "hunter2" not in str(caught.value)
    with pytest.raises(BadOption, match="secret="):
        registry.register(Kind("other", Checked, lambda _: print, secret=("nothing",)))


def test_what_stands_for_a_secret_is_not_taken_for_it() -> None:
    """Arguments copied from where they are shown are refused, with what to do."""
    with pytest.raises(BadArguments, match="give the secret itself"):
        secretive().check("login", {"user": "u", "password": "•••"})


async def test_a_secret_survives_a_restart(tmp_path: Any) -> None:
    """The next engine on the store makes the task with what the row holds."""
    store = tmp_path / "tasks.db"
    arguments = {"user": "u", "password": "hunter2", "pin": 7}
    async with Engine(store, kinds=secretive()) as engine:
        task_id = await engine.submit("login", arguments=arguments, not_before=2e9)
        await engine.drain()
    async with Engine(store, kinds=secretive(), wall=lambda: 2e9 + 1) as engine:
        assert "u:hunter2:7" == await engine.result(task_id)
        assert State.SUCCEEDED is engine.status(task_id).state


def test_arguments_with_numbers_as_keys_come_back() -> None:
    """JSON has only strings for keys: what was stored, or came over HTTP, fits all the same."""
    registry = Registry()

    @registry.kind("table")
    def table(rows: dict[int, str]) -> None: ...

    text = registry.check("table", {"rows": {1: "a"}})
    checks: Iterable[Callable[[], str]] = (
        lambda: registry.check("table", {"rows": {"1": "a"}}),
        lambda: registry.check("table", registry.decode(text)),
    )
    assert [text, text] == [check() for check in checks]
