"""``python -m mvdb.cli``."""

import sys

from mvdb.cli import main

sys.exit(main())
