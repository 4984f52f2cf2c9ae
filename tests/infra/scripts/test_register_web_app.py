"""register-web-app.sh: the application in Entra ID that people sign in to."""

from __future__ import annotations

import json

import pytest

from function_app.web.caller import Role
from tests.infra.scripts.scripted import ROOT, Bench, option

SCRIPT = "scripts/register-web-app.sh"
ROLES = json.loads((ROOT / "scripts/web-app-roles.json").read_text())


@pytest.fixture
def entra(provisioned: Bench) -> Bench:
    """Nobody registered anything; one person exists."""
    provisioned.values |= {"AZURE_ENV_NAME": "dev", "FUNCTION_APP_NAME": "func-dev"}
    provisioned.answer("ad app create", "app-1\n")
    provisioned.answer("ad sp create", "principal-1\n")
    provisioned.answer("ad user show", "person-1\n")
    return provisioned


def test_the_roles_are_those_that_the_program_knows() -> None:
    assert {role["value"] for role in ROLES} == set(Role)
    assert len({role["id"] for role in ROLES}) == len(ROLES)


def test_an_application_is_made_with_roles_and_the_way_back(entra: Bench) -> None:
    ended = entra.run(SCRIPT)
    assert ended.code == 0, ended.err
    (made,) = ended.called("ad app create")
    assert option(made, "--sign-in-audience") == "AzureADMyOrg"
    assert option(made, "--enable-id-token-issuance") == "true"
    assert option(made, "--web-redirect-uris") == "https://func-dev.azurewebsites.net/.auth/login/aad/callback"
    assert option(made, "--app-roles").endswith("/scripts/web-app-roles.json")
    assert ended.called("^azd env set WEB_ENTRA_CLIENT_ID app-1$")
    assert ended.called("^azd env set WEB true$")
    assert "https://func-dev.azurewebsites.net/api/ui" in ended.out


def test_before_the_first_azd_up_there_is_no_way_back_and_it_says_so(entra: Bench) -> None:
    del entra.values["FUNCTION_APP_NAME"]
    ended = entra.run(SCRIPT)
    assert ended.code == 0, ended.err
    assert "--web-redirect-uris" not in ended.called("ad app create")[0]
    assert "this script again" in ended.out


def test_the_same_again_makes_nothing_twice(entra: Bench) -> None:
    entra.answer("ad app list", "app-1\n")
    entra.answer("ad sp list", "principal-1\n")
    entra.answer("rest --method get", "assignment-1\n")
    ended = entra.run(SCRIPT, "--give", "uploader", "ann@example.org")
    assert ended.code == 0, ended.err
    assert ended.called("ad app create|ad sp create|rest --method post") == []
    assert option(ended.called("ad app update")[0], "--id") == "app-1"
    assert "is uploader already" in ended.out


def test_a_person_gets_a_role(entra: Bench) -> None:
    ended = entra.run(SCRIPT, "--give", "operator", "ann@example.org")
    assert ended.code == 0, ended.err
    (given,) = ended.called("rest --method post")
    assert option(given, "--url").endswith("/servicePrincipals/principal-1/appRoleAssignedTo")
    (operator,) = (role["id"] for role in ROLES if role["value"] == "operator")
    wanted = {"principalId": "person-1", "resourceId": "principal-1", "appRoleId": operator}
    assert json.loads(option(given, "--body")) == wanted


def test_a_new_application_is_waited_for(entra: Bench) -> None:
    entra.env["RETRY_DELAY_S"] = "0"
    entra.answers.insert(
        0, {"call": "ad sp create", "out": "", "err": "ERROR: does not exist\n", "code": 1, "times": 2}
    )
    ended = entra.run(SCRIPT)
    assert ended.code == 0, ended.err
    assert len(ended.called("ad sp create")) == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--give", "owner", "ann@example.org"], "use reader, uploader or operator"),
        (["--give", ".*", "ann@example.org"], "use reader, uploader or operator"),
        (["--give", "reader"], "needs a role and a person"),
        (["--name", "it's"], "use letters"),
    ],
)
def test_what_is_wrong_is_refused_before_anything_is_made(arguments: list[str], told: str, entra: Bench) -> None:
    ended = entra.run(SCRIPT, *arguments)
    assert ended.code == 2
    assert told in ended.err
    assert ended.called("^az ad|^azd env set") == []


def test_of_several_with_the_name_one_has_to_be_chosen(entra: Bench) -> None:
    entra.answer("ad app list", "app-1\napp-2\n")
    ended = entra.run(SCRIPT)
    assert ended.code == 2
    assert "--app-id" in ended.err
    assert "app-2" in ended.err
    assert ended.called("ad app create|ad app update") == []


def test_who_may_not_register_is_told_and_nothing_is_switched_on(entra: Bench) -> None:
    entra.answers.insert(
        0,
        {
            "call": "ad app create",
            "out": "",
            "err": "ERROR: Insufficient privileges to complete the operation.\n",
            "code": 1,
        },
    )
    ended = entra.run(SCRIPT)
    assert ended.code == 2
    assert "application developer" in ended.err
    assert "Insufficient privileges" in ended.err
    assert ended.called("^azd env set") == []
