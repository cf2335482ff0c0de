"""How many series a database can make."""

from deltaforge.observability.metrics import MAX_TABLES, OTHER_TABLES, PipelineMetrics


def test_tables_beyond_the_bound_share_one_series():
    metrics = PipelineMetrics("p")
    metrics.count_rows("src", {(f"d.t{n}", "c"): 2 for n in range(MAX_TABLES + 10)})
    metrics.count_rows("src", {("d.t0", "c"): 1})
    metrics.note_tables_at("src", 1000)
    metrics.show_table_lags(2.0)
    text = metrics.text()
    counted = [line for line in text.splitlines() if line.startswith("deltaforge_source_events_total{")]
    lags = [line for line in text.splitlines() if line.startswith("deltaforge_source_table_lag_seconds{")]
    assert (len(counted), len(lags)) == (MAX_TABLES + 1, MAX_TABLES + 1)
    assert f'deltaforge_source_events_total{{op="c",pipeline="p",source="src",table="{OTHER_TABLES}"}} 20.0' in text
    assert 'deltaforge_source_events_total{op="c",pipeline="p",source="src",table="d.t0"} 3.0' in text
