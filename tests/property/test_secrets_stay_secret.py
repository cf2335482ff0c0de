"""Documents with secrets everywhere: what is shown, logged, refused and patched has none of them."""

import copy
import io
import json
import logging
import traceback
from urllib.parse import quote, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltaforge.config.known_secrets import KNOWN_SECRETS
from deltaforge.config.merge import merge_patch_indexed, merge_patch_rfc7386
from deltaforge.config.secret import redacted
from deltaforge.core.errors import SourceError, SpecError
from deltaforge.observability.logging import configure
from deltaforge.runtime.outcome import Outcome
from deltaforge.sources.mysql.dsn import read_dsn
from deltaforge.sources.postgres.session import conninfo_of
from deltaforge.spec import parse_document, restore_secrets
from deltaforge.spec.secrets import secrets_of

ODD = " '\"\\/:?#&=%;,@é\t"
END = st.text(st.sampled_from("QXZJqxzj"), min_size=3, max_size=4)
SECRETS = st.tuples(END, st.text(st.sampled_from("QXZJqxzj0189" + ODD), max_size=12), END).map("".join)


def libpq_quoted(value):
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def mysql_source(one):
    return {"type": "mysql", "config": {"id": "m", "dsn": f"mysql://u:{quote(one, safe='')}@h/db", "tables": []}}


def postgres_source(one, *, form):
    dsn = {
        "url": f"postgres://u:{quote(one, safe='')}@h/db?sslpassword={quote(one, safe='')}&connect_timeout=5",
        "pairs": f"host=h user=u password={libpq_quoted(one)} dbname=d",
        "spaced": f"password = {libpq_quoted(one)}  host=h",
    }[form]
    return {"type": "postgres", "config": {"id": "p", "dsn": dsn, "publication": "p", "slot": "s", "tables": []}}


@st.composite
def documents(draw):
    """A document, and its secrets as they are meant."""
    one, two, three = draw(st.tuples(SECRETS, SECRETS, SECRETS))
    forms = st.sampled_from(["url", "pairs", "spaced"])
    source = draw(
        st.one_of(st.builds(mysql_source, st.just(one)), st.builds(postgres_source, st.just(one), form=forms))
    )
    jaas = f'org.apache.kafka.PlainLoginModule required username="u" password={json.dumps(two)};'
    conf = {
        "sasl.password": two,
        "ssl.key.pem": f"-----BEGIN PRIVATE KEY-----\n{quote(two)}\n-----END PRIVATE KEY-----",
        "sasl.oauthbearer.config": f"principal=me clientSecret={two}",
        "sasl.jaas.config": jaas,
        "client.rack": f"password={quote(two, safe='')}",
        "linger.ms": "5",
    }
    kafka = {"id": "k", "brokers": "b:1", "topic": "t", "client_conf": conf}
    user = draw(st.sampled_from(["", "user"]))
    redis = {"id": "r", "uri": f"redis://{user}:{quote(three, safe='')}@h:1/0", "stream": "s"}
    http = {"id": "h", "url": f"https://u:{quote(three, safe='')}@h/x?api_key={quote(three)}"}
    http["headers"] = {"Authorization": f"Bearer {three}", "X-Auth": three, "Accept": "x"}
    nats = {"id": "n", "url": f"nats://{quote(three, safe='')}@h:1,nats://h:2", "subject": "s", "token": three}
    s3 = {"id": "s", "bucket": "b", "secret_access_key": three, "endpoint": f"https://u:{quote(three, safe='')}@h"}
    click = {"id": "c", "url": f"http://u:{quote(two, safe='')}@h", "database": "d", "table": "t", "mode": "upsert"}
    sinks = [("kafka", kafka), ("redis", redis), ("http", http), ("nats", nats), ("s3", s3), ("clickhouse", click)]
    listed = [{"type": kind, "config": config} for kind, config in sinks]
    spec = {"source": source, "processors": [], "sinks": listed}
    return {"metadata": {"name": "pipe", "tenant": "acme"}, "spec": spec}, (one, two, three)


def forms_of(secret):
    yield from (secret, quote(secret, safe=""), quote(secret), repr(secret)[1:-1], json.dumps(secret)[1:-1])


def assert_shows_none(text, secrets):
    for form in (form for secret in secrets for form in forms_of(secret)):
        assert form not in text
        assert form not in unquote(text)


@pytest.fixture(autouse=True)
def forgetful():
    yield
    KNOWN_SECRETS.forget("pipe")


@settings(max_examples=200, deadline=None)
@given(documents())
def test_what_is_shown_has_no_secret_and_is_the_document(drawn):
    document, secrets = drawn
    before = copy.deepcopy(document)
    parsed = parse_document(document)
    echo = parsed.spec.echo()
    assert_shows_none(json.dumps(echo, ensure_ascii=False) + json.dumps(echo) + repr(parsed.spec), secrets)
    assert echo["spec"]["sinks"][0]["config"]["client_conf"]["linger.ms"] == "5"
    for merge in (merge_patch_indexed, merge_patch_rfc7386):
        restored = parse_document(restore_secrets(merge(document, echo), document))
        assert sorted(secrets_of(restored.raw)) == sorted(secrets_of(document))
        assert restored.spec.spec.sinks == parsed.spec.spec.sinks
        assert restored.spec.spec.source.config.dsn == parsed.spec.spec.source.config.dsn
    assert document == before


@settings(max_examples=200, deadline=None)
@given(documents(), st.data())
def test_what_is_wrong_with_a_document_is_said_without_its_secrets(drawn, data):
    document, secrets = drawn
    at, key = data.draw(
        st.sampled_from(
            [(document["spec"]["source"], "type"), (document["spec"]["sinks"][0]["config"], "topic"),
             (document["spec"]["sinks"][1], "type"), (document["spec"]["source"]["config"], "tables"),
             (document["spec"]["sinks"][4]["config"], "format"), (document["metadata"], "name")]
        )
    )  # fmt: skip
    at[key] = data.draw(st.sampled_from([f"${{{secrets[1]}", 5, [secrets[0]], {secrets[2]: secrets[1]}, secrets[2]]))
    try:
        parse_document(document)
    except SpecError as error:
        assert_shows_none(str(error), secrets)


@settings(max_examples=200, deadline=None)
@given(documents(), st.data())
def test_what_is_said_while_it_runs_has_no_secret(drawn, data):
    document, secrets = drawn
    KNOWN_SECRETS.learn("pipe", secrets_of(document))
    secret = data.draw(st.sampled_from(secrets))
    form = data.draw(st.sampled_from([*forms_of(secret), secret.encode().decode("latin-1"), secret.replace("'", "''")]))
    dsn = document["spec"]["source"]["config"]["dsn"]
    said = data.draw(
        st.sampled_from(
            [f"cannot connect to h with {form}", f"could not read {dsn}: x", f'bad option "{form}"', f"u:{form}@h"]
        )
    )
    out = io.StringIO()
    configure({}, stream=out)
    try:
        logging.getLogger("deltaforge.test").error("failed: %s", said, extra={"error": said})
        try:
            raise SourceError(said, hint=said)  # noqa: TRY301 - its trace is what is looked at
        except SourceError as error:
            logging.getLogger("deltaforge.test").exception("unexpected")
            outcome = Outcome.of(error)
    finally:
        for handler in [h for h in logging.getLogger().handlers if getattr(h, "stream", None) is out]:
            logging.getLogger().removeHandler(handler)
    assert_shows_none(out.getvalue() + outcome.message + outcome.hint + redacted(said), secrets)


@settings(max_examples=200, deadline=None)
@given(documents(), st.integers(0, 200))
def test_a_cut_connection_string_is_refused_without_its_secret(drawn, cut):
    """Somebody has pasted a part of it, or forgot to encode a character."""
    document, secrets = drawn
    config = document["spec"]["source"]["config"]
    raw = f"{document['spec']['source']['type']}://u:{secrets[0]}@h/db"
    for dsn in (config["dsn"][cut:], config["dsn"][:-cut] if cut else raw, raw):
        for read in (read_dsn, conninfo_of):
            try:
                read(dsn)
            except (SourceError, SpecError) as error:
                assert_shows_none("".join(traceback.format_exception_only(error)), secrets[:1])
