"""What goes wrong, at which step, and in which world: before the first deployment, or in one that works."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

State = dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """`cause` is put into the state right before the step; `survived`: the step itself gets over it."""

    name: str
    step: str
    cause: Callable[[State], None]
    survived: bool = False
    working: bool = False  # in a deployment that works, with new code to deploy
    two_jobs: bool = False  # before the first deployment, with GPU_PROFILE_FALLBACK

    @property
    def world(self) -> str:
        return "two jobs" if self.two_jobs else "working" if self.working else "first"


def value(**values: Any) -> Callable[[State], None]:
    return lambda state: state.update(values)


def env(**values: str) -> Callable[[State], None]:
    return lambda state: state["env"].update(values)


def at(call: str, kind: str, times: int = 1, skip: int = 0) -> Callable[[State], None]:
    def cause(state: State) -> None:
        state["faults"].append({"at": call, "kind": kind, "times": times, "skip": skip, "step": state["step"]})

    return cause


def arm(type: str, code: str, words: str, name: str = "") -> Callable[[State], None]:
    """`name`: part of the resource's."""
    return value(provision_error=[type, code, words, name])


def roles_unknown(seconds: float) -> Callable[[State], None]:
    return lambda state: state.update(roles_from=state["now"] + seconds)


def fresh_clone(state: State) -> None:
    """Another machine: the azd environment knows no more than the deployment's name and place."""
    state["env"] = {name: text for name, text in state["env"].items() if name in
                    ("AZURE_ENV_NAME", "AZURE_LOCATION", "AZURE_SUBSCRIPTION_ID")}  # fmt: skip


def both(*causes: Callable[[State], None]) -> Callable[[State], None]:
    def cause(state: State) -> None:
        for one in causes:
            one(state)

    return cause


def app(**values: Any) -> Callable[[State], None]:
    return lambda state: state["app"].update(values)


ENVIRONMENT, ACCOUNT = "Microsoft.App/managedEnvironments", "Microsoft.Storage/storageAccounts"
FAILURES = [
    Failure("nobody is signed in", "preprovision", value(signed_in=False)),
    Failure("a region that has no such GPU", "preprovision", env(AZURE_LOCATION="westcentralus")),
    Failure("quota of the GPU is 0", "preprovision", value(gpu_limit="0")),
    Failure("throttled once at every read", "preprovision", at("az ", "throttled", times=3), survived=True),
    Failure("Ctrl-C while a provider is registered", "preprovision", at("provider register", "ctrl-c", skip=2)),
    Failure("the job's image cannot be read, in a fresh clone", "preprovision",
            both(fresh_clone, at("resource list", "broken", times=9)), working=True),
    Failure("reading the job hangs, in a fresh clone", "preprovision",
            both(fresh_clone, at("containerapp job show", "hangs", times=9)), working=True),
    Failure("nobody is signed in, in a fresh clone", "preprovision",
            both(fresh_clone, value(signed_in=False)), working=True),
    Failure("another machine, another subscription selected", "preprovision", fresh_clone, survived=True, working=True),
    Failure("quota of the GPU is 0", "provision", arm(ENVIRONMENT, "QuotaExceeded", "Consumption-GPU-NC8as-T4: 0")),
    Failure("the region has no capacity", "provision",
            arm(ENVIRONMENT, "AKSCapacityHeavyUsage", "no capacity in the region")),
    Failure("the storage name is taken", "provision",
            arm(ACCOUNT, "StorageAccountAlreadyTaken", "the name is already taken")),
    Failure("throttled", "provision", arm(ACCOUNT, "TooManyRequests", "throttled")),
    Failure("the token expires half way", "provision", value(signed_in=False)),
    Failure("Ctrl-C", "provision", at("azd", "ctrl-c")),
    Failure("Ctrl-C", "provision", at("azd", "ctrl-c"), working=True),
    Failure("quota of the GPU is 0", "provision",
            arm(ENVIRONMENT, "QuotaExceeded", "Consumption-GPU-NC8as-T4: 0"), working=True),
    Failure("Ctrl-C", "postprovision", at("env get-values", "ctrl-c")),
    Failure("roles are unknown for 4 minutes", "predeploy", roles_unknown(240)),
    Failure("throttled once at the registry", "predeploy", at("repository list", "throttled"), survived=True),
    Failure("throttled when the build is started", "predeploy", at("acr build", "throttled")),
    Failure("throttled while the build is watched", "predeploy", at("show-run", "throttled"), survived=True),
    Failure("the build fails", "predeploy", value(build_ends="Failed")),
    Failure("the build is cancelled", "predeploy", value(build_ends="Canceled")),
    Failure("the subscription may not build", "predeploy", value(may_build=False)),
    Failure("the token expires during the build", "predeploy", at("show-run", "signed out", skip=1)),
    Failure("Ctrl-C when the build is started", "predeploy", at("acr build", "ctrl-c")),
    Failure("the answer of the build is lost", "predeploy", at("acr build", "lost")),
    Failure("Ctrl-C while the build is looked at", "predeploy", at("show-run", "ctrl-c", skip=1)),
    Failure("Ctrl-C while the log is shown", "predeploy", at("task logs", "ctrl-c")),
    Failure("the registry cannot be read", "predeploy", at("repository list", "broken", times=9), working=True),
    Failure("roles are unknown for 4 minutes", "deploy dispatcher", roles_unknown(240)),
    Failure("the build takes more than 20 minutes", "deploy dispatcher", value(zip_build_s=1500.0)),
    Failure("the token expires", "deploy dispatcher", value(signed_in=False), working=True),
    Failure("Ctrl-C", "deploy dispatcher", at("azd", "ctrl-c"), working=True),
    Failure("the build takes more than 20 minutes", "deploy runner", value(code_build_s=1500.0)),
    Failure("the build takes more than 20 minutes", "deploy runner", value(code_build_s=1500.0), working=True),
    Failure("the token expires", "deploy runner", value(signed_in=False)),
    Failure("Ctrl-C", "deploy runner", at("azd", "ctrl-c")),
    Failure("a cold host refuses the handshake for 2 minutes", "postdeploy", value(cold_s=120.0), survived=True),
    Failure("a host that never gets warm", "postdeploy", value(cold_s=1e7)),
    Failure("throttled", "postdeploy", at("group create", "throttled"), survived=True),
    Failure("refused (403)", "postdeploy", at("group create", "forbidden")),
    Failure("the token expires", "postdeploy", at("group create", "signed out")),
    Failure("Ctrl-C at the subscription", "postdeploy", at("group create", "ctrl-c")),
    Failure("Ctrl-C at the handshake's second try", "postdeploy", both(value(cold_s=120.0), at("sleep", "ctrl-c"))),
    Failure("the functions do not index", "postdeploy", app(functions=[])),
    Failure("the functions do not index", "postdeploy", app(functions=["sweep"]), working=True),
    Failure("quota of the second GPU is 0", "preprovision", value(second_limit="0"), two_jobs=True),
    Failure("the second region has no such GPU", "preprovision", env(GPU_PROFILE_FALLBACK_LOCATION="southindia"),
            two_jobs=True),
    Failure("the second region has no capacity", "provision",
            both(env(GPU_PROFILE_FALLBACK_LOCATION="westus3"),
                 arm(ENVIRONMENT, "AKSCapacityHeavyUsage", "no capacity in the region", "cae-fallback")),
            two_jobs=True),
    Failure("Ctrl-C", "provision", at("azd", "ctrl-c"), two_jobs=True),
    Failure("throttled when the second job gets its image", "postdeploy", at("job update", "throttled"), survived=True,
            two_jobs=True),
    Failure("the image for the second job cannot be read", "postdeploy", at("job show", "broken", times=9),
            two_jobs=True),
    Failure("refused (403) when the second job gets its image", "postdeploy", at("job update", "forbidden", times=9),
            two_jobs=True),
    Failure("Ctrl-C when the second job gets its image", "postdeploy", at("job update", "ctrl-c"), two_jobs=True),
]  # fmt: skip
