import sys
import threading
from pathlib import Path

import pytest

from deltaforge.observability.threads import show_thread_name


@pytest.mark.skipif(sys.platform != "linux", reason="the list of threads is one of Linux")
def test_system_shows_the_name_of_a_thread():
    shown = []

    def run():
        show_thread_name()
        shown.append(Path(f"/proc/self/task/{threading.get_native_id()}/comm").read_text().strip())

    thread = threading.Thread(target=run, name="sink-orders-to-kafka")
    thread.start()
    thread.join()
    assert shown == ["sink-orders-to-"]
