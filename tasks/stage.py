"""A stage: a Prefect task that takes values and returns values, and remembers nothing itself."""

from functools import partial

from prefect import task
from prefect.cache_policies import NO_CACHE

# The store decides what is missing, so a result kept by Prefect could only be wrong.
stage = partial(task, cache_policy=NO_CACHE, persist_result=False)
