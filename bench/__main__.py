"""Print every figure."""

from bench import demo, speed

for room in (speed, demo):
    print("\n".join(room.figures()), flush=True)
