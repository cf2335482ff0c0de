"""Avro schemas of records, in two flavours.

``connect``: what Kafka Connect's AvroData makes of a Connect schema (Confluent's and Apicurio's converters), so that
readers get the same Connect schema back: ``connect.name``, ``connect.version``, ``connect.parameters``,
``connect.default``, ``connect.type``, and Avro's logical types for Connect's own four. ``plain``: Avro alone, with its
logical types, as contract 03 section 5 has it.

Source of the flavour: ``utils/converter/.../AvroData.java`` of Apicurio Registry 3.3, ``fromConnectSchema``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from deltaforge.core.json_text import encode_json
from deltaforge.records.schema import Field, Schema, Type

Flavour = Literal["connect", "plain"]

CONNECT_NAMESPACE, CONNECT_RECORD = "io.confluent.connect.avro", "ConnectDefault"
"""Of structs without a name."""
DEFAULT_PRECISION = 64
"""Of a decimal whose schema does not say it."""
PRECISION = "connect.decimal.precision"
DECIMAL = "org.apache.kafka.connect.data.Decimal"
_PRIMITIVES = {
    Type.BOOLEAN: "boolean",
    Type.INT8: "int",
    Type.INT16: "int",
    Type.INT32: "int",
    Type.INT64: "long",
    Type.FLOAT32: "float",
    Type.FLOAT64: "double",
    Type.STRING: "string",
    Type.BYTES: "bytes",
}
_LOGICAL_OF_CONNECT = {
    "org.apache.kafka.connect.data.Date": "date",
    "org.apache.kafka.connect.data.Time": "time-millis",
    "org.apache.kafka.connect.data.Timestamp": "timestamp-millis",
}
PLAIN_DECIMAL, PLAIN_ENUM = "decimal", "enum"
"""Names of schemas that have parameters in the plain flavour: ``precision`` and ``scale``; ``allowed``, the symbols of
an Avro enum, separated by commas. Other names are logical types."""
_INVALID = re.compile(r"[^A-Za-z0-9_]")


def avro_schema(schema: Schema, flavour: Flavour) -> str:
    """The text of a schema: compact JSON, in the order of keys that Avro's Java library has. Named types are written
    where they come first, and named from then on.
    """
    text = encode_json(_Writing(flavour).of(schema, None)).decode()
    # Apicurio's Confluent API takes no schema with this very text as a default. Written otherwise, it is equal JSON.
    return text.replace(':"{}"', r':"\u007b}"')


def has_null_first(schema: Schema) -> bool:
    """Of an optional schema, whether its union is ``["null", T]``: null is ``00`` and a value begins with ``02``. Else
    it is ``[T, "null"]``: with a default, which has to be of the first type.
    """
    return not schema.has_default or schema.default is None


def avro_name(text: str) -> str:
    """A name that Avro allows: letters, digits and ``_``, no digit at the beginning."""
    name = _INVALID.sub("_", text)
    return "_" + name if not name or name[0].isdigit() else name


def avro_full_name(*parts: str) -> str:
    """A name with a namespace; dots in a part are a part of its name."""
    return ".".join(map(avro_name, parts))


def avro_field_names(names: Sequence[str]) -> list[str]:
    """Names of fields, in order, no two of them equal: of names that would be, the later ones get a number."""
    found: dict[str, None] = {}
    taken = {name for name in names if name == avro_name(name)}
    for name in names:
        field, number = avro_name(name), 2
        while field in found or (field != name and field in taken):
            field, number = f"{avro_name(name)}_{number}", number + 1
        found[field] = None
    return list(found)


class _Writing:
    """One schema on its way to JSON.

    Named types that stand in it already are named from then on.
    """

    def __init__(self, flavour: Flavour) -> None:
        self._is_connect = flavour == "connect"
        self._named: set[str] = set()
        self._nameless = 0
        self._field_name = ""

    def of(self, schema: Schema, namespace: str | None) -> Any:
        """The JSON of a schema that stands in a record of that namespace."""
        if schema.type is Type.STRUCT:
            found = self._record(schema, namespace)
        elif schema.name == PLAIN_ENUM and not self._is_connect:
            found = self._enum(schema, namespace)
        else:
            found = self._with_properties(schema, self._type(schema, namespace))
        if not schema.optional:
            return found
        # a struct's default is none of its union's: AvroData has null first for every struct
        is_null_first = has_null_first(schema) or schema.type is Type.STRUCT
        return ["null", found] if is_null_first else [found, "null"]

    def _type(self, schema: Schema, namespace: str | None) -> dict[str, Any]:
        if schema.type is Type.ARRAY:
            return {"type": "array", "items": self._items(schema, namespace)}
        if schema.type is Type.MAP:
            return {"type": "map", "values": self._items(schema, namespace)}
        return {"type": _PRIMITIVES[schema.type]}

    def _items(self, schema: Schema, namespace: str | None) -> Any:
        if schema.items is None:
            raise ValueError(f"a schema of type {schema.type} without one of its items")
        return self.of(schema.items, namespace)

    def _enum(self, schema: Schema, namespace: str | None) -> Any:
        """An enum is named after the field that it stands in."""
        name = f"{self._field_name}_enum"
        if f"{namespace}.{name}" in self._named:
            return name
        self._named.add(f"{namespace}.{name}")
        return {"type": "enum", "name": name, "symbols": schema.parameters["allowed"].split(",")}

    def _record(self, schema: Schema, namespace: str | None) -> Any:
        full_name = self._full_name(schema)
        space, _, name = full_name.rpartition(".")
        if full_name in self._named:
            return name if space == (namespace or "") else full_name
        self._named.add(full_name)
        found: dict[str, Any] = {"type": "record", "name": name}
        if space != (namespace or ""):
            found["namespace"] = space
        names = avro_field_names([field.name for field in schema.fields])
        found["fields"] = [self._field(name, field, space) for name, field in zip(names, schema.fields, strict=True)]
        return self._with_properties(schema, found)

    def _full_name(self, schema: Schema) -> str:
        if schema.name is not None:
            return avro_full_name(*schema.name.split("."))
        self._nameless += 1
        return f"{CONNECT_NAMESPACE}.{CONNECT_RECORD}" + (str(self._nameless) if self._nameless > 1 else "")

    def _field(self, name: str, field: Field, namespace: str) -> dict[str, Any]:
        schema = field.schema
        self._field_name = name
        found: dict[str, Any] = {"name": name, "type": self.of(schema, namespace)}
        if schema.has_default and schema.default is not None:
            found["default"] = avro_default(schema.default)
        elif schema.optional:
            found["default"] = None
        return found

    def _with_properties(self, schema: Schema, found: dict[str, Any]) -> Any:
        """With what AvroData says beside the type; a type without anything is its bare name."""
        if self._is_connect:
            found |= _connect_properties(schema)
        found |= self._logical_type(schema)
        return found["type"] if len(found) == 1 else found

    def _logical_type(self, schema: Schema) -> dict[str, Any]:
        if schema.name is None or schema.type is Type.STRUCT:
            return {}
        if schema.name == (DECIMAL if self._is_connect else PLAIN_DECIMAL):
            precision_name = PRECISION if self._is_connect else "precision"
            precision = int(schema.parameters.get(precision_name, DEFAULT_PRECISION))
            scale = int(schema.parameters.get("scale", 0))
            if not 0 <= scale <= precision:  # Avro has no such decimals: bytes, with what Connect says of them
                return {}
            return {"logicalType": "decimal", "precision": precision, "scale": scale}
        logical = _LOGICAL_OF_CONNECT.get(schema.name) if self._is_connect else schema.name
        return {} if logical is None else {"logicalType": logical}


def avro_default(value: Any) -> Any:
    """A default as JSON: bytes are a text whose characters are the bytes."""
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, Mapping):
        return {name: avro_default(item) for name, item in value.items()}
    return [avro_default(item) for item in value] if isinstance(value, (list, tuple)) else value


def _connect_properties(schema: Schema) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if schema.doc is not None:
        found["connect.doc"] = schema.doc
    if schema.version is not None:
        found["connect.version"] = schema.version
    if schema.parameters:
        found["connect.parameters"] = dict(schema.parameters)
    if schema.has_default and schema.default is not None:
        found["connect.default"] = avro_default(schema.default)
    if schema.name is not None:
        name = schema.name
        found["connect.name"] = avro_full_name(*name.split(".")) if schema.type is Type.STRUCT else name
    if schema.type in (Type.INT8, Type.INT16):
        found["connect.type"] = schema.type.value
    return found
