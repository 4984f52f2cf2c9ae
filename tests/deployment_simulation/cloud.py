"""`az`, `azd`, `curl`, `docker`, `sleep` in front of a model of Azure: one JSON file, and a clock without waiting.

Started once per call, so it imports only what costs nothing. In $CLOUD: `state.json` (world.py makes it) and `table`
(marshal: the commands and options of the real az, by which a call is refused first). A command that the model does not
know ends with 99 and is kept under "unknown": the model must never agree to something by accident.

A fault of the state hits a call: {"at": part of the call, "kind": see FAULTS, "skip": calls let through first, "times":
how many it hits}.
"""

from __future__ import annotations

import json
import marshal
import os
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

SIGNED_OUT = (
    "ERROR: AADSTS700082: The refresh token has expired due to inactivity.\n"
    "Interactive authentication is needed. Please run:\naz login"
)
FAULTS = {  # kind -> what az says, its code, seconds that pass
    "throttled": ("ERROR: (TooManyRequests) The request is throttled. Retry after 20 seconds.", 1, 2),
    "broken": ("ERROR: (ServiceUnavailable) The service is temporarily unavailable.", 1, 30),
    "forbidden": ("ERROR: (AuthorizationFailed) The client 'x' does not have authorization for this action.", 1, 2),
    "hangs": ("", 124, 120),
    "signed out": (SIGNED_OUT, 1, 1),
}  # fmt: skip
KERNELS_S = 1800.0
PLACEHOLDER = "mcr.microsoft.com/k8se/quickstart-jobs:latest"


class Answer(Exception):
    """Ends the call: what it prints, what it says on standard error, its code."""

    def __init__(self, out: str = "", err: str = "", code: int = 0) -> None:
        super().__init__(err)
        self.out, self.err, self.code = out, err, code


class Call:
    """One command line, and the model behind it."""

    def __init__(self, state: dict[str, Any], words: list[str]) -> None:
        self.state, self.words, self.text = state, words, " ".join(words)

    def option(self, name: str, default: str = "") -> str:
        return self.words[self.words.index(name) + 1] if name in self.words else default

    def has(self, *parts: str) -> bool:
        return all(part in self.text for part in parts)

    def refuse(self, code: str, words: str, status: int = 1) -> NoReturn:
        raise Answer(err=f"ERROR: ({code}) {words}\nCode: {code}", code=status)

    def hit(self) -> None:
        """The first fault that fits."""
        for fault in self.state["faults"]:
            if fault["at"] not in self.text or fault.get("step", self.state["step"]) != self.state["step"]:
                continue
            if fault.get("skip", 0) > 0:
                fault["skip"] -= 1
                continue
            if fault.get("times", 1) <= 0:
                continue
            fault["times"] = fault.get("times", 1) - 1
            self.state["hits"] += 1
            if fault["kind"] == "signed out":
                self.state["signed_in"] = False
            if fault["kind"] == "lost":  # the service does it, and its answer never comes
                self.state["lost"] = True
            elif fault["kind"] != "ctrl-c":
                err, code, seconds = FAULTS[fault["kind"]]
                self.state["now"] += seconds
                raise Answer(err=err, code=code)
            else:
                self.state["ctrl_c"] = True
                self.state["cut_at"] = len(self.state["calls"])

    # ---- the answers -------------------------------------------------------------------------------------------------

    def az(self) -> Answer:
        state = self.state
        state["now"] += 2
        if not state["signed_in"]:
            raise Answer(err=SIGNED_OUT, code=1)
        if self.words[1] != "ad" and self.option("--subscription") != state["subscription"]:
            state["wrong_subscription"].append(self.text)
            if self.words[1:3] == ["resource", "list"]:  # of the one that is selected, where there is nothing of ours
                return Answer()
            self.refuse("ResourceNotFound", "The Resource was not found in the subscription that is selected.", 3)
        parts = [word.replace("-", "_") for word in self.words[1:5] if word[:1] != "-"]
        while parts:
            answer = getattr(self, "az_" + "_".join(parts), None)
            if answer:
                return answer()  # type: ignore[no-any-return]
            parts.pop()
        return self.unknown()

    def unknown(self) -> NoReturn:
        self.state["unknown"].append(self.text)
        raise Answer(err=f"the model knows no answer to: {self.text}", code=99)

    def az_account_show(self) -> Answer:
        return Answer(
            {"user.type": "user", "user.name": "me@example.com"}.get(self.option("--query")) or self.unknown()
        )

    def az_ad_signed_in_user_show(self) -> Answer:
        return Answer("11111111-0000-0000-0000-000000000003")

    def az_role_assignment_list(self) -> Answer:
        return Answer("Owner")

    def az_provider_list(self) -> Answer:
        return Answer("\n".join(self.state["providers"]))

    def az_provider_register(self) -> Answer:
        self.state["now"] += 20
        self.state["providers"].append(self.option("--namespace"))
        return Answer()

    def az_rest(self) -> Answer:
        if self.has("Microsoft.App/locations/", "/usages"):
            return Answer(self.state["second_limit" if self.has("A100") else "gpu_limit"])
        return Answer("PayAsYouGo_2014-09-01") if self.has("quotaId") else self.unknown()

    def resources(self, type: str) -> list[dict[str, Any]]:
        return [item for item in self.state["resources"].values() if item["type"] == type]

    def az_resource_list(self) -> Answer:
        if "--tag" not in self.words:
            return self.unknown()
        beside = {"--resource-type", "--name", "--resource-group", "--location"} & set(self.words)
        if beside:  # no parser shows it: the command itself looks
            raise Answer(err=f"ERROR: you cannot use the tag filter with other filters: {sorted(beside)}", code=1)
        name, _, tag = self.option("--tag").partition("=")
        found = [item for item in self.state["resources"].values() if item.get("tags", {}).get(name) == tag]
        if self.option("--query") == "[?tags.\"azd-service-name\"=='runner'].id":
            found = [item for item in found if item["tags"].get("azd-service-name") == "runner"]
        elif self.option("--query") != "[].id":
            return self.unknown()
        return Answer("\n".join(item["id"] for item in found))

    def az_resource_show(self) -> Answer:
        for item in self.resources(self.option("--resource-type")):
            if item["name"] == self.option("--name") and self.has("defaultHostName"):
                return Answer(f"{item['name']}.azurewebsites.net")
        return self.refuse("ResourceNotFound", "The Resource was not found.", 3)

    def az_containerapp_job_show(self) -> Answer:
        for item in self.resources("Microsoft.App/jobs"):
            if item["id"] == self.option("--ids") or item["name"] == self.option("--name"):
                return Answer(item["id"] if self.option("--query") == "id" else item["image"])
        return self.refuse("ResourceNotFound", "The Resource 'Microsoft.App/jobs' was not found.", 3)

    def az_containerapp_job_update(self) -> Answer:
        for item in self.resources("Microsoft.App/jobs"):
            if item["name"] == self.option("--name"):
                item["image"] = self.option("--image")
                return Answer()
        return self.refuse("ResourceNotFound", "The Resource 'Microsoft.App/jobs' was not found.", 3)

    def az_acr_repository(self) -> Answer:
        self.roles_known("registries/pull/read")
        images, wanted = self.state["images"], self.option("--query").partition("'")[2].partition("'")[0]
        if self.words[3] == "list":
            return Answer(
                "\n".join(sorted({image.partition(":")[0] for image in images if image.startswith(f"{wanted}:")}))
            )
        if self.words[3] == "show-tags":
            return Answer(wanted if f"{self.option('--repository')}:{wanted}" in images else "")
        return self.unknown()

    def roles_known(self, action: str) -> None:
        if self.state["now"] < self.state["roles_from"]:
            self.refuse(
                "AuthorizationFailed", f"The client 'me' does not have authorization to perform action '{action}'."
            )

    def az_acr_build(self) -> Answer:
        self.roles_known("registries/scheduleRun/action")
        if not self.state["may_build"]:
            self.refuse("TasksOperationsNotAllowed", "ACR Tasks requests for the registry are not permitted.")
        runs = self.state["runs"]
        run = f"cb{len(runs) + 1}"
        if any(self.run_state(name) == "Running" for name in runs):
            self.state["doubled"].append(run)
        ends = self.state["now"] + KERNELS_S
        runs[run] = {"image": self.option("--image"), "ends": ends, "result": self.state["build_ends"]}
        return Answer(run)

    def run_state(self, name: str) -> str:
        run = self.state["runs"][name]
        if self.state["now"] < run["ends"]:
            return "Running"
        if run["result"] == "Succeeded" and run["image"] not in self.state["images"]:
            self.state["images"].append(run["image"])
        return str(run["result"])

    def az_acr_task(self) -> Answer:
        self.roles_known("registries/runs/read")
        if self.words[3] == "list-runs":
            return Answer("\n".join(name for name in self.state["runs"] if self.run_state(name) == "Running"))
        run = self.option("--run-id")
        if run not in self.state["runs"]:
            self.refuse("ResourceNotFound", f"The run {run} was not found.", 3)
        status = self.run_state(run)
        if self.words[3] == "show-run":
            return Answer(status)
        if status == "Running":  # the log has no end: the hook ends the call
            self.state["now"] += 20
            return Answer("Step 7/23 : RUN ./build_kernels.sh\n[12/41] nvcc", code=124)
        return Answer("nvcc fatal: out of memory" if status == "Failed" else "")

    def az_deployment_group_create(self) -> Answer:
        state, app = self.state, self.state["app"]
        state["now"] += 30
        given = dict(word.split("=", 1) for word in self.words if "=" in word and not word.startswith("-"))
        if not app["code"]:
            self.refuse("BadRequest", "Encountered an error (ServiceUnavailable) from host runtime.")
        if state["now"] < app["warm_from"]:
            raise Answer(
                err="ERROR: (Url validation) Webhook validation handshake failed for https://f/runtime/webhooks/blobs."
                " Http POST request failed with response code Unknown.",
                code=1,
            )
        name = f"{given['topicName']}/{given['name']}"
        id = f"/resourceGroups/{self.option('--resource-group')}/eventSubscriptions/{name}"
        state["resources"][id] = {"id": id, "type": "Microsoft.EventGrid/systemTopics/eventSubscriptions", "name": name}
        return Answer()

    def az_functionapp_function_list(self) -> Answer:
        app = self.state["app"]
        listed = app["functions"] if self.state["now"] >= app["listed_from"] else []
        return Answer("\n".join(f"{self.option('--name')}/{name}" for name in listed))

    def azd(self) -> Answer:
        env = self.state["env"]
        if self.words[1:3] == ["env", "get-values"]:
            return Answer("\n".join(f'{name}="{value}"' for name, value in env.items()))
        if self.words[1:3] == ["env", "set"]:
            env[self.words[3]] = self.words[4]
            return Answer()
        return self.unknown()

    def curl(self) -> Answer:
        app = self.state["app"]
        if app["code"] and not app["woken"]:  # a host that nobody called runs nowhere
            app["woken"], app["warm_from"] = True, self.state["now"] + self.state["cold_s"]
        self.state["now"] += 5
        return Answer()

    def sleep(self) -> Answer:
        self.state["now"] += float(self.words[1])
        self.state["slept_s"] += float(self.words[1])
        return Answer()


def main() -> int:
    folder = os.environ["CLOUD"]
    name = os.path.basename(sys.argv[0])
    with open(f"{folder}/state.json") as file:
        state = json.load(file)
    words = [name, *sys.argv[1:]]
    call = Call(state, words)
    state["calls"].append([state["step"], call.text])
    try:
        if name == "az":
            with open(f"{folder}/table", "rb") as file:
                table = marshal.load(file)
            sys.path.insert(0, os.environ["CLOUD_STUB"])
            from stub import refusal  # type: ignore[import-not-found]  # of tests/infra/scripts: the parser of the real az

            reason = refusal(words[1:], table)
            if reason:
                state["unknown"].append(f"{call.text}: {reason}")
                raise Answer(err=f"ERROR: {reason}", code=2)
        call.hit()
        answer: Answer = getattr(call, name, call.unknown)()
    except Answer as refused:
        answer = refused
    ctrl_c = state.pop("ctrl_c", False)
    if state.pop("lost", False):
        answer = Answer(err="ERROR: Connection aborted. RemoteDisconnected", code=1)
    with open(f"{folder}/state.new", "w") as file:
        json.dump(state, file)
    os.replace(f"{folder}/state.new", f"{folder}/state.json")
    if ctrl_c:  # the service did it; whoever asked is told nothing
        os.killpg(int(os.environ["CLOUD_GROUP"] or os.getpgrp()), signal.SIGINT)
        time.sleep(10)
        with open(f"{folder}/outlived", "w"):  # Ctrl-C did not end this call
            pass
    sys.stderr.write(f"{answer.err}\n" if answer.err else "")
    sys.stdout.write(f"{answer.out}\n" if answer.out else "")
    return answer.code


if __name__ == "__main__":
    sys.exit(main())
