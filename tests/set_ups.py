"""Documents with what they lead to, to be broken and examined."""

from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from deltaforge.doctor import Level, examine
from deltaforge.spec import parse_document
from tests.pipelines import file_sink, mysql_source, postgres_source


@dataclass
class SetUp:
    """A document and what it leads to."""

    folder: Path
    database: object = None
    source: dict = None
    sinks: list = None
    clock: dict = field(default_factory=dict)
    more: dict = field(default_factory=dict)
    patience_secs: float = 20

    @property
    def config(self):
        return self.source["config"]

    def document(self):
        spec = {"source": self.source, "processors": [], "sinks": self.sinks, **self.more}
        return parse_document({"metadata": {"name": "p", "tenant": "t"}, "spec": spec})

    def found(self):
        """Everything that is not as it should be."""
        findings = examine(self.document(), self.folder / "state", patience_secs=self.patience_secs, **self.clock)
        return [finding for finding in findings if finding.level is not Level.OK]


def kafka_sink(broker, topic, **config):
    return {"type": "kafka", "config": {"id": "kafka", "brokers": broker.bootstrap, "topic": topic, **config}}


def redis_sink(server, stream, *, uri=None, **config):
    return {"type": "redis", "config": {"id": "redis", "uri": uri or server.uri, "stream": stream, **config}}


@contextmanager
def mysql_set_up(server, folder):
    with server.fresh_database() as database:
        database.execute("create table t (id int primary key, v int)")
        source = mysql_source(database, url=server.url(user="cdc", password="cdc"))
        yield SetUp(folder, database, source, [file_sink(folder / "out.jsonl")])


@contextmanager
def postgres_set_up(server, folder):
    with server.fresh_database() as database:
        statements = "create table t (id int primary key, v int)", "alter table t replica identity full"
        database.execute(*statements, "create publication pub for table t")
        yield SetUp(folder, database, postgres_source(database), [file_sink(folder / "out.jsonl")])


@contextmanager
def changed(case, **config):
    case.config.update(config)
    yield


def expect(case, check, level, text):
    """The finding is there, with a remedy; and no other error, unless it comes of the same."""
    found = case.found()
    matching = [each for each in found if each.check == check and each.level == level and text in each.what]
    assert matching, found
    assert all(each.remedy and each.where for each in found)
    return found
