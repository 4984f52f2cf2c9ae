"""Messages between the pose stage and the COLMAP process: a mistake is refused, a right one arrives as it was."""

from __future__ import annotations

import ast
import json
import math
import typing
from pathlib import Path

import msgspec
import pytest

from runner.poses.colmap.process import answer
from runner.poses.colmap.requests import (
    AnyRequest,
    FindCentres,
    ForgetMatches,
    MapperRun,
    Matches,
    Message,
    Model,
    Order,
    Reconstruct,
    Register,
    Request,
    SuppliedCamera,
    decode_answer,
    encode,
    steps_of,
)
from runner.poses.supplied.cameras import Lens
from tests.pose_models import model

ROOT = Path(__file__).parents[5]
RUN = MapperRun(database="a.db", images="frames", output="models0", max_runtime_s=9, fixed_lens=False, threads=1)
CAMERA = SuppliedCamera(
    lens=Lens(320, 240, 300.5, 300, 160, 120, sure=False), pose=(1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 5)
)
REQUESTS = [
    Reconstruct(seed=1, run=RUN, mapper="global"),
    Register(seed=1, run=RUN, supplied={"a/1.png": CAMERA}, names=("a/1.png", "a/2.png"), axes="opengl"),
    FindCentres(seed=0, models=("m", "n")),
]


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.action)
def test_an_order_arrives_as_it_was(request_: Request[typing.Any]) -> None:
    order = msgspec.json.decode(encode(request_, result="result.json", workspace="w"), type=Order)
    assert order == Order(request=request_, result="result.json", workspace="w")


KINDS = typing.get_args(AnyRequest)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_request_is_answered_with_the_type_that_it_names(kind: type[Request[Message]]) -> None:
    """The type for mypy and the one for decoding are written down apart."""
    (promised,) = typing.get_args(kind.__orig_bases__[0])  # type: ignore[attr-defined]
    assert kind.answer is promised


def test_requests_have_names_of_their_own() -> None:
    assert len({kind.__struct_config__.tag for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize(
    "change",
    [{"seed": -1}, {"seed": 1.5}, {"seed": None}, {"mapper": "other"}, {"more": 1}, {"action": "unknown"},
     {"run": {}}],
    ids=str,
)  # fmt: skip
def test_an_order_with_a_mistake_is_refused(change: dict[str, object]) -> None:
    order = json.loads(encode(REQUESTS[0], result="r", workspace="w"))
    order["request"].update(change)
    with pytest.raises(ValueError):  # noqa: PT011 - of msgspec
        msgspec.json.decode(json.dumps(order).encode(), type=Order)


def test_a_model_keeps_its_numbers_to_the_last_bit() -> None:
    found = msgspec.structs.replace(model(3), mean_reprojection_error_px=0.1 + 0.2)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Model) == found


@pytest.mark.parametrize("number", [math.nan, math.inf, -0.5])
def test_a_model_with_a_number_that_cannot_be_is_refused(number: float) -> None:
    data = msgspec.json.encode(msgspec.structs.replace(model(), mean_track_length=number))
    with pytest.raises(ValueError):  # noqa: PT011 - of msgspec
        msgspec.json.decode(data, type=Model)


@pytest.mark.parametrize("turning", [-0.01, 1.01])
def test_shares_lie_between_nothing_and_all(turning: float) -> None:
    data = json.dumps({"pairs": 1, "links": [["a", "b"]], "turning": turning}).encode()
    with pytest.raises(ValueError):  # noqa: PT011 - of msgspec
        msgspec.json.decode(data, type=Matches)


def test_the_answer_to_one_request_is_none_to_another(tmp_path) -> None:
    import pycolmap

    path = str(tmp_path / "database.db")
    pycolmap.Database.open(path).close()
    request = ForgetMatches(seed=0, database=path)
    data = msgspec.json.encode(answer(request))
    assert decode_answer(request, data) == ForgetMatches.answer()
    with pytest.raises(ValueError):  # noqa: PT011 - of msgspec
        decode_answer(REQUESTS[0], data)


@pytest.mark.parametrize(
    ("line", "steps"),
    [(b'{"placed": 3}\n', 3), (b"I2026 colmap: hello", 0), (b'{"placed": -1}', 0), (b'{"placed": 1, "x": 2}', 0),
     (b'"\xff"', 0), (b"[" * 100_000, 0)],
    ids=["step", "words", "negative", "unknown field", "no text", "deep"],
)  # fmt: skip
def test_only_steps_count_as_progress(line: bytes, steps: int) -> None:
    assert steps_of(line) == steps


def test_every_field_of_a_request_is_set_by_somebody() -> None:
    """A field that keeps its default in every request is a promise that nobody asks for."""
    set_by: dict[str, set[str]] = {}
    for path in (ROOT / "runner").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(call, ast.Call) and (names := {word.arg for word in call.keywords if word.arg}):
                set_by.setdefault(ast.unparse(call.func).rsplit(".", 1)[-1], set()).update(names)
    changed = set_by.get("replace", set())  # of a request that is there, by name
    for request in Request.__subclasses__():
        missing = set(request.__struct_fields__) - set_by.get(request.__name__, set()) - changed
        assert not missing, f"{request.__name__}: nobody sets {', '.join(sorted(missing))}"
