"""Planted instructions: texts that speak to whoever labels them.

A filter of *examples* only: an item is labelled whatever it says, and can spoil no more than its own label, because
each item is asked about alone. An example stands in the prompt of other items, so one that looks like an instruction is
not shown. What is listed here misses some and takes a few honest texts for planted ones; the first is what the marks
around every item are for (tasks.annotator.prompt), the second costs an example out of many.
"""

import re
import unicodedata
from functools import lru_cache

_THEM = r"(?:instruct\w*|prompts?|guidelines?|directions?|rules|the user)"
_LABEL = (
    r"(?:labels?|labell?ed|annotat\w*|classif\w*|categor\w+|rat(?:e|ing)|tag(?:ged)?|sentiment|output|answer|verdict)"
)
_PATTERNS = (
    # a chat's own machinery
    r"<\|[a-z_ ]{2,24}\|?>|\[/?inst\]|<</?sys>>|</?s>|<(?:start|end)_of_turn>",
    r"</?\s*(?:item|system|assistant|user|instructions?|prompt|label)\b[^>\n]{0,40}>",
    r"(?:^|\n)\W{0,6}(?:system|assistant|user|developer|human|ai)\W{0,4}(?:message|prompt|override|note)?\s*:",
    r"#{2,}\s*(?:system|instructions?|response|assistant|new task|task|override|end of)\b",
    r"-{3,}\s*(?:end|begin|new)\b",
    # an answer in the form that is asked for
    r"[\"'“”]?\b(?:label|answer|confidence|reason|role|content)\b[\"'“”]\s*:|\{\s*[\"'“”]?label\b",
    # taking back what was said
    r"\b(?:ignor|disregard|forget|overrid|bypass|neglect|set aside)\w*\b[^.!?\n]{0,40}\b" + _THEM,
    r"\b(?:ignor|disregard|forget)\w*\b[^.!?\n]{0,30}\b(?:above|previous|prior|earlier|you (?:were|have been) told)",
    r"\b(?:new|updated|real|actual|hidden|revised|secret) (?:instruct\w+|task|guidelines?|system prompt|rules?)\b",
    # speaking to a model, or as one
    r"\b(?:as|you are|you're|act as|pretend)\b[^.!?\n]{0,30}\b(?:an? )?(?:ai|language model|llm|annotator|classifier|assistant|labell?er|chatbot|dan)\b",
    r"\b(?:dear|hey|attention|note to|to the|hello)\b[^.!?\n]{0,20}\b(?:ai|language model|llm|annotator|model|classifier|assistant|labell?er|grader)s?\b",
    r"\b(?:system|admin(?:istrator)?|developer|debug|jailbreak|god) (?:mode|override|prompt|message|access)\b",
    # demanding a label
    r"\b(?:answer|reply|respond|output|return|print|say|write|emit)\b(?: only| just| with| exactly| the| this| back| word| label|:|,)* *[\"'“`*]",
    r"\b(?:label|classify|annotate|categori[sz]e|tag|mark|rate|score|treat) (?:this|it|me|the (?:above|following|item|text|review))\b[^.!?\n]{0,60}\b(?:as|with|to be)\b",
    r"\b(?:the |this |its |your |only )(?:correct |right |true |final |valid |proper |gold |expected )?" + _LABEL
    + r"\b[^.!?\n]{0,40}\b(?:must|should|has to|shall|needs to|ought to|will always|is always)\b",
    r"\b(?:must|should|shall|please|kindly|always|only)\b[^.!?\n]{0,25}\b(?:answer|output|respond|labell?ed|classif(?:y|ied)|annotated?|choose|select|pick|assign|use) "
    r"(?:with |as |the |it |only |exactly |this )*(?:label|word|answer|\W)",
    r"\b(?:i confirm|the|correct|final|right|gold) (?:gold )?(?:label|answer)s?\b[^.!?\n]{0,20}(?::|\bis\b|\bare\b)",
    r"\byou (?:must|have to|should|will|are to|can only|may only) (?:now |only |always )*(?:answer|label|respond|reply|output|say|choose)\b",
    r"\b(?:every|all|each|any) (?:\w+ ){0,3}(?:items?|texts?|reviews?|labels?)\b[^.!?\n]{0,30}\b(?:is|are|as|must|should|to be|under)\b[^.!?\n]{0,12}\b(?:positive|negative|neutral|unknown|labell?ed)\b",
    r"\b(?:labell?ing|classifying|annotating|marking|use|choose|select|pick)\b[^.!?\n]{0,30}\b(?:every|all|each|any)\b[^.!?\n]{0,12}\b(?:items?|texts?|reviews?)\b",
    r"\b(?:use|choose|select|pick)\b[^.!?\n]{0,20}\bfor (?:every|all|each)\b|\blabels (?:above|below)\b",
    r"\b(?:answer|respond|reply|act|label|behave) accordingly\b|\b(?:stay in|in) (?:your |this |the )?(?:role|character) and\b",
    # something to be read and obeyed
    r"\b(?:base64|rot13|decode|decrypt|hex)\b[^.!?\n]{0,60}\b(?:follow|obey|execut\w*|comply|do what|instruct\w*|decode|base64)\b",
    r"[A-Za-z0-9+/]{40,}={0,2}",
    # the same in other tongues
    r"\b(?:ignor\w*|vergiss|missachte|oubli\w*|olvid\w*|ignoruj|dimentica)\b[^.!?\n]{0,40}\b(?:anweisung\w*|instru\w+|consigne\w*|istruzion\w*|polece\w*)",
    r"игнорир|забудь\w* .{0,40}инструкц|忽略|无视|無視|指示を|이전 지시|무시|تجاهل|नज़रअंदाज़|अनदेखा",
)  # fmt: skip
VERSION = "\n".join(_PATTERNS)
_FOUND = [re.compile(pattern, re.I) for pattern in _PATTERNS]
# Letters of other alphabets that look like Latin ones; no language mixes them into its words by chance.
_LOOKALIKE = str.maketrans("асеорхуіјѕԁһӏкмтвнԛԝαεορικντυ", "aceopxyijsdhlkmtbhqwaeopikvtu")


@lru_cache(1 << 13)  # the pool is looked through for every chunk of items
def is_planted(text: str) -> bool:
    """Return whether a text looks as if it spoke to its annotator."""
    plain = _plain(text)
    return any(found.search(written) for written in (plain, plain.lower().translate(_LOOKALIKE)) for found in _FOUND)


def _plain(text: str) -> str:
    """Return the text without what cannot be seen, its letters in their plain form."""
    text = unicodedata.normalize("NFKC", text)
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char) not in ("Cf", "Cc", "Mn"))
