"""How long sinks of tests wait for their servers."""

from deltaforge.testing.sink_contract import NetworkSinkContract

LONG_SECS = 20
"""On a machine with much to do a server that is well takes its time, too."""
SHORT_SECS = 1
"""Where a test waits for the sink to give up."""


def patience_of(request, short_secs=SHORT_SECS):
    """That of the sinks of a test: short in those tests of the contract that take the server away."""
    return short_secs if hasattr(NetworkSinkContract, request.function.__name__) else LONG_SECS
