"""Work timed in a process of its own, so that its peak memory is its own."""

import json
import subprocess
import sys

TIMED = """
import json, pathlib, re, time
def highest():
    # of this program alone: what getrusage tells goes on from the process that started it
    return int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 1024
seconds, before = [], highest()
for _ in range(times):
    start = time.perf_counter()
    found = work()
    seconds.append(time.perf_counter() - start)
told = tell(found) if "tell" in globals() else None
print(json.dumps({"seconds": min(seconds), "peak": highest(), "beyond": highest() - before, "told": told}))
"""


def timed(code: str, times: int = 3, **given: object) -> dict:
    """Return the least seconds of `work()` as `code` defines it, peak memory in MB (in all, and beyond what stood before).

    `given` are the values of names in `code`; where it defines `tell`, `told` is what that makes of the result.
    """
    names = "".join(f"{name} = {value!r}\n" for name, value in {"times": times, **given}.items())
    done = subprocess.run([sys.executable, "-c", names + code + TIMED], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])
