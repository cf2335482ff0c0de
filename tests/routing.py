"""A router without a pipeline around it."""

from types import SimpleNamespace

from deltaforge.core.lanes import ONE_LOG, lanes_of
from deltaforge.runtime.ending import Ending
from deltaforge.runtime.router import Router
from deltaforge.spec.model import ShardingSpec


def router_of(count, **sharding):
    """A router of so many lanes of one log."""
    sharding = ShardingSpec(count=count, **sharding)
    spec = SimpleNamespace(lanes=lambda: lanes_of((ONE_LOG,), count), spec=SimpleNamespace(sharding=sharding))
    return Router(SimpleNamespace(spec=spec, ending=Ending(), panics=None))
