"""What a document that came over the network may name of this machine."""

import pytest

from deltaforge.config.steps import path_text
from deltaforge.core.errors import SpecError
from deltaforge.spec import parse_document
from deltaforge.spec.remote import RemoteRules, marks_of, read_rules, write_rules

SOURCE, SINK = "spec/source/config", "spec/sinks/0/config"
POSTGRES = {"type": "postgres", "config": {"id": "p", "tables": [], "publication": "pub", "slot": "s"}}


@pytest.fixture
def rules(tmp_path):
    for name in ("out", "files", "elsewhere"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.pem").write_text("x")
    (tmp_path / "files" / "link.pem").symlink_to(tmp_path / "elsewhere" / "a.pem")
    (tmp_path / "out" / "link").symlink_to(tmp_path / "elsewhere")
    return RemoteRules(output_dir=str(tmp_path / "out"), files_dir=str(tmp_path / "files"))


def refusal(rules, document):
    """Path and text of what the rules say against a document; None if they allow it."""
    try:
        rules.check(parse_document(document, strict=True).spec)
    except SpecError as error:
        return error.path, str(error)
    return None


CLIENT = [
    ("ssl.ca.location", "/etc/ssl/ca.pem", "ssl.ca.pem"),
    ("ssl.ca.location", "ca.pem", "ssl.ca.pem"),
    ("ssl.certificate.location", "/etc/c.pem", "ssl.certificate.pem"),
    ("ssl.key.location", "/etc/k.pem", "ssl.key.pem"),
    ("ssl.keystore.location", "/etc/k.p12", "ssl.key.pem"),
    ("ssl.crl.location", "/etc/crl.pem", "--files-dir|files"),
    ("https.ca.location", "/etc/ca.pem", "https.ca.pem"),
    ("sasl.oauthbearer.assertion.private.key.file", "/etc/k", "private.key.pem"),
    ("sasl.oauthbearer.assertion.file", "/etc/shadow", "files"),
    ("sasl.oauthbearer.assertion.jwt.template.file", "/etc/shadow", "files"),
    ("sasl.kerberos.keytab", "/etc/krb5.keytab", "operator"),
    ("sasl.kerberos.principal", "me", "operator"),
    ("sasl.oauthbearer.metadata.authentication.type", "aws_iam", "oidc"),
    ("ssl.providers", "legacy", "operator"),
    ("debug", "all", "operator"),
    ("security.protocol", "sasl_plaintext", "SCRAM"),
]


@pytest.mark.parametrize(("name", "value", "said"), CLIENT)
def test_client_settings_that_name_something_local_are_refused(rules, put, name, value, said):
    path, text = refusal(rules, put(f"{SINK}/client_conf", {name: value}))
    assert path == path_text(("spec", "sinks", 0, "config", "client_conf", name))
    assert any(part in text for part in said.split("|"))


def test_kerberos_is_refused_under_either_name(rules, put):
    conf = {"security.protocol": "SASL_SSL", "sasl.mechanisms": "PLAIN", "sasl.mechanism": "gssapi"}
    assert "sasl.mechanism" in refusal(rules, put(f"{SINK}/client_conf", conf))[0]
    del conf["sasl.mechanism"]
    assert refusal(rules, put(f"{SINK}/client_conf", conf)) is None


@pytest.mark.parametrize("value", ["PEM", "probe"])
def test_pem_text_is_taken(rules, put, value):
    conf = {"ssl.ca.location": "probe"} if value == "probe" else {"ssl.ca.pem": "-----BEGIN CERTIFICATE-----"}
    assert refusal(rules, put(f"{SINK}/client_conf", conf)) is None


DSNS = [
    "postgres://u@h/db?sslrootcert=/etc/ca.pem",
    "postgres://u@h/db?sslkey=/etc/k",
    "host=h sslcert=/etc/c user=u",
    "postgres://u@h/db?sslcrl=/x",
    "postgres://u@h/db?sslcrldir=/x",
    "postgres://u@h/db?passfile=/x",
    "postgres://u@h/db?sslkeylogfile=/x",
    "postgres://u@h/db?service=x",
    "service=prod",
    "postgres://u@h/db?gsslib=gssapi",
    "postgres://u@h/db?gssdelegation=1",
    "postgres://u@%2Fvar%2Frun/db",
    "host=/tmp user=u",
    "host=@abstract user=u",
    "host=h,/tmp user=u",
    "postgres:///db",
    "user=u dbname=d",
    "postgres://u@h,/db",
]


@pytest.mark.parametrize("dsn", DSNS)
def test_postgres_dsns_that_name_something_local_are_refused(rules, put, dsn):
    put("spec/source", {**POSTGRES, "config": {**POSTGRES["config"], "dsn": dsn}})
    path, text = refusal(rules, put("spec/source/config/dsn", dsn))
    assert path == "spec.source.config.dsn"
    assert dsn not in text


@pytest.mark.parametrize("name", ["ssl-ca", "ssl-cert", "ssl-key"])
def test_mysql_dsns_that_name_a_file_are_refused(rules, put, name, tmp_path):
    assert name in refusal(rules, put(f"{SOURCE}/dsn", f"mysql://u@h/db?{name}=/etc/x"))[1]
    assert refusal(rules, put(f"{SOURCE}/dsn", f"mysql://u@h/db?{name}={tmp_path}/files/a.pem")) is None


@pytest.mark.parametrize("name", ["local_infile", "read_default_file", "unix_socket", "init_command"])
def test_other_parameters_of_a_mysql_dsn_are_known_to_nobody(put, name):
    with pytest.raises(SpecError, match="unknown parameters"):
        parse_document(put(f"{SOURCE}/dsn", f"mysql://u@h/db?{name}=x"))


URIS = [
    "unix:///run/redis.sock",
    "rediss://h?ssl_ca_certs=/etc/ca.pem",
    "rediss://h?ssl_keyfile=/etc/k",
    "rediss://h?ssl_certfile=%252Fetc%252Fc",
    "rediss://h?ssl_ca_path=/etc",
    "redis://h?credential_provider=x",
    "redis://h?path=/run/redis.sock",
]


@pytest.mark.parametrize("uri", URIS)
def test_redis_uris_that_name_something_local_are_refused(rules, put, uri):
    sink = {"type": "redis", "config": {"id": "r", "uri": uri, "stream": "s"}}
    assert refusal(rules, put("spec/sinks", [sink]))[0] == "spec.sinks[0].config.uri"


ALLOWED = [
    ("spec/source", {**POSTGRES, "config": {**POSTGRES["config"], "dsn": "postgres://u:p@h/db?sslmode=require"}}),
    ("spec/source", {**POSTGRES, "config": {**POSTGRES["config"], "dsn": "host=h user=u sslrootcert=system"}}),
    ("spec/sinks", [{"type": "redis", "config": {"id": "r", "uri": "redis://:p@h/1?protocol=3", "stream": "s"}}]),
    (f"{SINK}/client_conf", {"linger.ms": 5, "sasl.mechanisms": "PLAIN", "security.protocol": "sasl_ssl"}),
]


@pytest.mark.parametrize(("key", "value"), ALLOWED)
def test_what_names_nothing_local_is_allowed(rules, put, key, value):
    assert refusal(rules, put(key, value)) is None


@pytest.mark.parametrize(
    ("path", "is_allowed"),
    [
        ("files/a.pem", True),
        ("files/missing.pem", True),
        ("files/link.pem", False),
        ("files/../elsewhere/a.pem", False),
        ("files", False),
        ("elsewhere/a.pem", False),
    ],
)
def test_files_are_named_below_the_files_folder(rules, put, tmp_path, path, is_allowed):
    found = refusal(rules, put(f"{SINK}/client_conf", {"ssl.ca.location": f"{tmp_path}/{path}"}))
    assert (found is None) is is_allowed


def test_without_a_files_folder_no_file_is_named(put, tmp_path):
    rules = RemoteRules(output_dir=str(tmp_path))
    assert "--files-dir" in refusal(rules, put(f"{SINK}/client_conf", {"ssl.ca.location": f"{tmp_path}/a"}))[1]


@pytest.mark.parametrize(
    ("path", "is_allowed"),
    [
        ("a.jsonl", True),
        ("sub/a.jsonl", True),
        ("{}/out/a.jsonl", True),
        ("../a.jsonl", False),
        ("{}/out/../a.jsonl", False),
        ("{}/elsewhere/a.jsonl", False),
        ("link/a.jsonl", False),
        ("/etc/passwd", False),
        (".", False),
        ("", False),
    ],
)
def test_file_sinks_write_below_the_output_folder(rules, put, tmp_path, path, is_allowed):
    sink = {"type": "file", "config": {"id": "f", "path": path.format(tmp_path)}}
    found = refusal(rules, put("spec/sinks", [sink]))
    assert (found is None) is is_allowed
    if not is_allowed:
        assert found[0] == "spec.sinks[0].config.path"
        assert "--output-dir" in found[1]


def test_what_the_operator_named_stays_allowed_where_it_stands(rules, put, tmp_path):
    sinks = [
        {"type": "file", "config": {"id": "a", "path": "/var/a.jsonl"}},
        {"type": "file", "config": {"id": "b", "path": "b.jsonl"}},
    ]
    spec = parse_document(put("spec/sinks", sinks)).spec
    given = RemoteRules(output_dir=rules.output_dir, given=marks_of(spec))
    assert refusal(given, put("spec/batch", {"max_events": 7})) is None
    assert given.output_of(spec.spec.sinks[0].config) is None
    assert str(rules.output_of(spec.spec.sinks[0].config)) == rules.output_dir
    sinks.reverse()
    assert refusal(given, put("spec/sinks", sinks)) is None
    sinks[0]["config"]["path"] = "/var/a.jsonl"
    assert refusal(given, put("spec/sinks", sinks))[0] == "spec.sinks[0].config.path"


def test_rules_are_handed_to_the_process(rules, tmp_path):
    path = tmp_path / "rules.json"
    assert read_rules(path) is None
    write_rules(path, rules)
    assert read_rules(path) == rules
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(b"{")
    with pytest.raises(SpecError, match="cannot be read"):
        read_rules(path)
    write_rules(path, None)
    assert read_rules(path) is None
