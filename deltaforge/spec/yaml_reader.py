"""YAML with the values that JSON has, and nothing read twice."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml


class _JsonLikeLoader(yaml.SafeLoader):
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
                raise yaml.constructor.ConstructorError(None, None, "a key must be text", key_node.start_mark)
            if key_node.value in seen:
                problem = f"key {key_node.value!r} stands twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


def read_yaml(text: str) -> Any:
    """The one YAML document in ``text``.

    Raises:
        yaml.YAMLError: It is not YAML, has several documents, or a key twice.
    """
    return yaml.load(text, Loader=_JsonLikeLoader)  # noqa: S506 - derived from the safe loader
