"""The HTTP API over in-memory twins: requests as values, and scenes as a runner leaves them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from function_app.web import routes
from function_app.web.http import Request, Response
from function_app.web.site import Site
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore, MemoryLinks, MemoryQueue
from scenejobs.errors import Failure
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.settings.web import WebSettings
from scenejobs.state import layout, records
from scenejobs.state.blobs import InputBlob, OutputFile
from scenejobs.state.record import SceneRecord

OWN = {"x-requested-with": "XMLHttpRequest"}
HERE = {"host": "127.0.0.1:7071"}
SIGNED_IN = {"WEBSITE_AUTH_ENABLED": "True"}


def principal(*roles: str) -> dict[str, str]:
    """The header by which App Service tells who is signed in."""
    claims = [{"typ": "name", "val": "Ada"}, *({"typ": "roles", "val": role} for role in roles)]
    body = {"auth_typ": "aad", "claims": claims, "name_typ": "name", "role_typ": "roles"}
    return {"x-ms-client-principal": base64.b64encode(json.dumps(body).encode()).decode()}


@dataclass
class Web:
    """One site, asked as a person at this machine unless a request says otherwise."""

    settings: WebSettings = field(default_factory=lambda: WebSettings(on=True, auth="local"))
    dispatch: DispatchSettings = field(default_factory=DispatchSettings)
    env: Mapping[str, str] = field(default_factory=dict)
    clock: ManualClock = field(default_factory=ManualClock)

    def __post_init__(self) -> None:
        names = ("input", "output", "processed", "error", "state")
        self.containers = Containers(*(MemoryBlobStore(name, self.clock) for name in names))
        self.queues = Queues(*(MemoryQueue(name, self.clock) for name in ("debounce", "jobs", "poison")))
        self.site = Site(
            self.containers, self.queues, MemoryLinks(), self.settings, self.dispatch, self.env, clock=self.clock
        )

    def over(self, containers: Containers) -> None:
        """The same site over other stores: ones that count."""
        self.site = replace(self.site, containers=containers)

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None, **query: str
    ) -> Response:
        sent = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {**HERE, **(OWN if method != "GET" else {}), "content-type": "application/json", **(headers or {})}
        return routes.answer(self.site, Request(method, path, query, given, sent))

    def document(self, path: str, status: int = 200, **query: str) -> Any:
        return answered(self.ask("GET", path, None, None, **query), status)

    # ---- scenes ----

    def finished(
        self,
        scene: str = "lobby",
        files: Collection[str] = ("viewer.html", "poster.jpg"),
        *,
        doubt: Failure | None = None,
    ) -> None:
        """One upload, archived, and a published result of these files."""
        record = self._worked_on(scene)
        outputs = tuple(OutputFile(name, len(name), hashlib.sha256(name.encode()).hexdigest()) for name in files)
        record = record.committed(outputs, doubt=doubt)
        self._closed(scene, record, "processed")
        for name in files:
            self.containers.output.write(f"{scene}/{name}", name.encode())
        told = [{"name": each.name, "size_bytes": each.size_bytes, "sha256": each.sha256} for each in outputs]
        self.containers.output.write(f"{scene}/manifest.json", json.dumps({"outputs": told}).encode())

    def failed(self, scene: str, failure: Failure) -> None:
        """One upload, in `error` with its reason."""
        record = self._worked_on(scene)
        self._closed(scene, record.given_up(failure, record.manifest, record.run, self.clock()), "error")

    def running(self, scene: str) -> None:
        """run-1 works on it."""
        self.put(self._worked_on(scene))

    def _worked_on(self, scene: str) -> SceneRecord:
        manifest = (InputBlob(f"{scene}/a.mp4", f"etag-{scene}", 5),)
        return SceneRecord(scene).attempted("run-1", manifest, self.clock())

    def _closed(self, scene: str, record: SceneRecord, archive: str) -> None:
        archived = {f"{scene}/a.mp4": f"{archive}/{scene}/a.mp4"}
        self.put(record.closed(archived, self.clock()))

    def put(self, record: SceneRecord) -> None:
        """As the record of its scene."""
        state = self.containers.state
        records.ensure(state, record.scene)
        lease = state.lease(layout.record_name(record.scene), 60)
        stored = records.load(state, record.scene)
        assert stored is not None
        records.save(state, stored, record, lease)
        lease.release()


def answered(response: Response, status: int = 200) -> Any:
    """The document of an answer with this status."""
    assert response.status == status, (response.status, response.body)
    return json.loads(response.body)
