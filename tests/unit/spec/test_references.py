"""``${NAME}`` and ``${file:name}``: what a document may refer to, and what that stands for."""

import os

import pytest

from deltaforge.core.errors import SpecError
from deltaforge.spec import load_file, parse_document
from deltaforge.spec.references import References
from deltaforge.spec.remote import RemoteRules, marks_of

SOURCE, SINK = "spec/source/config", "spec/sinks/0/config"
ENV = {
    "DELTAFORGE_VAR_PW": "hunter2",
    "DELTAFORGE_VAR_HOST": "db1",
    "DELTAFORGE_TOKEN": "t0ken-of-ours",
    "HOME": "/root",
}


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "secrets"
    (folder / "..data").mkdir(parents=True)
    (folder / "..data" / "pw").write_text("from a file\n")
    (folder / "pw").symlink_to("..data/pw")  # as Kubernetes mounts them
    (tmp_path / "outside").write_text("outside")
    (folder / "out").symlink_to(tmp_path / "outside")
    (folder / "up").symlink_to(tmp_path)
    (folder / "bad").write_bytes(b"\xff\xfe")
    (folder / "big").write_bytes(b"x" * (1 << 17))
    os.mkfifo(folder / "pipe")
    return folder


@pytest.fixture
def refers(folder):
    return References(secrets_dir=str(folder))


def rules_of(refers, given=frozenset()):
    return RemoteRules(output_dir="/tmp", references=refers, given=given)  # noqa: S108 - nothing is written


NOT_ALLOWED = [
    (f"{SOURCE}/dsn", "mysql://u:${DELTAFORGE_TOKEN}@h/db", "DELTAFORGE_TOKEN"),
    (f"{SOURCE}/dsn", "mysql://u:${HOME:-x}@h/db", "HOME"),
    (f"{SINK}/brokers", "${HOME}", "HOME"),
    (f"{SINK}/client_conf", {"sasl.password": "${AWS_SECRET_ACCESS_KEY}"}, "AWS_SECRET_ACCESS_KEY"),
    (f"{SINK}/client_conf", {"client.rack": "${file:../outside}"}, "--secrets-dir"),
    (f"{SOURCE}/dsn", "mysql://u:${file:/etc/passwd}@h/db", "--secrets-dir"),
    (f"{SOURCE}/dsn", "mysql://u:${file:}@h/db", "--secrets-dir"),
    (f"{SOURCE}/dsn", "mysql://u:${file:a/../../x}@h/db", "--secrets-dir"),
]


@pytest.mark.parametrize(("path", "value", "said"), NOT_ALLOWED)
def test_what_a_document_over_rest_must_not_refer_to_is_named(refers, put, path, value, said):
    spec = parse_document(put(path, value)).spec
    with pytest.raises(SpecError) as caught:
        rules_of(refers).check_references(spec)
    assert said in str(caught.value)
    assert path.rpartition("/")[2] in caught.value.path


def test_nothing_of_what_is_refused_is_put_in(refers, put):
    for path, value, _ in NOT_ALLOWED:
        document = put(path, value)
    resolved, put_in = refers.resolved(parse_document(document).spec, ENV)
    assert put_in == []
    assert "t0ken-of-ours" not in str(resolved.model_dump())


def test_a_server_without_secrets_says_so(put):
    spec = parse_document(put(f"{SOURCE}/dsn", "mysql://u:${file:pw}@h/db")).spec
    with pytest.raises(SpecError, match="this server has none"):
        rules_of(References()).check_references(spec)


def test_variables_and_files_are_put_into_values_when_they_are_used(refers, put):
    put(f"{SOURCE}/dsn", "mysql://u:${DELTAFORGE_VAR_PW}@${DELTAFORGE_VAR_HOST}/db")
    put(f"{SINK}/brokers", "${DELTAFORGE_VAR_NONE:-kafka}:9092")
    put(f"{SINK}/topic", "${DELTAFORGE_VAR_HOST}.${source.table}.${op}.${tags}")
    put("metadata/annotations", {"note": "${DELTAFORGE_VAR_PW}"})
    document = put(f"{SINK}/client_conf", {"sasl.password": "${file:pw}", "sasl.username": "${DELTAFORGE_VAR_HOST}"})
    parsed = parse_document(document)
    rules_of(refers).check_references(parsed.spec)

    used, put_in = refers.resolved(parsed.spec, ENV)
    config = used.spec.sinks[0].config
    assert used.spec.source.config.dsn.get_secret_value() == "mysql://u:hunter2@db1/db"
    assert (config.brokers, config.topic) == ("kafka:9092", "db1.${source.table}.${op}.${tags}")
    assert config.client_conf == {"sasl.password": "from a file", "sasl.username": "db1"}
    assert used.metadata.annotations["note"] == "${DELTAFORGE_VAR_PW}"
    assert {"hunter2", "from a file"} <= set(put_in)
    # what is stored and shown does not have them
    assert "hunter2" not in str(parsed.raw) + str(parsed.spec.echo()) + repr(parsed)


def test_a_value_is_never_read_again(refers, put):
    spec = parse_document(put(f"{SINK}/brokers", "${DELTAFORGE_VAR_A}")).spec
    env = {"DELTAFORGE_VAR_A": '${DELTAFORGE_VAR_PW}", "topic": "x', **ENV}
    assert refers.resolved(spec, env)[0].spec.sinks[0].config.brokers == '${DELTAFORGE_VAR_PW}", "topic": "x'


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("${DELTAFORGE_VAR_NOPE}", "DELTAFORGE_VAR_NOPE is not set"),
        ("${file:nope}", "secret file nope cannot be read"),
        ("${file:out}", "leads out"),
        ("${file:up/outside}", "leads out"),
        ("${file:..data}", "directory"),
        ("${file:pipe}", "is not a file"),
        ("${file:bad}", "not UTF-8"),
        ("${file:big}", "longer than"),
    ],
)
def test_what_cannot_be_had_is_named_where_it_hurts(refers, put, value, said):
    spec = parse_document(put(f"{SINK}/client_conf", {"sasl.password": value})).spec
    with pytest.raises(SpecError) as caught:
        refers.resolved(spec, ENV)
    assert said in str(caught.value)
    assert caught.value.path == 'spec.sinks[0].config.client_conf["sasl.password"]'
    assert "outside" not in str(caught.value).replace("up/outside", "")


def test_a_value_that_does_not_fit_is_not_told(refers, put):
    spec = parse_document(put(f"{SOURCE}/dsn", "${DELTAFORGE_VAR_DSN}")).spec
    with pytest.raises(SpecError) as caught:
        refers.resolved(spec, {"DELTAFORGE_VAR_DSN": "mysql://u:topsecret@h/db?topsecret=1"})
    assert "topsecret" not in str(caught.value)
    assert "spec.source.config.dsn" in str(caught.value)


def test_what_an_operators_file_left_open_stays_allowed_where_it_is(refers, put):
    spec = parse_document(put(f"{SOURCE}/dsn", "mysql://u:${UNSET_THERE}@h/db")).spec
    rules = rules_of(refers, marks_of(spec))
    rules.check_references(spec)
    assert refers.resolved(spec, {"UNSET_THERE": "x"})[0].spec.source.config.dsn == spec.spec.source.config.dsn
    with pytest.raises(SpecError):
        rules.check_references(parse_document(put(f"{SINK}/brokers", "${UNSET_THERE}")).spec)


def test_an_operators_file_may_name_any_file_of_secrets(tmp_path, folder):
    path = tmp_path / "p.yaml"
    text = """
metadata: {name: p, tenant: t}
spec:
  source: {type: mysql, config: {id: m, dsn: "mysql://u:${file:NAME}@h/db", tables: []}}
  processors: []  # ${file:none}
  sinks: [{type: kafka, config: {id: k, brokers: "b:1", topic: t, client_conf: {sasl.password: "${file:NAME}"}}}]
"""
    for name, where in (("secrets/pw", None), (str(folder / "pw"), None), ("pw", folder)):
        path.write_text(text.replace("NAME", name))
        spec = load_file(path, {}, secrets_dir=where).spec.spec
        assert spec.source.config.dsn.get_secret_value() == "mysql://u:from a file@h/db"
        assert spec.sinks[0].config.client_conf == {"sasl.password": "from a file"}
    path.write_text(text.replace("NAME", "none"))
    with pytest.raises(SpecError, match=r"spec\.source\.config\.dsn: secret file none cannot be read"):
        load_file(path, {})


def test_a_file_of_secrets_is_a_value_and_never_structure(tmp_path, folder):
    path = tmp_path / "p.yaml"
    (tmp_path / "x").write_text('a"\nb: c\n')
    path.write_text('metadata: {name: p, tenant: t, annotations: {n: "${file:x}"}}\nspec: {}\n')
    with pytest.raises(SpecError) as caught:
        load_file(path, {})
    assert "missing field" in str(caught.value)
