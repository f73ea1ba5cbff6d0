"""Erasure: a text is removed from everything that is kept, and never let in again."""

from tasks.erasure.facts import ERASED, KeptOut, kept_out, refuse_later

__all__ = ["ERASED", "KeptOut", "kept_out", "refuse_later"]
