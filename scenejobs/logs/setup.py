"""Logging of a whole process: one JSON object per line for machines, readable text on a terminal, secrets in neither.

Everything goes to standard error. Values that belong to a line come as `extra`; those that belong to a stretch of work
(the scene, the run) are set once with `context`. In a line `job_id` is the scene and `run_id` the run, in every
program; in files `job_id` is the run, as it always was, and `run_id` beside it the same (docs/glossary.md).
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, TextIO

from scenejobs.errors import SceneJobError
from scenejobs.logs.redact import redact, redact_all
from scenejobs.settings.groups import LogSettings
from scenejobs.settings.reader import read

# At DEBUG and INFO these print whole URLs and headers: the signature of a SAS is in them.
CHATTY = ("urllib3", "azure", "requests", "msal", "PIL", "numba")
# Its warnings are of connections that were closed or made anew, a line for each; whoever needs the answer asks again.
OF_CONNECTIONS = "urllib3.connectionpool"
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}
_context: ContextVar[dict[str, Any]] = ContextVar("log_context", default={})  # noqa: B039  # replaced, never changed


@contextlib.contextmanager
def context(**fields: Any) -> Iterator[None]:
    """Adds fields to every line of this thread until the end of the block: `with context(scene="lobby"):`."""
    token = _context.set({**_context.get(), **fields})
    try:
        yield
    finally:
        _context.reset(token)


def protect() -> None:
    """From here on no log record of this process holds a secret, whichever handler of whichever library gets it.

    For a process whose handlers are not ours, as in the Functions host; `configure` does it as well.
    """
    factory = logging.getLogRecordFactory()
    if not isinstance(factory, _SafeRecords):
        logging.setLogRecordFactory(_SafeRecords(factory))
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    logging.getLogger(OF_CONNECTIONS).setLevel(logging.ERROR)
    sys.unraisablehook = _log_unraisable


class _SafeRecords:
    """Makes log records without secrets. Of an exception the text is kept, not the objects with their values."""

    def __init__(self, make: Callable[..., logging.LogRecord]) -> None:
        self._make = make

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._make(*args, **kwargs)
        _clean(record)
        record.exc_info = None
        return record


def _clean(record: logging.LogRecord) -> None:
    try:
        message = record.getMessage()
    except (TypeError, ValueError, KeyError):  # arguments that do not fit the format: say what was meant
        message = f"{record.msg} {record.args!r}"
    record.msg, record.args = redact(message), None
    if record.exc_info and not record.exc_text:
        record.exc_text = logging.Formatter().formatException(record.exc_info)
    if record.exc_text:
        record.exc_text = redact(record.exc_text)
    if record.stack_info:
        record.stack_info = redact(record.stack_info)


class Redaction(logging.Filter):
    """Takes secrets out of a record before a handler's formatter sees it, the fields of `extra` included."""

    def filter(self, record: logging.LogRecord) -> bool:
        _clean(record)
        for name, value in fields_of(record).items():
            setattr(record, name, redact_all(value))
        return True


def _values(fields: dict[str, Any], record: logging.LogRecord) -> dict[str, Any]:
    """All fields of a line. One that names its scene or run names them as every other line does, too."""
    values: dict[str, Any] = redact_all({**fields, **_context.get()}) | fields_of(record)
    for name, source in (("job_id", "scene"), ("run_id", "run")):
        if source in values:
            values[name] = values[source]
    return values


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """The fields that were passed as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


class JsonFormatter(logging.Formatter):
    """One line per record: timestamp, level, target, message, then the fields."""

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__()
        self._fields = fields

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "target": record.name,
            "message": record.getMessage(),
        }
        values = _values(self._fields, record)
        line |= {name: value for name, value in values.items() if name not in line}
        if record.exc_text:
            line["exception"] = record.exc_text
        # ASCII: other line separators and half characters of a name would break the line or the stream
        return json.dumps(line, default=lambda value: redact(str(value)), separators=(",", ":"))


class TextFormatter(logging.Formatter):
    """`12:30:01 INFO runner.worker.loop: message scene=lobby`, control characters of hostile names made visible.

    context: whether what `context` set stands behind every line.
    """

    def __init__(self, fields: dict[str, Any], *, context: bool = True) -> None:
        super().__init__()
        self._fields, self._context = fields, context

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created).strftime("%H:%M:%S")
        values = _values(self._fields, record) if self._context else redact_all(self._fields) | fields_of(record)
        rest = "".join(f" {name}={value}" for name, value in values.items())
        line = f"{time} {record.levelname:<7} {record.name}: {printable(record.getMessage() + rest)}"
        # Indented: a line break in an exception's words cannot begin what looks like another record.
        return "\n".join([line, *("    " + printable(text) for text in (record.exc_text or "").splitlines())])


def printable(text: str) -> str:
    """The text with invisible characters (control and direction characters, odd spaces) escaped.

    A blob's name must not move the cursor, reorder a line or look like another name.
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def readable_json(value: Any) -> str:
    """An indented document for people and programs: letters of all languages as they are, hidden characters escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return "".join(char if char == "\n" or char.isprintable() else json.dumps(char)[1:-1] for char in text)


def configure(settings: LogSettings, *, stream: TextIO | None = None, **fields: Any) -> None:
    """Sets up the root logger, replacing its handlers. `fields` are on every line. Call it once, at the start."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter(fields) if _is_json(settings.format, stream) else TextFormatter(fields))
    handler.addFilter(Redaction())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(settings.level)
    protect()
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread


def configure_command(env: Mapping[str, str]) -> None:
    """The log of a program that talks to a person: warnings, as text, where LOG_LEVEL and LOG_FORMAT say nothing else.

    A process that has a log already keeps it. Raises ConfigurationError.
    """
    chosen = {name: text for name in ("LOG_LEVEL", "LOG_FORMAT") if (text := env.get(name, "").strip())}
    settings = read(LogSettings, {"LOG_LEVEL": "WARNING", "LOG_FORMAT": "text", **chosen})
    if not logging.getLogger().handlers:
        configure(settings)


def report(error: SceneJobError, env: Mapping[str, str], *, logs: bool) -> None:
    """The last line of a program that ends with an error, on standard error.

    logs: whether the program writes a log there. Then the line is a record like the others where LOG_FORMAT makes
    them JSON, before the log was set up as well; else it is `error: ...`, for people.
    """
    text = printable(redact(" ".join(str(error).split())))
    if logs and _is_json(env.get("LOG_FORMAT", "").strip().lower() or "auto", sys.stderr):
        fields = {"code": str(error.code), "exit_code": error.exit_code}
        record = logging.LogRecord("exit", logging.ERROR, __file__, 0, text, None, None)
        text = JsonFormatter(fields).format(record)
    else:
        text = f"error: {text}"
    print(text, file=sys.stderr, flush=True)


def _is_json(chosen: str, stream: TextIO) -> bool:
    return chosen == "json" or (chosen == "auto" and not stream.isatty())


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A traceback on the terminal may quote a URL with its signature; in the log it passes the filter."""
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        logging.getLogger("uncaught").critical("%s", error, exc_info=(kind, error, trace))


def _log_unraisable(hook: sys.UnraisableHookArgs) -> None:
    """Logs an exception of a destructor, or of a callback from C code."""
    if hook.exc_value is not None:
        _log_uncaught(type(hook.exc_value), hook.exc_value, hook.exc_traceback)


def _log_uncaught_in_thread(hook: threading.ExceptHookArgs) -> None:
    if hook.exc_value is not None:
        _log_uncaught(hook.exc_type, hook.exc_value, hook.exc_traceback)
