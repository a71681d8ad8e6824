"""``asset-pipeline workflows``: are ComfyUI workflows what their manifests say; accepting a new graph."""

import click

from asset_pipeline.commands.terminal import console
from asset_pipeline.definitions import PLACES
from asset_pipeline.errors import InvalidFile, PipelineError
from asset_pipeline.workflows.verification import load_workflow, objections
from asset_pipeline.workflows.vocabulary import what_it_says
from asset_pipeline.workflows.workflow import read_workflow, workflow_names, write_graph_sha256


@click.group()
def workflows() -> None:
    """Check and pin the ComfyUI workflows in data/workflows."""


@workflows.command()
@click.argument("name", required=False)
def check(name: str | None) -> None:
    """Compare the graph of each workflow, or of NAME, with its manifest."""
    wrong = []
    for each in [name] if name else workflow_names(PLACES.data):
        try:
            workflow = load_workflow(PLACES.data, each)
        except PipelineError as error:
            wrong.append(str(error))
            continue
        says = what_it_says(workflow)
        console.print(
            f"{each} {workflow.manifest.version}: {workflow.graph_sha256[:12]}, "
            f"takes {', '.join([*sorted(says.fields), *sorted(says.references), *sorted(says.others)])}"
        )
    if wrong:
        raise InvalidFile("\n".join(wrong))


@workflows.command()
@click.argument("name")
def pin(name: str) -> None:
    """Accept the graph of NAME as it is now: its hash is written into the manifest."""
    workflow = read_workflow(PLACES.data, name)
    if wrong := objections(workflow):
        raise InvalidFile("\n".join(wrong))
    changed = write_graph_sha256(workflow)
    console.print(f"{name}: {'pinned to' if changed else 'is already'} {workflow.graph_sha256}")
