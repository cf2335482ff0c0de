"""Whether a pipeline document will run here: ``deltaforge doctor``.

Everything that a pipeline talks to is asked, and nothing is changed. One module for each kind of source and sink, which
:mod:`deltaforge.doctor.examination` lists.
"""

from deltaforge.doctor.examination import examine
from deltaforge.doctor.finding import Finding, Level

__all__ = ["Finding", "Level", "examine"]
