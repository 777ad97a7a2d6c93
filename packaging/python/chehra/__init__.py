"""Runs the program ``chehra`` and reads what it leaves. Nothing is computed here: every answer is the program's."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Optional, Sequence, Union

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

__all__ = ["Audit", "Event", "Failed", "Run", "audit", "binary", "call", "compare", "see", "start", "templates"]

#: A path, or something that names one.
PathLike = Union[str, "os.PathLike[str]"]
#: The value of an option: ``True`` for a flag, a list for one that is given several times.
Option = Union[None, bool, int, float, str, "os.PathLike[str]", Sequence[Union[int, float, str, "os.PathLike[str]"]]]

_STAGE = re.compile(r"^(?P<stage>[a-z ]+): (?P<done>\d+)(?: of (?P<total>\d+))? (?P<unit>[a-z]+)(?:,| in )")


class Failed(Exception):
    """The program ended with another exit code than 0."""

    def __init__(self, exit_code: int, message: str, parts: Mapping[str, Any]) -> None:
        super().__init__(message)
        #: 1, 64, 65, 69, 70 or 75; 75 says that the same call may work later.
        self.exit_code = exit_code
        #: What the program says of it: ``kind``, and where it applies ``path``, ``item``, ``expected``, ``found``, ``fix``.
        self.parts = dict(parts)


@dataclass(frozen=True)
class Event:
    """A line of the program's log."""

    time: str
    level: str
    message: str
    #: Of a line that tells how far a stage has come: its name, items done, and all of them where that is known.
    stage: Optional[str] = None
    done: Optional[int] = None
    total: Optional[int] = None


@dataclass(frozen=True)
class Run:
    """A run folder."""

    path: Path
    #: ``run.json``: what was audited, with what, how, and what came out.
    record: Dict[str, Any] = field(repr=False)

    @classmethod
    def open(cls, path: PathLike) -> "Run":
        """A run folder that is there already."""
        folder = Path(path)
        return cls(folder, json.loads((folder / "run.json").read_text(encoding="utf-8")))

    @property
    def page(self) -> Path:
        """The page for people."""
        return self.path / "report.html"

    def tables(self) -> List[str]:
        """Names of the tables: ``verdicts``, ``pairs``, ``clusters`` and others."""
        return sorted(file.stem for file in self.path.glob("*.parquet"))

    def arrow(self, table: str = "verdicts", columns: Optional[Sequence[str]] = None) -> "pyarrow.Table":
        """A table as pyarrow's (needs pyarrow)."""
        import pyarrow.parquet

        return pyarrow.parquet.read_table(self._file(table), columns=None if columns is None else list(columns))

    def pandas(self, table: str = "verdicts", columns: Optional[Sequence[str]] = None) -> "pandas.DataFrame":
        """A table as pandas' (needs pyarrow and pandas)."""
        return self.arrow(table, columns).to_pandas()

    def polars(self, table: str = "verdicts", columns: Optional[Sequence[str]] = None) -> "polars.DataFrame":
        """A table as polars' (needs polars)."""
        import polars

        return polars.read_parquet(self._file(table), columns=None if columns is None else list(columns))

    def _file(self, table: str) -> Path:
        file = self.path / f"{table}.parquet"
        if not file.is_file():
            raise FileNotFoundError(f"{file}: the run has these tables: {', '.join(self.tables())}")
        return file


def binary() -> str:
    """The program that is run: ``CHEHRA_BINARY``, else the one beside this Python, else the one on the path."""
    named = os.environ.get("CHEHRA_BINARY")
    if named:
        return named
    name = "chehra.exe" if sys.platform == "win32" else "chehra"
    for folder in (sysconfig.get_path("scripts"), os.path.join(os.path.expanduser("~"), ".local", "bin")):
        if folder and os.access(os.path.join(folder, name), os.X_OK):
            return os.path.join(folder, name)
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError("no program chehra: install the wheel, or name one in CHEHRA_BINARY")
    return found


class Audit:
    """An audit under way. Iterating gives its log line by line, and ends with it; :meth:`result` waits for its run."""

    def __init__(self, words: Sequence[str], out: Path) -> None:
        self._out = out
        self._error: Dict[str, Any] = {}
        self._lines: List[str] = []
        self._answer: List[str] = []
        self._process = subprocess.Popen(
            [binary(), *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL,
            text=True, encoding="utf-8", errors="replace",
        )
        # Standard output is read beside the log, or a long answer would fill its pipe and stop the program.
        self._reader = threading.Thread(target=self._read_answer, daemon=True)
        self._reader.start()

    def _read_answer(self) -> None:
        assert self._process.stdout is not None
        self._answer.append(self._process.stdout.read())

    def __iter__(self) -> Iterator[Event]:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            event = self._event(line)
            if event is not None:
                yield event

    def _event(self, line: str) -> Optional[Event]:
        self._lines.append(line)
        try:
            said = json.loads(line)
        except ValueError:
            return None
        if not isinstance(said, dict):
            return None
        if "error" in said:
            self._error = {**said["error"], "message": said.get("message", "")}
        message = str(said.get("message", ""))
        found = _STAGE.match(message)
        done = int(found["done"]) if found else None
        # A stage's last line tells what it did, which is all of it.
        total = int(found["total"] or found["done"]) if found else None
        return Event(str(said.get("time", "")), str(said.get("level", "")), message, found["stage"] if found else None, done, total)

    def stop(self) -> None:
        """Asks it to stop after the pictures at hand: the same audit started again goes on from there."""
        self._process.terminate()

    def result(self) -> Run:
        """Waits, and opens the run folder.

        :raises Failed: where the audit ended with another exit code than 0.
        """
        for _ in self:
            pass
        code = self._process.wait()
        self._reader.join()
        if code != 0:
            message = self._error.pop("message", "") or "".join(self._lines[-5:]).strip()
            raise Failed(code, message, self._error)
        return Run.open(self._out)


def start(dump: Union[PathLike, Sequence[PathLike]], out: PathLike, **options: Option) -> Audit:
    """Begins an audit of a dump (a path, or several) into the run folder ``out``."""
    dumps = [dump] if isinstance(dump, (str, os.PathLike)) else list(dump)
    words = ["audit", *_flags(options), "--log-format", "json", "--json", "--out", os.fspath(out), "--"]
    return Audit(words + [os.fspath(path) for path in dumps], Path(out))


def audit(
    dump: Union[PathLike, Sequence[PathLike]],
    out: PathLike,
    *,
    on_progress: Optional[Callable[[Event], None]] = None,
    **options: Option,
) -> Run:
    """Audits a dump into the run folder ``out``, and waits for it.

    :raises Failed: where it ends with another exit code than 0.
    """
    running = start(dump, out, **options)
    try:
        for event in running:
            if on_progress is not None:
                on_progress(event)
        return running.result()
    except BaseException:
        running.stop()
        raise


def call(*words: PathLike, **options: Option) -> Any:
    """Runs any command, and gives its JSON: ``call("gallery", "stats", store="store")``.

    :raises Failed: where it ends with another exit code than 0.
    """
    # Names of commands first, then options, then what may look like one.
    line = [binary(), *(os.fspath(word) for word in words), *_flags(options), "--json", "--quiet"]
    done = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        text = done.stderr.decode("utf-8", "replace").strip()
        try:
            said = json.loads(text.splitlines()[-1])
            raise Failed(done.returncode, said["message"], said.get("error", {}))
        except (ValueError, KeyError, IndexError, TypeError):
            raise Failed(done.returncode, text, {}) from None
    return json.loads(done.stdout)


def see(picture: bytes, **options: Option) -> Dict[str, Any]:
    """What the networks see in a picture: faces with box, landmarks, quality and liveness (``chehra inspect``)."""
    with _Pictures(picture) as (path,):
        return dict(call("inspect", path, **options))


def compare(first: bytes, second: bytes, **options: Option) -> Dict[str, Any]:
    """How alike two pictures' faces are, and how often chance makes two people so alike (``chehra compare``)."""
    with _Pictures(first, second) as (a, b):
        return dict(call("compare", a, b, **options))


def templates(pictures: Sequence[bytes], **options: Option) -> List[Optional[List[float]]]:
    """The template of the face nearest to the middle of each picture, of length 1; ``None`` where none was found.

    Their dot product is the similarity. For notebooks (needs pyarrow): ``chehra evaluate verification --save`` makes them.
    A template is as personal as the picture; keep it as well.
    """
    import pyarrow.parquet

    if not pictures:
        return []
    with _Pictures(*pictures) as paths:
        folder = os.path.dirname(paths[0])
        pairs, saved = os.path.join(folder, "pairs.csv"), os.path.join(folder, "templates.parquet")
        names = [os.path.basename(path) for path in paths]
        with open(pairs, "w", encoding="utf-8") as file:
            file.write("fold,path_a,path_b,same\n" + "".join(f"0,{name},{name},1\n" for name in names))
        call("evaluate", "verification", pairs=pairs, images=folder, save=saved, **options)
        rows = pyarrow.parquet.read_table(saved, columns=["path", "template"]).to_pylist()
    found = {row["path"].rsplit("/", 1)[-1]: [float(value) for value in row["template"]] for row in rows}
    return [found.get(name) for name in names]


class _Pictures:
    """Pictures as files that their owner alone can read, removed afterwards."""

    def __init__(self, *pictures: bytes) -> None:
        self._pictures = pictures
        self._folder = tempfile.TemporaryDirectory(prefix="chehra-")

    def __enter__(self) -> List[str]:
        paths = []
        for number, picture in enumerate(self._pictures):
            path = os.path.join(self._folder.name, f"picture-{number}")
            with open(path, "wb") as file:
                file.write(picture)
            paths.append(path)
        return paths

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def _flags(options: Mapping[str, Option]) -> List[str]:
    words: List[str] = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            words.append(flag)
        elif isinstance(value, (str, os.PathLike)) or not isinstance(value, Sequence):
            words.append(f"{flag}={os.fspath(value) if isinstance(value, os.PathLike) else value}")
        else:
            words.extend(f"{flag}={os.fspath(one) if isinstance(one, os.PathLike) else one}" for one in value)
    return words
