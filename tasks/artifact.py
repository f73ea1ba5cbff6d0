"""Artifacts: what the Prefect UI shows of a run, in figures and never in texts."""

from base64 import b64encode
from typing import Any

from prefect.artifacts import create_image_artifact, create_markdown_artifact, create_table_artifact

from schemas.run import Run
from tasks.report import agreement_picture
from tasks.report.wording import certified, md
from tasks.stage import stage


@stage
def show(run: Run, summary: dict[str, Any], evidence: dict[str, Any] | None) -> None:
    """Create the run's artifacts: summary, cost, and, where there is evidence, the gate's verdict and a picture."""
    key = run.curation.name
    create_table_artifact(key=f"{key}-summary", table=summary_rows(summary), description=_headline(summary))
    create_table_artifact(key=f"{key}-cost", table=[summary["llm"]], description="What models were asked in this run")
    if evidence:
        verdict = evidence["gate"]
        said = "passed" if verdict["passed"] else "refused: nothing was published"
        create_markdown_artifact(key=f"{key}-gate", markdown=verdict_markdown(verdict), description=f"The gate {said}")
        if said := certified(evidence["certificate"]):
            what = "What is certified of models' labels"
            create_markdown_artifact(key=f"{key}-certificate", markdown="\n\n".join(said), description=what)
        picture = b64encode(agreement_picture(evidence).encode()).decode()
        create_image_artifact(
            key=f"{key}-agreement",
            image_url=f"data:image/svg+xml;base64,{picture}",
            description="Agreement among people, and the entropy of their votes",
        )


def _headline(summary: dict[str, Any]) -> str:
    return f"{summary['curation']} as of {summary['as_of']}: {summary['status']}"


def summary_rows(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the summary as rows of what, which and how many."""
    parts = ("documents", "items", "annotations", "consensus", "splits")
    return [
        {"of": part, "which": name, "count": count}
        for part in parts
        for name, count in (summary.get(part) or {}).items()
        if isinstance(count, int)
    ]


def verdict_markdown(verdict: dict[str, Any]) -> str:
    """Return the gate's checks as a Markdown table, what failed first."""
    rows = ["| | promise | what must hold | severity | policy | observed | expected |", "|---|---|---|---|---|---|---|"]
    checks = [check for suite in verdict["suites"] for check in suite["checks"]]
    for check in sorted(checks, key=lambda check: check["success"]):
        cells = [check[name] for name in ("name", "what", "severity", "policy", "observed", "expected")]
        rows.append(f"| {'✓' if check['success'] else '✗'} | " + " | ".join(md(cell) for cell in cells) + " |")
    return "\n".join(rows)
