"""An annotator that needs no network and no key: all-MiniLM-L6-v2, answering the OpenAI protocol inside our process."""

from tasks.annotator.embedded.app import app

__all__ = ["app"]
