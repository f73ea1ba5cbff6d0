"""document → item: what arrived is read, cleaned, told apart and divided."""

from prefect import flow

from schemas.errors import SourceRefused
from schemas.run import Run
from tasks.document import read_documents
from tasks.item import find_neighbours, make_items
from tasks.source import Intake
from tasks.split import assign_splits


@flow(name="ingest", flow_run_name="ingest", validate_parameters=False)
async def ingest(run: Run) -> Intake:
    """Return what the sources brought that was new; raise SourceRefused where one cannot be trusted."""
    total, refusals = Intake(), []
    for source in run.curation.sources:
        try:
            total.add(read_documents(run, source))
        except SourceRefused as refusal:  # the others are read all the same
            refusals.append(str(refusal))
    if refusals:
        raise SourceRefused("\n".join(refusals))
    make_items(run)
    find_neighbours(run)
    assign_splits(run)
    return total
