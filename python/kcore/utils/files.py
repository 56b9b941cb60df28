"""Files from the internet: downloaded once into a cache, checked against a hash, unpacked if wanted."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tarfile
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from typing import Any

from kcore.saving.atomic import atomic_path

_CHUNK = 1 << 16
_TIMEOUT = 60.0  # seconds without any data from the server


def home() -> str:
    """The folder for downloaded files: the environment variable KCORE_HOME, or `~/.kcore`."""
    return os.path.expanduser(os.environ.get("KCORE_HOME") or os.path.join("~", ".kcore"))


def get_file(
    fname: str | os.PathLike | None = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: str = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: str | list[str] | None = "auto",
    cache_dir: str | os.PathLike | None = None,
    force_download: bool = False,
) -> str:
    """The local path of a file, which is downloaded if the cache does not hold it (with the right hash) yet.

    A download is written beside its final name and moved there only when it is whole and its hash is right.

    Args:
        fname: name in the cache; that of the URL by default. Together with `extract`, a name without a dot is the
            folder to extract into, and `NAME.EXT` is extracted into `NAME_extracted`.
        origin: URL (http, https, ftp or file) or a local path.
        untar: the same as `extract=True, archive_format="tar"`.
        md5_hash: the same as `file_hash` with `hash_algorithm="md5"`.
        file_hash: expected sha256 or md5 of the file, in hex.
        cache_subdir: folder inside the cache, or an absolute path.
        hash_algorithm: `"sha256"`, `"md5"`, or `"auto"`: by the length of the hash.
        extract: unpack the archive and return its folder.
        archive_format: `"tar"` (also compressed), `"zip"`, or `"auto"`.
        cache_dir: the cache; by default KCORE_HOME or `~/.kcore`.
        force_download: download even if the cache holds the file.

    Raises:
        ValueError: no origin, a wrong hash, or not an archive.
        FileNotFoundError: a local origin that does not exist.
        ConnectionError: the download failed; the message says where to put the file by hand.

    >>> import pathlib, tempfile
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "a.txt").write_text("hello")
    >>> path = get_file(origin=(folder / "a.txt").as_uri(), cache_dir=folder / "cache")
    >>> pathlib.Path(path).read_text()
    'hello'
    """
    if not origin:
        raise ValueError("[get_file] expected origin, the URL or path of the file, received None")
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    folder = os.path.join(_writable(os.fspath(cache_dir) if cache_dir is not None else home()), cache_subdir)
    given = os.fspath(fname) if fname else None
    name = given or os.path.basename(urllib.parse.urlsplit(str(origin)).path)
    if not name or os.path.basename(name) != name or name in (".", ".."):
        raise ValueError(f"[get_file] expected a file name without folders, received {name!r} (origin {origin!r})")
    extract = extract or untar
    target, unpacked = os.path.join(folder, name), None
    if extract and given and "." in name:
        unpacked = os.path.join(folder, f"{name.split('.')[0]}_extracted")
    elif extract:
        target, unpacked = os.path.join(folder, f"{name}_archive"), os.path.join(folder, name)

    fresh = force_download or not _is_valid(target, file_hash, hash_algorithm)
    if fresh:
        _fetch(str(origin), target, file_hash, hash_algorithm)
    if unpacked is None:
        return target
    if fresh or not os.path.isdir(unpacked):
        extract_archive(target, unpacked, "tar" if untar else archive_format)
    return unpacked


def _writable(path: str) -> str:
    """The cache folder, or one under the system's temporary folder where the cache cannot be written."""
    path = os.path.expanduser(path)
    with contextlib.suppress(OSError):
        os.makedirs(path, exist_ok=True)
    return path if os.access(path, os.W_OK) else os.path.join(tempfile.gettempdir(), ".kcore")


def _is_valid(path: str, file_hash: str | None, algorithm: str) -> bool:
    if not os.path.isfile(path):
        return False
    return file_hash is None or hash_file(path, _algorithm(file_hash, algorithm)) == file_hash.lower()


def _algorithm(file_hash: str, algorithm: str) -> str:
    if algorithm in ("md5", "sha256"):
        return algorithm
    if algorithm != "auto":
        raise ValueError(f"[get_file] expected hash_algorithm 'auto', 'sha256' or 'md5', received {algorithm!r}")
    return "sha256" if len(file_hash) == 64 else "md5"


def hash_file(path: str | os.PathLike, algorithm: str = "sha256") -> str:
    """The sha256 or md5 of a file, in hex."""
    digest = hashlib.new(algorithm, usedforsecurity=False)
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _fetch(origin: str, target: str, file_hash: str | None, algorithm: str) -> None:
    os.makedirs(os.path.dirname(target), exist_ok=True)
    with atomic_path(target) as temporary:
        if "://" in origin:
            _download(origin, temporary, target)
        elif os.path.isfile(os.path.expanduser(origin)):
            shutil.copyfile(os.path.expanduser(origin), temporary)
        else:
            raise FileNotFoundError(f"[get_file] expected a URL or the path of a file, received {origin!r}")
        if file_hash is not None:
            found = hash_file(temporary, _algorithm(file_hash, algorithm))
            if found != file_hash.lower():
                raise ValueError(
                    f"[get_file] expected {origin} to have hash {file_hash}, received {found}: "
                    "the file is incomplete or has changed"
                )


def _download(url: str, path: str, target: str) -> None:
    if urllib.parse.urlsplit(url).scheme not in ("http", "https", "ftp", "file"):
        raise ValueError(f"[get_file] expected an http, https, ftp or file URL, received {url!r}")
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as response, open(path, "wb") as file:
            length = int(response.headers.get("Content-Length") or 0)
            received = _copy_with_progress(response, file, length, os.path.basename(target))
    except (OSError, urllib.error.URLError) as e:
        raise ConnectionError(
            f"[get_file] expected to download {url}, received {getattr(e, 'reason', e)}. If this machine is offline, "
            f"download the file elsewhere and put it at {target} (KCORE_HOME moves this folder), or give its path."
        ) from e
    if length and received != length:
        raise ConnectionError(f"[get_file] expected {length} bytes from {url}, received {received}: try again")


def _copy_with_progress(source: Any, file: Any, length: int, name: str) -> int:
    from rich import get_console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    received = 0
    console = get_console()
    silent = not (console.is_terminal or console.is_jupyter)  # logs stay free of bars
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=silent) as progress:
        task = progress.add_task(f"Downloading {name}", total=length or None)
        while chunk := source.read(_CHUNK):
            file.write(chunk)
            received += len(chunk)
            progress.update(task, completed=received)
    return received


def extract_archive(path: str, folder: str, archive_format: str | list[str] | None = "auto") -> None:
    """Unpacks a tar or zip file into a folder, which appears only when everything is unpacked.

    Raises:
        ValueError: not such an archive, or a member would land outside the folder.
    """
    formats = ["tar", "zip"] if archive_format == "auto" else archive_format or []
    formats = [formats] if isinstance(formats, str) else formats
    parent = os.path.dirname(os.path.abspath(folder))
    temporary = tempfile.mkdtemp(prefix=f".{os.path.basename(folder)}.", dir=parent)
    try:
        if "tar" in formats and tarfile.is_tarfile(path):
            _extract_tar(path, temporary)
        elif "zip" in formats and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    _inside(temporary, name)
                archive.extractall(temporary)
        else:
            raise ValueError(f"[get_file] expected an archive of format {formats}, received {path}")
        os.chmod(temporary, 0o755)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _extract_tar(path: str, folder: str) -> None:
    """Files and folders only: links and devices in an archive could reach out of the folder."""
    with tarfile.open(path) as archive:
        for member in archive:
            target = _inside(folder, member.name)
            if member.isdir():
                os.makedirs(target, exist_ok=True)
            elif member.isreg():
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with archive.extractfile(member) as source, open(target, "wb") as file:  # type: ignore[union-attr]
                    shutil.copyfileobj(source, file)
            else:
                raise ValueError(f"[get_file] expected files and folders in {path}, received a link '{member.name}'")


def _inside(folder: str, name: str) -> str:
    target = os.path.realpath(os.path.join(folder, name))
    if os.path.commonpath([target, os.path.realpath(folder)]) != os.path.realpath(folder):
        raise ValueError(f"[get_file] expected members inside the archive's folder, received '{name}'")
    return target
