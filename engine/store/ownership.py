"""Who may use a store's file: safe places, private files, and the lock that one engine holds.

Beside a store ``tasks.db`` lies the folder ``tasks.db.d`` (0700) with the lock file. The lock is
not on the database itself: closing any descriptor of that file would drop SQLite's own locks, so
nothing but SQLite ever opens it; here it is only looked at with stat.

The lock belongs to an *open file description*, not to the process. So a second engine in the same
process is refused too, a reader that opens and closes the lock file takes nothing away (as it
would from a POSIX lock), and the kernel lets go of it whenever and however the engine dies.
Descriptions are shared with forked children, which would keep a dead engine's lock: a child
closes its copy right after the fork, and programs that are executed never see it.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
import sys
import time
import weakref
from pathlib import Path
from typing import Final, Protocol

from ..errors import StoreInUse, StoreUnsafe

NETWORK_FILE_SYSTEMS: Final = frozenset(
    {
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "fuse.ceph",
        "fuse.davfs2",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "smb2",
        "smb3",
        "smbfs",
    }
)
"""Locks and shared memory are not to be trusted there, and the write-ahead log needs both."""

_RETRIES: Final = 6
_PAUSE: Final = 0.02
"""Seconds. Long enough for a probing reader to be gone and for a new holder to write its pid;
all retries together stay far below a second."""


# -- places --------------------------------------------------------------------------------------


def locate(path: str | os.PathLike[str]) -> Path:
    """The store's absolute path: links in its folder are followed, its own name never is."""
    absolute = Path(path).expanduser().absolute()
    return Path(os.path.realpath(absolute.parent)) / absolute.name


def store_folder(path: Path) -> Path:
    """The folder beside a store for its lock, its control socket and its token."""
    return path.with_name(f"{path.name}.d")


def lock_file(path: Path) -> Path:
    """The file whose lock says that an engine runs on this store."""
    return store_folder(path) / "lock"


def mounted_as(mountinfo: str, folder: Path) -> str:
    """The type of the file system that holds ``folder``, by the text of /proc/self/mountinfo;
    "" when it does not say."""
    found, depth = "", -1
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = Path(_unescape(fields[4]))
        # The later of two mounts on one point hides the earlier.
        if len(point.parts) >= depth and folder.is_relative_to(point):
            found, depth = after.split(" ", 1)[0], len(point.parts)
    return found


def _unescape(field: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, char)
    return field


# -- safety --------------------------------------------------------------------------------------


def check_place(path: Path, *, mountinfo: Path = Path("/proc/self/mountinfo")) -> None:
    """Refuse a store whose folder or files others could exchange, or that lies on a network.

    Raises StoreUnsafe.
    """
    folder = path.parent
    seen = folder.stat()
    if seen.st_uid not in {os.geteuid(), 0}:
        raise StoreUnsafe(path, f"its folder belongs to user {seen.st_uid}: use a folder of yours")
    if seen.st_mode & stat.S_IWOTH and not seen.st_mode & stat.S_ISVTX:
        raise StoreUnsafe(
            path, f"everybody may write into its folder: 'chmod o-w {folder}', or use another one"
        )
    try:
        table = mountinfo.read_text(errors="surrogateescape")
    except OSError:
        table = ""
    kind = mounted_as(table, folder)
    if kind in NETWORK_FILE_SYSTEMS:
        raise StoreUnsafe(path, f"it would lie on a network file system ({kind}): use a local disk")
    for part in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))):
        check_private(path, part)


def check_private(path: Path, part: Path, kind: int = stat.S_IFREG) -> os.stat_result | None:
    """Check one file (or folder) of a store as `check_plain` does, and whose it is.

    Raises StoreUnsafe also when it belongs to another user.
    """
    seen = check_plain(path, part, kind)
    if seen is not None and seen.st_uid != os.geteuid():
        raise StoreUnsafe(path, f"{part} belongs to user {seen.st_uid}, not to you")
    return seen


def check_plain(path: Path, part: Path, kind: int = stat.S_IFREG) -> os.stat_result | None:
    """Look at one file (or folder) of a store without opening it; None when it does not exist.

    Raises StoreUnsafe when it is a link, or of another kind.
    """
    try:
        seen = part.lstat()
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(seen.st_mode):
        raise StoreUnsafe(path, f"{part} is a symbolic link: name the file that it points to")
    if stat.S_IFMT(seen.st_mode) != kind:
        raise StoreUnsafe(path, f"{part} is not a {'folder' if kind == stat.S_IFDIR else 'file'}")
    return seen


def make_folder(path: Path) -> None:
    """Make the store's folder private to its owner, whatever the umask."""
    folder = store_folder(path)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        seen = check_private(path, folder, stat.S_IFDIR)
        if seen is not None and stat.S_IMODE(seen.st_mode) != 0o700:
            folder.chmod(0o700)


def make_file(path: Path) -> None:
    """Make the database file, empty and 0600, before SQLite sees it: its -wal and -shm follow.

    A file that exists is never opened, only narrowed to its owner.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        seen = check_private(path, path)
        if seen is not None and stat.S_IMODE(seen.st_mode) & 0o077:
            path.chmod(0o600)
    else:
        os.close(descriptor)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make new names in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# -- the lock ------------------------------------------------------------------------------------


class Locking(Protocol):
    """How a platform locks an open file description."""

    def take(self, descriptor: int) -> bool:
        """Take the exclusive lock without waiting; False when another description holds it."""
        ...

    def taken(self, descriptor: int) -> bool:
        """True while another description holds the exclusive lock."""
        ...


class FlockLocking:
    """flock(2), for every platform. Asking takes a shared lock for a moment, hence the retries."""

    def take(self, descriptor: int) -> bool:
        """Take the exclusive lock without waiting; False when another description holds it."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def taken(self, descriptor: int) -> bool:
        """True while another description holds the exclusive lock."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        return False


if sys.platform == "linux":

    class DescriptionLocking:
        """Open file description locks of Linux, which can be asked for without being taken."""

        _layout = struct.Struct("@hhqqi0q")

        def take(self, descriptor: int) -> bool:
            """Take the exclusive lock without waiting; False when another description holds it."""
            try:
                fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, self._whole_file())
            except (BlockingIOError, PermissionError):
                return False
            return True

        def taken(self, descriptor: int) -> bool:
            """True while another description holds the exclusive lock."""
            answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, self._whole_file())
            return bool(self._layout.unpack(answer)[0] != fcntl.F_UNLCK)

        def _whole_file(self) -> bytes:
            return self._layout.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)

    LOCKING: Final[Locking] = DescriptionLocking()
else:
    LOCKING: Final[Locking] = FlockLocking()


class StoreLock:
    """The right to be a store's engine, held from `hold` to `release`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        forget = weakref.WeakMethod(self._forget)

        def in_child() -> None:
            method = forget()
            if method is not None:
                method()

        os.register_at_fork(after_in_child=in_child)

    def release(self) -> None:
        """Let others have the store. May be called again."""
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            self._forget()

    def _forget(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def hold(path: Path, locking: Locking = LOCKING) -> StoreLock:
    """Become the one engine of the store, without waiting for another to end.

    The store's folder must exist. Raises StoreInUse, with the holder's pid where it is known.
    """
    name = lock_file(path)
    for attempt in range(_RETRIES):
        if attempt:
            time.sleep(_PAUSE)
        check_private(path, name)
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
            # Somebody may have removed the folder meanwhile: then this lock is nobody's.
            if locking.take(descriptor) and _is_still(name, descriptor):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
                lock = StoreLock(descriptor)
                descriptor = -1
                return lock
        finally:
            if descriptor >= 0:
                os.close(descriptor)
    raise StoreInUse(path, _written_pid(name))


def holder(path: Path, locking: Locking = LOCKING) -> int | None:
    """The pid of the engine that holds the store now; None when none does (or none is named yet).

    Takes nothing away from an engine that starts at this moment.
    """
    name = lock_file(path)
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return _written_pid(name) if locking.taken(descriptor) else None
    finally:
        os.close(descriptor)


def _is_still(name: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(name.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _written_pid(name: Path) -> int | None:
    try:
        text = name.read_text(errors="replace").strip()
    except OSError:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else None
