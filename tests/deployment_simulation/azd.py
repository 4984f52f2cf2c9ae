"""azd's own steps on the model: package, provision and the deployment of each service.

What is made comes from the real templates (tests/infra/templates/deployed.py), in waves of tests/infra/azd/dry_run.py:
limits and order are from azd's source: 1,200 s for one service; outputs are kept only after a whole provisioning; the
job's image is what azd last put into SERVICE_RUNNER_IMAGE_NAME. Its messages name the step; the code in brackets is
Resource Manager's.
"""

from __future__ import annotations

from typing import Any

from tests.deployment_simulation.cloud import PLACEHOLDER
from tests.infra.azd.dry_run import waves
from tests.infra.templates.deployed import MAIN, deploy

DEPLOY_LIMIT_S = 1200.0
PROVISION_S = 400.0


class StepFailed(Exception):
    """azd ends with 1 and says this."""


def run(name: str, state: dict[str, Any]) -> str:
    """Raises StepFailed."""
    if name == "package":
        return ""
    if not state["signed_in"]:
        raise StepFailed(f"ERROR: {name}: not logged in, run `azd auth login` to login")
    for fault in state["faults"]:
        if fault.get("step") == name and fault["at"] == "azd" and fault.get("times", 1) > 0:
            fault["times"] = 0
            state["hits"] += 1
            if fault["kind"] == "ctrl-c":
                state["cut"] = name
            else:
                raise StepFailed(f"ERROR: {name}: {fault['kind']}")
    return {"provision": provision, "deploy dispatcher": dispatcher, "deploy runner": runner}[name](state)


def provision(state: dict[str, Any]) -> str:
    values = {name: value for name, value in state["env"].items() if value}
    deployment = deploy({name: value for name, value in values.items() if not name.startswith("DEPLOYED_")})
    first = not any(item["type"] == "Microsoft.App/jobs" for item in state["resources"].values())
    if state["now"] < state["deploying_until"]:
        raise StepFailed("ERROR: provision: (DeploymentActive) The deployment with the same name is still active.")
    error = state["provision_error"]  # resource type, code, words, part of a name
    groups = [item for item in deployment.resources if item.type == "Microsoft.Resources/resourceGroups"]
    for wave in waves(MAIN, {"newGroup", *deployment.modules}):
        for symbol in wave:
            for item in groups if symbol == "newGroup" else deployment.modules[symbol].resources:
                if not item.deployed or item.existing:
                    continue
                if error and item.type == error[0] and error[3] in item.name:
                    state["hits"] += 1
                    raise StepFailed(f"ERROR: provision: deployment failed: {item.name}: ({error[1]}) {error[2]}")
                tags = item.body.get("tags", {})
                made = {"id": item.id, "type": item.type, "name": item.name, "tags": tags}
                if item.type == "Microsoft.App/jobs":
                    made["image"] = item.body["properties"]["template"]["containers"][0]["image"]
                state["resources"][item.id] = made
    state["now"] += PROVISION_S
    if first:
        state["roles_from"] = state["now"] + state["role_delay_s"]
    if state.pop("cut") == "provision":  # Resource Manager goes on; azd keeps no output
        state["cut"] = ""
        state["now"] -= PROVISION_S / 2
        state["deploying_until"] = state["now"] + PROVISION_S / 2
        raise StepFailed("ERROR: provision: interrupted")
    state["cut"] = ""
    state["env"].update({name: str(value) for name, value in deployment.outputs.items()})
    return ""


def dispatcher(state: dict[str, Any]) -> str:
    app = state["app"]
    if state["now"] < state["roles_from"]:
        raise StepFailed(
            "ERROR: deploy dispatcher: (AuthorizationPermissionMismatch) the package may not be written (403)"
        )
    within_limit(state, "zip_build_s", "dispatcher")
    cut(state, "deploy dispatcher")
    app.update(code=state["code"], woken=False, warm_from=1e18, listed_from=state["now"] + 60)
    return ""


def runner(state: dict[str, Any]) -> str:
    env = state["env"]
    base = env.get("RUNNER_KERNELS_IMAGE", "").partition("/")[2]
    if base not in state["images"]:
        raise StepFailed(f"ERROR: deploy runner: the build of the image failed: {base or 'KERNELS'}: not found")
    if state["now"] < state["roles_from"]:
        raise StepFailed("ERROR: deploy runner: (UNAUTHORIZED) the job may not pull from the registry")
    image = f"runner:azd-deploy-{state['code']}"
    within_limit(state, "code_build_s", "runner")
    if image not in state["images"]:
        state["images"].append(image)
    cut(state, "deploy runner")
    (job,) = [item for item in state["resources"].values() if item.get("tags", {}).get("azd-service-name") == "runner"]
    job["image"] = env["SERVICE_RUNNER_IMAGE_NAME"] = f"{env['AZURE_CONTAINER_REGISTRY_ENDPOINT']}/{image}"
    return ""


def within_limit(state: dict[str, Any], which: str, service: str) -> None:
    state["now"] += min(state[which], DEPLOY_LIMIT_S)
    if state[which] > DEPLOY_LIMIT_S:
        state["hits"] += 1
        raise StepFailed(f"ERROR: deploy {service}: deployment of service '{service}' timed out after 1200 seconds")


def cut(state: dict[str, Any], name: str) -> None:
    if state["cut"] == name:
        state["cut"] = ""
        raise StepFailed(f"ERROR: {name}: interrupted")


__all__ = ["PLACEHOLDER", "StepFailed", "run"]
