"""Every error of the project, in one tree. Where a class sits says what happens next.

SceneJobError
├── InputError            the uploads can never work as they are: dead letter at once, never retried    exit 1
├── ConfigurationError    settings or credentials are wrong: the program stops, nothing is touched      exit 2
│   └── AccessDenied      the identity is refused (401, 403)                                            exit 2
├── InfrastructureError   the world failed: retried with back-off, then dead letter                     exit 3
│   ├── ResourceError     disk or memory ran out                                                        exit 3
│   ├── RunnerError       the job's own process died, hung or has a bug                                 exit 3
│   ├── ComputeError      a job execution could not be started                                          exit 3
│   │   ├── StartUnknown  the answer was lost: it may have been started
│   │   └── NotDeployed   the job has no image of ours yet: nothing was started
│   └── StorageError      a blob or queue operation failed                                              exit 3
│       ├── NotFound      404
│       ├── Conflict      409, 412: somebody else was first
│       ├── UploadsChanged  the user replaced or deleted an upload before it was read: look again
│       ├── WrongChecksum  the bytes are not those of the blob's Content-MD5
│       ├── UnreadableRecord  the record of a scene is damaged, or of a newer program: nothing is begun with it
│       └── Busy          the service throttles or times out
├── LeaseLost             somebody else may own the scene: stop, settle nothing                         exit 75
├── Interrupted           told to stop (SIGTERM): the attempt is given back                             exit 143
└── UnreadableMessage     a queue message nobody can act on: to the poison queue, with the reason
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from scenejobs.filming import see


class Code(StrEnum):
    """What went wrong, as a word that programs can test. The text beside each is its meaning."""

    NO_VIDEO = "NO_VIDEO"  # the scene holds no video and no photo
    NO_SCENE = "NO_SCENE"  # the blob's name gives no scene it could belong to
    EMPTY_FILE = "EMPTY_FILE"  # zero bytes
    NOT_A_VIDEO = "NOT_A_VIDEO"  # the content is no video container that is allowed, whatever the name says
    NO_VIDEO_STREAM = "NO_VIDEO_STREAM"  # a media file, but without pictures (audio only)
    CORRUPT_VIDEO = "CORRUPT_VIDEO"  # truncated or damaged: nothing, or too little, decodes
    NOT_A_PHOTO = "NOT_A_PHOTO"  # named like a photo, but none that can be read inside
    CORRUPT_PHOTO = "CORRUPT_PHOTO"  # a photo that is truncated or damaged
    UNSAFE_VIDEO = "UNSAFE_VIDEO"  # the decoder crashed or hung on it, or tried what its sandbox forbids
    TOO_LARGE = "TOO_LARGE"  # more bytes, pixels, frames, seconds, memory, videos or photos than the limits allow
    DOES_NOT_FIT = "DOES_NOT_FIT"  # by its estimate the scene needs more time or disk than the limits allow
    TOO_SMALL = "TOO_SMALL"  # fewer pixels than the limits ask for
    TOO_SHORT = "TOO_SHORT"  # fewer frames or seconds than the limits ask for
    TOO_FEW_FRAMES = "TOO_FEW_FRAMES"  # all clips together give too few usable frames
    PANORAMA = "PANORAMA"  # a 360-degree recording that is not stitched or of a kind not read; a swept panorama; 3D
    NO_DETAIL = "NO_DETAIL"  # the pictures show nothing to hold on to: dark, over-exposed, blurred or blank
    STATIC_CAMERA = "STATIC_CAMERA"  # the camera does not move: no parallax, no depth
    NO_OVERLAP = "NO_OVERLAP"  # the clips or parts of a clip do not show the same place
    TOO_FEW_REGISTERED = "TOO_FEW_REGISTERED"  # camera poses were found for too few frames
    POSES_UNRELIABLE = "POSES_UNRELIABLE"  # poses were found, but a health gate says they are wrong
    POSES_SUSPECT = "POSES_SUSPECT"  # no failure: the result is there, and what was measured on it says it may be wrong
    BAD_POSES = "BAD_POSES"  # a supplied file of camera poses that is damaged, or holds what cannot be a camera
    POSES_NOT_USED = "POSES_NOT_USED"  # only in warnings: supplied poses fit no picture, or contradict the pictures
    BAD_SCENE_FILE = "BAD_SCENE_FILE"  # a .ply, .splat or .spz file that is damaged or something else
    BAD_SETTINGS = "BAD_SETTINGS"  # the scene.yaml of a scene is damaged, or holds what is no setting
    WRONG_CHECKSUM = "WRONG_CHECKSUM"  # a file whose Content-MD5, as its uploader set it, is not that of its bytes
    INPUT_GONE = "INPUT_GONE"  # an upload vanished before it was read
    ARCHIVE_GONE = "ARCHIVE_GONE"  # archived files of the published result are gone: the next one would be smaller
    CLIPS_LOST = "CLIPS_LOST"  # the new result lacks clips that the published one shows: it does not replace it
    ARCHIVE_TIER = "ARCHIVE_TIER"  # an upload lies in the archive tier, where its bytes cannot be read

    MISSING_SETTING = "MISSING_SETTING"  # a required variable is not set
    INVALID_SETTING = "INVALID_SETTING"  # a variable or option has a value that is not allowed
    WRONG_ENDPOINT = "WRONG_ENDPOINT"  # the storage endpoint does not answer or is not blob storage
    ACCESS_DENIED = "ACCESS_DENIED"  # the identity lacks a role, the SAS is expired, or nobody is logged in
    NO_GPU = "NO_GPU"  # a GPU backend was asked for and none is usable
    DRIVER_TOO_OLD = "DRIVER_TOO_OLD"  # the NVIDIA driver is older than the CUDA version that this image is built for
    NO_SANDBOX = "NO_SANDBOX"  # SANDBOX=require, and this system cannot close the decoder in

    DISK_FULL = "DISK_FULL"  # not enough space in the workspace
    OUT_OF_MEMORY = "OUT_OF_MEMORY"  # the job was killed for memory, or an allocation failed
    JOB_CRASHED = "JOB_CRASHED"  # the job's process died of a signal or an unknown exit code
    JOB_TIMED_OUT = "JOB_TIMED_OUT"  # the job ran past its deadline or stopped making progress
    POSES_TIMED_OUT = "POSES_TIMED_OUT"  # the time for camera poses was over before every way was tried to its end
    TRAINING_TIMED_OUT = "TRAINING_TIMED_OUT"  # the time for training was over before the scene could be judged
    BUG = "BUG"  # an exception nobody expected
    TRAINING_DIVERGED = "TRAINING_DIVERGED"  # parameters became NaN or infinite and could not be recovered
    START_FAILED = "START_FAILED"  # the compute service refused to start an execution
    STORAGE_FAILED = "STORAGE_FAILED"  # the storage service failed for longer than the retries last
    TOO_MANY_ATTEMPTS = "TOO_MANY_ATTEMPTS"  # every attempt that the settings allow was used up

    LEASE_LOST = "LEASE_LOST"  # the scene's lease was lost or could not be renewed in time
    INTERRUPTED = "INTERRUPTED"  # a stop was asked for
    UNREADABLE_MESSAGE = "UNREADABLE_MESSAGE"  # not a message of ours, or of a version we do not know
    LOOP = "LOOP"  # a message that came back again and again without coming to an end


REMEDIES: dict[Code, str] = {
    Code.NO_VIDEO: (
        "upload at least one video (mp4, mov, mkv, mts, ...) or a set of photos (jpg, heic, png, webp, ...) under "
        "the scene's folder"
    ),
    Code.NO_SCENE: "use a plain folder name: no dot segments, backslashes or control characters",
    Code.EMPTY_FILE: "the upload broke off: upload the file again",
    Code.NOT_A_VIDEO: "check the file plays; export it as mp4 (H.264 or HEVC)",
    Code.NO_VIDEO_STREAM: "upload the recording with pictures, not its sound",
    Code.CORRUPT_VIDEO: "copy the file from the camera again; a broken upload is the usual cause",
    Code.NOT_A_PHOTO: "export it as JPEG; a raw file of a camera is developed first",
    Code.CORRUPT_PHOTO: "upload it again; the other photos are used without it",
    Code.UNSAFE_VIDEO: "export the video again with another program; `run.log` says how the decoder ended",
    Code.TOO_LARGE: "cut the clip, or record at a lower resolution",
    Code.DOES_NOT_FIT: "upload less, use a smaller preset, or raise the limit that the message names",
    Code.TOO_SMALL: "record at 640x480 or more",
    Code.TOO_SHORT: "film for some seconds",
    Code.TOO_FEW_FRAMES: "film longer, or add clips of the same place",
    Code.PANORAMA: (
        "export it from the camera's app as a 360-degree MP4 (equirectangular, not 3D) or as a flat (reframed) video"
    ),
    Code.NO_DETAIL: "film in good light, slowly, and things with texture; the message names clip and time",
    Code.STATIC_CAMERA: "walk around the scene: turning on the spot gives no depth",
    Code.NO_OVERLAP: "let the clips show common parts of the place",
    Code.TOO_FEW_REGISTERED: "move slowly, keep the subject textured and sharp, overlap by two thirds",
    Code.POSES_UNRELIABLE: "walk sideways around the subject, avoid pure forward motion and blank walls",
    Code.POSES_SUSPECT: (
        "look at the result before you use it. Film it again or take more photos, sideways around the subject and with "
        "overlap, films without cuts, stamps or bars: the next result that is not in doubt takes its place"
    ),
    Code.BAD_POSES: (
        "the message names file, place and field: export the poses again, or leave the file out ([poses](poses.md))"
    ),
    Code.POSES_NOT_USED: (
        "nothing has to be done: the poses were found from the pictures; the warning says what was wrong with"
        " the file ([poses](poses.md))"
    ),
    Code.BAD_SCENE_FILE: "the file is damaged or not one of ours: export it again",
    Code.BAD_SETTINGS: "mend what the message names and upload scene.yaml again; the other files wait in `error`",
    Code.WRONG_CHECKSUM: "upload it again; if that helps not, with a program that sets the right Content-MD5, or none",
    Code.INPUT_GONE: "nothing, if you removed it; else upload it again",
    Code.ARCHIVE_GONE: (
        "the published result stays. Upload the missing files again (or rehydrate them, where they lie in the archive "
        "tier), or run the scene without them: "
        "`scenejobs retry SCENE --with-what-is-there`"
    ),
    Code.CLIPS_LOST: (
        "the published result stays. Film the way between the new files and the others, or take out what does not "
        "belong there: `scenejobs exclude SCENE NAME`"
    ),
    Code.ARCHIVE_TIER: (
        "rehydrate it to the hot tier, which takes up to 15 hours and needs nothing else, or delete it and upload it "
        "again; the rest of its scene does not wait for it"
    ),
    Code.MISSING_SETTING: "set the named variables ([configuration](configuration.md))",
    Code.INVALID_SETTING: "correct the named variable or option",
    Code.WRONG_ENDPOINT: "check the account name and the endpoint, and that the network lets you reach it",
    Code.ACCESS_DENIED: "assign the role named in the message, renew the SAS, or log in",
    Code.NO_GPU: "use `BACKEND=cpu`, or a machine with an NVIDIA GPU and driver",
    Code.DRIVER_TOO_OLD: "use the [image for older drivers](images.md#older-drivers), or update the driver",
    Code.NO_SANDBOX: (
        "use a kernel with seccomp and Landlock (Linux 5.13 or newer) and a container that allows them, or "
        "`SANDBOX=auto`"
    ),
    Code.DISK_FULL: "give the workspace more space than the message names",
    Code.OUT_OF_MEMORY: "use a smaller preset or a machine with more memory",
    Code.JOB_CRASHED: "see `run.log` beside the inputs; the work is retried by itself",
    Code.JOB_TIMED_OUT: "raise `DEADLINE_FACTOR` and `JOB_TIMEOUT_SECS`, or use a smaller preset",
    Code.POSES_TIMED_OUT: (
        "nothing is known to be wrong with the files: raise `POSES_BUDGET_SECS` to what the message says, or use a "
        "smaller preset or a faster machine"
    ),
    Code.TRAINING_TIMED_OUT: (
        "nothing is known to be wrong with the files: raise `TRAIN_BUDGET_SECS`, or use a smaller preset or a faster "
        "machine; it is tried again with twice the time, and the last attempt gives what it has"
    ),
    Code.BUG: "report it with `run.log`",
    Code.TRAINING_DIVERGED: "report it with `run.log`; another preset may do",
    Code.START_FAILED: "see the message; the sweep tries again by itself",
    Code.STORAGE_FAILED: "nothing: it is retried by itself",
    Code.TOO_MANY_ATTEMPTS: "see the attempts in `error.json`; remove the cause, then upload again",
    Code.LEASE_LOST: "nothing: another runner goes on",
    Code.INTERRUPTED: "nothing: another runner goes on",
    Code.UNREADABLE_MESSAGE: "look at the poison queue: something else writes to the work queue",
    Code.LOOP: (
        "look at the runner's log for its scene; the sweep queues the scene again when its uploads are still there"
    ),
}
"""What the person who meets a code can do, where its message says nothing better. `docs/errors.md` prints them."""


def remedy(code: Code, scene: str) -> str:
    """The same for a message about one scene: plain text, with its name in the commands."""
    return REMEDIES[code].replace("`", "").replace("SCENE", scene)


MAX_CAUSE_BYTES = 1536  # with the advice 2 KiB: a record keeps the failures of all attempts
MAX_ADVICE_BYTES = 512


MAX_REASON_BYTES = 300
MAX_UNUSED = 500  # files of one failure whose reasons are kept


@dataclass(frozen=True)
class UnusedFile:
    """A file that a scene was made without, or would have been. A long reason is cut."""

    name: str  # in the scene: "cam1/a.mp4"
    reason: str  # "the same bytes as a.mp4"; or a whole sentence about the file that begins with its name
    same_as: str = ""  # the file that is used and shows what this one does, where that is the reason

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", _cut(self.reason, MAX_REASON_BYTES))

    def sentence(self) -> str:
        """The reason with the name of the file."""
        return self.reason if self.name in self.reason else f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class Failure:
    """An error as data: what `error.json`, records and reports hold. Long texts are cut."""

    stage: str  # which part failed: validation, frame_extraction, colmap_reconstruction, training, ...
    code: str  # a member of Code
    cause: str  # what happened, naming the thing
    advice: str  # what the user can do about it
    files: tuple[str, ...] = ()  # names, in the scene, of the files that can never work as they are
    unused: tuple[UnusedFile, ...] | None = None  # files that were not used, whatever failed; None: nobody knows

    def __post_init__(self) -> None:
        object.__setattr__(self, "cause", _cut(self.cause, MAX_CAUSE_BYTES))
        object.__setattr__(self, "advice", _cut(self.advice, MAX_ADVICE_BYTES))
        if self.unused is not None:
            object.__setattr__(self, "unused", self.unused[:MAX_UNUSED])

    def in_words(self) -> str:
        """What happened, what to do, and where that is shown, in one line."""
        return _in_words(self.code, self.cause, self.advice)

    def to_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "stage": self.stage, "code": self.code, "cause": self.cause, "advice": self.advice,
        }  # fmt: skip
        if self.files:
            body["files"] = list(self.files)
        if where := see(self.code, self.advice):
            body["see"] = where
        if self.unused is not None:
            body["unused"] = [{"name": each.name, "reason": each.reason} for each in self.unused]
        return body

    @staticmethod
    def from_json(value: dict[str, Any]) -> Failure:
        files = value.get("files", [])
        stage, code, cause, advice = (str(value.get(key, "")) for key in ("stage", "code", "cause", "advice"))
        unused = value.get("unused")
        told = None if unused is None else tuple(UnusedFile(str(each["name"]), str(each["reason"])) for each in unused)
        return Failure(stage, code, cause, advice, tuple(map(str, files)) if isinstance(files, list) else (), told)


def _in_words(code: str, cause: str, advice: str) -> str:
    where = see(code, advice) if advice else ""
    return f"{cause.rstrip('.')}: {advice}{f' (see {where})' if where else ''}" if advice else cause


def _cut(text: str, limit_bytes: int) -> str:
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= limit_bytes:
        return data.decode()
    return data[: limit_bytes - 3].decode("utf-8", "ignore") + "..."


class SceneJobError(Exception):
    """Base of all errors of this project.

    cause:  what happened, naming the thing: "3 of 240 frames registered in lobby/cam1.mp4; 20 are needed".
    advice: the remedy: "film slower, with more overlap".
    stage:  filled in by whoever runs the stage, when the raiser does not know it.
    files:  names, in the scene, of the files that can never work as they are.
    unused: files that the attempt did without, filled in by whoever knows them; None: nobody did.
    """

    exit_code = 3
    default_code = Code.BUG

    def __init__(
        self, cause: str, *, advice: str = "", code: Code | None = None, stage: str = "", files: tuple[str, ...] = ()
    ) -> None:
        super().__init__(cause)
        self.cause = cause
        self.advice = advice
        self.code = code or self.default_code
        self.stage = stage
        self.files = files
        self.unused: tuple[UnusedFile, ...] | None = None

    def __str__(self) -> str:
        return _in_words(self.code, self.cause, self.advice)

    def failure(self, stage: str = "") -> Failure:
        return Failure(self.stage or stage, str(self.code), self.cause, self.advice, self.files, self.unused)


class InputError(SceneJobError):
    """The uploads cannot become a scene as they are: never retried."""

    exit_code = 1
    default_code = Code.NOT_A_VIDEO


class ConfigurationError(SceneJobError):
    """Settings or credentials are wrong."""

    exit_code = 2
    default_code = Code.INVALID_SETTING


class AccessDenied(ConfigurationError):
    """The identity is refused."""

    default_code = Code.ACCESS_DENIED


class InfrastructureError(SceneJobError):
    """Infrastructure failed; the same work may succeed later."""

    exit_code = 3


class ResourceError(InfrastructureError):
    """Disk or memory ran out."""

    default_code = Code.DISK_FULL


class RunnerError(InfrastructureError):
    """The job's own process died, hung or has a bug."""

    default_code = Code.JOB_CRASHED


class ComputeError(InfrastructureError):
    """An execution could not be started, listed or stopped. `retry_after_s`: what the service asked for, if it did."""

    default_code = Code.START_FAILED

    def __init__(self, cause: str, *, retry_after_s: float | None = None, **kwargs: Any) -> None:
        super().__init__(cause, **kwargs)
        self.retry_after_s = retry_after_s


class StartUnknown(ComputeError):
    """An execution may have been started: the request was sent, and its answer was lost."""


class NotDeployed(ComputeError):
    """The job still has the image that does nothing: an execution would end well and leave every scene as it was."""


class StorageError(InfrastructureError):
    """A blob or queue operation failed."""

    default_code = Code.STORAGE_FAILED


class NotFound(StorageError):
    """The blob, container, queue or message is not there."""


class Conflict(StorageError):
    """A condition did not hold: exists already, changed meanwhile, leased by somebody else."""


class UploadsChanged(StorageError):
    """An upload of the snapshot was replaced or deleted before it was read: take another snapshot."""

    default_code = Code.INPUT_GONE


class WrongChecksum(StorageError):
    """A blob's bytes are not those of its Content-MD5. Of an upload that says nothing of the network: TLS checks it."""

    default_code = Code.WRONG_CHECKSUM


class UnreadableRecord(StorageError):
    """The record of a scene cannot be understood: a newer program wrote it, or it is damaged."""


class Busy(StorageError):
    """The service throttles, times out or cannot be reached."""


class LeaseLost(SceneJobError):
    """The lease is lost: another runner may work on the scene now."""

    exit_code = 75
    default_code = Code.LEASE_LOST


class Interrupted(SceneJobError):
    """A stop was requested."""

    exit_code = 143
    default_code = Code.INTERRUPTED


class UnreadableMessage(SceneJobError):
    """A queue message that cannot be handled."""

    default_code = Code.UNREADABLE_MESSAGE
