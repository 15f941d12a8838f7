"""The ``v6share`` command, and ``python -m v6share``."""

import signal


def main() -> None:
    """Run the command. Ctrl-C ends it without a word until it is loaded and handles signals."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from v6share.jobs.cli import main as command  # here: loading takes a tenth of a second

    command()


if __name__ == "__main__":
    main()
