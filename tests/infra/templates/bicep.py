"""Works a Bicep template out for given parameters: which resources, with which values, where.

No compiler is at hand, so this is one of ours for the part of the language that infra/ uses. What it does not know is
an error (BicepError), and so are the faults that the real one finds: unknown names, missing or unknown parameters of a
module, wrong types, values that are not allowed; and one of the deployment engine: reading from what was not deployed.
What only Azure knows (an object id, a key) is a Runtime: a text that names where it comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tree_sitter import Node

from tests.infra.templates import bicep_functions
from tests.infra.templates.bicep_tree import BicepError, Param, named, parameters, root, text

SUBSCRIPTION = bicep_functions.SUBSCRIPTION
TYPES: dict[str, type | tuple[type, ...]] = {
    "string": str, "int": int, "bool": bool, "object": dict, "array": list,
}  # fmt: skip


class Runtime(str):
    """Known to Azure alone; every member of it as well."""


@dataclass(frozen=True)
class Resource:
    """One resource that is deployed (or, `existing`, referred to)."""

    type: str  # Microsoft.Storage/storageAccounts/queueServices
    api: str
    name: str  # account/default
    group: str  # "" for a resource group itself
    body: dict[str, Any]
    existing: bool
    deployed: bool  # False: its condition does not hold

    @property
    def id(self) -> str:
        return self._place() + bicep_functions.in_provider(self.type, self.name.split("/"))

    def _place(self) -> str:
        base = f"/subscriptions/{SUBSCRIPTION}"
        return base if self.type == "Microsoft.Resources/resourceGroups" else f"{base}/resourceGroups/{self.group}"


@dataclass
class Deployment:
    """What one template amounts to."""

    path: Path
    scope: str
    resources: list[Resource] = field(default_factory=list)  # of the modules as well
    outputs: dict[str, Any] = field(default_factory=dict)
    modules: dict[str, Deployment] = field(default_factory=dict)  # by symbol, those whose condition holds

    def of(self, type: str) -> list[Resource]:
        return [item for item in self.resources if item.type == type and item.deployed and not item.existing]

    def one(self, type: str, name: str = "") -> Resource:
        found = [item for item in self.of(type) if name in item.name]
        if len(found) != 1:
            raise BicepError(f"{len(found)} of {type} {name}: {[item.name for item in found]}")
        return found[0]


def default_of(param: Param) -> Any:
    """The value of a constant default."""
    assert param.default is not None
    return _Scope(Path(), "", {}, {}).value(param.default)


def deploy(path: Path, values: Mapping[str, Any], group: str = "") -> Deployment:
    """The template for these parameters; `group` where it is deployed into one. Raises BicepError."""
    params = parameters(path)
    _check_params(path, params, values)
    scope = _Scope(path, group, {name: param for name, param in params.items()}, dict(values))
    result = Deployment(path, group)
    for node in named(root(path)):
        if node.type in ("variable_declaration", "resource_declaration", "module_declaration"):
            scope.declare(node)
    for name in scope.nodes:
        scope.symbol(name)
    result.resources = scope.resources
    found = {name: scope.known[name] for name in scope.nodes}
    result.modules = {name: item.made for name, item in found.items() if isinstance(item, _Module) and item.made}
    for node in named(root(path)):
        if node.type == "output_declaration":
            name, kind, value = named(node)
            result.outputs[text(name)] = _typed(scope.value(value), text(kind), f"{path.name}: output {text(name)}")
    return result


def _check_params(path: Path, params: Mapping[str, Param], values: Mapping[str, Any]) -> None:
    unknown = values.keys() - params.keys()
    missing = {name for name, param in params.items() if param.required} - values.keys()
    if unknown or missing:
        raise BicepError(f"{path.name}: unknown parameters {sorted(unknown)}, missing {sorted(missing)}")
    for name, value in values.items():
        _typed(value, params[name].type, f"{path.name}: {name}")
        if params[name].allowed and value not in params[name].allowed:
            raise BicepError(f"{path.name}: {name}={value!r} is not one of {params[name].allowed}")


def _typed(value: Any, kind: str, what: str) -> Any:
    if not isinstance(value, TYPES[kind]) or (kind == "int" and isinstance(value, bool)):
        raise BicepError(f"{what} is {value!r}, not {kind}")
    return value


@dataclass(frozen=True)
class _Module:
    """A module that is deployed, or not."""

    name: str
    made: Deployment | None


class _Scope:
    """Names of one template and what they stand for; worked out when first asked for."""

    def __init__(self, path: Path, group: str, params: dict[str, Param], given: dict[str, Any]) -> None:
        self.path, self.group, self.params, self.given = path, group, params, given
        self.nodes: dict[str, Node] = {}
        self.known: dict[str, Any] = {}
        self.resources: list[Resource] = []
        self.local: dict[str, Any] = {}  # loop variables

    def declare(self, node: Node) -> None:
        name = text(named(node)[0])
        if name in self.nodes or name in self.params:
            raise BicepError(f"{self.path.name}: {name} is declared twice")
        self.nodes[name] = node

    def symbol(self, name: str) -> Any:
        if name in self.local:
            return self.local[name]
        if name not in self.known:
            self.known[name] = self._work_out(name)
        return self.known[name]

    def _work_out(self, name: str) -> Any:
        if name in self.params:
            param = self.params[name]
            if name in self.given:
                return self.given[name]
            assert param.default is not None
            return _typed(self.value(param.default), param.type, f"{self.path.name}: {name}")
        if name not in self.nodes:
            raise BicepError(f"{self.path.name}: {name} is not declared")
        node = self.nodes[name]
        outer, self.local = self.local, {}
        try:
            if node.type == "variable_declaration":
                return self.value(named(node)[-1])
            make = self._resource if node.type == "resource_declaration" else self._module
            return self._each(named(node)[-1], lambda body, holds: make(node, body, holds))
        finally:
            self.local = outer

    def _each(self, body: Node, make: Callable[[Node, bool], Any]) -> Any:
        """A declaration's body: plain, with a condition, or for each item."""
        if body.type == "for_statement":
            return list(self._loop(body, lambda inner: self._each(inner, make)))
        if body.type == "if_statement":
            condition, inner = named(body)
            return make(inner, self.value(condition))
        return make(body, True)

    def _loop(self, node: Node, make: Callable[[Node], Any]) -> Iterator[Any]:
        *heads, items, body = named(node)
        names = [text(part) for head in heads for part in (named(head) or [head])]
        before = self.local
        for index, item in enumerate(self.value(items)):
            self.local = {**before, **dict(zip(names, (item, index), strict=False))}
            yield make(body)
        self.local = before

    def _resource(self, node: Node, body: Node, holds: bool) -> Resource:
        type_name, _, api = text(named(node)[1]).strip("'").partition("@")
        existing = any(child.type == "existing" for child in node.children)
        values = self.value(body)
        name, group = values["name"], self.group
        parent, scope = values.get("parent"), values.get("scope")
        if isinstance(parent, Resource):
            if not type_name.startswith(f"{parent.type}/"):
                raise BicepError(f"{self.path.name}: {type_name} is no child of {parent.type}")
            name, group = f"{parent.name}/{name}", parent.group
        elif type_name.count("/") > 1 and "/" not in name:
            raise BicepError(f"{self.path.name}: {type_name} needs a parent")
        if isinstance(scope, bicep_functions.Group):
            group = scope.name
        made = Resource(type_name, api, name, group, values, existing, holds)
        self.resources.append(made)
        return made

    def _module(self, node: Node, body: Node, holds: bool) -> _Module:
        values_node = {text(named(item)[0]): named(item)[1] for item in named(body)}
        path = self.path.parent / text(named(node)[1]).strip("'")
        if not path.is_file():
            raise BicepError(f"{self.path.name}: {path} does not exist")
        name = self.value(values_node["name"])
        if not holds:
            given = {text(named(item)[0]) for item in named(values_node["params"])}
            declared = parameters(path)
            required = {key for key, param in declared.items() if param.required}
            if given - declared.keys() or required - given:
                raise BicepError(f"{path.name}: {sorted(given ^ required)} are unknown or missing")
            return _Module(name, None)
        group = self.group
        if "scope" in values_node:
            group = self.value(values_node["scope"]).name
        for item in named(values_node["dependsOn"]) if "dependsOn" in values_node else []:
            self.symbol(text(item))
        result = deploy(path, self.value(values_node["params"]), group)
        self.resources += result.resources
        return _Module(name, result)

    def _wrong(self, node: Node, why: str) -> BicepError:
        return BicepError(f"{self.path.name}:{node.start_point[0] + 1}: {text(node)}: {why}")

    # ---- expressions --------------------------------------------------------------------------------------------

    def value(self, node: Node) -> Any:
        make = getattr(self, f"_{node.type}", None)
        if make is None:
            raise BicepError(f"{self.path.name}:{node.start_point[0] + 1}: {node.type} is not understood: {text(node)}")
        return make(node)

    def _identifier(self, node: Node) -> Any:
        return self.symbol(text(node))

    def _string(self, node: Node) -> str:
        raw, at = node.text or b"", 1  # between the pieces with a meaning of their own; blanks are no nodes
        parts: list[str] = []
        for child in node.children:
            if child.type in ("interpolation", "escape_sequence"):
                start = child.start_byte - node.start_byte
                if child.type == "interpolation":  # the grammar counts blanks before it as part of it
                    start += raw[start:].index(b"${")
                parts += [raw[at:start].decode(), self._piece(child)]
                at = child.end_byte - node.start_byte
        parts.append(raw[at:-1].decode())
        return Runtime("".join(parts)) if any(isinstance(part, Runtime) for part in parts) else "".join(parts)

    def _piece(self, node: Node) -> str:
        if node.type == "escape_sequence":
            return text(node)[1:]
        found = self.value(named(node)[0])
        if not isinstance(found, str | int):
            raise self._wrong(node, f"{found!r} within a text")
        return found if isinstance(found, str) else str(found)

    def _number(self, node: Node) -> int:
        return int(text(node))

    def _boolean(self, node: Node) -> bool:
        return text(node) == "true"

    def _null(self, node: Node) -> None:
        return None

    def _array(self, node: Node) -> list[Any]:
        return [self.value(item) for item in named(node)]

    def _object(self, node: Node) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for item in named(node):
            key_node, value_node = named(item)
            key = text(key_node) if key_node.type in ("identifier", "property_identifier") else self.value(key_node)
            if key in found:
                raise BicepError(f"{self.path.name}: {key} twice in one object")
            found[key] = self.value(value_node)
        return found

    def _for_statement(self, node: Node) -> list[Any]:
        above = node.parent
        while above is not None and above.type not in ("resource_declaration", "module_declaration"):
            if above.type == "variable_declaration" and node.parent != above:
                raise BicepError(f"{self.path.name}:{node.start_point[0] + 1}: a loop within the value of a variable")
            above = above.parent
        return list(self._loop(node, self.value))

    def _parenthesized_expression(self, node: Node) -> Any:
        return self.value(named(node)[0])

    def _unary_expression(self, node: Node) -> bool:
        return not self.value(named(node)[0])

    def _binary_expression(self, node: Node) -> Any:
        left, right = named(node)
        sign = text(node.children[1])
        if sign in ("&&", "||"):
            first = self.value(left)
            return self.value(right) if first is (sign == "&&") else first
        a, b = self.value(left), self.value(right)
        signs: dict[str, Callable[[Any, Any], Any]] = {
            "==": lambda a, b: a == b, "!=": lambda a, b: a != b, ">": lambda a, b: a > b, "<": lambda a, b: a < b,
            "+": lambda a, b: a + b, "-": lambda a, b: a - b,
        }  # fmt: skip
        return signs[sign](a, b)

    def _ternary_expression(self, node: Node) -> Any:
        condition, yes, no = named(node)
        return self.value(yes if self._holds(condition) else no)

    def _holds(self, condition: Node) -> bool:
        chosen = self.value(condition)
        if not isinstance(chosen, bool):
            raise BicepError(f"{self.path.name}:{condition.start_point[0] + 1}: {chosen!r} is no condition")
        return chosen

    def _member_expression(self, node: Node) -> Any:
        whole, member = named(node)
        if whole.type == "ternary_expression":  # the grammar reads `a ? b : c.d` as `(a ? b : c).d`; Bicep does not
            condition, yes, no = named(whole)
            if self._holds(condition):
                return self.value(yes)
            whole = no
        if whole.type in ("binary_expression", "unary_expression"):
            raise BicepError(f"{self.path.name}:{node.start_point[0] + 1}: put {text(node)} into parentheses")
        return self._member(self.value(whole), text(member), node)

    def _subscript_expression(self, node: Node) -> Any:
        whole, index = self.value(named(node)[0]), self.value(named(node)[1])
        return whole[index] if isinstance(whole, list) else self._member(whole, index, node)

    def _member(self, whole: Any, member: str, node: Node) -> Any:
        if isinstance(whole, Resource):
            if member in ("id", "name"):
                return whole.id if member == "id" else whole.name.rpartition("/")[2]
            if not whole.deployed:
                raise self._wrong(node, "is not deployed")
            return Runtime(f"<{whole.type.rpartition('/')[2]} {whole.name}>.{member}")
        if isinstance(whole, _Module):
            if whole.made is None:
                raise self._wrong(node, f"module {whole.name} is not deployed")
            return whole.made.outputs
        if isinstance(whole, Runtime):
            found = Runtime(f"{whole}.{member}")
            if member == "subnets":
                return [{"id": Runtime(f"{found}.{number}")} for number in range(3)]
            return found
        if isinstance(whole, bicep_functions.Group):
            return whole.name
        if not isinstance(whole, dict) or member not in whole:
            raise self._wrong(node, f"there is no {member}")
        return whole[member]

    def _lambda_expression(self, node: Node) -> Callable[[Any], Any]:
        head, body = named(node)
        before, name = self.local, text(head)

        def called(value: Any) -> Any:
            outer, self.local = self.local, {**before, name: value}
            try:
                return self.value(body)
            finally:
                self.local = outer

        return called

    def _call_expression(self, node: Node) -> Any:
        name, arguments = named(node)
        values = [self.value(item) for item in named(arguments)]
        try:
            return bicep_functions.call(text(name), values, self.group, Runtime)
        except (KeyError, TypeError, ValueError) as exc:
            raise BicepError(f"{self.path.name}:{node.start_point[0] + 1}: {text(node)[:80]}: {exc!r}") from exc
