"""What ``v6share backfill`` counts of the inputs that it chooses. Light: the help needs it."""

from typing import Literal

# missing: what the present rules and catalog have not counted. failed: also what they refused. all:
# also what they counted.
Reprocess = Literal["missing", "failed", "all"]
