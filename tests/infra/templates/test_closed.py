"""What keeps strangers out: no key, no public blob, no password, narrow doors; and that work which is stuck is told."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from function_app import triggers
from scenejobs.logs.alerts import Alert
from tests.infra.templates import bicep
from tests.infra.templates.deployed import INFRA, app_settings, deploy

SUBSCRIPTION = {
    "name": "uploads-dev",
    "topicName": "evgt", "functionAppName": "func", "functionAppGroupName": "rg", "storageAccountName": "stvideos",
    "storageAccountGroupName": "rg-shared", "inputContainer": "input", "deadLetterContainer": "eventgrid-deadletter",
}  # fmt: skip


def accounts(variables: dict[str, str]) -> dict[str, dict[str, Any]]:
    """Properties of the account with the videos and of the host's."""
    made = deploy(variables).of("Microsoft.Storage/storageAccounts")
    return {"videos" if item.name.startswith("st") else "host": item.body["properties"] for item in made}


# ---- storage ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["videos", "host"])
def test_storage_takes_no_key_no_stranger_and_no_old_tls(which: str) -> None:
    properties = accounts({})[which]
    assert properties["allowSharedKeyAccess"] is False
    assert properties["allowBlobPublicAccess"] is False
    assert properties["allowCrossTenantReplication"] is False
    assert properties["supportsHttpsTrafficOnly"] is True
    assert properties["minimumTlsVersion"] == "TLS1_2"
    assert properties["isHnsEnabled"] is False, "renames would raise other events than uploads"


def test_keys_can_be_allowed_on_the_videos_alone() -> None:
    found = accounts({"USE_STORAGE_KEYS": "true"})
    assert (found["videos"]["allowSharedKeyAccess"], found["host"]["allowSharedKeyAccess"]) == (True, False)


def test_containers_are_private_and_what_is_deleted_can_be_brought_back() -> None:
    deployment = deploy({"SOFT_DELETE_DAYS": "14"})
    containers = deployment.of("Microsoft.Storage/storageAccounts/blobServices/containers")
    assert {item.body["properties"]["publicAccess"] for item in containers} == {"None"}
    services = deployment.of("Microsoft.Storage/storageAccounts/blobServices")
    assert len(services) == 2
    for service in services:
        for policy in ("deleteRetentionPolicy", "containerDeleteRetentionPolicy"):
            assert service.body["properties"][policy] == {"enabled": True, "days": 14}


# ---- network ---------------------------------------------------------------------------------------------------------


def test_a_private_network_shuts_storage_for_all_but_event_grid_and_the_given_addresses() -> None:
    variables = {"PRIVATE_NETWORKING": "true", "ALLOWED_IP_RANGES": "198.51.100.0/24, 203.0.113.7"}
    found = accounts(variables)
    assert found["videos"]["networkAcls"] == {
        "defaultAction": "Deny",
        "bypass": "AzureServices",
        "ipRules": [{"value": value, "action": "Allow"} for value in ("198.51.100.0/24", "203.0.113.7")],
    }
    assert found["host"]["networkAcls"] == {"defaultAction": "Deny", "bypass": "AzureServices", "ipRules": []}
    assert accounts({})["videos"]["networkAcls"]["defaultAction"] == "Allow"


def test_a_private_network_has_an_endpoint_with_a_name_for_every_service_in_use() -> None:
    deployment = deploy({"PRIVATE_NETWORKING": "true"})
    found = {
        (
            item.body["properties"]["privateLinkServiceConnections"][0]["properties"]["privateLinkServiceId"][-4:],
            service,
        )
        for item in deployment.of("Microsoft.Network/privateEndpoints")
        for service in item.body["properties"]["privateLinkServiceConnections"][0]["properties"]["groupIds"]
    }
    videos = deployment.outputs["AZURE_STORAGE_ACCOUNT_NAME"][-4:]
    host = deployment.outputs["FUNCTION_STORAGE_ACCOUNT_NAME"][-4:]
    assert videos == host, "both end with the same token"
    names = {item.name for item in deployment.of("Microsoft.Network/privateEndpoints")}
    stems = {name.removeprefix("pe-")[:2] + name[name.rindex("-") :] for name in names}
    assert stems == {"st-blob", "st-queue", "fn-blob", "fn-queue", "fn-table"}
    assert {service for _, service in found} == {"blob", "queue", "table"}
    zones = {item.name for item in deployment.of("Microsoft.Network/privateDnsZones")}
    assert zones == {f"privatelink.{service}.core.windows.net" for service in ("blob", "queue", "table")}
    for group in deployment.of("Microsoft.Network/privateEndpoints/privateDnsZoneGroups"):
        (zone,) = group.body["properties"]["privateDnsZoneConfigs"]
        assert zone["properties"]["privateDnsZoneId"].rpartition("/")[2] in zones


def test_in_a_private_network_job_and_function_live_in_it_and_reach_azure_only() -> None:
    deployment = deploy({"PRIVATE_NETWORKING": "true"})
    environment = deployment.one("Microsoft.App/managedEnvironments").body["properties"]
    app = deployment.one("Microsoft.Web/sites").body["properties"]
    subnets = deployment.one("Microsoft.Network/virtualNetworks").body["properties"]["subnets"]
    assert environment["vnetConfiguration"]["infrastructureSubnetId"].endswith("/subnets/jobs")
    assert app["virtualNetworkSubnetId"].endswith("/subnets/functions")
    assert environment["vnetConfiguration"]["internal"] is True
    for subnet in subnets[:2]:
        assert subnet["properties"]["networkSecurityGroup"]["id"].endswith("-egress")
        (delegation,) = subnet["properties"]["delegations"]
        assert delegation["properties"]["serviceName"] == "Microsoft.App/environments"
    rules = [item.body["properties"] for item in deployment.of("Microsoft.Network/networkSecurityGroups/securityRules")]
    (deny,) = [rule for rule in rules if rule["access"] == "Deny"]
    assert (deny["direction"], deny["destinationAddressPrefix"]) == ("Outbound", "Internet")
    assert all(rule["priority"] < deny["priority"] for rule in rules if rule is not deny)
    assert len({rule["priority"] for rule in rules}) == len(rules)


def test_without_it_no_network_is_made() -> None:
    deployment = deploy()
    assert [
        item.type for item in deployment.resources if not item.existing and item.deployed and "Network/" in item.type
    ] == []
    assert deployment.one("Microsoft.Web/sites").body["properties"]["virtualNetworkSubnetId"] is None


# ---- function app, registry, logs ------------------------------------------------------------------------------------


def test_the_function_app_takes_no_password_and_no_plain_text() -> None:
    deployment = deploy()
    properties = deployment.one("Microsoft.Web/sites").body["properties"]
    policies = deployment.of("Microsoft.Web/sites/basicPublishingCredentialsPolicies")
    assert {item.name.rpartition("/")[2]: item.body["properties"]["allow"] for item in policies} == {
        "ftp": False,
        "scm": False,
    }
    assert properties["httpsOnly"] is True
    assert "ftpsState" not in properties["siteConfig"], "Flex Consumption refuses it; the policy on ftp shuts it"
    assert (properties["siteConfig"]["minTlsVersion"], properties["siteConfig"]["scmMinTlsVersion"]) == ("1.2", "1.2")
    storage = properties["functionAppConfig"]["deployment"]["storage"]
    assert storage["authentication"]["type"] == "UserAssignedIdentity"


def test_inbound_can_be_kept_to_event_grid() -> None:
    site = deploy({"RESTRICT_INBOUND": "true"}).one("Microsoft.Web/sites").body["properties"]["siteConfig"]
    assert site["ipSecurityRestrictionsDefaultAction"] == "Deny"
    assert [(rule["tag"], rule["ipAddress"]) for rule in site["ipSecurityRestrictions"]] == [
        ("ServiceTag", "AzureEventGrid")
    ]
    site = deploy().one("Microsoft.Web/sites").body["properties"]["siteConfig"]
    assert (site["ipSecurityRestrictionsDefaultAction"], site["ipSecurityRestrictions"]) == ("Allow", [])


def test_registry_and_telemetry_have_no_keys_either() -> None:
    deployment = deploy()
    registry = deployment.one("Microsoft.ContainerRegistry/registries").body["properties"]
    assert registry["adminUserEnabled"] is False
    assert "anonymousPullEnabled" not in registry, "not in this API version; off is the default"
    assert deployment.one("Microsoft.Insights/components").body["properties"]["DisableLocalAuth"] is True
    environment = deployment.one("Microsoft.App/managedEnvironments").body["properties"]
    assert environment["appLogsConfiguration"] == {"destination": "azure-monitor"}, "the other way needs a key"


def test_no_secret_is_in_a_setting_an_output_or_a_parameter() -> None:
    deployment = deploy()
    values = json.dumps(
        [app_settings(deployment), deployment.outputs, deployment.one("Microsoft.App/jobs").body["properties"]]
    )
    assert "listKeys" not in values
    assert "AccountKey" not in values
    assert [path.name for path in INFRA.rglob("*.bicep") if "listKeys(" in path.read_text()] == [
        "eventgrid-subscription.bicep"
    ]


# ---- events ----------------------------------------------------------------------------------------------------------


def subscription(**more: str) -> dict[str, Any]:
    deployment = bicep.deploy(INFRA / "eventgrid-subscription.bicep", SUBSCRIPTION | more, "rg-topic")
    return deployment.one("Microsoft.EventGrid/systemTopics/eventSubscriptions").body["properties"]  # type: ignore[no-any-return]


def test_only_finished_uploads_to_the_input_container_call_the_blob_trigger() -> None:
    properties = subscription()
    assert properties["filter"]["subjectBeginsWith"] == "/blobServices/default/containers/input/blobs/"
    assert properties["filter"]["includedEventTypes"] == ["Microsoft.Storage.BlobCreated"]
    (operations,) = properties["filter"]["advancedFilters"]
    assert operations["values"] == ["CopyBlob", "PutBlob", "PutBlockList", "FlushWithClose"]
    url = properties["destination"]["properties"]["endpointUrl"]
    names = {
        function.get_function_name() for function in _functions() if "blobTrigger" in str(function.get_trigger().type)
    }
    assert names == {"on_upload"}
    assert "/runtime/webhooks/blobs?functionName=Host.Functions.on_upload&code=<listKeys " in url
    assert url.endswith("/Microsoft.Web/sites/func/host/default>.systemKeys.blobs_extension")


def _functions() -> list[Any]:
    return [builder._function for part in triggers.chosen() for builder in part._function_builders]


def test_with_a_queue_the_topic_delivers_as_itself_and_no_key_is_read() -> None:
    """https://learn.microsoft.com/azure/event-grid/handler-storage-queues: delivery with managed identity."""
    properties, by_webhook = subscription(uploadsQueue="uploads"), subscription()
    assert "listKeys" not in json.dumps(properties)
    assert properties["destination"] is None
    delivery = properties["deliveryWithResourceIdentity"]
    assert delivery["identity"] == {"type": "SystemAssigned"}
    assert delivery["destination"]["endpointType"] == "StorageQueue"
    assert delivery["destination"]["properties"] == {
        "resourceId": properties["deadLetterWithResourceIdentity"]["deadLetterDestination"]["properties"]["resourceId"],
        "queueName": "uploads",
        "queueMessageTimeToLiveInSeconds": -1,
    }
    assert by_webhook["deliveryWithResourceIdentity"] is None
    other = ("destination", "deliveryWithResourceIdentity")
    assert {key: properties[key] for key in properties if key not in other} == {
        key: by_webhook[key] for key in by_webhook if key not in other
    }
    assert properties["eventDeliverySchema"] == "EventGridSchema"


def test_with_a_queue_nobody_has_to_get_in() -> None:
    variables = {"RESTRICT_INBOUND": "true", "UPLOADS_QUEUE": "uploads", "ALWAYS_READY_INSTANCES": "1"}
    properties = deploy(variables).one("Microsoft.Web/sites").body["properties"]
    site = properties["siteConfig"]
    assert (site["ipSecurityRestrictionsDefaultAction"], site["ipSecurityRestrictions"]) == ("Deny", [])
    always = properties["functionAppConfig"]["scaleAndConcurrency"]["alwaysReady"]
    assert [item["name"] for item in always] == ["function:on_event", "function:on_quiet"]
    names = {builder._function.get_function_name() for builder in triggers.by_queue._function_builders}
    assert "on_event" in names


@pytest.mark.parametrize("more", [{}, {"uploadsQueue": "uploads"}], ids=["webhook", "queue"])
def test_an_event_that_cannot_be_delivered_is_kept_by_an_identity(more: dict[str, str]) -> None:
    properties = subscription(**more)
    dead_letter = properties["deadLetterWithResourceIdentity"]
    assert dead_letter["identity"] == {"type": "SystemAssigned"}
    destination = dead_letter["deadLetterDestination"]["properties"]
    assert destination["blobContainerName"] == "eventgrid-deadletter"
    assert destination["resourceId"].endswith(
        "/resourceGroups/rg-shared/providers/Microsoft.Storage/storageAccounts/stvideos"
    )
    assert properties["retryPolicy"] == {"maxDeliveryAttempts": 30, "eventTimeToLiveInMinutes": 1440}
    assert deploy().one("Microsoft.EventGrid/systemTopics").body["identity"] == {"type": "SystemAssigned"}


# ---- alerts ----------------------------------------------------------------------------------------------------------


def queries() -> dict[str, str]:
    rules = deploy({"ALERT_OLDEST_SECONDS": "1800"}).of("Microsoft.Insights/scheduledQueryRules")
    return {item.name.removesuffix("-dev"): item.body["properties"]["criteria"]["allOf"][0]["query"] for item in rules}


def test_what_must_be_told_is_told() -> None:
    assert queries().keys() == {"work-waits", "sweep-missing", "poison", "held-back"}
    metrics = deploy().of("Microsoft.Insights/metricAlerts")
    assert {item.body["properties"]["criteria"]["allOf"][0]["metricName"] for item in metrics} == {
        "DeadLetteredCount",
        "DroppedEventCount",
    }


def test_an_alert_needs_a_line_so_that_none_fires_before_the_first_sweep() -> None:
    rules = {item.name: item.body["properties"] for item in deploy().of("Microsoft.Insights/scheduledQueryRules")}
    for properties in rules.values():
        (criterion,) = properties["criteria"]["allOf"]
        assert (criterion["operator"], criterion["threshold"]) == ("GreaterThan", 0)
        assert properties["skipQueryValidation"] is False
    missing = rules["sweep-missing-dev"]
    assert missing["criteria"]["allOf"][0]["query"].endswith(
        "summarize newest = max(TimeGenerated) | where newest < ago(30m)"
    )
    assert missing["windowSize"] == "P1D", "it must still see the last sweep when that is half an hour old"


def test_the_queries_read_lines_as_the_program_writes_them(caplog: pytest.LogCaptureFixture) -> None:
    from tests.dispatch import World

    world = World()
    with caplog.at_level(logging.INFO):
        world.app.sweeper.sweep()
    (line,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("sweep: ")]
    assert json.loads(line[len("sweep: ") :])["oldest_s"] == 0
    assert "parse_json(substring(Message, 7))" in queries()["work-waits"]
    assert len("sweep: ") == 7
    assert "todouble(report.oldest_s) > 1800" in queries()["work-waits"]
    assert all(str(guard).startswith("guard.") for guard in Alert)


def test_alerts_reach_the_address_that_was_given() -> None:
    deployment = deploy({"ALERT_EMAIL": "ops@example.org"})
    group = deployment.one("Microsoft.Insights/actionGroups")
    assert [item["emailAddress"] for item in group.body["properties"]["emailReceivers"]] == ["ops@example.org"]
    assert len(group.body["properties"]["groupShortName"]) <= 12
    for rule in deployment.of("Microsoft.Insights/scheduledQueryRules"):
        assert rule.body["properties"]["actions"]["actionGroups"] == [group.id]
    for alert in deployment.of("Microsoft.Insights/metricAlerts"):
        assert alert.body["properties"]["actions"] == [{"actionGroupId": group.id}]
    assert deploy().of("Microsoft.Insights/actionGroups") == []


# ---- the HTTP API ----------------------------------------------------------------------------------------------------

WEB = {"WEB": "true", "WEB_ENTRA_CLIENT_ID": "<app>"}


def site_of(deployment: bicep.Deployment) -> bicep.Resource:
    return deployment.one("Microsoft.Web/sites")


def test_without_web_there_is_no_identity_no_sign_in_and_no_page_that_may_send_blobs() -> None:
    deployment = deploy()
    assert [item.name for item in deployment.of("Microsoft.Web/sites/config")] == [
        f"{site_of(deployment).name}/appsettings"
    ]
    identities = deployment.of("Microsoft.ManagedIdentity/userAssignedIdentities")
    assert [item.name for item in identities if "web" in item.name] == []
    assert not {"WEB", "WEB_AUTH", "WEB_CLIENT_ID"} & app_settings(deployment).keys()
    for service in deployment.of("Microsoft.Storage/storageAccounts/blobServices"):
        assert service.body["properties"]["cors"] == {"corsRules": []}
    assert (deployment.outputs["WEB_PRINCIPAL_ID"], deployment.outputs["WEB_PAGE"]) == ("", "")


def test_the_page_may_send_blobs_to_the_videos_and_nothing_else_and_no_other_page_may() -> None:
    deployment = deploy(WEB)
    host = site_of(deployment).name
    found = {
        item.name.split("/")[0][:2]: item.body["properties"]["cors"]["corsRules"]
        for item in deployment.of("Microsoft.Storage/storageAccounts/blobServices")
    }
    (rule,) = found["st"]
    assert (rule["allowedOrigins"], rule["allowedMethods"]) == ([f"https://{host}.azurewebsites.net"], ["PUT"])
    assert found["fn"] == []
    assert deployment.outputs["WEB_PAGE"] == f"https://{host}.azurewebsites.net/api/ui"


def test_everybody_signs_in_but_event_grid() -> None:
    """Its webhook is the one path that is left out, and asks for its key."""
    properties = deploy(WEB).one("Microsoft.Web/sites/config", "authsettingsV2").body["properties"]
    assert properties["platform"] == {"enabled": True}
    rules = properties["globalValidation"]
    assert rules["requireAuthentication"] is True
    assert rules["unauthenticatedClientAction"] == "RedirectToLoginPage"
    url = subscription()["destination"]["properties"]["endpointUrl"]
    (path,) = rules["excludedPaths"]
    assert path in url
    assert "code=" in url
    provider = properties["identityProviders"]["azureActiveDirectory"]
    assert provider["registration"]["clientId"] == "<app>"
    assert provider["validation"]["allowedAudiences"] == ["api://<app>", "<app>"]


def test_with_keys_the_host_asks_and_nobody_signs_in() -> None:
    deployment = deploy({"WEB": "true", "WEB_AUTH": "keys"})
    assert [item.name for item in deployment.of("Microsoft.Web/sites/config")] == [
        f"{site_of(deployment).name}/appsettings"
    ]
    assert app_settings(deployment)["WEB_AUTH"] == "keys"


def test_the_api_works_with_an_identity_of_its_own() -> None:
    deployment = deploy(WEB)
    settings = app_settings(deployment)
    assert settings["WEB"] == "true"
    assert "id-web" in settings["WEB_CLIENT_ID"]
    assert settings["WEB_CLIENT_ID"] != settings["AZURE_CLIENT_ID"]
    assert len(site_of(deployment).body["identity"]["userAssignedIdentities"]) == 2


def test_a_closed_function_app_lets_in_those_who_are_named() -> None:
    addresses = {"WEB_ADDRESSES": "198.51.100.0/24, 203.0.113.7/32"}
    variables = WEB | addresses | {"RESTRICT_INBOUND": "true", "UPLOADS_QUEUE": "uploads"}
    site = site_of(deploy(variables)).body["properties"]["siteConfig"]
    assert site["ipSecurityRestrictionsDefaultAction"] == "Deny"
    rules = [(rule["action"], rule["ipAddress"], rule["priority"]) for rule in site["ipSecurityRestrictions"]]
    assert rules == [("Allow", "198.51.100.0/24", 200), ("Allow", "203.0.113.7/32", 201)]
    site = site_of(deploy(WEB | {"WEB_ADDRESSES": "203.0.113.7/32"})).body["properties"]["siteConfig"]
    assert (site["ipSecurityRestrictionsDefaultAction"], site["ipSecurityRestrictions"]) == ("Allow", [])
