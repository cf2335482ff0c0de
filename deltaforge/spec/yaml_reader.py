"""YAML with the values that JSON has, and nothing read twice."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

from deltaforge.config.values import MAX_DEPTH

_LONGEST_NUMBER = 400
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class JsonLikeLoader(yaml.SafeLoader):
    """Dates stay text, keys are text, and a key that stands twice is an error."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the class attribute of the parent is one
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - as in the parent
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag != "tag:yaml.org,2002:str":
                raise _refused("a key must be text", key_node)
            if key_node.value in seen:
                raise _refused(f"key {key_node.value!r} stands twice", key_node)
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


class RemoteLoader(JsonLikeLoader):
    """For YAML from the network: no aliases, which make much of little, no tags, and bounded nesting and numbers."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs have no types for it
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            raise _refused("anchors and aliases are not taken over REST", event)
        if getattr(event, "tag", None) is not None:
            raise _refused("tags are not taken over REST", event)
        self._depth += 1
        if self._depth > MAX_DEPTH + 1:
            raise _refused(f"nested more than {MAX_DEPTH} levels deep", event)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is not None and node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
            raise _refused("a number is too long", node)
        return node


def read_yaml(text: str, loader: type[yaml.SafeLoader] = JsonLikeLoader) -> Any:
    """The one YAML document in ``text``.

    Raises:
        yaml.YAMLError: It is not YAML, has several documents, or a key twice.
    """
    return yaml.load(text, Loader=loader)  # noqa: S506 - derived from the safe loader


def _refused(problem: str, at: Any) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, at.start_mark)
