"""Atomic file writing: a reader sees either the whole old file or the whole new one, also after a crash."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[str]:
    """Yields the name of a temporary file beside `path`; on success it is synced to disk and takes the place of `path`.

    On an exception the temporary file is removed and `path` stays as it was. A killed process leaves `path` as it was
    and may leave a file named `.NAME.XXXX.tmp` beside it. Missing folders are created; a symbolic link is followed.

    >>> import pathlib, tempfile
    >>> target = pathlib.Path(tempfile.mkdtemp()) / "note.txt"
    >>> with atomic_path(target) as temporary:
    ...     _ = pathlib.Path(temporary).write_text("whole")
    >>> target.read_text()
    'whole'
    """
    path = os.path.realpath(os.fspath(path))
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    if os.path.isdir(path):
        raise IsADirectoryError(f"[save] expected the path of a file, received the folder {path}")
    handle, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".tmp", dir=folder)
    os.close(handle)
    try:
        yield temporary
        os.chmod(temporary, _mode(path))
        sync(temporary)
        os.replace(temporary, path)
        if os.name == "posix":
            sync(folder)  # the rename itself must survive a power cut
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _mode(path: str) -> int:
    """The permissions of the file that is replaced, or those any new file would get (mkstemp gives only 0600)."""
    try:
        return os.stat(path).st_mode & 0o777
    except FileNotFoundError:
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask


def sync(path: str) -> None:
    """Waits until a file, or the entries of a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def may_write(path: str | os.PathLike, overwrite: bool) -> bool:
    """Whether to go on: always if nothing is lost or `overwrite`, else after asking at the terminal, as Keras does."""
    if overwrite or not os.path.exists(path):
        return True
    answer = input(f"[WARNING] {os.fspath(path)} already exists - overwrite? [y/n]").strip().lower()
    while answer not in ("y", "n"):
        answer = input('Enter "y" (overwrite) or "n" (cancel).').strip().lower()
    if answer == "y":
        print("[TIP] Next time specify overwrite=True!")
    return answer == "y"
