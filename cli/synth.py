"""`lake synth`: the templates of an environment as files, for the CDK command line or for plain CloudFormation."""

import json
import shutil
from enum import StrEnum
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import baseline, output
from cli.connection import LOCAL, cloud_home
from cli.errors import LakeError, NotFound, WrongInput
from cli.options import EnvironmentOption, JsonOption, tenants_folder
from cli.synthesis import load_registry, synthesise_into, told
from deployment.assembly import Assembly, Stack
from deployment.limits import INLINE_LIMIT, excesses

if TYPE_CHECKING:
    from tenants.registry import Registry

__all__ = ["Format", "plain", "synth"]

ASSETS = "assets.json"


class Format(StrEnum):
    """What the files are for."""

    ASSEMBLY = "assembly"
    TEMPLATES = "templates"


DEFAULTS = {Format.ASSEMBLY: Path("cdk.out"), Format.TEMPLATES: Path("templates.out")}
# What is written first into a folder, and tells later that the rest of it is ours.
OWN = {Format.ASSEMBLY: "cdk.out", Format.TEMPLATES: ASSETS}


def synth(
    *,
    environment: EnvironmentOption = LOCAL,
    tenants: Annotated[
        Path | None,
        typer.Option("--tenants", metavar="FILE", help="Read in place of tenants.yaml; contracts stay where they are."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--output", metavar="DIR", help="Where to write; cdk.out or templates.out if not given."),
    ] = None,
    form: Annotated[
        Format,
        typer.Option("--format", help="assembly: for `cdk --app DIR`; templates: plain CloudFormation."),
    ] = Format.ASSEMBLY,
    as_json: JsonOption = False,
) -> None:
    """Write the templates of all cells of an environment, as `lake deploy` would deploy them; needs no cloud.

    Fails, after writing the others, for tenants whose templates cannot be made or are over a limit of CloudFormation.
    """
    from tenants.naming import check_environment

    name, _, cell = environment.partition("/")
    check_environment(name)
    if cell:
        raise WrongInput(f"{environment}: all cells are written together; give -e {name}")
    if tenants is not None and not tenants.is_file():
        raise NotFound(f"{tenants}: no such file; expected one like tenants/tenants.yaml")
    target = folder or DEFAULTS[form]
    refuse_foreign(target, form)
    scratch = target if form is Format.ASSEMBLY else cloud_home() / "assembly" / f"{environment}-templates"
    load = cache(partial(registry, tenants))
    made = synthesise_into(scratch, environment, load, cloud_home())
    wrong = [*([told(made.failures)] if made.failures else []), *over_limits(made)]
    if form is Format.TEMPLATES:
        write_templates(made, target)
        shutil.rmtree(scratch)
    else:
        baseline.write(target, load(), environment)
    if as_json:
        names = [stack.name for stack in made.stacks]
        output.print_json({"folder": str(target), "stacks": names, "failures": dict(made.failures)})
    else:
        print(f"{target}: {output.counted(len(made.stacks), 'stack')}")
    if wrong:
        raise LakeError("\n".join(wrong))


def registry(tenants: Path | None) -> "Registry":
    """The registry, with another file in place of tenants.yaml if one is given."""
    from tenants.registry import load

    return load(tenants_folder(), tenants=tenants) if tenants else load_registry(tenants_folder(), cloud_home())


def over_limits(assembly: Assembly) -> list[str]:
    """What CloudFormation or IAM would refuse, of the longest template of each shape: names alone differ in length."""
    longest: dict[str, Stack] = {}
    for stack in assembly.stacks:
        shape = stack.shape or stack.name
        if shape not in longest or stack.size > longest[shape].size:
            longest[shape] = stack
    return [said for stack in longest.values() for said in excesses(stack.name, stack.template, stack.size)]


def refuse_foreign(folder: Path, form: Format) -> None:
    """What stood in the folder is replaced, so it has to be ours."""
    if folder.exists() and not folder.is_dir():
        raise WrongInput(f"{folder}: is no folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / OWN[form]).is_file():
        raise WrongInput(f"{folder}: holds other things than {form.value}; name a new or empty folder by --output")


def write_templates(assembly: Assembly, folder: Path) -> None:
    """A template per stack, the files that it expects in buckets, and a list of which goes where."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ASSETS).write_text(json.dumps(uploads(assembly), indent=1), encoding="utf-8")
    for old in (*folder.glob("*.template.json"), *folder.glob("asset.*")):
        old.unlink()
    for stack in assembly.stacks:
        (folder / f"{stack.name}.template.json").write_text(text_of(plain(stack)), encoding="utf-8")
        for asset in stack.assets:
            copy = folder / asset.source.name
            if not copy.exists():
                shutil.copyfile(asset.source, copy)


def uploads(assembly: Assembly) -> list[dict[str, Any]]:
    """Each file with the object that it has to be before its stacks are made."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for stack in assembly.stacks:
        for asset in stack.assets:
            entry = {"file": asset.source.name, "bucket": asset.bucket, "key": asset.key, "before": []}
            found.setdefault((asset.bucket, asset.key), entry)["before"].append(stack.name)
    return list(found.values())


def plain(stack: Stack) -> dict[str, Any]:
    """The template without the check for CDK's own stack in the account, which nothing else in it needs."""
    made = dict(stack.template)
    for section, name in (("Parameters", "BootstrapVersion"), ("Rules", "CheckBootstrapVersion")):
        rest = {key: value for key, value in made.pop(section, {}).items() if key != name}
        made |= {section: rest} if rest else {}
    return made


def text_of(template: dict[str, Any]) -> str:
    """Indented for people, unless only that makes it too long to be sent with the call."""
    text = json.dumps(template, indent=1, ensure_ascii=False)
    if len(text.encode()) <= INLINE_LIMIT:
        return text
    return json.dumps(template, separators=(",", ":"), ensure_ascii=False)
