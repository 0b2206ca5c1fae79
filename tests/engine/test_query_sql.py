"""A query decides the same on a snapshot and, as SQL, on the row that the journal writes of it."""

from __future__ import annotations

import apsw
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.model import ErrorInfo, Mode, State, TaskSnapshot
from engine.query import Query
from engine.query_terms import Not, fold
from engine.store import schema
from engine.store.batch import as_text

# Letters whose case folds differently in different alphabets, and characters that mean something
# to the query language, to LIKE, to JSON or to SQL.
STRANGE = (
    "aAbBkKzZ\u212a\u0130\u0131ßẞ\u017fÅåÄäΣ\u03c3ς😀e\u0301\u200d%_*,:;\"'\\[]{}?"
    " \0\t\n\x01\x7f\x85\ufeff\uffff"
)
texts = st.one_of(
    st.text("aAb", max_size=4),  # few letters, so that a part of one text is often in another
    st.text(st.sampled_from(STRANGE), max_size=6),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
)
seconds = st.floats(0, 1e10) | st.sampled_from([0.0, 59.9, 60.0, 300.0, 1e9])
errors = st.builds(
    ErrorInfo,
    type=texts,
    message=texts,
    traceback=texts,
    notes=st.lists(texts, max_size=1).map(tuple),
    causes=st.lists(st.builds(ErrorInfo, type=texts, message=texts), max_size=1).map(tuple),
)
tasks = st.builds(
    TaskSnapshot,
    id=st.integers(1, 20),
    state=st.sampled_from(State),
    mode=st.sampled_from(Mode),
    mode_guessed=st.booleans(),
    kind=texts,
    name=texts,
    key=st.none() | texts,
    tags=st.lists(texts, max_size=3).map(tuple),
    attempts=st.integers(0, 3),
    polls=st.integers(0, 12),
    submitted_at=seconds,
    finished_at=st.none() | seconds,
    duration=st.none() | seconds,
    error=st.none() | errors,
)


def quoted(text: str) -> str:
    """The text as a quoted value; a query holds no NUL."""
    text = text.replace("\0", "") or "a"
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def plain(text: str) -> str:
    """The text as a value without quotes, as far as it can be one."""
    return "".join(c for c in text if not c.isspace() and c not in '",*\0') or "x"


@st.composite
def values(draw: st.DrawFn, words: list[str]) -> str:
    """A value of a text field, often a part of what the task holds."""
    word = draw(st.sampled_from(words) | texts)
    begin, end = sorted((draw(st.integers(0, 6)), draw(st.integers(0, 6))))
    part = draw(st.sampled_from([word, word[begin:end], word.swapcase(), fold(word)])) or "a"
    star = st.sampled_from(["", "*"])
    return draw(st.just(quoted(part)) | st.just(draw(star) + plain(part) + draw(star)))


@st.composite
def queries(draw: st.DrawFn, task: TaskSnapshot) -> str:
    """A good query, not unlikely to match the task."""
    error = task.error or ErrorInfo("", "")
    words = [task.kind, task.name, task.key or "a", *task.tags, error.type, error.message, "a"]
    number = st.sampled_from([task.id, task.polls, task.attempts, 0, 1, 7])
    time = st.sampled_from(["0", "59s", "60", "1m", "5m", "0.5h", "2d", "1500ms", "9999999999"])
    op = st.sampled_from([">", ">=", "<", "<=", "="])

    def several(value: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.lists(value, min_size=1, max_size=3).map(",".join)

    value = values(words)
    part = value.filter(lambda text: text != '""')
    states = st.sampled_from([*map(str, State), "live", "final", "FAILED"])
    modes = st.sampled_from([*map(str, Mode), "polling?", "auto?"])
    term = st.one_of(
        several(states).map("state:".__add__),
        several(modes).map("mode:".__add__),
        several(number.map(str)).map("id:".__add__),
        several(number.map(str)).map("polls:".__add__),
        several(value).map("kind:".__add__),
        several(value).map("key:".__add__),
        several(value).map("tag:".__add__),
        several(part).map("name:".__add__),
        several(part).map("error:".__add__),
        st.just("key:*"),
        st.tuples(st.sampled_from(["id", "polls", "attempts"]), op, number.map(str)).map("".join),
        st.tuples(st.sampled_from(["age", "duration"]), op, time).map("".join),
        st.sampled_from(words).filter(bool).map(quoted),
        texts.filter(bool).map(quoted),
        value.filter(lambda text: text.startswith('"') and text != '""'),
    )
    sign = st.sampled_from(["", "", "-"])
    return " ".join(draw(st.lists(st.tuples(sign, term).map("".join), max_size=4)))


def database(*rows: TaskSnapshot) -> apsw.Connection:
    """A table of tasks, written as the journal does."""
    db = apsw.Connection(":memory:")
    db.execute(schema.SCHEMA[0])
    db.execute(schema.UPSERT_TASKS, (as_text(rows),))
    return db


def found(db: apsw.Connection, query: Query, now: float) -> list[int]:
    condition, values = query.sql(now)
    return [row[0] for row in db.execute(f"SELECT id FROM tasks WHERE {condition}", values)]


@pytest.mark.slow
@settings(max_examples=200)
@given(st.data(), tasks, seconds)
def test_memory_and_file_find_the_same(data: st.DataObject, task: TaskSnapshot, now: float) -> None:
    """For any task and any query, `matches` on the snapshot and `sql` on its row agree."""
    db = database(task)
    for _ in range(5):
        query = Query.parse(data.draw(queries(task)))
        assert query.matches(task, now) is bool(found(db, query, now))


@pytest.mark.slow
@given(st.lists(tasks, max_size=8, unique_by=lambda task: task.id), st.data(), seconds)
def test_a_term_and_its_negation_part_the_tasks(
    rows: list[TaskSnapshot], data: st.DataObject, now: float
) -> None:
    """In the file, too, every task is found by a query or by its negation, and by one only."""
    db = database(*rows)
    text = data.draw(queries(data.draw(st.sampled_from(rows))) if rows else st.just("x"))
    terms = Query.parse(text).conditions
    for condition in terms:
        holds = found(db, Query("", (condition,)), now)
        fails = found(db, Query("", (Not(condition),)), now)
        assert {row.id for row in rows} == {*holds, *fails}
        assert len(rows) == len(holds) + len(fails)


@given(texts)
@example("\u212aK\u0130I\u017fS")
def test_text_is_folded_as_sqlite_does(text: str) -> None:
    """`fold` is SQLite's lower(), on every string."""
    assert fold(text) == apsw.Connection(":memory:").execute("SELECT lower(?)", (text,)).get


def test_every_letter_is_folded_as_sqlite_does() -> None:
    """Each of the 1.1 million characters, one by one."""
    db = apsw.Connection(":memory:")
    for plane in range(17):
        block = "".join(
            chr(code)
            for code in range(plane << 16, (plane + 1) << 16)
            if not 0xD800 <= code < 0xE000
        )
        assert fold(block) == db.execute("SELECT lower(?)", (block,)).get
        assert fold("\u00c4" + block.upper()) == "\u00c4" + fold(block.upper())


def test_values_are_never_part_of_the_statement() -> None:
    """Hostile text is a parameter like any other: the statement holds none of it."""
    text = "'); DROP TABLE tasks; --"
    query = Query.parse(
        f"{quoted(text)} name:{quoted(text)} -tag:{quoted(text)} key:{quoted(text)}"
    )
    statement, values = query.sql(0.0)
    assert "DROP" not in statement
    assert statement.count("?") == len(values)
    db = database(TaskSnapshot(id=1, state=State.QUEUED, name=text, key=text))
    assert found(db, query, 0.0) == [1]


def test_the_largest_query_is_no_deeper_than_sqlite_takes() -> None:
    """64 terms and 256 values of the costliest kinds stay below the limit on expressions."""
    task = TaskSnapshot(id=1, state=State.QUEUED, tags=("z",), error=ErrorInfo("z", "z"))
    db = database(task)
    many = ",".join(["a*"] * 150)
    for text in (f"-tag:{many}", f"-error:{'a,' * 255}a", " ".join(["-a"] * 64)):
        assert found(db, Query.parse(text), 0.0) == [1]
