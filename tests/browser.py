"""A page in the real Chromium, where one is installed, asked over its debugging pipe."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-dev-shm-usage", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
    "--remote-debugging-pipe", "--no-first-run", "--disable-background-networking",
)  # fmt: skip


class Page:
    """One page; `log` is what its console and the browser say of it, what a policy forbade among it."""

    def __init__(self, requests: int, answers: int) -> None:
        self._requests, self._answers = requests, answers
        self._buffer = b""
        self._number = 0
        self._session = ""
        self._target = ""
        self.log: list[str] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._requests, json.dumps(message).encode() + b"\0")
        while True:
            said = self._next()
            if said.get("id") == self._number:
                assert "error" not in said, said
                return dict(said["result"])
            if said.get("method") in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown"):
                self.log.append(json.dumps(said["params"]))

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            data = os.read(self._answers, 1 << 16)
            assert data, "the browser ended"
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(line))

    def open(
        self, place: Path | str, *, query: str = "", fragment: str = "", before: str = "",
        size: tuple[int, int] | None = None,
    ) -> None:  # fmt: skip
        """In a new tab; the one before it is closed.

        place: a file, or an address. query, fragment: of it, behind its ? and #. before: a script that runs before the
        page's own.
        size: width and height in CSS pixels, at a density of 1.
        """
        self._session = ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        if self._target:
            self.call("Target.closeTarget", targetId=self._target)
        self._target = target
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.log.clear()
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")
        if before:
            self.call("Page.addScriptToEvaluateOnNewDocument", source=before)
        if size:
            self.resize(*size)
        address = place if isinstance(place, str) else place.as_uri()
        address += (f"?{query}" if query else "") + (f"#{fragment}" if fragment else "")
        self.call("Page.navigate", url=address)

    def resize(self, width: int, height: int) -> None:
        wanted = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.call("Emulation.setDeviceMetricsOverride", **wanted)

    def connected(self, on: bool, bytes_per_s: float = -1) -> None:
        """Whether there is a network, and how fast it takes what is sent; -1: as it is."""
        self.call("Network.enable")
        limits = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": bytes_per_s}
        self.call("Network.emulateNetworkConditions", offline=not on, **limits)

    def prefer(self, feature: str, value: str) -> None:
        """A media feature of the person's system, `prefers-reduced-motion` for one."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": feature, "value": value}])

    def press(self, key: str) -> None:
        """A key, down and up. key: as in KeyboardEvent.key; one character, or a name."""
        text = key if len(key) == 1 else {"Enter": "\r"}.get(key, "")
        codes = {" ": 32, "Enter": 13, "Tab": 9, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39}
        code = codes.get(key, ord(key.upper()) if len(key) == 1 else 0)
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code,
                **({"text": text} if text and kind == "keyDown" else {}),
            )  # fmt: skip

    def click(self, x: float, y: float, count: int = 1) -> None:
        for number in range(1, count + 1):
            for kind in ("mousePressed", "mouseReleased"):
                self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=number)

    def picture(self, whole: bool = False) -> bytes:
        """A PNG of what is seen; of the whole page, however long, if asked."""
        self.call("Page.bringToFront")  # else no frame may come, and the call waits for one
        taken = self.call("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        return base64.b64decode(taken)

    def choose(self, selector: str, files: Iterable[Path]) -> None:
        """Files, in an input of that kind."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path.resolve()) for path in files])

    def drag(self, selector: str, files: Iterable[Path], *, drop: bool = True) -> None:
        """Files from a folder of the person's, over an element; and let go there."""
        self.value(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{ block: 'center' }})")
        box = json.loads(
            self.value(f"JSON.stringify(document.querySelector({json.dumps(selector)}).getBoundingClientRect())")
        )
        place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
        held = {"items": [], "files": [str(path.resolve()) for path in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", *(["drop"] if drop else [])):
            self.call("Input.dispatchDragEvent", type=kind, data=held, **place)

    def value(self, expression: str) -> Any:
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        return found["result"].get("value")

    def until(self, expression: str, seconds: float = 240.0) -> bool:
        """Whether it became true in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.value(expression):
                return True
            time.sleep(0.1)
        return False


@contextmanager
def page(path: Path, profile: Path) -> Iterator[Page]:
    """The page, opened. Needs CHROMIUM."""
    with browser(profile) as opened:
        opened.open(path)
        yield opened


@contextmanager
def browser(profile: Path) -> Iterator[Page]:
    """The browser, for `Page.open` as often as wanted. Needs CHROMIUM."""
    assert CHROMIUM
    to_read, to_write = os.pipe(), os.pipe()

    def give_pipes() -> None:
        """They are to be 3 and 4, which the pipes themselves may be."""
        reading, writing = os.dup(to_read[0]), os.dup(to_write[1])
        high = [os.dup2(reading, 60), os.dup2(writing, 61)]
        os.dup2(high[0], 3)
        os.dup2(high[1], 4)

    started = subprocess.Popen(
        [CHROMIUM, *OPTIONS, f"--user-data-dir={profile}", "about:blank"],
        preexec_fn=give_pipes, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(profile)}, start_new_session=True,
    )  # fmt: skip
    os.close(to_read[0])
    os.close(to_write[1])
    try:
        yield Page(to_read[1], to_write[0])
    finally:
        with suppress(ProcessLookupError):
            os.killpg(started.pid, 9)
        started.wait()
        os.close(to_read[1])
        os.close(to_write[0])
