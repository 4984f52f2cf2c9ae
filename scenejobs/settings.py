"""Settings, read once at the start from a mapping (the environment).

A wrong or missing variable stops the program there, and the message names every one of them.

Each group is a small frozen dataclass; a field carries the variable's name, its default and one line of explanation.
`docs/configuration.md` is checked against these tables by a test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from scenejobs.errors import Code, ConfigurationError

T = TypeVar("T")


def _setting(variable: str, doc: str, default: Any = MISSING, *, minimum: float | None = None) -> Any:
    metadata = {"variable": variable, "doc": doc, "minimum": minimum}
    if default is MISSING:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata, repr=not _is_secret(variable))


def _is_secret(variable: str) -> bool:
    return variable.endswith(("SECRET", "TOKEN", "CONNECTION_STRING"))


@dataclass(frozen=True)
class StorageSettings:
    """Where the blobs and queues are and who asks. `scenejobs.azure.credentials` chooses the credential."""

    account: str = _setting("AZURE_STORAGE_ACCOUNT", "name of the storage account", "")
    endpoint: str = _setting(
        "AZURE_STORAGE_ENDPOINT",
        "blob endpoint, for sovereign clouds; default: https://<account>.blob.core.windows.net",
        "",
    )
    queue_endpoint: str = _setting(
        "AZURE_STORAGE_QUEUE_ENDPOINT", "queue endpoint; default: derived from the blob endpoint", ""
    )
    connection_string: str = _setting(
        "AZURE_STORAGE_CONNECTION_STRING",
        "connection string: for the emulator only; a real account wants an identity",
        "",
    )
    connection_string_file: str = _setting(
        "AZURE_STORAGE_CONNECTION_STRING_FILE", "file that holds the connection string, as Docker secrets are", ""
    )
    sas_token: str = _setting("AZURE_STORAGE_SAS_TOKEN", "shared access signature; a leading ? is allowed", "")
    use_managed_identity: bool = _setting("AZURE_USE_MANAGED_IDENTITY", "use the managed identity", False)
    client_id: str = _setting("AZURE_CLIENT_ID", "client id of the user-assigned identity or service principal", "")
    tenant_id: str = _setting("AZURE_TENANT_ID", "tenant of the service principal", "")
    client_secret: str = _setting("AZURE_CLIENT_SECRET", "secret of the service principal", "")
    federated_token_file: str = _setting(
        "AZURE_FEDERATED_TOKEN_FILE", "token file of a workload identity; the platform sets it", ""
    )
    use_azure_ad: bool = _setting("AZURE_USE_AZURE_AD", "sign in with an identity even where a SAS token is set", False)
    input: str = _setting("AZURE_BLOB_CONTAINER_INPUT", "container the user uploads to", "input")
    output: str = _setting("AZURE_BLOB_CONTAINER_OUTPUT", "container of the results", "output")
    processed: str = _setting(
        "AZURE_BLOB_CONTAINER_PROCESSED", "container of inputs that were turned into a scene", "processed"
    )
    error: str = _setting(
        "AZURE_BLOB_CONTAINER_ERROR", "container of inputs that could not be, with the reason", "error"
    )
    state: str = _setting("AZURE_BLOB_CONTAINER_STATE", "container of records, batches and progress", "state")
    debounce_queue: str = _setting("DEBOUNCE_QUEUE", "queue of delayed quiet-time checks", "debounce")
    jobs_queue: str = _setting("JOBS_QUEUE", "queue of work; <name>-poison holds what nobody can act on", "jobs")


GPU_MINUTES = "minutes of executions per day (UTC) after which no work is started; 0: no limit"


@dataclass(frozen=True)
class DispatchSettings:
    """When uploads become a job."""

    quiet_s: float = _setting(
        "QUIET_SECONDS", "seconds without an upload after which a scene is complete", 60.0, minimum=0
    )
    max_wait_s: float = _setting(
        "MAX_WAIT_SECONDS",
        "a scene that never gets quiet is sealed this long after its oldest upload",
        1800.0,
        minimum=0,
    )
    prefix_depth: int = _setting("SCENE_PREFIX_DEPTH", "folder levels that name a scene", 1, minimum=1)
    max_parallel_jobs: int = _setting("MAX_PARALLEL_JOBS", "executions at the same time", 3, minimum=1)
    max_gpu_minutes: float = _setting("MAX_GPU_MINUTES_PER_DAY", GPU_MINUTES, 0.0, minimum=0)
    requeue_after_s: float = _setting(
        "REQUEUE_AFTER_SECONDS",
        "sealed work that nobody holds and no message points at is sent again",
        600.0,
        minimum=1,
    )
    sweep_schedule: str = _setting(
        "SWEEP_SCHEDULE", "when the sweep runs: seconds, minutes, hours, day, month, weekday", "0 */5 * * * *"
    )
    sweep_interval_s: float = _setting(
        "SWEEP_INTERVAL_SECONDS",
        "without a sweep for this long (a frozen timer), the next quiet-time check sweeps",
        900.0,
        minimum=1,
    )


@dataclass(frozen=True)
class ComputeSettings:
    """The Container Apps job that is started."""

    subscription_id: str = _setting("AZURE_SUBSCRIPTION_ID", "subscription of the job")
    resource_group: str = _setting("AZURE_RESOURCE_GROUP", "resource group of the job")
    job_name: str = _setting("RUNNER_JOB_NAME", "name of the Container Apps job")
    arm_endpoint: str = _setting(
        "ARM_ENDPOINT",
        "management endpoint, for sovereign clouds and the local jobs API",
        "https://management.azure.com",
    )
    client_id: str = _setting("AZURE_CLIENT_ID", "client id of the identity that may start the job", "")


@dataclass(frozen=True)
class RunnerSettings:
    """How the runner behaves around the pipeline."""

    mode: Literal["queue", "batch"] = _setting(
        "RUN_MODE", "queue: drain the queue; batch: one prefix, no queue", "queue"
    )
    batch_prefix: str = _setting("BATCH_INPUT_PREFIX", "batch mode: the scene to process", "")
    job_id: str = _setting("BATCH_JOB_ID", "batch mode: id of the run in names and reports; default: made up", "")
    prefix_depth: int = _setting("SCENE_PREFIX_DEPTH", "folder levels that name a scene", 1, minimum=1)
    max_attempts: int = _setting("MAX_RETRIES", "attempts at a scene before it is dead-lettered", 3, minimum=1)
    max_preemptions: int = _setting(
        "MAX_PREEMPTIONS",
        "attempts that cost none because the runner was stopped, its settings were wrong or the uploads changed; "
        "further ones count",
        20,
        minimum=0,
    )
    retry_base_s: float = _setting(
        "RETRY_BASE_DELAY_SECS", "wait before the second attempt; doubles each time", 2.0, minimum=0
    )
    retry_max_s: float = _setting("RETRY_MAX_DELAY_SECS", "longest wait between attempts", 60.0, minimum=0)
    max_scene_runs: int = _setting(
        "MAX_SCENE_RUNS_PER_DAY",
        "attempts at one scene per day (UTC), over all its uploads; the next waits for the next day; 0: no limit",
        24,
        minimum=0,
    )
    max_gpu_minutes: float = _setting("MAX_GPU_MINUTES_PER_DAY", GPU_MINUTES, 0.0, minimum=0)
    job_timeout_s: float = _setting("JOB_TIMEOUT_SECS", "longest deadline of one attempt", 3 * 3600.0, minimum=1)
    deadline_factor: float = _setting(
        "DEADLINE_FACTOR",
        "deadline of one attempt in times its preset plans, JOB_TIMEOUT_SECS at most; 0: always JOB_TIMEOUT_SECS",
        4.0,
        minimum=0,
    )
    replica_timeout_s: float = _setting(
        "REPLICA_TIMEOUT_SECS",
        "when the platform ends an execution; the runner stops by itself 120 s earlier; 0: it does not",
        0.0,
        minimum=0,
    )
    stall_timeout_s: float = _setting(
        "JOB_STALL_SECS", "an attempt that reports no progress for this long is ended", 1800.0, minimum=1
    )
    run_budget_s: float = _setting(
        "RUN_BUDGET_SECS", "an execution takes no further scene after this long", 3600.0, minimum=0
    )
    idle_polls: int = _setting("QUEUE_IDLE_POLLS", "empty looks at the queue before an execution ends", 3, minimum=1)
    idle_wait_s: float = _setting("QUEUE_IDLE_WAIT_SECS", "wait between empty looks", 5.0, minimum=0)
    workspace: str = _setting("TEMP_PATH", "folder for job workspaces; default: the system's temporary folder", "")
    checkpoint_s: float = _setting(
        "CHECKPOINT_INTERVAL_SECS",
        "saved work of a running job is at most about this old; another machine goes on from it; 0: none is saved",
        120.0,
        minimum=0,
    )
    cache_mb: int = _setting(
        "CACHE_MAX_MB",
        "what stages found is kept for further runs of the same scene, that much at most, megabytes; 0: none is",
        1024,
        minimum=0,
    )
    cache_days: float = _setting(
        "CACHE_MAX_DAYS", "what is kept for further runs goes after this long", 30.0, minimum=0
    )
    min_free_gb: float = _setting("MIN_DISK_SPACE_GB", "free space asked for before a job starts", 2.0, minimum=0)


@dataclass(frozen=True)
class PipelineSettings:
    """What overrides the preset."""

    preset: str = _setting(
        "PRESET", "smoke, laptop, laptop-high, draft, standard or high; auto: by the machine", "auto"
    )
    backend: Literal["auto", "gsplat", "cpu", "mock"] = _setting(
        "BACKEND", "trainer: auto takes gsplat on a GPU, else cpu; mock marks every output as mock", "auto"
    )
    force_cpu: bool = _setting("FORCE_CPU_BACKEND", "never use a GPU", False)
    frame_count: int = _setting("FRAME_COUNT", "frames over all clips; 0: the preset's", 0, minimum=0)
    frame_rate: float = _setting("FRAME_RATE", "at most this many frames per second; 0: no limit", 0.0, minimum=0)
    features: int = _setting("COLMAP_MAX_NUM_FEATURES", "SIFT features per image; 0: the preset's", 0, minimum=0)
    poses_budget_s: float = _setting(
        "POSES_BUDGET_SECS",
        "no further way to find the poses is tried that would pass it; 0: the preset's",
        0.0,
        minimum=0,
    )
    min_points: int = _setting(
        "MIN_RECONSTRUCTION_POINTS", "fewest 3D points of a usable reconstruction", 1000, minimum=0
    )
    min_width: int = _setting("MIN_VIDEO_WIDTH", "shortest allowed long side of a picture, pixels", 640, minimum=1)
    min_height: int = _setting("MIN_VIDEO_HEIGHT", "shortest allowed short side of a picture, pixels", 480, minimum=1)
    min_frames: int = _setting("MIN_VIDEO_FRAMES", "fewest frames of a video", 10, minimum=1)
    min_duration_s: float = _setting("MIN_VIDEO_DURATION", "shortest video, seconds", 1.0, minimum=0)
    max_bytes: int = _setting(
        "MAX_VIDEO_BYTES", "largest video, bytes; looked at before it is downloaded", 8 * 1024**3, minimum=1
    )
    max_pixels: int = _setting("MAX_VIDEO_PIXELS", "largest picture of a video, width x height", 7680 * 4320, minimum=1)
    max_duration_s: float = _setting("MAX_VIDEO_DURATION", "longest video, seconds", 3600.0, minimum=1)
    max_frames: int = _setting("MAX_DECODED_FRAMES", "most frames of a video", 20_000, minimum=1)
    max_videos: int = _setting("MAX_VIDEOS_PER_SCENE", "most videos of a scene", 50, minimum=1)
    max_photo_bytes: int = _setting(
        "MAX_PHOTO_BYTES", "largest photo, bytes; looked at before it is downloaded", 512 * 1024**2, minimum=1
    )
    max_photo_pixels: int = _setting("MAX_PHOTO_PIXELS", "largest photo, width x height", 120_000_000, minimum=1)
    max_photos: int = _setting("MAX_PHOTOS_PER_SCENE", "most photos of a scene", 1000, minimum=1)
    sandbox: Literal["auto", "require", "off"] = _setting(
        "SANDBOX",
        "auto closes the decoder of videos in as far as the system can; require refuses to work where that is not "
        "enough; off leaves only limits",
        "auto",
    )
    decode_memory_gb: float = _setting(
        "DECODE_MEMORY_GB", "address space of the process that opens a video, GiB", 4.0, minimum=0.5
    )
    decode_timeout_s: float = _setting(
        "DECODE_TIMEOUT_SECS", "longest pass over one video; there are two", 1800.0, minimum=1
    )
    threads: int = _setting("THREADS", "cores used; 0: all", 0, minimum=0)
    seed: int = _setting("SEED", "seed of everything random", 0, minimum=0)


@dataclass(frozen=True)
class LogSettings:
    """Logging."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = _setting("LOG_LEVEL", "least level that is logged", "INFO")
    format: Literal["auto", "json", "text"] = _setting(
        "LOG_FORMAT", "json: one object per line; text; auto: text on a terminal", "auto"
    )


GROUPS: tuple[type, ...] = (
    StorageSettings, DispatchSettings, ComputeSettings, RunnerSettings, PipelineSettings, LogSettings,
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One line of the configuration table."""

    group: str
    variable: str
    default: Any  # MISSING when required
    doc: str
    kind: str


def table() -> Iterator[Row]:
    """Every setting of every group, for the documentation and its test."""
    for group in GROUPS:
        hints = get_type_hints(group)
        for item in fields(group):
            kind = hints[item.name]
            text = " | ".join(get_args(kind)) if get_origin(kind) is Literal else kind.__name__
            yield Row(group.__name__, item.metadata["variable"], item.default, item.metadata["doc"], text)


def read(group: type[T], env: Mapping[str, str]) -> T:
    """One group from the environment. Raises ConfigurationError naming every missing and every wrong variable."""
    problems: list[str] = []
    value = _collect(group, env, problems)
    return _finish(problems, lambda: value)


def read_all(groups: tuple[type, ...], env: Mapping[str, str]) -> tuple[Any, ...]:
    """Several groups at once, so that one message names the problems of all."""
    problems: list[str] = []
    values: tuple[Any, ...] = tuple(_collect(group, env, problems) for group in groups)
    return _finish(problems, lambda: values)


def _finish(problems: list[str], value: Callable[[], T]) -> T:
    if problems:
        missing = all(problem.endswith("is not set") for problem in problems)
        raise ConfigurationError(
            "; ".join(dict.fromkeys(problems)),
            code=Code.MISSING_SETTING if missing else Code.INVALID_SETTING,
            advice="set it in the environment (docs/configuration.md lists every variable)",
            stage="configuration",
        )
    return value()


def _collect(group: type[T], env: Mapping[str, str], problems: list[str]) -> T:
    values: dict[str, Any] = {}
    hints: dict[str, Any] = get_type_hints(group)
    for item in fields(group):  # type: ignore[arg-type]  # every group is a dataclass
        variable = item.metadata["variable"]
        text = env.get(variable, "").strip()
        if not text:
            if item.default is MISSING:
                problems.append(f"{variable} is not set")
            continue
        try:
            values[item.name] = _parse(text, hints[item.name], item.metadata["minimum"])
        except ValueError as exc:
            shown = "[REDACTED]" if _is_secret(variable) else repr(text)
            problems.append(f"{variable}={shown} is not allowed: {exc}")
    required = {f.name for f in fields(group) if f.default is MISSING}  # type: ignore[arg-type]
    return group(**values, **{name: "" for name in required - values.keys()})


def _parse(text: str, kind: Any, minimum: float | None) -> Any:
    if kind is str:
        return text
    if kind is bool:
        if text.lower() in ("true", "1", "yes", "on"):
            return True
        if text.lower() in ("false", "0", "no", "off"):
            return False
        raise ValueError("use true or false")
    if get_origin(kind) is Literal:
        allowed = {str(choice).lower(): choice for choice in get_args(kind)}
        if text.lower() not in allowed:
            raise ValueError(f"use one of {', '.join(get_args(kind))}")
        return allowed[text.lower()]
    try:
        number: float = kind(text)
    except ValueError:
        raise ValueError("use a whole number" if kind is int else "use a number") from None
    if number != number or number == float("inf") or (minimum is not None and number < minimum):
        raise ValueError(f"use a finite number, {minimum or 0:g} or more")
    return number
