"""What travels between `client.py` and the COLMAP process, in both directions: typed, with every number checked.

Both sides are of one version, so an unknown or missing field is a mistake and is refused. JSON has neither NaN nor
infinity: a number that is not finite never arrives.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Generic, Literal, TypeVar, cast

import msgspec
from msgspec import Meta

from runner.poses.supplied.cameras import Lens
from runner.scene.pose_report import Health

Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Threads = Annotated[int, Meta(ge=-1)]  # -1: all cores
NotNegative = Annotated[float, Meta(ge=0.0)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Point = tuple[float, float, float]  # world
Corner = tuple[float, float]
Row = tuple[float, float, float, float]
Pose = Annotated[tuple[float, ...], Meta(min_length=12, max_length=12)]  # rows of [R | t], world to camera, OpenCV axes

SCRATCH = "unenlarged.db"  # beside a database, while features are looked for

AnswerT = TypeVar("AnswerT")


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What all of them have in common."""


# ---- answers ---------------------------------------------------------------------------------------------------------


class Done(Message, frozen=True):
    """There is nothing to say."""


class Reused(Message, frozen=True):
    """What is reused of another database."""

    features: Count  # images whose features were known
    pairs: Count  # whose matches were known


class Features(Message, frozen=True):
    """How many features each image has, by its name."""

    features: dict[str, Count]


class Matches(Message, frozen=True):
    """What comparing pairs of images gave."""

    pairs: Count  # compared so far
    links: tuple[tuple[str, str], ...]  # names of two images that fit together
    turning: Share  # of the wide pairs: they differ by a rotation only


class Pairs(Message, frozen=True):
    """Pairs of images that are worth a comparison, by their names."""

    pairs: tuple[tuple[str, str], ...]


class Motion(Message, frozen=True):
    """What some pairs of images of one shot say about how the camera moved."""

    verified: Count  # pairs that fit together
    still: Count  # of these: from the same place, in the same direction
    turned: Count  # of these: from the same place, in another direction
    slid: Count = 0  # of these: of a flat thing, pushed along in front of the camera or enlarged


class Motions(Message, frozen=True):
    """In the order of the request."""

    motions: tuple[Motion, ...]


class Unexplained(Message, frozen=True):
    """How much of what moves smoothly no motion of a camera explains, see `bending`."""

    shares: tuple[tuple[Share, ...], ...]  # of each pair that says something; in the order of the request


class Model(Message, frozen=True):
    """One reconstruction with what the gates measure."""

    folder: str  # where COLMAP's files of it are
    names: tuple[str, ...]  # registered images, in order
    points: Count
    mean_track_length: NotNegative
    mean_reprojection_error_px: NotNegative
    health: Health
    smaller_side: tuple[str, ...]  # images on the smaller side of the weakest covisibility link
    seen_deg: NotNegative = 0.0  # across the widest fisheye; 0: there is none
    zoom: Annotated[float, Meta(ge=1.0)] = 1.0  # longest focal length / shortest, where the lens zooms while filming


class Models(Message, frozen=True):
    """Parts that did not connect are models of their own."""

    models: tuple[Model, ...]
    cut: bool = False  # the mapper was ended by its time limit before it was done


class Fit(Message, frozen=True):
    """How well cameras explain the images."""

    points: Count
    observations: Count
    error_px: NotNegative  # mean reprojection error


class Moved(Message, frozen=True):
    """How far adjusting moved supplied cameras, in the user's coordinates."""

    cameras: Count
    deg: NotNegative  # median rotation
    share: NotNegative  # median distance / mean distance of the cameras from their centre
    far: tuple[str, ...]  # images that moved far


class SuppliedFit(Message, frozen=True):
    """Whether supplied cameras fit the images."""

    as_supplied: Fit
    adjusted: Fit | None = None  # None: adjusting them does not pay
    lens_adjusted: bool = False
    moved: Moved | None = None  # by adjusting
    contradicts: bool = False  # the images put the cameras elsewhere
    fits_as: str = ""  # the reading of the file that would fit; empty: none of the usual mistakes


class Registered(Message, frozen=True):
    """The model with the supplied cameras; none where they contradict the images."""

    models: tuple[Model, ...]
    fit: SuppliedFit


class Centres(Message, frozen=True):
    """For each model the camera centres, by image name."""

    centres: tuple[dict[str, Point], ...]


class MarkerSeen(Message, frozen=True):
    """A printed marker in an image."""

    number: Count
    corners: tuple[Corner, Corner, Corner, Corner]  # in the plane one unit before the camera, in the marker's own order


class UndistortedView(Message, frozen=True):
    """One pinhole image. The names of its fields are those in views.json."""

    image: str
    width: Positive
    height: Positive
    K: tuple[Point, Point, Point]  # intrinsics in pixels of this image
    world_to_camera: tuple[Row, Row, Row, Row]
    masked: bool = False  # there is a mask of its name in the folder of the masks
    markers: tuple[MarkerSeen, ...] = ()


class UndistortedViews(Message, frozen=True):
    """In the order of the request."""

    views: tuple[UndistortedView, ...]


class Step(Message, frozen=True):
    """A line on stdout while the process works: so many images more are registered, or written."""

    placed: Count


# ---- requests --------------------------------------------------------------------------------------------------------


class Request(Message, Generic[AnswerT], frozen=True, tag_field="action"):
    """Asks for an `AnswerT`."""

    answer: ClassVar[type[Message]]  # the same type, for decoding
    seed: Count  # of everything random in COLMAP

    @property
    def action(self) -> str:
        """Its name, for people."""
        return str(self.__struct_config__.tag)


class Group(Message, frozen=True):
    """Images that share a camera: those of one shot."""

    names: tuple[str, ...]
    focal_ratio: float | None  # focal length of the metadata / long side; None: not known
    lens: Literal["usual", "pinhole", "fisheye"] = "usual"  # a pinhole has exactly that focal length


class Source(Message, frozen=True):
    """Where images are, and the database they come into."""

    database: str
    images: str  # folder
    camera_model: str  # COLMAP's name


class MapperRun(Message, frozen=True):
    """Input, output and limits of a mapper."""

    database: str
    images: str  # folder
    output: str  # folder, made by the process
    max_runtime_s: Positive
    fixed_lens: bool  # focal lengths stay as they are
    threads: Threads


class SuppliedCamera(Message, frozen=True):
    """One camera that the user supplies."""

    lens: Lens
    pose: Pose


class TakeOver(Request[Reused], frozen=True, tag="take_over"):
    """Features and matches of a known database into a new one."""

    answer = Reused
    source: Source
    passes: tuple[tuple[Group, ...], ...]  # images in the order in which they get their numbers
    known: str  # path of the known database
    known_hashes: dict[str, str]  # of the pixels, by image name
    hashes: dict[str, str]


class Extract(Request[Features], frozen=True, tag="extract"):
    """Features of the images of these groups."""

    answer = Features
    source: Source
    groups: tuple[Group, ...]
    features: Positive  # at most, per image
    max_image_size: Positive  # px, long side
    sensitive: bool  # weak ones as well
    threads: Threads
    masks: str = ""  # folder of runner/scene/masks.py; empty: all of the images is used
    enough: Share = 1.0  # of `features`: a large image that has so many at its own size is not enlarged for more


class ChoosePairs(Request[Pairs], frozen=True, tag="choose_pairs"):
    """Looks which images look alike, by few features of each."""

    answer = Pairs
    database: str
    shots: tuple[tuple[str, ...], ...]  # names of all images, of each shot in order of time
    each: Positive  # look-alikes per image
    in_time: Count  # images after each one in its shot
    rigs: tuple[tuple[str, ...], ...] = ()  # see `rigs.configure`; views of one moment are never compared


class Match(Request[Matches], frozen=True, tag="match"):
    """Compares pairs of images and verifies what fits."""

    answer = Matches
    database: str
    pairs: tuple[tuple[str, str], ...] | None  # None: all of them
    guided: bool
    threads: Threads
    rigs: tuple[tuple[str, ...], ...] = ()  # see `rigs.configure`


class Probe(Request[Motions], frozen=True, tag="probe"):
    """Compares pairs within each of some short lists of images: a first look at how the camera moved."""

    answer = Motions
    database: str
    lists: tuple[tuple[str, ...], ...]  # names of images of one shot each, in order of time
    reach: Positive  # an image is compared with so many that follow it in its list
    threads: Threads


class FindBent(Request[Unexplained], frozen=True, tag="find_bent"):
    """Looks whether the pictures of some lists of images are bent, each in another way; see `bending`."""

    answer = Unexplained
    database: str
    lists: tuple[tuple[str, ...], ...]  # names of images of one shot each, in order of time


class ForgetMatches(Request[Done], frozen=True, tag="forget_matches"):
    """Empties the matches of a database."""

    answer = Done
    database: str


class FixLenses(Request[Done], frozen=True, tag="fix_lenses"):
    """Gives the cameras without a focal length from metadata that of a usual phone."""

    answer = Done
    database: str


class Reconstruct(Request[Models], frozen=True, tag="reconstruct"):
    """Cameras and points from matches."""

    answer = Models
    run: MapperRun
    mapper: Literal["incremental", "global"]  # see Rung


class Register(Request[Registered], frozen=True, tag="register"):
    """Points from matches with the cameras that the user supplies."""

    answer = Registered
    run: MapperRun
    supplied: dict[str, SuppliedCamera]  # by image name
    names: tuple[str, ...]  # all images
    axes: Literal["opengl", "opencv"]  # of the user's file


class Cut(Request[Model], frozen=True, tag="cut"):
    """A model without some of its images."""

    answer = Model
    model: str  # folder
    drop: tuple[str, ...]  # image names
    output: str  # folder


class FindCentres(Request[Centres], frozen=True, tag="centres"):
    """Where the cameras of models are."""

    answer = Centres
    models: tuple[str, ...]  # folders


class Rename(Message, frozen=True):
    """An image of a model under another name and at another size."""

    name: str
    width: Positive
    height: Positive


class Rescale(Request[Model], frozen=True, tag="rescale"):
    """A model for images of another size, or for fewer of them."""

    answer = Model
    model: str  # folder
    output: str  # folder
    images: dict[str, Rename]  # by the name in the model; others are left out


class Undistort(Request[UndistortedViews], frozen=True, tag="undistort"):
    """Pinhole images of the registered ones, and their masks where they have some."""

    answer = UndistortedViews
    images: str  # folder
    model: str  # folder
    output: str  # folder
    names: tuple[str, ...]
    long_side: Positive  # px
    masks: str = ""  # folder of runner/scene/masks.py; empty: no image has one
    masks_output: str = ""  # folder
    markers: bool = False  # they are looked for


AnyRequest = (
    TakeOver | Extract | Probe | ChoosePairs | Match | FindBent | ForgetMatches | FixLenses | Reconstruct | Register
    | Cut | FindCentres | Rescale | Undistort
)  # fmt: skip


class Order(Message, frozen=True):
    """A request as it lies in its file."""

    request: AnyRequest
    result: str  # path that the answer is written to
    workspace: str  # the only folder that the process may write to


def encode(request: Request[AnswerT], result: str, workspace: str) -> bytes:
    """The order for a request; see `Order`."""
    return msgspec.json.encode(Order(request=request, result=result, workspace=workspace))  # type: ignore[arg-type]


def decode_answer(request: Request[AnswerT], data: bytes) -> AnswerT:
    """Raises ValueError, RecursionError for what is no answer to this request."""
    return cast(AnswerT, msgspec.json.decode(data, type=request.answer))


def steps_of(line: bytes) -> int:
    """How many images a line of the process reports; 0 for what is no `Step`: COLMAP writes lines as well."""
    try:
        return msgspec.json.decode(line, type=Step).placed
    except (ValueError, RecursionError):  # ValueError: of msgspec as well
        return 0
