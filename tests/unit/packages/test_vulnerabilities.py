"""A known vulnerability of any lock is named with what mends it, and what could not be looked up is never "none"."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts.packages import vulnerabilities
from scripts.packages.advisories import advisory, affects
from scripts.packages.locks import LOCKS, Lock, Package
from scripts.packages.sources import Answer, Database, NotLookedUp, Osv

# As pypa/advisory-database has it, shortened: its list of versions and most references are left out.
URLLIB3: dict[str, Any] = {
    "id": "PYSEC-2023-212", "modified": "2023-10-25T18:28:34.811764Z", "published": "2023-10-17T20:15:00Z",
    "aliases": ["GHSA-g4mx-q9vg-27p4", "CVE-2023-45803"],
    "details": "urllib3 is a user-friendly HTTP client library for Python.\nMore.",
    "affected": [{
        "package": {"ecosystem": "PyPI", "name": "urllib3", "purl": "pkg:pypi/urllib3"},
        "ranges": [
            {"type": "GIT", "repo": "https://github.com/urllib3/urllib3", "events": [
                {"introduced": "0"}, {"fixed": "4e98d57809dacab1cbe625fddeec1a290c478ea9"}]},
            {"type": "ECOSYSTEM", "events": [
                {"introduced": "2.0.0"}, {"fixed": "2.0.7"}, {"introduced": "0"}, {"fixed": "1.26.18"}]},
        ],
    }],
}  # fmt: skip


def urllib3(version: str) -> Package:
    return Package("PyPI", "urllib3", version)


@pytest.mark.parametrize(
    ("version", "mended"),
    [
        ("1.26.17", "1.26.18"),
        ("2.0.6", "2.0.7"),
        ("2.0.0", "2.0.7"),
        ("1.26.18", None),
        ("2.0.7", None),
        ("2.8.0", None),
    ],
)
def test_a_version_is_affected_by_the_ranges_of_the_record(version: str, mended: str | None) -> None:
    assert affects(URLLIB3, urllib3(version)) == (mended is not None)
    if mended:
        found = advisory(URLLIB3, urllib3(version))
        assert (found.id, found.aliases[0], found.fixed) == ("PYSEC-2023-212", "CVE-2023-45803", mended)


def test_one_without_an_end_affects_every_later_version_and_one_withdrawn_none() -> None:
    open_ended = {**URLLIB3, "affected": [{"package": URLLIB3["affected"][0]["package"], "ranges": [
        {"type": "ECOSYSTEM", "events": [{"introduced": "2.1"}]}]}]}  # fmt: skip
    assert affects(open_ended, urllib3("99.0+cpu"))
    assert advisory(open_ended, urllib3("99.0")).fixed == ""
    assert not affects(open_ended, urllib3("2.0.9"))
    assert not affects({**open_ended, "withdrawn": "2024-01-01T00:00:00Z"}, urllib3("99.0"))
    last = [{"introduced": "0"}, {"last_affected": "2.2.1"}]
    up_to = {
        **open_ended,
        "affected": [{**open_ended["affected"][0], "ranges": [{"type": "ECOSYSTEM", "events": last}]}],
    }
    assert [affects(up_to, urllib3(version)) for version in ("2.2.1", "2.2.2")] == [True, False]


class _Service(BaseHTTPRequestHandler):
    """OSV's answers, in the form that its documentation gives for these two requests."""

    asked: list[dict[str, Any]]

    def do_POST(self) -> None:
        queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        self.asked += queries
        self._answer({"results": [self._result(query) for query in queries]})

    def _result(self, query: dict[str, Any]) -> dict[str, Any]:
        if query["package"] != {"name": "urllib3", "ecosystem": "PyPI"} or query["version"] != "2.0.6":
            return {}
        if "page_token" not in query:  # nothing on the first page, as may be
            return {"next_page_token": "second"}
        return {"vulns": [{"id": URLLIB3["id"], "modified": URLLIB3["modified"]}]}

    def do_GET(self) -> None:
        assert self.path == "/v1/vulns/PYSEC-2023-212"
        self._answer(URLLIB3)

    def _answer(self, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def service(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def test_the_service_is_asked_about_every_package_of_both_ecosystems_and_every_page_is_read() -> None:
    handler = type("Handler", (_Service,), {"asked": []})
    packages = [urllib3("2.0.6"), Package("PyPI", "torch", "2.13.0+cpu"), Package("npm", "@azure/identity", "4.0.0")]
    with service(handler) as url:
        answer = Osv(url).ask(packages)
    assert answer.looked_up == set(packages)
    assert [(each.id, each.fixed) for each in answer.advisories] == [("PYSEC-2023-212", "2.0.7")]
    asked = [(query["package"]["ecosystem"], query["package"]["name"], query["version"]) for query in handler.asked]
    assert ("npm", "@azure/identity", "4.0.0") in asked
    assert ("PyPI", "torch", "2.13.0") in asked, "advisories know no local versions"


class _Refusing(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


def test_an_index_that_answers_404_is_not_a_good_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    with service(_Refusing) as url:
        assert vulnerabilities.main(["--service", url, "--page", str(page)]) == 3
    assert "nothing is known" in capsys.readouterr().err
    assert not page.exists()


def test_a_copy_of_the_database_is_asked_too_and_its_age_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "vulns/urllib3"
    folder.mkdir(parents=True)
    with pytest.raises(NotLookedUp, match="not a copy"):
        Database(tmp_path).ask([urllib3("2.0.6")])
    (folder / "PYSEC-2023-212.yaml").write_text(yaml.safe_dump(URLLIB3))
    node = Package("npm", "urllib3", "2.0.6")
    answer = Database(tmp_path).ask([urllib3("2.0.6"), urllib3("2.8.0"), node])
    assert [each.package for each in answer.advisories] == [urllib3("2.0.6")]
    assert answer.newest == date(2023, 10, 25)
    assert node not in answer.looked_up
    lock = (Lock("x.lock", "x"), [urllib3("2.8.0")])
    clean = Answer("x", date(2026, 11, 1), frozenset(lock[1]), ())
    today = date(2026, 11, 29)
    assert vulnerabilities.verdict([lock], clean, {}, today) == 0
    assert vulnerabilities.verdict([lock], answer, {}, today) == 1, "known, whatever its age"
    assert vulnerabilities.verdict([lock], answer, {"PYSEC-2023-212": "not used"}, today) == 3, "old"
    assert vulnerabilities.verdict([(lock[0], [urllib3("2.8.0"), node])], clean, {}, today) == 3, "not looked up"
    text = vulnerabilities.page([lock], answer, {}, today)
    assert "1131 days old" in text
    assert "| urllib3 2.0.6 | PYSEC-2023-212, CVE-2023-45803, GHSA-g4mx-q9vg-27p4 | 2.0.7 |" in text
    assert "**no**" in text


def test_the_committed_page_is_of_the_locks_as_they_are() -> None:
    text = vulnerabilities.PAGE.read_text()
    for lock in LOCKS:
        assert f"| `{lock.path}` | {lock.use} | {len(set(lock.packages()))} |" in text, "make vulnerabilities"
    for line in vulnerabilities.ACCEPTED.read_text().splitlines():
        assert line.startswith("#") or len(line.split("\t")) == 2
