"""``python -m mvdb``."""

import sys

from mvdb.cli import main

sys.exit(main())
