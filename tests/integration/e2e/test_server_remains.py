"""What a pipeline that ended leaves on the server of its source."""

import os
import signal

import pytest

from tests.integration.e2e.test_rest import ControlPlane, document
from tests.pipelines import PipelineProcess, file_sink, mysql_source, postgres_source, wait_for


def dumps(database):
    """The threads that read the log for the user of a pipeline; other tests have another."""
    return [row[0] for row in database.rows("show processlist") if row[1] == "cdc" and "Dump" in str(row[4])]


def test_stopped_mysql_pipeline_ends_its_dump_at_once(any_mysql_database, tmp_path):
    any_mysql_database.execute("create table t (id int primary key)")
    source = mysql_source(any_mysql_database, url=any_mysql_database.url(user="cdc", password="cdc"))
    pipeline = PipelineProcess(tmp_path, source, [file_sink(tmp_path / "out")])
    try:
        pipeline.start()
        assert len(dumps(any_mysql_database)) == 1
        assert pipeline.stop() == 0
        assert dumps(any_mysql_database) == []
        pipeline.start()
        (before,) = dumps(any_mysql_database)
        pipeline.kill()
        pipeline.start()  # the server ends the older dump of the same replica
        assert len(wait_for(lambda: [found for found in [dumps(any_mysql_database)] if before not in found])[0]) == 1
        assert pipeline.stop() == 0
    finally:
        pipeline.end()
