"""scripts/roles.tsv against SECURITY.md: each identity gets what its operations need, by narrow built-in roles."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
READ, WRITE, DELETE = "blobs/read", "blobs/write", "blobs/delete"
# Id and data actions of the built-in roles:
# https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/storage
BUILT_IN = {
    "Storage Blob Data Reader": ("2a2b9908-6ea1-4ae2-8e65-a410df84e7d1", {READ}),
    "Storage Blob Data Contributor": ("ba92f5b4-2d11-453d-a403-e96b0029c9fe", {READ, WRITE, DELETE}),
    "Storage Queue Data Reader": ("19e7f393-937e-4f77-808e-94535e297925", {"queues/read", "messages/read"}),
    "Storage Queue Data Message Sender": ("c6a89b2d-59bc-44d0-9896-0f6e12d7b80a", {"messages/add"}),
    "Storage Queue Data Contributor": (
        "974c5e8b-45b9-4653-ba55-5f855dd0fb88",
        {"queues/read", "messages/read", "messages/add", "messages/process", "messages/write"},
    ),
}
OTHERS = {
    "AcrPull": "7f951dda-4ed3-4680-a7ca-43fe172d538d", "AcrPush": "8311e382-0749-4cb8-b61a-304f252e45ec",
    "Container Apps Jobs Operator": "b9a307c4-5aa3-4b52-ba60-2b17c136cd7b",
    "Monitoring Metrics Publisher": "3913510d-42f4-4e42-8a64-420c390055eb",
    "Storage Blob Delegator": "db58b8e5-c6ad-4a2a-8342-4190687cbf4a",
    "Storage Blob Data Owner": "b7e6dc6d-f1e8-4753-8033-0f276bb0955b",
    "Storage Table Data Contributor": "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3",
}  # fmt: skip
ROWS = [line.split("\t") for line in (ROOT / "scripts/roles.tsv").read_text().splitlines() if line[:1] != "#"]
DOCUMENTED = {
    (identity, where): set(actions.split(", "))
    for identity, where, actions in re.findall(
        r"^\| (dispatcher|runner|web) \| `([\w-]+)` \| [\w, ]+ \| ([\w/, ]+) \|",
        (ROOT / "docs/SECURITY.md").read_text(),
        re.M,
    )
}


def given(identity: str, where: str) -> set[str]:
    """Roles on the container or queue of that name."""
    return {role for who, place, role, *_ in ROWS if who == identity and place.partition(":")[2] == where}


def test_ids_and_names_belong_together() -> None:
    ids = {name: id for name, (id, _) in BUILT_IN.items()} | OTHERS
    assert {role: id for _, _, role, id, _ in ROWS}.items() <= ids.items()
    assert len({(who, where, role) for who, where, role, *_ in ROWS}) == len(ROWS)


@pytest.mark.parametrize(("identity", "where"), sorted(DOCUMENTED))
def test_every_operation_of_the_code_is_allowed_and_no_narrower_roles_would_do(identity: str, where: str) -> None:
    needed = set(DOCUMENTED[identity, where])
    if identity == "runner" and where.startswith(("jobs", "debounce")):
        needed.add("messages/read")  # it looks once at the start
    if (identity, where) == ("dispatcher", "debounce"):
        needed |= {"messages/process", "messages/write"}  # the Functions host receives and holds them
    roles = given(identity, where)
    assert needed <= set().union(*(BUILT_IN[role][1] for role in roles))
    for role in roles:  # each is needed, and the wide one only where its narrow ones do not reach
        assert not needed <= set().union(*(BUILT_IN[other][1] for other in roles - {role})), role
        if "Contributor" in role:
            kind = role.split(" Data ")[0]
            narrow = [actions for name, (_, actions) in BUILT_IN.items() if kind in name and "Contributor" not in name]
            assert not needed <= set().union(*narrow), role


def test_nobody_has_a_role_on_a_place_where_they_do_nothing() -> None:
    places = {
        (who, place.partition(":")[2])
        for who, place, *_ in ROWS
        if ":" in place and who in ("dispatcher", "runner", "web")
    }
    assert places - DOCUMENTED.keys() == {
        ("dispatcher", "debounce-poison"),
        ("dispatcher", "webjobs-blobtrigger-poison"),
        ("dispatcher", "uploads"),
        ("dispatcher", "uploads-poison"),
    }, "the queue of events and the poison queues of the Functions host"
