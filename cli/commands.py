"""The commands of `lake`, and how each of them ends."""

from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from cli import output
from cli.errors import explain

__all__ = ["app"]


class Lake(TyperGroup):
    """Commands in the order a person meets them; every error ends as one line and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except (TyperException, typer.Exit, typer.Abort, BrokenPipeError):
            raise
        except (Exception, KeyboardInterrupt) as error:
            text, code = explain(error)
            output.message(f"lake: {text}")
            raise typer.Exit(code) from error


app = typer.Typer(
    cls=Lake,
    name="lake",
    help="A multi-tenant data lake: tenants in, files in, answers out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def mount() -> None:
    """Every noun brings its commands; heavy imports stay inside the commands."""
    from cli import (
        cloud,
        demo,
        deploy,
        diff,
        doctor,
        drift,
        files,
        hold,
        lineage,
        maintenance,
        offboarding,
        plan,
        prove,
        put,
        query,
        queue,
        quotas,
        reconcile,
        replay,
        runs,
        snapshots,
        synth,
        tenant,
        workflow,
    )

    for command in (cloud.up, cloud.down, cloud.status, doctor.doctor, cloud.env):
        app.command(rich_help_panel="Local cloud")(command)
    for end in (offboarding.offboard, offboarding.verify_certificate):
        tenant.app.command()(end)
    app.add_typer(tenant.app, name="tenant", help="The tenants of tenants/tenants.yaml.", rich_help_panel="Tenants")
    app.command(rich_help_panel="Tenants")(plan.plan)
    app.command(rich_help_panel="Tenants")(deploy.deploy)
    app.command(rich_help_panel="Tenants")(diff.diff)
    app.command(rich_help_panel="Tenants")(synth.synth)
    app.command(rich_help_panel="Tenants")(prove.prove)
    for of_environments in (quotas.quotas, drift.drift):
        app.command(rich_help_panel="Tenants")(of_environments)
    jobs = "What the jobs of the deploy workflow do."
    app.add_typer(workflow.app, name="workflow", help=jobs, rich_help_panel="Tenants")
    for every_day in (put.put, files.files, runs.runs, query.query, lineage.lineage):
        app.command(rich_help_panel="Data")(every_day)
    app.command(rich_help_panel="Data")(demo.demo)
    for of_files in (replay.replay, hold.hold, hold.release, reconcile.reconcile, reconcile.backfill):
        app.command(rich_help_panel="Operation")(of_files)
    queues = "The queue of arrivals and its dead letters."
    app.add_typer(queue.app, name="queue", help=queues, rich_help_panel="Operation")
    for of_tables in (snapshots.snapshots, maintenance.rollback, maintenance.maintain, maintenance.rebuild_ledger):
        app.command(rich_help_panel="Operation")(of_tables)


mount()
