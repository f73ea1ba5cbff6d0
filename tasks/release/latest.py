"""The current release: the latest that stands; what was withdrawn never is, and the oldest ones go."""

from schemas.errors import AssayError, RequestError
from schemas.run import Run
from tasks.release import folder, ledger
from tasks.release.folder import current, on_disk, order
from tasks.release.manifest import digest


def advance(run: Run, candidate: str | None = None) -> None:
    """Make a release the current one if it is later than the one that is; call it within `alone`.

    A withdrawn release is left for the one that was returned to: the command that withdrew it may have been killed.
    Where LATEST is lost, or names what never was, the latest release that stands is the current one.
    """
    gone, here, now = ledger.withdrawn(run), on_disk(run.releases), current(run.releases)
    if now in {entry["release"] for entry in ledger.entries(run, "published")} | here.keys():
        stand = [_standing(run, now, gone), candidate]
    else:
        stand = [candidate, *(name for name in here if not _is_open(run, name))]
    due = max((name for name in stand if name and name not in gone), key=order, default=None)
    if due and due != now:
        folder.point(run.releases, due)


def _standing(run: Run, name: str | None, gone: set[str]) -> str | None:
    """Return a release, or what was returned to when it was withdrawn, or else the latest before it that stands."""
    returned = ledger.returned_from(run) if name in gone else {}
    while name in gone:
        earlier = [one for one in on_disk(run.releases) if one not in gone and order(one) < order(name)]
        name = returned.get(name) or max(earlier, key=order, default=None)
    return name


def return_to(run: Run, release: str) -> list[str]:
    """Return the releases that were withdrawn so that an earlier one is current again; call it within `alone`."""
    unfinished = current(run.releases) in ledger.withdrawn(run)
    advance(run)
    gone, here = ledger.withdrawn(run), on_disk(run.releases)
    if unfinished and current(run.releases) == release:  # an earlier command got as far as its facts
        return sorted((name for name, to in ledger.returned_from(run).items() if to == release), key=order)
    contents = {entry["release"]: entry["content_id"] for entry in [*ledger.entries(run, "published"), *here.values()]}
    _returnable(run, release, set(contents), set(here))
    later = {name: content for name, content in contents.items() if order(name) > order(release) and name not in gone}
    ledger.record_rollback(run, later, to=release)
    advance(run)
    return sorted(later, key=order)


def _returnable(run: Run, release: str, known: set[str], here: set[str]) -> None:
    """Raise RequestError where a release cannot become the current one again."""
    now, which = current(run.releases), "`assay releases CURATION` lists them"
    if release not in known:
        raise RequestError(f"{release}: no such release; {which}")
    if release == now:
        raise RequestError(f"{release} is the current release already: nothing to do")
    if release in ledger.withdrawn(run):
        raise RequestError(f"{release} was withdrawn, and never becomes current again; choose another: {which}")
    if release in ledger.expired(run):
        raise RequestError(f"{release} has expired: its files were removed; choose a later one: {which}")
    if release not in here:
        raise RequestError(f"{release}: its files are gone; run its date again, and then return to it")
    if now is None or order(release) > order(now):
        raise RequestError(f"{release} is later than the current release ({now}): a run of its date makes it current")
    if ledger.digest_of(run, release) not in (None, digest(run.releases / release)):
        raise AssayError(f"{run.releases / release}: not as it was published; move it away, and run its date again")


def expire(run: Run, answer: str | None) -> None:
    """Remove the oldest releases beyond those to keep, but not the current one nor a run's answer; call it within `alone`.

    Later ones than the current one wait for a person, or were withdrawn: they stay.
    """
    folder.tidy(run.releases)
    here = on_disk(run.releases)
    stay = {name for name in (current(run.releases), answer) if name}
    if run.curation.release.keep is not None and current(run.releases):
        free = [name for name in here.keys() - stay if order(name) < order(current(run.releases))]
        excess = sorted(free, key=order, reverse=True)[max(0, run.curation.release.keep - len(stay)) :]
        ledger.record_expired(run, {name: here[name]["content_id"] for name in excess})
    for name in (ledger.expired(run) & here.keys()) - stay:
        folder.leave(run.releases / name)


def states(run: Run) -> dict[str, str]:
    """Return what each published release is: current, withdrawn, expired, missing, awaiting approval or earlier."""
    gone, over, here, now = ledger.withdrawn(run), ledger.expired(run), on_disk(run.releases), current(run.releases)

    def state(name: str) -> str:
        if name in gone:
            return "withdrawn"
        if name in over:
            return "expired"
        if name not in here:
            return "missing"
        if name == now:
            return "current"
        return "awaiting approval" if awaits(run, name) else "earlier"

    names = {entry["release"] for entry in ledger.entries(run, "published")} | here.keys()
    return {name: state(name) for name in sorted(names, key=order)}


def awaits(run: Run, release: str | None) -> bool:
    """Return whether a person has yet to decide whether a release becomes the current one."""
    now = current(run.releases)
    is_next = release is not None and (now is None or order(release) > order(now))
    return is_next and _is_open(run, release)


def _is_open(run: Run, release: str) -> bool:
    return run.curation.release.approval and ledger.approval_of(run, release) is None
