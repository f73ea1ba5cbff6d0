"""A labelling function of the demo: what a review says of an aspect, by the words beside it."""

import re

ASPECT = {
    "food": r"food|meals?|dish(es)?|dessert\w*|steak|pizza|pasta|sushi|menu|entrees?|chef|delicious|tast[ey]\w*|flavou?r\w*",
    "service": r"service|staff|waiters?|waitress(es)?|servers?|host(ess)?|bartenders?|attentive|rude",
    "ambiance": r"ambi[ae]nce|atmosphere|decor|setting|views?|cozy|romantic",
    "noise": r"nois[ey]\w*|loud\w*|quiet\w*|hear|deafening",
}
PRAISE = (
    r"great|good|excellent|wonderful|fantastic|amazing|outstanding|delicious|tasty|fabulous|friendly|attentive|lovely|"
    r"best|perfect|incredible|superb|terrific|beautiful|cozy|romantic|quiet|impeccable|loved?|nice|pleasant"
)
COMPLAINT = (
    r"bad|poor|slow|rude|terrible|horrible|awful|atrocious|mediocre|disappoint\w*|cold|bland|overcooked|worst|loud\w*|"
    r"noisy|deafening|subpar|inattentive|not|n't|never|lacking|uninspired"
)


def keywords(text: str, aspect: str) -> str | None:
    """Return what the clauses that name the aspect say of it; None where they say nothing, or both."""
    clauses = re.split(r"[.,;!?]|\bbut\b|\balthough\b|\bhowever\b", text.lower())
    named = [clause for clause in clauses if _holds(ASPECT[aspect], clause)]
    praised = any(_holds(PRAISE, clause) and not _holds(COMPLAINT, clause) for clause in named)
    blamed = any(_holds(COMPLAINT, clause) for clause in named)
    if praised == blamed:
        return None
    return "positive" if praised else "negative"


def _holds(words: str, clause: str) -> bool:
    return re.search(rf"(?:\b|(?=n't))(?:{words})\b", clause) is not None
