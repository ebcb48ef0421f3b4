"""The commands and their options; what they do is in the files beside this one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from pytel.base.errors import ConfigError, PytelError
from pytel.cli.account_commands import account
from pytel.cli.catalogue_commands import catalogue
from pytel.cli.devices.commands import devices
from pytel.cli.xmpp_commands import xmpp

StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        help="Where the running site keeps its state (default: PYTEL_STATE, else ./state or ./demo-night).",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Modules = Annotated[
    list[str], typer.Argument(metavar="MODULE", help="Names of modules, such as camera or south.camera.")
]


class _Commands(TyperGroup):
    """Tells errors as sentences."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PytelError as error:
            told = str(error.data.get("remote_name", error.name))  # of a kind that only the module knows
            name = "" if told in ("NoSite", "ConfigError") else f"{told}: "
            typer.secho(f"{name}{error.message}", err=True, fg=typer.colors.RED)
            raise typer.Exit(1) from None
        except BrokenPipeError:
            sys.stderr.close()
            raise typer.Exit(0) from None


app = typer.Typer(
    name="pytel",
    cls=_Commands,
    help="Run a robotic observatory, look at it and talk to it.\n\n"
    "Example: pytel demo, and in another shell: pytel modules",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

app.add_typer(account)
app.add_typer(catalogue)
app.add_typer(devices)
app.add_typer(xmpp)


def _version(wanted: bool) -> None:
    if wanted:
        from pytel import __version__

        typer.echo(f"pytel {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show version.")] = False,
    account: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="NAME@DOMAIN",
            envvar="PYTEL_AS",
            help="Reach the site over XMPP as this account: pytel --as alice@monet.example modules.",
        ),
    ] = "",
    server: Annotated[
        str,
        typer.Option(
            metavar="HOST[:PORT]",
            envvar="PYTEL_SERVER",
            help="Where the XMPP server is (default: as the domain's DNS says).",
        ),
    ] = "",
    ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", envvar="PYTEL_CA", help="The CA certificate of the server (default: the system's)."
        ),
    ] = None,
) -> None:
    if account:
        from pytel.cli.client import current_account
        from pytel.cli.remote import Account

        current_account.set(Account.parse(account, server, ca))


@app.command(short_help="Tell what is wrong with a site file, with line numbers.")
def check(site: Annotated[Path, typer.Argument(metavar="SITE.yaml", help="The site file.")]) -> None:
    """Tell what is wrong with a site file, one sentence each with its line.

    Example: pytel check site.yaml
    """
    from pytel.cli.check import check_file

    if not check_file(site):
        raise typer.Exit(1)


@app.command(short_help="Run a site until Ctrl-C, then close the roof.")
def run(
    site: Annotated[Path, typer.Argument(metavar="SITE.yaml", help="The site file.")],
    only: Annotated[
        str, typer.Option(metavar="NAMES", help="Start only these modules: names with commas between.")
    ] = "",
) -> None:
    """Run a site until it is stopped (Ctrl-C); then close the roof and stop the modules in order.

    Example: pytel run site.yaml
    """
    from pytel.cli.run import run_file

    run_file(site, [name.strip() for name in only.split(",") if name.strip()])


@app.command(short_help="Write systemd units that run a site.")
def systemd(
    site: Annotated[Path, typer.Argument(metavar="SITE.yaml", help="The site file.")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the units are written.")] = Path("units"),
    user: Annotated[str, typer.Option(metavar="NAME", help="Whom they run as (default: you).")] = "",
) -> None:
    """Write systemd units that run a site: a service for each process, and a target for all.

    Example: pytel systemd site.yaml --out units
    """
    from pytel.cli.systemd import write_units

    write_units(site, out, user or None)


@app.command(short_help="List the modules of the running site.")
def modules(state: StateOption = None, as_json: JsonOption = False) -> None:
    """List the modules of the running site and how they fare.

    Example: pytel modules
    """
    from pytel.cli.look import show_modules

    show_modules(state, as_json)


@app.command("state")
def state_command(
    module: Annotated[str, typer.Argument(metavar="MODULE", help="Only this module.")] = "",
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the present states of all modules, or of one.

    Example: pytel state telescope
    """
    from pytel.cli.look import show_states

    show_states(state, module, as_json)


@app.command(short_help="Show states and events as they come.")
def watch(
    topics: Annotated[
        list[str] | None, typer.Argument(metavar="KIND", help="Only these, such as Telescope or NewImage.")
    ] = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show states and events as they come, until Ctrl-C.

    Example: pytel watch NewImage Telescope
    """
    from pytel.cli.look import watch_news

    watch_news(state, topics or None, as_json)


@app.command(
    short_help="Call a method of a module.",
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
def call(
    target: Annotated[
        str, typer.Argument(metavar="MODULE.METHOD", help="What to call; a module alone lists its methods.")
    ],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="NAME=VALUE", help="Its parameters; values alone go in order.")
    ] = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Call a method of a module and wait for its result; Ctrl-C cancels what takes long.

    Values are JSON, plain text or quantities with a unit. Options stand before the method.

    Examples: pytel call telescope.move_radec ra=53.4 dec=-36.1

    pytel call camera.expose exposure_time="2 min"

    pytel call camera
    """
    from pytel.cli.call import call_method

    call_method(state, target, arguments or [], as_json)


@app.command()
def start(modules: Modules, state: StateOption = None) -> None:
    """Start modules of the running site.

    Example: pytel start autofocus
    """
    _switch("start", modules, state)


@app.command(short_help="Stop modules of the running site.")
def stop(modules: Modules, state: StateOption = None) -> None:
    """Stop modules of the running site: what they do is switched off.

    Example: pytel stop autofocus
    """
    _switch("stop", modules, state)


@app.command(short_help="Stop modules and start them anew.")
def restart(modules: Modules, state: StateOption = None) -> None:
    """Stop modules of the running site and start them anew.

    Example: pytel restart camera
    """
    _switch("restart", modules, state)


def _switch(action: str, modules: list[str], state: Path | None) -> None:
    from pytel.cli.client import reach_site

    with reach_site(state) as client:
        runs = {row["address"] for row in client.call("site.list_modules") if row["status"]}
        for module in modules:
            client.call(f"site.{action}_module", {"address": module})
            did = {"start": "runs already" if module in runs else "started", "restart": "restarted"}
            did["stop"] = "stopped" if module in runs else "does not run"
            typer.echo(f"{module}: {did[action]}")


@app.command(short_help="Run a simulated observatory through a night.")
def demo(
    headless: Annotated[bool, typer.Option("--headless", help="Plain lines instead of the live display.")] = False,
    virtual: Annotated[bool, typer.Option("--virtual", help="On the virtual clock: a night in seconds.")] = False,
    nights: Annotated[int, typer.Option(metavar="N", min=1, max=366, help="How many nights.")] = 1,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Weather, noise and faults follow from it.")] = 1,
    rate: Annotated[
        float, typer.Option(metavar="X", min=0.1, max=1000.0, help="How many times faster than real time.")
    ] = 60.0,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where everything is written.")] = Path("demo-night"),
    compress: Annotated[bool, typer.Option("--compress", help="Write Rice-compressed .fits.fz files.")] = False,
    guided: Annotated[
        bool, typer.Option("--guided", help="Acquire each target by the stars, and guide on the science frames.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Throw away what an earlier demonstration left there.")
    ] = False,
    bus: Annotated[
        Literal["local", "xmpp"],
        typer.Option("--bus", help="local: all in one process; xmpp: a real server and a process for each module."),
    ] = "local",
    server: Annotated[
        Literal["prosody", "ejabberd"], typer.Option("--server", help="Which XMPP server; it must be installed.")
    ] = "prosody",
) -> None:
    """Run a simulated observatory through a night and show what it does.

    The same command goes on where an interrupted one was.

    Examples: pytel demo

    pytel demo --headless --virtual --nights 1 --seed 1 --out night1
    """
    from pytel.cli.demo import DemoOptions, run_demo

    options = DemoOptions(
        out=out,
        headless=headless,
        virtual=virtual,
        nights=nights,
        seed=seed,
        rate=rate,
        compress=compress,
        guided=guided,
        fresh=fresh,
        bus=bus,
        server=server,
    )
    if virtual and bus != "local":
        raise ConfigError("the virtual clock needs all modules in one process: leave out --virtual or --bus")
    run_demo(options)  # stopping it is no failure


@app.command(short_help="Simulate nights with random faults and check them.")
def nights(
    count: Annotated[int, typer.Option(metavar="N", min=1, help="How many nights.")] = 20,
    seed: Annotated[
        int | None,
        typer.Option(metavar="N", min=0, help="Of the first night; each further one has the next (default: fresh)."),
    ] = None,
    faults: Annotated[bool, typer.Option("--faults/--no-faults", help="Inject random faults.")] = True,
) -> None:
    """Simulate nights with random faults and check that what must hold, holds.

    Example: pytel nights --count 20 --seed 1
    """
    from pytel.cli.nights import simulate_nights

    if not simulate_nights(count, seed, faults):
        raise typer.Exit(1)
