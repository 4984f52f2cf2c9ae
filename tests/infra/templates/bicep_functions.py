"""The functions of Bicep that infra/ uses (https://learn.microsoft.com/azure/azure-resource-manager/bicep/bicep-functions)."""

from __future__ import annotations

import hashlib
import ipaddress
import itertools
import json
from dataclasses import dataclass
from typing import Any

SUBSCRIPTION = "5ub50000-0000-0000-0000-000000000000"
ENVIRONMENT = {
    "resourceManager": "https://management.azure.com/",
    "suffixes": {"storage": "core.windows.net", "acrLoginServer": ".azurecr.io"},
    "authentication": {"loginEndpoint": "https://login.microsoftonline.com/"},
}


@dataclass(frozen=True)
class Group:
    """A resource group as a scope."""

    name: str


def in_provider(type: str, names: list[str]) -> str:
    """`Microsoft.A/b/c`, [x, y] -> /providers/Microsoft.A/b/x/c/y"""
    provider, *kinds = type.split("/")
    if len(kinds) != len(names):
        raise ValueError(f"{type} with the names {names}")
    if type == "Microsoft.Resources/resourceGroups":
        return f"/resourceGroups/{names[0]}"
    return f"/providers/{provider}" + "".join(f"/{kind}/{name}" for kind, name in zip(kinds, names, strict=True))


def call(name: str, values: list[Any], group: str, runtime: type[str]) -> Any:
    """KeyError for a function that is not known here. A lambda is a callable among the values."""
    if name == "resourceGroup":
        return Group(values[0]) if values else {"name": group}
    if name == "resourceId":
        return _resource_id(values, group)
    if name == "listKeys":
        return runtime(f"<listKeys {values[0]}>")
    return _PLAIN[name](*values)


def _resource_id(values: list[str], group: str) -> str:
    """[[subscription, ] group, ] type, names..."""
    at = next(index for index, value in enumerate(values) if value.startswith("Microsoft."))
    place = [SUBSCRIPTION, group]
    place[2 - at :] = values[:at]
    return f"/subscriptions/{place[0]}/resourceGroups/{place[1]}" + in_provider(values[at], values[at + 1 :])


def _digest(*values: str) -> str:
    if not all(isinstance(value, str) for value in values):
        raise TypeError(f"{values} are no texts")
    return hashlib.sha256("|".join(values).encode()).hexdigest()


def _cidr_subnet(network: str, prefix: int, number: int) -> str:
    subnets = ipaddress.ip_network(network).subnets(new_prefix=prefix)
    return str(next(itertools.islice(subnets, number, None)))


def _union(*objects: dict[str, Any]) -> dict[str, Any]:
    return {key: value for item in objects for key, value in item.items()}


_PLAIN: dict[str, Any] = {
    "cidrSubnet": _cidr_subnet,
    "contains": lambda whole, part: part in whole,
    "concat": lambda *lists: [item for part in lists for item in part],
    "empty": lambda value: len(value) == 0,
    "endsWith": lambda text, end: text.endswith(end),
    "environment": lambda: ENVIRONMENT,
    "guid": lambda *values: _digest(*values)[:32],
    "filter": lambda items, keep: [item for item in items if keep(item)],
    "items": lambda value: [{"key": key, "value": value[key]} for key in sorted(value)],
    "join": lambda items, between: between.join(items),
    "json": json.loads,
    "length": len,
    "map": lambda items, make: [make(item) for item in items],
    "range": lambda first, count: list(range(first, first + count)),
    "replace": lambda text, old, new: text.replace(old, new),
    "split": lambda text, by: text.split(by),
    "string": lambda value: value if isinstance(value, str) else json.dumps(value),
    "subscription": lambda: {
        "subscriptionId": SUBSCRIPTION,
        "tenantId": "<tenant>",
        "id": f"/subscriptions/{SUBSCRIPTION}",
    },
    "subscriptionResourceId": lambda type, *names: f"/subscriptions/{SUBSCRIPTION}" + in_provider(type, list(names)),
    "substring": lambda text, start, count: text[start : start + count],
    "take": lambda text, count: text[:count],
    "toLower": lambda text: text.lower(),
    "union": _union,
    "uniqueString": lambda *values: _digest(*values)[:13],
}
