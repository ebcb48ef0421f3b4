"""The command `pytel`: check and run a site, look at it and talk to it, and the demonstration.

Commands import what they need when they run, so that `pytel --help` answers at once.
"""


def main() -> None:
    """Run the command line."""
    from pytel.cli.app import app

    app()
