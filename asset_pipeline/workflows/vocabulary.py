"""Which parts of an image request a workflow has words for."""

from collections.abc import Mapping
from dataclasses import dataclass

from asset_pipeline.catalog.product import PhotographRole
from asset_pipeline.workflows.manifest import REQUEST_FIELDS
from asset_pipeline.workflows.workflow import Workflow


@dataclass(frozen=True)
class Vocabulary:
    """What can be said to a workflow."""

    fields: frozenset[str]
    """Fields of a request: ``prompt``, ``seed``, ``width`` ..."""
    references: Mapping[PhotographRole, str]
    """The input that takes the photograph of each role."""
    others: frozenset[str]
    """Inputs of its own, which a profile's parameters may set."""


def what_it_says(workflow: Workflow) -> Vocabulary:
    """Sort a workflow's inputs by what they are to a request."""
    inputs = workflow.manifest.inputs
    references = {given.role: name for name, given in inputs.items() if given.role is not None}
    return Vocabulary(
        fields=frozenset(inputs.keys() & REQUEST_FIELDS.keys()),
        references=references,
        others=frozenset(inputs.keys() - REQUEST_FIELDS.keys() - set(references.values())),
    )
