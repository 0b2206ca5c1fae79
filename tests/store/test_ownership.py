"""Who may use a store: one engine at a time, on a place and on files that nobody else can touch."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
import trio

from engine.errors import StoreInUse, StoreUnreadable, StoreUnsafe
from engine.store import open_reader, open_sqlite, ownership, store_folder
from engine.store.ownership import LOCKING, FlockLocking, Locking, hold, holder, mounted_as
from engine.store.schema import APPLICATION_ID, USER_VERSION
from tests.contract.journals import running
from tests.store.histories import History

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "tasks.db"


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def open_and_close(path: Path) -> None:
    async def main() -> None:
        async with open_sqlite(path):
            pass

    trio.run(main)


def engine_process(path: Path) -> subprocess.Popen[bytes]:
    """Another process with the store open; it ends when its input is closed."""
    code = (
        "import sys, trio; from engine.store import open_sqlite\n"
        "async def main():\n"
        "    async with open_sqlite(sys.argv[1]):\n"
        "        print('open', flush=True); sys.stdin.read()\n"
        "trio.run(main)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"open\n"
    return process


# -- one engine at a time ------------------------------------------------------------------------


@pytest.mark.slow
def test_a_second_process_is_refused_by_name(store: Path) -> None:
    """The second of two processes is refused at once, with the pid of the first."""
    with engine_process(store) as first:
        with pytest.raises(StoreInUse, match=f"process {first.pid}") as caught:
            open_and_close(store)
        assert caught.value.pid == first.pid
        reader = open_reader(store)
        owner = reader.owner()
        reader.close()
        assert owner is not None
        assert (owner.pid, owner.alive) == (first.pid, True)
        assert first.stdin is not None
        first.stdin.close()
    open_and_close(store)


@pytest.mark.slow
def test_a_killed_engine_leaves_the_store_free(store: Path) -> None:
    """A lock outlives nobody: after kill -9 the next engine opens at once, as epoch 2."""
    with engine_process(store) as first:
        first.kill()
        first.wait(10)
        reader = open_reader(store)
        owner = reader.owner()
        assert owner is not None
        assert (owner.pid, owner.alive, owner.clean) == (first.pid, False, False)
        open_and_close(store)
        owner = reader.owner()
        assert owner is not None
        assert (owner.pid, owner.epoch) == (os.getpid(), 2)
        reader.close()


async def test_a_second_engine_of_one_process_is_refused(store: Path) -> None:
    """The same process cannot open a store twice either, and the refusal takes nothing away."""
    async with open_sqlite(store):
        for _ in range(2):
            with pytest.raises(StoreInUse) as caught:
                async with open_sqlite(store):
                    pass
            assert caught.value.pid == os.getpid()
        assert holder(ownership.locate(store)) == os.getpid()


@pytest.fixture(params=[LOCKING, FlockLocking()], ids=["platform", "portable"])
def locking(request: pytest.FixtureRequest, store: Path) -> Locking:
    ownership.make_folder(store)
    chosen: Locking = request.param
    return chosen


def test_a_lock_is_asked_for_without_being_taken(store: Path, locking: Locking) -> None:
    """Asking who holds a store names the holder and leaves the lock as it is."""
    assert holder(store, locking) is None
    lock = hold(store, locking)
    assert [holder(store, locking) for _ in range(3)] == [os.getpid()] * 3
    with pytest.raises(StoreInUse):
        hold(store, locking)
    lock.release()
    lock.release()
    assert holder(store, locking) is None
    hold(store, locking).release()


def test_a_forked_child_holds_nothing(store: Path, locking: Locking) -> None:
    """A child that was forked meanwhile, and lives longer, does not keep its parent's lock."""
    lock = hold(store, locking)
    going, go = os.pipe()
    with warnings.catch_warnings():
        # Python 3.12 and later warn of the worker threads that other tests have left idle.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.close(go)
        os.read(going, 1)
        os._exit(0)
    try:
        assert holder(store, locking) == os.getpid()
        lock.release()
        assert holder(store, locking) is None
        hold(store, locking).release()
    finally:
        os.close(go)
        os.waitpid(child, 0)
        os.close(going)


def test_a_lock_in_a_folder_that_was_removed_is_no_lock(store: Path) -> None:
    """A lock file that is no longer the one at its place does not make an owner."""
    ownership.make_folder(store)
    name = ownership.lock_file(store)

    class Removing:
        """Removes the file under the first one who locks it."""

        removed = False

        def take(self, descriptor: int) -> bool:
            if not self.removed:
                self.removed = True
                name.unlink()
            return LOCKING.take(descriptor)

        def taken(self, descriptor: int) -> bool:
            return LOCKING.taken(descriptor)

    lock = hold(store, Removing())
    assert holder(store) == os.getpid()
    lock.release()


def test_a_folder_without_a_lock_has_no_holder(store: Path) -> None:
    """Before the first engine there is nobody to name."""
    assert holder(store) is None


@pytest.mark.parametrize("text", ["", "soon\n", "-1", "9" * 30])
def test_nonsense_in_the_lock_file_names_nobody(store: Path, text: str) -> None:
    """A pid that cannot be one is not shown to anybody."""
    ownership.make_folder(store)
    lock = hold(store)
    ownership.lock_file(store).write_text(text)
    with pytest.raises(StoreInUse, match="another process") as caught:
        hold(store)
    assert caught.value.pid is None
    lock.release()


# -- private files -------------------------------------------------------------------------------


async def test_files_are_private_whatever_the_umask(store: Path, open_umask: None) -> None:
    """File, -wal, -shm and lock are 0600 and the folder is 0700, with a umask of 000."""
    history = History()
    async with open_sqlite(store) as journal, running(journal) as reported:
        journal.put(history.submit())
        await reported.reaches(1)
        modes = {
            path.name: stat.S_IMODE(path.stat().st_mode)
            for path in (store, *store.parent.iterdir(), *store_folder(store).iterdir())
        }
    assert modes == {
        "tasks.db": 0o600,
        "tasks.db-wal": 0o600,
        "tasks.db-shm": 0o600,
        "tasks.db.d": 0o700,
        "lock": 0o600,
    }


def test_files_that_were_open_to_others_are_narrowed(store: Path) -> None:
    """A store that was copied here with wide modes is made private at its opening."""
    open_and_close(store)
    store.chmod(0o644)
    store_folder(store).chmod(0o755)
    ownership.lock_file(store).chmod(0o666)
    open_and_close(store)
    assert [
        stat.S_IMODE(path.stat().st_mode)
        for path in (store, store_folder(store), ownership.lock_file(store))
    ] == [0o600, 0o700, 0o600]


def test_missing_folders_are_made_private(store: Path, open_umask: None) -> None:
    """A store in a folder that does not exist yet gets one of its own."""
    deeper = store.parent / "state" / "creche.db"
    open_and_close(deeper)
    assert stat.S_IMODE(deeper.parent.stat().st_mode) == 0o700


# -- places that are refused ---------------------------------------------------------------------


def test_a_folder_that_everybody_may_write_into_is_refused(store: Path) -> None:
    """Others could exchange the files there, unless the folder has its sticky bit."""
    store.parent.chmod(0o777)
    with pytest.raises(StoreUnsafe, match="everybody may write"):
        open_and_close(store)
    assert list(store.parent.iterdir()) == []
    store.parent.chmod(0o1777)
    open_and_close(store)


@pytest.mark.parametrize("ending", ["", ".d", "-wal", "-shm", "-journal", ".d/lock"])
def test_links_are_refused(store: Path, ending: str) -> None:
    """Where a store's file, folder or lock should be, a link to another place is refused."""
    elsewhere = store.parent / "elsewhere"
    if ending == ".d":
        elsewhere.mkdir()
    else:
        elsewhere.write_text("precious")
    if ending == ".d/lock":
        ownership.make_folder(store)
    link = store.parent / f"{store.name}{ending}"
    link.symlink_to(elsewhere)
    with pytest.raises(StoreUnsafe, match="symbolic link"):
        open_and_close(store)
    assert link.is_symlink()
    if ending == ".d":
        assert list(elsewhere.iterdir()) == []
    else:
        assert elsewhere.read_text() == "precious"


def test_a_link_in_the_way_to_the_folder_is_followed(store: Path) -> None:
    """Only the store's own names may not be links; a home folder often is one."""
    (store.parent / "real").mkdir()
    (store.parent / "home").symlink_to("real")
    open_and_close(store.parent / "home" / "tasks.db")
    assert (store.parent / "real" / "tasks.db").is_file()


def test_a_folder_in_the_files_place_is_refused(store: Path) -> None:
    """What is no plain file cannot be a store."""
    store.mkdir()
    with pytest.raises(StoreUnsafe, match="is not a file"):
        open_and_close(store)


def test_a_file_in_the_folders_place_is_refused(store: Path) -> None:
    """What is no folder cannot hold the lock."""
    store_folder(store).write_text("precious")
    with pytest.raises(StoreUnsafe, match="is not a folder"):
        open_and_close(store)
    assert store_folder(store).read_text() == "precious"


@pytest.mark.parametrize("foreign", ["tasks.db", "tasks.db-wal", "tasks.db.d", ""])
def test_what_belongs_to_others_is_refused(
    store: Path, foreign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file or folder of another user's could be exchanged by that user at any time."""
    target = store.parent / foreign
    if foreign == "tasks.db.d":
        target.mkdir()
    elif foreign:
        target.touch()
    if os.geteuid() == 0:
        os.chown(target, 12345, -1)
    else:  # Seen from another user, our own files are the foreign ones.
        monkeypatch.setattr(os, "geteuid", lambda: 54321)
    with pytest.raises(StoreUnsafe, match="belongs to user"):
        open_and_close(store)


MOUNTS = """\
21 1 254:0 / / rw,relatime - ext4 /dev/vda rw
30 21 0:26 / /home rw shared:5 - nfs4 server:/home rw,vers=4.2
31 30 0:27 / /home/me/my\\040disk rw - xfs /dev/vdb rw
32 21 0:28 / /mnt rw - ext4 /dev/vdc rw
33 32 0:29 / /mnt rw - cifs //server/share rw
garbage
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/var/lib", "ext4"),
        ("/home", "nfs4"),
        ("/home/me", "nfs4"),
        ("/homestead", "ext4"),
        ("/home/me/my disk/stores", "xfs"),
        ("/mnt/x", "cifs"),
    ],
)
def test_the_deepest_and_latest_mount_counts(folder: str, kind: str) -> None:
    """The type of a file system is that of the mount nearest to the folder, the last one there."""
    assert mounted_as(MOUNTS, Path(folder)) == kind


def test_no_table_says_nothing() -> None:
    """Where the system has no such table, no type is claimed."""
    assert mounted_as("", Path("/home")) == ""


@pytest.mark.parametrize(
    ("kind", "refused"), [("nfs4", True), ("fuse.sshfs", True), ("xfs", False)]
)
def test_network_file_systems_are_refused(store: Path, kind: str, refused: bool) -> None:
    """Locks and shared memory are not to be trusted on a network, so no store lies there."""
    table = store.parent / "mountinfo"
    table.write_text(f"21 1 254:0 / / rw - {kind} where rw\n")
    if refused:
        with pytest.raises(StoreUnsafe, match=f"network file system \\({kind}\\)"):
            ownership.check_place(store, mountinfo=table)
    else:
        ownership.check_place(store, mountinfo=table)


def test_without_a_table_of_mounts_a_place_is_taken(store: Path) -> None:
    """Systems that do not tell what is mounted (macOS) are not refused."""
    ownership.check_place(store, mountinfo=store.parent / "nothing")


# -- files that are refused, and stay as they are ------------------------------------------------


def refused(store: Path, match: str) -> None:
    """Opening refuses the file, by engine and reader, and changes none of its bytes."""
    before = store.read_bytes()
    with pytest.raises(StoreUnreadable, match=match):
        open_and_close(store)
    with pytest.raises(StoreUnreadable, match=match):
        open_reader(store)
    assert store.read_bytes() == before


def test_garbage_is_refused_and_untouched(store: Path) -> None:
    """A file that is no database is refused, and never deleted or overwritten."""
    store.write_bytes(b"precious notes, certainly no database\n" * 100)
    refused(store, "no store, nor any database")


def test_another_programs_database_is_refused_and_untouched(store: Path) -> None:
    """A database that is not ours is refused, its application named."""
    db = apsw.Connection(str(store))
    db.execute("PRAGMA application_id = 7; CREATE TABLE bookmarks (url TEXT)")
    db.close()
    refused(store, "another program .*0x7")


def test_an_unmarked_database_with_tables_is_refused(store: Path) -> None:
    """A database without any mark, but with somebody's tables, is not taken over."""
    db = apsw.Connection(str(store))
    db.execute("CREATE TABLE tasks (id INTEGER)")
    db.close()
    refused(store, "another program")


@pytest.mark.parametrize("version", [USER_VERSION + 1, USER_VERSION - 1])
@pytest.mark.parametrize("release", [None, "7.8.9"])
def test_another_version_is_refused_and_named(
    store: Path, version: int, release: str | None
) -> None:
    """A store of a newer or older format says which program opens it."""
    db = apsw.Connection(str(store))
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {version}")
    if release is not None:
        db.execute("CREATE TABLE owner (version TEXT)")
        db.execute("INSERT INTO owner VALUES (?)", (release,))
    db.close()
    which = release or ("a newer creche" if version > USER_VERSION else "an older creche")
    refused(store, f"format {version}, .* reads format {USER_VERSION}: install .*{which}")


def test_a_damaged_store_is_refused(store: Path) -> None:
    """Half a store is reported as damaged at its opening."""

    async def fill() -> None:
        history = History()
        for _ in range(300):
            history.finish()
        async with open_sqlite(store) as journal, running(journal, history) as reported:
            for entry in history.entries:
                journal.put(entry)
            await reported.reaches(900)

    trio.run(fill)
    whole = store.read_bytes()
    store.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreUnreadable, match="malformed"):
        open_and_close(store)
    assert len(store.read_bytes()) == len(whole) // 2


def test_a_refused_opening_lets_go_of_the_lock(store: Path) -> None:
    """Whoever is refused holds nothing afterwards."""
    store.write_bytes(b"precious" * 100)
    with pytest.raises(StoreUnreadable):
        open_and_close(store)
    assert holder(store) is None


def test_an_empty_file_becomes_a_store(store: Path) -> None:
    """What a crash between making the file and its tables leaves behind is taken up."""
    store.touch()
    open_and_close(store)
    open_reader(store).close()


def test_signals_are_not_touched(store: Path) -> None:
    """Opening a store changes no handler and no umask of its user's process."""
    umask = os.umask(0o022)
    handlers = {number: signal.getsignal(number) for number in signal.valid_signals()}
    open_and_close(store)
    assert os.umask(umask) == 0o022
    assert handlers == {number: signal.getsignal(number) for number in signal.valid_signals()}
