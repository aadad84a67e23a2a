"""The `koinon` command."""

import click

from koinon import __version__
from koinon.app import contexts
from koinon.keys_commands import keys
from koinon.processes import migrate_command, serve, up, worker_command

try:
    from load_tests.commands import commands as simulator_commands
except ModuleNotFoundError:  # a wheel: what simulates callers is not installed where real ones call
    simulator_commands = ()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="koinon")
def cli() -> None:
    """Koinon: a coalition loyalty platform in which every brand can check its settlement offline."""


for command in (up, serve, worker_command, migrate_command, keys, *simulator_commands):
    cli.add_command(command)
for context in contexts():
    for command in context.commands():
        cli.add_command(command)


def main() -> None:
    """Run the command line."""
    cli(prog_name="koinon")


if __name__ == "__main__":
    main()
