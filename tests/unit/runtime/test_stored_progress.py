"""How far a sink is where its own position is of another server than the log that is read."""

from datetime import UTC, datetime

from deltaforge.checkpoint.state import SinkCheckpoint
from deltaforge.core.positions import MysqlPosition
from deltaforge.runtime.sink_progress import checkpoint_at

UUID = "3e11fa47-71ca-11e1-9e33-c80aa9429562"


def test_a_sink_does_not_go_back_while_the_log_of_a_new_server_is_read_up_to_it():
    acked = SinkCheckpoint("k", MysqlPosition("b.000009", 500, f"{UUID}:1-9", server_uuid="a"), datetime.now(UTC))
    before, behind = (MysqlPosition("b.000002", 900, f"{UUID}:1-{number}", server_uuid="b") for number in (7, 10))
    assert checkpoint_at("k", before, acked, is_kept=False, is_replay=True).position == acked.position
    assert checkpoint_at("k", behind, acked, is_kept=False, is_replay=True).position == behind
