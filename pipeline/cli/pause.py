"""`pipeline pause` and `pipeline resume`: hold delivery back by hand, as while the org is being changed."""

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from redis import Redis


@click.command(
    epilog="\b\nExamples:\n  pipeline pause --reason 'release of the billing package until 18:00'\n"
    "  pipeline pause Case --reason 'its triggers are being mended'"
)
@click.argument("object_name", metavar="[OBJECT]", required=False)
@click.option("--reason", default="", help="Why; `pipeline status` and the workers' logs say it.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on the last line.")
def pause(*, object_name: str | None, reason: str, is_json: bool) -> None:
    """Hold delivery back: of everything, or of one OBJECT, as Lead.

    Events are still taken in and wait, in order; nothing is lost. A batch that is under way is finished.
    """
    from pipeline.cli.connection import connected
    from pipeline.salesforce.pause import Pause

    with connected() as redis:
        if object_name is not None:
            _check_is_known(object_name, redis)
        is_new = Pause(redis).hold(object_name, reason=reason)
    what = object_name or "delivery"
    if is_json:
        click.echo(json.dumps({"object": object_name, "paused": True, "was_paused": not is_new}))
        return
    click.echo(f"{what} is paused" if is_new else f"{what} was paused already; `pipeline status` says why")


@click.command(epilog="\b\nExamples:\n  pipeline resume\n  pipeline resume Case")
@click.argument("object_name", metavar="[OBJECT]", required=False)
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on the last line.")
def resume(*, object_name: str | None, is_json: bool) -> None:
    """End a pause: of one OBJECT, or without OBJECT every one, those of single objects included.

    Where delivery waits by itself, as after a refused login, the org is tried at once, and asked for its quota where
    that was used up. A login that was refused is not repeated for it before the time that protects the user from being
    locked out.
    """
    from pipeline.cli.connection import connected
    from pipeline.salesforce.pause import Pause
    from pipeline.tasks.upkeep import look_at_the_quota

    with connected() as redis:
        was_paused = Pause(redis).resume(object_name)
        look_at_the_quota(redis)
    what = object_name or "delivery"
    if is_json:
        click.echo(json.dumps({"object": object_name, "paused": False, "was_paused": was_paused}))
        return
    click.echo(f"{what} goes on" if was_paused else f"{what} was not paused")


def _check_is_known(object_name: str, redis: "Redis") -> None:
    """Refuse an object that nothing is delivered to, as after a slip of the hand."""
    import os

    from pipeline.inbox.inbox import objects
    from pipeline.settings import load_settings

    known = {*objects(redis), *load_settings(os.environ).destination.objects}
    if object_name not in known:
        raise click.BadParameter(
            f"nothing is delivered to {object_name}; write one of {', '.join(sorted(known))}", param_hint="OBJECT"
        )
