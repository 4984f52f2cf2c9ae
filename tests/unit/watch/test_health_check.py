"""`video-splat watch health`, the images' health check, repeats what the watch says and is quiet about jobs."""

from __future__ import annotations

import socket
import threading

import pytest

from scenejobs.errors import ConfigurationError
from watch import health_check, http_server


@pytest.mark.parametrize(("status_code", "exit_code"), [(200, 0), (503, 1)])
def test_the_health_check_says_what_the_watch_says(
    status_code: int, exit_code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {"RUN_MODE": "watch", "HEALTH_CHECK_PORT": str(port), "LISTEN_ADDRESS": "0.0.0.0"}
    with http_server.Server("127.0.0.1", port, {"/health": lambda: http_server.Response(status_code, "{}")}, "X"):
        assert health_check.health(env) == health_check.health(env, if_watching=True) == exit_code
    assert capsys.readouterr().out == "{}\n{}\n"


def test_where_nobody_answers_a_watch_is_unwell_and_a_job_is_not() -> None:
    """One image serves every mode; a job has no server."""
    nobody = {"HEALTH_CHECK_PORT": "1"}
    for mode in ("watch", "serve"):
        assert health_check.health({**nobody, "RUN_MODE": mode}, if_watching=True) == 1
    for env in ({"RUN_MODE": "batch"}, {}, {"RUN_MODE": "watch", "HEALTH_CHECK_ENABLED": "false"}):
        assert health_check.health({**nobody, **env}, if_watching=True) == 0
    assert health_check.health(nobody) == 1, "asked by a person: somebody should be there"
    with pytest.raises(ConfigurationError, match="HEALTH_CHECK_ENABLED"):
        health_check.health({"HEALTH_CHECK_ENABLED": "false"})


def test_what_is_no_answer_of_http_is_unwell() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        thread = threading.Thread(target=lambda: other.accept()[0].close(), daemon=True)
        thread.start()
        assert health_check.health({"HEALTH_CHECK_PORT": str(other.getsockname()[1])}) == 1
        thread.join()
