"""``python -m shopfloor_demo``: the demo."""

import sys

from shopfloor_demo.main import main

sys.exit(main())
