"""A release is proven to be what was published: by itself, and against the ledger or a digest from elsewhere."""

import os
import re
from pathlib import Path
from typing import Any, NamedTuple

from schemas.errors import RequestError

MOST = 20  # faults told to a person; --json has all
ITSELF = (
    "This shows that the release is in itself consistent, and no more: whoever changes a file and everything that depends on "
    "it is not found out so. Give --digest with the manifest's sha256 from a place you trust, or --home with its store."
)


class _Kept(NamedTuple):
    """What the ledger is looked up in."""

    store: Path


def verify(release: str, digest: str | None, home: str | None) -> dict[str, Any]:
    """Return {release, curation, verified, against, digest, withdrawn, faults: [{file, what}], files, rows} of a folder."""
    if digest is not None and not re.fullmatch(r"[0-9a-f]{64}", digest := digest.strip().lower()):
        raise RequestError(
            "--digest: the sha256 of a manifest is expected, 64 hex digits; `assay releases --json` prints it"
        )
    from tasks.verify import verified

    folder = Path(release)
    found = verified(folder)
    manifest, faults = found.manifest, [fault._asdict() for fault in found.faults]
    ledger = _ledger(manifest, home)
    trusted = digest or (ledger["digest"] if ledger else None)
    if ledger and not digest and trusted is None:
        faults.append({"file": "manifest.json", "what": "the ledger of its store knows of no such release"})
    if trusted and trusted != found.digest:
        faults.append({"file": "manifest.json", "what": f"is not the one that was published: its sha256 is {found.digest}, not {trusted}"})  # fmt: skip
    return {
        "release": str(manifest.get("release"))[:80],
        "curation": str(manifest.get("curation"))[:80],
        "verified": not faults,
        "against": "digest" if digest else "ledger" if ledger else "itself",
        "digest": found.digest,
        "withdrawn": bool(ledger and ledger["withdrawn"]),
        "files": len(manifest["files"]) if isinstance(manifest.get("files"), list) else 0,
        "rows": found.rows,
        "faults": faults,
    }


def _ledger(manifest: dict[str, Any], home: str | None) -> dict[str, Any] | None:
    """Return what the store's ledger has of the release, {digest, withdrawn}; None where its store is not here."""
    name, release = manifest.get("curation"), manifest.get("release")
    if not (isinstance(name, str) and isinstance(release, str) and re.fullmatch(r"[a-z][a-z0-9-]{0,62}", name)):
        return None
    store = Path(home or os.environ.get("ASSAY_HOME") or ".assay").absolute() / name
    if not (store / "ledger").is_dir():
        return None
    from tasks.release import ledger

    kept = _Kept(store)
    return {"digest": ledger.digest_of(kept, release), "withdrawn": release in ledger.withdrawn(kept)}


def story(found: dict[str, Any]) -> str:
    """Return the proof for people to read."""
    name = f"{found['curation']} {found['release']}"
    counts = f"{found['files']:,} files, {found['rows']:,} rows"
    if not found["verified"]:
        shown = [f"  {fault['file']}: {fault['what']}" for fault in found["faults"][:MOST]]
        more = len(found["faults"]) - len(shown)
        return "\n".join([f"{name}: not verified", *shown, *([f"  and {more:,} more"] if more else [])])
    lines = [f"{name}: verified {_AGAINST[found['against']]}; {counts}", f"  manifest {found['digest']}"]
    if found["withdrawn"]:
        lines.append("  it was withdrawn since: a later decision went back behind it")
    return "\n".join([*lines, *([f"  {ITSELF}"] if found["against"] == "itself" else [])])


_AGAINST = {
    "ledger": "against the ledger of its store",
    "digest": "against the digest given",
    "itself": "against itself only",
}
