"""What audits say against "too many are wrong": exact p-values, evidence that may be looked at each night, and bounds."""

import numpy as np

WHOLE = 0.75  # of delta is for the look at a stream's whole audit, the rest for every other
HALVINGS = 40  # of 0 to 1: to a millionth of a millionth
POINTS = 32  # of the mixture; twice as many move no least number of audits by more than one
ROUND_OFF = 1e-9  # 0.29 of 100 is 29, though 0.29 * 100 is 28.999…


def allowed(max_error: float, population: np.ndarray | int) -> np.ndarray:
    """Return how many of so many items may be wrong."""
    return np.floor(max_error * np.asarray(population) + ROUND_OFF).astype(np.int64)


def binomial_p(errors: np.ndarray, audited: np.ndarray, max_error: float) -> np.ndarray:
    """Return the chance of so few errors among so many audits of a stream, if a share `max_error` of it is wrong.

    Angelopoulos et al. 2021, learn then test; p <= delta just where Clopper and Pearson's upper bound is <= max_error.
    """
    from scipy.special import bdtr

    errors, audited = np.broadcast_arrays(errors, audited)
    return np.where(audited > 0, bdtr(errors.astype(float), np.maximum(audited, 1), max_error), 1.0)


def binomial_upper(errors: int, audited: int, delta: float) -> float:
    """Return Clopper and Pearson's upper bound of the share that is wrong, 0–1."""
    from scipy.special import betaincinv

    return float(betaincinv(errors + 1, audited - errors, 1 - delta)) if errors < audited else 1.0


def hypergeometric_p(errors: np.ndarray, audited: np.ndarray, population: np.ndarray, max_error: float) -> np.ndarray:
    """Return the chance of so few errors among so many audits of a batch, if one item more than allowed is wrong in it."""
    wrong = np.minimum(allowed(max_error, population) + 1, population)
    return hypergeometric_cdf(errors, audited, population, wrong)


def hypergeometric_cdf(
    errors: np.ndarray, audited: np.ndarray, population: np.ndarray, wrong: np.ndarray
) -> np.ndarray:
    """Return the chance of at most so many errors among audits drawn without replacement, `wrong` of them there."""
    errors, audited, population, wrong = np.broadcast_arrays(errors, audited, population, wrong)
    found = np.arange(int(errors.max(initial=0)) + 1)
    one = tuple(array[..., None] for array in (errors, audited, population, wrong))
    errors, audited, population, wrong = one
    right = population - wrong
    is_possible = (found <= errors) & (found <= wrong) & (found <= audited) & (audited - found <= right)
    hit, miss = np.minimum(found, np.minimum(wrong, audited)), np.clip(audited - found, 0, right)
    log_pmf = _log_choose(wrong, hit) + _log_choose(right, miss) - _log_choose(population, audited)
    return np.minimum(np.where(is_possible, np.exp(np.minimum(log_pmf, 0.0)), 0.0).sum(axis=-1), 1.0)


def hypergeometric_upper(errors: int, audited: int, population: int, delta: float) -> float:
    """Return the largest share of a batch that may be wrong, given so few errors in its audit, 0–1."""
    least, most = errors, population - (audited - errors)
    while least < most:  # the chance falls as more are wrong, so halving finds the last that is above delta
        middle = (least + most + 1) // 2
        is_likely = hypergeometric_cdf(errors, audited, population, middle) > delta
        least, most = (middle, most) if is_likely else (least, middle - 1)
    return least / population if population else 1.0


def stream_evidence(errors: np.ndarray, audited: np.ndarray, max_error: float) -> np.ndarray:
    """Return the log of the evidence against `max_error` of a stream being wrong; 0 is none, log(1 / delta) is enough.

    It is the mean, over error rates p below max_error, of how much likelier p makes the audits than max_error does:
    (p / max_error)^k ((1 - p) / (1 - max_error))^(n - k). Where a share of max_error or more is wrong, an audit is
    expected to multiply each by 1 at most; so the chance that their mean ever exceeds 1 / delta is at most delta,
    however often it is looked at (Ville 1939; Waudby-Smith and Ramdas 2024 bet so on means).
    """
    ratio = _ratios()
    wrong, right = np.log(ratio), np.log1p(-ratio * max_error) - np.log1p(-max_error)
    errors, audited = np.broadcast_arrays(errors, audited)
    terms = errors[..., None] * wrong + (audited - errors)[..., None] * right
    most = terms.max(axis=-1, keepdims=True)
    return most[..., 0] + np.log(np.exp(terms - most).mean(axis=-1))


def stream_p(wrong: np.ndarray, max_error: float, whole: int | None = None) -> float:
    """Return the p-value of a stream's audits, in the order of their draw; valid however often it is looked at.

    `whole` is how many of them belong to the audit that was planned, once that is drawn; they are tested once more, by
    themselves, as WHOLE of delta is for this look. So they need a tenth more audits than if it were the only one, where
    evidence that may be looked at each night needs a third more.
    """
    evidence = stream_evidence(*_peaks(wrong), max_error).max(initial=0.0)
    each_night = np.exp(-evidence) / (1 - WHOLE)
    at_once = 1.0 if whole is None else binomial_p(wrong[:whole].sum(), whole, max_error) / WHOLE
    return float(min(each_night, at_once, 1.0))


def stream_upper(wrong: np.ndarray, delta: float, whole: int | None = None) -> float:
    """Return the least share that could be wrong without the audits refuting it, by both of their tests, 0–1."""
    errors, audited = _peaks(wrong)
    low, high = 0.0, 1.0
    # The rates of the mixture are fixed shares of the one they speak against, so the evidence only grows with it.
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        is_refuted = stream_evidence(errors, audited, middle).max(initial=0.0) >= -np.log(delta * (1 - WHOLE))
        low, high = (low, middle) if is_refuted else (middle, high)
    return high if whole is None else min(high, binomial_upper(int(wrong[:whole].sum()), whole, delta * WHOLE))


def _peaks(wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return errors and audits where evidence can be greatest: before each error, and after all audits."""
    before = np.append(np.flatnonzero(wrong), len(wrong))
    return np.arange(len(before)), before


def _ratios() -> np.ndarray:
    """Return the rates of the mixture as shares of `max_error`: middles of equal parts of Beta(1, 3), mean a quarter.

    Evidence is wanted where models are far better than promised (few errors, few audits), and still some where they are
    hardly better. Beta(1, 3) asks for 1.2 to 1.4 times the audits of one binomial test, whether there are 0 errors or 40;
    the uniform asks for 1.6 times with no error, Beta(1/2, 1) for 1.5 times with three.
    """
    part = (np.arange(POINTS) + 0.5) / POINTS
    return 1 - (1 - part) ** (1 / 3)


def _log_choose(of: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    from scipy.special import gammaln

    return gammaln(of + 1.0) - gammaln(chosen + 1.0) - gammaln(of - chosen + 1.0)
