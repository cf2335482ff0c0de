"""What compose.yaml and compose/cluster.yaml set up, on real servers: set-up scripts, server options, command lines,
documents, scrape and rules, with addresses and folders of this machine in place of those of containers. Then what
dashboard and alerts ask.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.fixtures.database import MySqlServer, PostgresServer
from tests.fixtures.fix_package import ROOT, clean_environment
from tests.fixtures.fix_servers import private_servers
from tests.fixtures.ports import free_addresses, free_port
from tests.pipelines import wait_for

DEPLOY = ROOT / "deploy"
SERVICES = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
CLUSTER = yaml.safe_load((DEPLOY / "compose/cluster.yaml").read_text())["services"]
DASHBOARD = json.loads((DEPLOY / "grafana/deltaforge.json").read_text())
TARGETS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", [])]
RULES = yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())["groups"][0]["rules"]
VARIABLES = {"$instance": ".*", "$pipeline": ".*", "$sink": ".*", "$__rate_interval": "20s", "$__range": "1m"}
PREFIX = "installed"

CLIENT = """#!{python}
import os, sys
statements = sys.stdin.read()
if os.path.basename(sys.argv[0]) == "psql":
    import psycopg
    psycopg.connect(os.environ["URL"], autocommit=True).execute(statements)
else:
    import pymysql
    from pymysql.constants import CLIENT
    pymysql.connect(
        host="127.0.0.1", port=int(os.environ["URL"]), user="root", password=os.environ["ROOT"], database=sys.argv[-1],
        client_flag=CLIENT.MULTI_STATEMENTS, autocommit=True,
    ).query(statements)
"""
"""Stands for the command-line clients of the images: the statements go to a real server."""


@dataclass(frozen=True)
class Installation:
    folder: Path
    api: str
    metrics: str
    postgres: PostgresServer
    mysql: MySqlServer

    def secret(self, name):
        return (self.folder / "secrets" / name).read_text()

    def get(self, address, path, *, token=None):
        """Status and text of an answer."""
        headers = {"Authorization": f"Bearer {self.secret(token)}"} if token else {}
        try:
            with urllib.request.urlopen(
                urllib.request.Request(f"http://{address}{path}", headers=headers), timeout=20
            ) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


@pytest.fixture(scope="module")
def installation(server_room, kafka):
    with private_servers(server_room) as servers:
        postgres_options = SERVICES["postgres"]["command"][1:]
        postgres = PostgresServer.ours(server_room.start("postgres-18", "postgres.sh", *postgres_options))
        servers.append(postgres)
        mysql = MySqlServer.ours(server_room.start("mysql", "mysql.sh", *SERVICES["mysql"]["command"]))
        servers.append(mysql)
        folder = server_room.folder / "installation"
        api, metrics = (f"127.0.0.1:{free_port(1)}" for _ in range(2))
        installed = Installation(folder, api, metrics, postgres, mysql)
        _make_secrets(folder)
        _set_up_databases(installed)
        addresses = {
            "@postgres:5432": f"@127.0.0.1:{postgres.port}", "@mysql:3306": f"@127.0.0.1:{mysql.port}",
            '"kafka:9092"': f'"{kafka.bootstrap}"', 'topic: "shop.': f'topic: "{PREFIX}.shop.', 'topic: "stock.': f'topic: "{PREFIX}.stock.',
        }  # fmt: skip
        (folder / "pipelines").mkdir()
        for document in (DEPLOY / "compose/pipelines").iterdir():
            (folder / "pipelines" / document.name).write_text(replaced(document.read_text(), addresses))
        with _serving(installed):
            yield installed


def replaced(text, changes):
    """The text with every one of the changes made; each has something to change somewhere."""
    for old, new in changes.items():
        text = text.replace(old, new)
    return text


def _make_secrets(folder):
    folder.mkdir()
    script = folder / "secrets.sh"
    script.write_bytes((DEPLOY / "compose/secrets.sh").read_bytes())
    subprocess.run(["bash", script], check=True, capture_output=True)
    (folder / "secrets").chmod(0o755)  # Prometheus runs as another user here


def _set_up_databases(installed):
    programs = installed.folder / "bin"
    programs.mkdir()
    for name in ("psql", "mysql"):
        (programs / name).write_text(CLIENT.format(python=sys.executable))
        (programs / name).chmod(0o755)
    installed.postgres.create("shop")
    installed.mysql.create("shop")
    with installed.mysql.connect() as connection, connection.cursor() as cursor:
        cursor.execute("drop user cdc@'%'")  # of the fixture
    for name, variables in {
        "postgres": {"POSTGRES_USER": "postgres", "POSTGRES_DB": "shop", "URL": installed.postgres.url("shop")},
        "mysql": {"MYSQL_DATABASE": "shop", "URL": str(installed.mysql.port), "ROOT": "root"},
    }.items():
        script = (
            (DEPLOY / f"compose/{name}/init.sh").read_text().replace("/run/secrets", str(installed.folder / "secrets"))
        )
        environment = clean_environment(PATH=f"{programs}:{os.environ['PATH']}", **variables)
        done = subprocess.run(["bash"], input=script, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@contextmanager
def _serving(installed):
    folder = installed.folder
    places = {
        "/etc/deltaforge/pipelines": str(folder / "pipelines"), "/var/lib/deltaforge": str(folder / "state"),
        "/run/secrets": str(folder / "secrets"), "0.0.0.0:8080": installed.api, "0.0.0.0:9000": installed.metrics,
    }  # fmt: skip
    options = [replaced(option, places) for option in SERVICES["deltaforge"]["command"]]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "deltaforge", *options],
            stdout=log,
            stderr=log,
            cwd=folder,
            env=clean_environment(),
        )
    try:
        wait_for(lambda: _both_run(installed, process))
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0, (folder / "log").read_text()
    finally:
        process.kill()
        process.wait()


def _both_run(installed, process):
    """Whether each has saved where it begins: what is written from now on is behind that."""
    assert process.poll() is None, (installed.folder / "log").read_text()
    try:
        answers = [
            installed.get(installed.api, f"/pipelines/{name}/checkpoints", token="deltaforge_read_token")
            for name in ("shop", "stock")
        ]
    except OSError:
        return False
    return all(status == 200 and json.loads(text) for status, text in answers)


@pytest.fixture(scope="module")
def rows(installation, kafka):
    """Rows of each table that are in their topics, by topic."""
    with installation.postgres.connect("shop") as connection:
        for number in range(20):
            connection.execute("insert into orders (customer_id, amount) values (1, %s)", [number])
        connection.execute("insert into customers (name) values ('Edsger')")
    with installation.mysql.connect("shop") as connection, connection.cursor() as cursor:
        cursor.execute("insert into items (name, stock) values ('table', 1)")
        cursor.execute("update items set stock = 9 where name = 'lamp'")
    counts = {f"{PREFIX}.shop.orders": 20, f"{PREFIX}.shop.customers": 1, f"{PREFIX}.stock.items": 2}
    events = {}
    for topic, count in counts.items():
        wait_for(lambda topic=topic, count=count: len(kafka.messages(topic)) >= count)
        events[topic] = [json.loads(message.value()) for message in kafka.messages(topic)]
    return events


@pytest.fixture(scope="module")
def prometheus(installation, rows, private_prometheus):
    """A Prometheus with the configuration of compose.yaml, that has scraped more than once."""
    folder = installation.folder / "prometheus"
    folder.mkdir()
    text = (DEPLOY / "prometheus/prometheus.yaml").read_text()
    changes = {
        "deltaforge:9000": installation.metrics,
        "/run/secrets": str(installation.folder / "secrets"),
        "15s": "1s",
    }
    text = replaced(text, {**changes, "localhost:9090": f"localhost:{free_port(1)}"})
    (folder / "prometheus.yaml").write_text(text)
    (folder / "alerts.yaml").write_bytes((DEPLOY / "prometheus/alerts.yaml").read_bytes())
    server = private_prometheus(folder / "prometheus.yaml")
    wait_for(lambda: server.query("count_over_time(deltaforge_sink_events_total[1m]) >= 5"))
    return server


def test_rows_of_both_databases_are_in_kafka(rows):
    assert [event["after"]["amount"] for event in rows[f"{PREFIX}.shop.orders"]] == [f"{n}.00" for n in range(20)]
    assert rows[f"{PREFIX}.shop.customers"][0]["after"]["name"] == "Edsger"
    assert [(e["op"], e["after"]["stock"]) for e in rows[f"{PREFIX}.stock.items"]] == [("c", 1), ("u", 9)]


def test_nobody_gets_in_without_a_token_and_prometheus_may_only_look(installation):
    assert installation.get(installation.api, "/pipelines")[0] == 401
    assert installation.get(installation.metrics, "/metrics")[0] == 401
    assert installation.get(installation.api, "/health")[0] == 200
    assert installation.get(installation.metrics, "/metrics", token="deltaforge_read_token")[0] == 200


def test_no_secret_is_in_a_log_or_an_answer(installation):
    paths = ("/pipelines", "/pipelines/shop", "/ready", "/health", "/metrics")
    texts = [installation.get(installation.api, path, token="deltaforge_admin_token") for path in paths]
    assert [status for status, _ in texts] == [200] * len(paths)
    logs = [installation.folder / "log", *(installation.folder / "state").rglob("*.log")]
    assert len(logs) == 3
    found = [text for _, text in texts] + [path.read_text() for path in logs]
    for secret in (installation.folder / "secrets").iterdir():
        lines = [line.rpartition(":")[2] for line in secret.read_text().splitlines()]
        assert not [text for text in found if any(line in text for line in lines)], secret.name


def test_prometheus_scrapes_it_with_its_token_and_takes_the_rules(installation, prometheus):
    assert prometheus.targets()[installation.metrics] == ("up", "")
    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    assert [rule["name"] for rule in rules] == [rule["alert"] for rule in RULES]
    wait_for(
        lambda: all(rule["health"] == "ok" for group in prometheus.get("rules")["groups"] for rule in group["rules"])
    )


def test_no_alert_fires_or_waits_for_pipelines_that_are_well(prometheus):
    assert [labels["alertname"] for labels, _ in prometheus.query('ALERTS{job="deltaforge"}')] == []


def test_the_exposition_is_as_promtool_wants_it(installation, promtool):
    _, text = installation.get(installation.metrics, "/metrics", token="deltaforge_read_token")
    status, said = promtool("check", "metrics", text=text)
    complaints = [line for line in said.splitlines() if "deltaforge_" in line]
    assert status in (0, 3), said
    # names that contract 06 fixes, against the customs that promtool knows
    known = re.compile(r"deltaforge_(schema_tables_total|schema_dynamic_maps_total|pipelines|schema_drift_detected)\b")
    assert [line for line in complaints if not known.search(line)] == []


def test_every_metric_that_is_asked_for_is_exposed(installation):
    _, text = installation.get(installation.metrics, "/metrics", token="deltaforge_read_token")
    families = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    exposed = set(families) | {f"{name}_bucket" for name, kind in families.items() if kind == "histogram"}
    asked = {
        name for text in [*TARGETS, *(rule["expr"] for rule in RULES)] for name in re.findall(r"\bdeltaforge_\w+", text)
    }
    assert asked - exposed == set()


QUIET = (
    "dlq_", "spool", "detached", "txn_", "queue_messages", "errors_total", "reconnects_total", "checkpoint_resets", "timeout_total", "skipped",
    "publication_changes", "unmatched", "schema_evolutions", "drift_detected", "checkpoint_status", "slot_retained", "up{", "snapshot_",
)  # fmt: skip
"""In queries about what does not happen to pipelines that are well, or not with these documents: their answer may be empty."""


def test_every_query_of_the_dashboard_is_answered(prometheus):
    unanswered = [text for text in TARGETS if not prometheus.query(replaced(text, VARIABLES))]
    assert [text for text in unanswered if not any(part in text for part in QUIET)] == []
    assert len(unanswered) < len(TARGETS) / 2


def test_every_variable_of_the_dashboard_has_values(prometheus):
    found = {}
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
            samples = prometheus.query(replaced(selector, {**VARIABLES, "$tenant": ".*"}))
            found[variable["name"]] = {labels[label] for labels, _ in samples}
    assert len(found.pop("instance")) == 1
    assert found == {"tenant": {"acme"}, "pipeline": {"shop", "stock"}, "sink": {"kafka"}}


def test_the_health_check_of_the_image_is_content(installation):
    text = re.search(r'^  CMD (\["python".*\])$', (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)[1]
    check = json.loads(text)[2].replace("127.0.0.1:8080", installation.api)
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)
    assert done.returncode == 0, shlex.join([check, done.stderr])


@pytest.fixture
def cluster(installation, kafka, tmp_path):
    """The processes of compose/cluster.yaml, by their number."""
    addresses = {
        "@postgres:5432": f"@127.0.0.1:{installation.postgres.port}", '"kafka:9092"': f'"{kafka.bootstrap}"',
        'topic: "orders.': f'topic: "{PREFIX}.orders.',
    }  # fmt: skip
    document = replaced((DEPLOY / "compose/cluster/orders.yaml").read_text(), addresses)
    (tmp_path / "orders.yaml").write_text(document)
    (tmp_path / "postgres_cdc_password").write_text(installation.secret("postgres_cdc_password"))
    places = {"/var/lib/deltaforge": str(tmp_path), "/run/secrets": str(tmp_path)}
    store = CLUSTER["orders-store"]
    (script,) = store["command"]
    command = [*store["entrypoint"], script.replace("python", sys.executable)]
    assert replaced(store["working_dir"], places) == str(tmp_path)
    for _ in range(2):  # the second time it is there
        subprocess.run(command, cwd=tmp_path, check=True, env=clean_environment())
    (tmp_path / "elsewhere").mkdir()
    names = CLUSTER["orders-0"]["environment"]["BYTEWAX_ADDRESSES"]
    places[names] = ";".join(free_addresses(len(names.split(";"))))
    processes = {}
    with (tmp_path / "log").open("wb") as log:
        for name in ("orders-0", "orders-1"):
            service = CLUSTER[name]
            variables = {key: replaced(value, places) for key, value in service["environment"].items()}
            command = [sys.executable, *service["entrypoint"][1:], *(replaced(c, places) for c in service["command"])]
            processes[variables["BYTEWAX_PROCESS_ID"]] = subprocess.Popen(
                command, cwd=tmp_path / "elsewhere", env=clean_environment(**variables), stdout=log, stderr=log
            )
    yield processes
    for process in processes.values():
        process.kill()
        process.wait()


def test_the_processes_of_the_cluster_file_deliver_rows(installation, cluster, kafka, tmp_path):
    assert sorted(cluster) == ["0", "1"]
    with installation.postgres.connect("shop") as connection:
        active = "select 1 from pg_replication_slots where slot_name = 'deltaforge_orders' and active"

        def is_reading():
            assert all(process.poll() is None for process in cluster.values()), (tmp_path / "log").read_text()
            return connection.execute(active).fetchall()

        wait_for(is_reading)
        connection.execute("insert into orders (customer_id, amount) values (1, 7)")
    messages = wait_for(lambda: kafka.messages(f"{PREFIX}.orders.orders"))
    assert [json.loads(message.value())["after"]["amount"] for message in messages] == ["7.00"]
