"""``python -m deltaforge``."""

import sys

from deltaforge.cli import main

sys.exit(main())
