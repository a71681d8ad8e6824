"""A job in a workflow's words: its graph filled, and what the workflow has no words for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asset_pipeline.candidates.jobs.job import Job, RemoteParameters
from asset_pipeline.candidates.jobs.mapping import say
from asset_pipeline.errors import UnsupportedRequest
from asset_pipeline.fingerprint import ID_LENGTH
from asset_pipeline.workflows.filling import fill, prefixes
from asset_pipeline.workflows.verification import load_workflow
from asset_pipeline.workflows.vocabulary import what_it_says
from asset_pipeline.workflows.workflow import Graph, Workflow


@dataclass(frozen=True)
class JobGraph:
    """What is sent for a job."""

    graph: Graph
    dropped: tuple[str, ...]
    """What could not be said, in our names."""
    details: Mapping[str, str | int]
    """Which workflow drew: recorded with the picture."""


def workflow_of(data: Path, parameters: RemoteParameters) -> Workflow:
    """The verified workflow that a profile names.

    Raises:
        UnsupportedRequest: the profile names none, or pins another graph.
        NotFound, InvalidFile: see `load_workflow`.
    """
    if parameters.workflow is None:
        raise UnsupportedRequest("workflow: the profile names none, and a ComfyUI draws nothing else")
    workflow = load_workflow(data, parameters.workflow)
    if parameters.workflow_sha256 not in (None, workflow.graph_sha256):
        raise UnsupportedRequest(
            f"workflow_sha256: the profile pins {parameters.workflow_sha256}, and the graph of the workflow "
            f"{workflow.name} is {workflow.graph_sha256}"
        )
    return workflow


def identity_of(data: Path, parameters: RemoteParameters) -> str:
    """What of a workflow decides its pictures, in a word; raises as `workflow_of`."""
    return workflow_of(data, parameters).identity(parameters.environment)[:ID_LENGTH]


def graph_for(workflow: Workflow, job: Job, sent: Mapping[str, str]) -> JobGraph:
    """Fill a workflow with what a job says.

    A profile's ``native`` fields are the workflow's own inputs, and its ``references`` say which photographs
    go to which.

    Args:
        workflow: a verified workflow.
        job: the job.
        sent: by SHA-256 how the server calls each photograph.

    Raises:
        NotFound: the models have no names in the profile's environment.
        UnsupportedRequest: a value is missing, unknown or does not fit; all of them at once.
    """
    if job.parameters.fields:
        raise UnsupportedRequest("fields: the manifest of a workflow names its inputs, the profile does not")
    vocabulary = what_it_says(workflow)
    said = say(job, {name: name for name in vocabulary.fields})
    values, dropped = dict(said.payload), [each for each in said.dropped if each != "workflow"]
    places = job.parameters.references
    if wrong := [role for role, name in places.items() if vocabulary.references.get(role) != name]:
        takes = ", ".join(f"{role}: {name}" for role, name in vocabulary.references.items()) or "none"
        raise UnsupportedRequest(
            f"references: {', '.join(wrong)}: the workflow {workflow.name} takes other photographs ({takes})"
        )
    for reference in job.request.references:
        name = places.get(reference.role)
        if name is None or name in values:
            dropped.append(f"references.{reference.role}")
        else:
            values[name] = sent[reference.sha256]
    environment = job.parameters.environment
    return JobGraph(
        fill(workflow, values, environment, filename_prefix(job)),
        tuple(dict.fromkeys(dropped)),
        {
            "workflow": workflow.name,
            "workflow_version": workflow.manifest.version,
            "graph_sha256": workflow.graph_sha256,
            "environment": environment,
        },
    )


def filename_prefix(job: Job) -> str:
    """How the files of an attempt begin: no two attempts share one, and a restarted server still has them.

    A graph that a server has drawn before is not drawn again: it answers with the earlier file. A name of its
    own makes it write another.
    """
    return f"{job.request.candidate_id}_{job.attempt}_{job.client_id[-12:]}"


def first_files(outputs: Sequence[str], job: Job) -> tuple[str, ...]:
    """The first file that each of a workflow's outputs writes for an attempt."""
    return tuple(f"{prefix}_00001_.png" for prefix in prefixes(outputs, filename_prefix(job)))
