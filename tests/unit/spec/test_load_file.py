import json

import pytest

from deltaforge.core.errors import SpecError
from deltaforge.spec import document_files, load_file

YAML = """\
apiVersion: deltaforge/v1
kind: Pipeline
metadata:
  name: orders-cdc
  tenant: ${TENANT:-acme}
  annotations: {since: 2024-01-01, note: 1e5x}
spec:
  # ${COMMENTED_OUT}
  source:
    type: mysql
    config:
      id: mysql-1
      dsn: mysql://user:${DB_PASSWORD}@host/db
      tables: [shop.orders]
  processors: []
  sinks:
    - type: kafka
      config: {id: kafka-1, brokers: "localhost:9092", topic: "cdc.${source.table}"}
  batch: {max_events: ${MAX:-77}}
"""


@pytest.fixture
def write(tmp_path):
    def write_file(text, name="p.yaml"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write_file


def test_variables_are_replaced_before_parsing(write):
    parsed = load_file(write(YAML), {"DB_PASSWORD": "pw", "MAX": "5"}, strict=True)
    spec = parsed.spec
    assert spec.spec.source.config.dsn.get_secret_value() == "mysql://user:pw@host/db"
    assert spec.spec.batch.max_events == 5
    assert spec.metadata.tenant == "acme"
    assert parsed.warnings == []


def test_routing_templates_stay(write):
    parsed = load_file(write(YAML), {"DB_PASSWORD": "pw"})
    assert parsed.raw["spec"]["sinks"][0]["config"]["topic"] == "cdc.${source.table}"


def test_dates_stay_text(write):
    parsed = load_file(write(YAML), {"DB_PASSWORD": "pw"})
    assert parsed.raw["metadata"]["annotations"] == {"since": "2024-01-01", "note": "1e5x"}


def test_an_unset_variable_is_a_warning_and_an_error_in_strict_mode(write):
    path = write(YAML)
    parsed = load_file(path, {})
    assert parsed.warnings == ["environment variable DB_PASSWORD is not set; ${DB_PASSWORD} stays as it is"]
    with pytest.raises(SpecError, match="not set: DB_PASSWORD"):
        load_file(path, {}, strict=True)


def test_json_files_are_read(write, smallest):
    assert load_file(write(json.dumps(smallest), "p.json"), {}).raw == smallest


def test_a_byte_order_mark_is_no_part_of_the_document(write, smallest):
    assert load_file(write(b"\xef\xbb\xbf" + json.dumps(smallest).encode()), {}).raw == smallest


BROKEN = [
    ("p.yaml", "a: [", "is not YAML"),
    ("p.yaml", "metadata: {name: a, name: b}", "key 'name' stands twice"),
    ("p.yaml", "1: x", "a key must be text"),
    ("p.yaml", "? [a]\n: x", "a key must be text"),
    ("p.yaml", "a: 1\n---\nb: 2", "is not YAML"),
    ("p.yaml", "a: !!python/object/apply:os.system [x]", "is not YAML"),
    ("p.yaml", "a: \x01", "is not YAML"),
    ("p.yaml", "", "is empty"),
    ("p.yaml", "- a", "must be an object, got an array"),
    ("p.yaml", "a: " + "[" * 3000, "nested too deeply"),
    ("p.json", "[" * 200000, "nested too deeply"),
    ("p.json", '{"a": ', "is not JSON"),
    ("p.json", '{"a": ' + "9" * 5000 + "}", "number too long"),
    ("p.yaml", b"\xff\xfe", "not UTF-8"),
]


@pytest.mark.parametrize(("name", "text", "message"), BROKEN)
def test_a_file_that_cannot_be_read_is_a_document_error(write, name, text, message):
    with pytest.raises(SpecError) as caught:
        load_file(write(text, name), {})
    assert message in str(caught.value)


def test_a_missing_file_is_a_document_error(tmp_path):
    with pytest.raises(SpecError, match="No such file"):
        load_file(tmp_path / "none.yaml", {})


def test_a_directory_means_its_yaml_files_at_any_depth(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("z.yaml", "a/b/c.yml", "a/readme.md", "a/d.json"):
        (tmp_path / name).touch()
    assert document_files(tmp_path) == [tmp_path / "a/b/c.yml", tmp_path / "z.yaml"]
    assert document_files(tmp_path / "a/d.json") == [tmp_path / "a/d.json"]
    with pytest.raises(SpecError):
        document_files(tmp_path / "none")


def test_a_mounted_config_map_is_read_once(tmp_path):
    """Kubernetes shows each file as a link into a hidden folder, which is replaced as a whole."""
    real = tmp_path / "..2026_11_28_04_00_00.1"
    real.mkdir()
    (real / "shop.yaml").write_text("a: 1")
    (tmp_path / "..data").symlink_to(real.name)
    (tmp_path / "shop.yaml").symlink_to("..data/shop.yaml")
    (tmp_path / ".editor.yaml").write_text("")
    assert document_files(tmp_path) == [tmp_path / "shop.yaml"]
