import msgspec
import pytest

from benchmarks.backlog import Figures
from benchmarks.sweep import AIMS, SETTINGS, settings_of
from benchmarks.sweep_results import Result, newest
from deltaforge.runtime.launcher import EPOCH_SECS
from deltaforge.sensing.settings import SchemaSensing
from deltaforge.sinks.kafka.config import KafkaSinkConfig
from deltaforge.spec.model import BatchSpec

BUILT_IN = {"batch.num.messages": 10_000, "queue.buffering.max.messages": 100_000}  # librdkafka's CONFIGURATION.md


def default_of(name):
    if name == "epoch_secs":
        return EPOCH_SECS
    if name == "schema_sensing":
        return "1 row in 10" if SchemaSensing().enabled else "off"
    if name == "exactly_once":
        return bool(KafkaSinkConfig(id="k", brokers="b:1", topic="t").exactly_once)
    part, _, key = name.partition(".")
    if part == "batch":
        return getattr(BatchSpec(), key)
    producer = KafkaSinkConfig(id="k", brokers="b:1", topic="t").producer_settings()
    return type(SETTINGS[name].default)(producer.get(key, BUILT_IN.get(key)))


@pytest.mark.parametrize("name", [name for name in SETTINGS if name not in ("aim", "optional_sink")])
def test_default_of_a_swept_setting_is_the_product_s(name):
    assert SETTINGS[name].default == default_of(name)
    assert SETTINGS[name].default in SETTINGS[name].values


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, s in SETTINGS.items() for value in s.values])
def test_every_value_makes_a_valid_document(name, value):
    settings = settings_of(name, value)
    BatchSpec(**settings.batch)
    KafkaSinkConfig(id="k", brokers="b:1", topic="t", client_conf=settings.client_conf).producer_settings()
    SchemaSensing(**settings.schema_sensing)
    assert settings.arguments in ([], ["--epoch-secs", str(value)])


def test_an_aim_sets_all_of_its_settings():
    settings = settings_of("aim", "latency")
    keys = {f"batch.{key}" for key in settings.batch} | {f"client_conf.{key}" for key in settings.client_conf}
    assert keys == set(AIMS["latency"])


def result(source, value, *rates):
    drains = [Figures(rows_per_sec=r, cpu_secs_per_million=1, peak_rss_mb=1, bytes_per_row=None) for r in rates]
    return Result(source=source, workload="bulk", value=value, drains=drains)


def write(folder, name, results):
    document = {"setting": "batch.max_ms", "default": 50, "results": results}
    (folder / f"sweep-batch.max_ms-{name}.json").write_bytes(msgspec.json.encode(document))


def test_newest_takes_the_last_results_of_each_source(tmp_path):
    write(tmp_path, "2026-01-02T0900", [result("mysql", 1, 10.0), result("postgres", 1, 20.0)])
    write(tmp_path, "2026-01-02T1000", [result("mysql", 1, 11.0)])
    write(tmp_path, "2025-12-31T2300", [result("mysql", 1, 9.0)])

    (sweep,) = newest(tmp_path)

    assert {r.source: r.rows_per_sec for r in sweep.results} == {"mysql": 11.0, "postgres": 20.0}


def test_a_figure_of_a_value_is_the_median_of_its_drains():
    assert result("mysql", 1, 10.0, 90.0, 20.0).rows_per_sec == 20.0
