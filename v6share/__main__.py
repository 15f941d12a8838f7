"""``python -m v6share``: the same as the ``v6share`` command."""

from v6share.jobs.cli import main

main()
