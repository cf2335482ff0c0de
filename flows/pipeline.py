"""One pipeline as a Bytewax dataflow: ``python -m bytewax.run "flows.pipeline:get_flow('p.yaml')"``.

``flow`` is the pipeline of the document that ``DELTAFORGE_PIPELINE`` names. State that is not in
Bytewax's recovery store (the schema history) goes below ``DELTAFORGE_STATE_DIR``, default ``./data``.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bytewax.dataflow import Dataflow


def get_flow(document: str) -> Dataflow:
    """The dataflow of the pipeline document at this path. Works with ``-w`` and with ``-i``/``-a``."""
    from deltaforge.runtime.embedded import flow_of_file

    return flow_of_file(Path(document), Path(os.environ.get("DELTAFORGE_STATE_DIR", "./data")))


def __getattr__(name: str) -> Any:
    if name == "flow":
        return get_flow(os.environ["DELTAFORGE_PIPELINE"])
    raise AttributeError(name)
