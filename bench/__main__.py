"""Print every figure, or those of the rooms named: `python -m bench wire`."""

import argparse
from importlib import import_module

ROOMS = (
    "speed",
    "consensus",
    "accuracy",
    "certificate",
    "change",
    "estimate",
    "gate",
    "monitor",
    "queue",
    "wire",
    "endurance",
    "nightly",
    "erase",
    "demo",
)

parser = argparse.ArgumentParser("python -m bench", description=__doc__)
parser.add_argument("rooms", nargs="*", metavar="room", help=", ".join(ROOMS) + "; all where none is named")
for name in parser.parse_args().rooms or ROOMS:
    if name not in ROOMS:
        parser.error(f"there is no room {name!r}: {', '.join(ROOMS)}")
    for line in import_module(f"bench.{name}").figures():
        print(line, flush=True)
