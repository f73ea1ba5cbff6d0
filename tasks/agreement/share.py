"""A share of what was counted, with its interval."""

import math

from tasks.agreement.patterns import rounded

Z_95 = 1.959963984540054


def wilson(right: float, n: float) -> dict:
    """Return a share and its 95 % Wilson interval (Wilson 1927); all null where there is nothing to share.

    `n` may be an effective sample size, which is no whole number (Korn and Graubard 1998).
    """
    if n == 0:
        return {"value": None, "low": None, "high": None, "n": 0}
    share, scale = right / n, 1 + Z_95**2 / n
    centre = (share + Z_95**2 / (2 * n)) / scale
    reach = Z_95 / scale * math.sqrt(share * (1 - share) / n + Z_95**2 / (4 * n * n))
    # At 0 and at 1 the formula touches the end exactly; rounding must not step over it.
    low, high = (0.0 if right == 0 else centre - reach), (1.0 if right == n else centre + reach)
    return {"value": rounded(share), "low": rounded(low), "high": rounded(high), "n": n}
