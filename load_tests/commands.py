"""What a checkout adds to `koinon`: `demo` and `replay`; the wheel, in which nothing simulates, has neither."""

from pathlib import Path

import click


@click.command("demo")
@click.option("--exit", "leave", is_flag=True, help="End with the last line instead of leaving the pages open.")
@click.option("--seed", default=1, show_default=True, help="The day's seed: the same one gives the same statements.")
@click.option(
    "--scale", "percent", default=100, show_default=True, type=click.IntRange(5, 100), help="Percent of the whole day."
)
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="The installation's folder; by default KOINON_FOLDER, or ./var.",
)
def demo_command(*, leave: bool, seed: int, percent: int, folder: Path | None) -> None:
    """Run a coalition's day over the public API, settle it, and verify every brand's bundle."""
    # Imported where it is used: `koinon serve` and `worker` would load a simulator and an HTTP client for nothing.
    from load_tests.driver.demo import run_demo  # noqa: PLC0415  # see above

    run_demo(seed=seed, percent=percent, folder=folder, leave=leave)


@click.command("replay")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--mapping",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What the file's columns are (TOML); by default the one of load_tests/mappings/ that fits.",
)
@click.option("--json", "as_json", is_flag=True, help="End with one line of JSON.")
@click.option(
    "--operator",
    "operator_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An operator's key, as `koinon keys operator` wrote it; by default one is made on this machine.",
)
def replay_command(*, file: Path, mapping: Path | None, as_json: bool, operator_file: Path | None) -> None:
    """Replay FILE, a real file of card postings, over the public API on a sandbox programme."""
    from load_tests.driver.replaying import run_replay  # noqa: PLC0415  # as in demo_command

    run_replay(file, mapping=mapping, as_json=as_json, operator_file=operator_file)


commands: tuple[click.Command, ...] = (demo_command, replay_command)
