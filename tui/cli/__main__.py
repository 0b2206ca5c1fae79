"""``python -m tui.cli``: the command without its installed script."""

from __future__ import annotations

import sys

from . import main

sys.exit(main())
