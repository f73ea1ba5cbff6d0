"""The pages of a release: what they say is the evidence, and nothing in them can act."""

import copy
import math
import re
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

import pytest
import yaml

from tasks.report import front_matter, page, picture, wording
from tasks.report.page import agreement_picture, card, report
from tasks.report.whole import whole

LABELS = ["positive", "negative", "unknown"]


def estimate(value, low, high):
    return {"value": value, "low": low, "high": high, "reason": None}


def agreement(percent, alpha):
    return {
        "percent": estimate(percent, percent - 0.02, percent + 0.02),
        "krippendorff_alpha": estimate(alpha, alpha - 0.03, alpha + 0.028),
        "fleiss_kappa": estimate(alpha - 0.004, alpha - 0.034, alpha + 0.025),
        "gwet_ac1": estimate(percent - 0.05, percent - 0.08, percent - 0.02),
    }


def person(name, annotations, same, positive=48, negative=31):
    labels = {"positive": annotations * positive // 100, "negative": annotations * negative // 100}
    labels["unknown"] = annotations - sum(labels.values())
    return {
        "annotator_id": name,
        "annotator_kind": "human",
        "annotations": annotations,
        "items": annotations - 7,
        "agreement_with_others": same,
        "labels": labels,
    }


def model(name, prompt, accuracy, n, labels):
    return {
        "annotator_id": name,
        "annotator_kind": "llm",
        "model": "embedded",
        "prompt": prompt,
        "version": "9f2c41d07ab3",
        "annotations": 1002,
        "items": 1002,
        "accuracy": {**estimate(accuracy, accuracy - 0.036, accuracy + 0.034), "n": n},
        "mean_entropy_nats": 0.6,
        "labels": labels,
        "abstained": 0,
        "usd": 0.0,
        "calls": 1002,
        "prompt_tokens": 241_377,
        "completion_tokens": 1002,
    }


def slice_row(items, human, review, labels):
    return {
        "items": items,
        "human": human,
        "accepted": 0,
        "review": review,
        "unresolved": items - human - review,
        "labels": dict(zip(LABELS, labels, strict=True)),
    }


def check(what, severity, observed, expected, success=True, expectation="expect_column_values_to_be_unique"):
    return {
        "expectation": expectation,
        "what": what,
        "severity": severity,
        "success": success,
        "observed": observed,
        "expected": expected,
    }


SUITES = [
    {
        "suite": "item",
        "checks": [
            check("every item has one row", "critical", "1002 of 1002", "all"),
            check("every item has text", "critical", 0, "no empty text"),
            check("too few rows were quarantined to matter", "critical", 0.002967, "at most 0.05"),
        ],
    },
    {
        "suite": "annotation",
        "checks": [
            check("every label is one of the curation's", "critical", 0, "no other label"),
            check("a person labels an item once", "critical", 0, "no repeats"),
            check("each model labelled every item", "warning", 1.0, "at least 0.95"),
        ],
    },
    {
        "suite": "consensus",
        "checks": [
            check("people agree beyond chance", "critical", 0.694, "lower end of α at least 0.4"),
            check("few items stay unresolved", "warning", 0.2016, "at most 0.2", success=False),
            check("a tie is never settled by people", "critical", 0, "no ties"),
        ],
    },
    {
        "suite": "split",
        "checks": [
            check("no group stands in two splits", "critical", 0, "no shared group"),
            check("the labels are balanced alike in every split", "warning", 0.031, "total variation at most 0.1"),
            check("every split has examples", "info", {"train": 480, "validation": 60, "test": 60}, "at least 1"),
        ],
    },
]

EVIDENCE = {
    "curation": "restaurant-reviews",
    "release": "2026-11-19.1",
    "parent": "2026-11-18.1",
    "as_of": "2026-11-19",
    "content_id": "4e1f" * 16,
    "description": "Reviews of restaurants, each asked about one aspect: food, service, ambiance or noise.",
    "license": "cc-by-4.0",
    "language": ["en"],
    "attribution": "CEBaB (Abraham et al., 2022)",
    "labels": {
        "kind": "choice",
        "values": {
            "positive": "The reviewer is happy with this aspect.",
            "negative": "The reviewer is unhappy with this aspect.",
            "unknown": "The review says nothing about this aspect.",
        },
    },
    "documents": {
        "read": 1011,
        "accepted": 1002,
        "duplicate": 6,
        "quarantined": 3,
        "reasons": {"bad_json": 2, "empty_text": 1},
    },
    "items": {"total": 1002, "groups": 188, "near_duplicates": 512, "bridges_splits": 4},
    "annotations": {
        "total": 5387,
        "people": 3383,
        "models": 2004,
        "waiting": 12,
        "by_annotator": [
            person("w10", 697, 0.861),
            person("w21", 655, 0.874, 45, 36),
            person("w3", 541, 0.833),
            person("w44", 530, 0.858, 52, 27),
            person("w7", 412, 0.884, 50, 33),
            person("w15", 368, 0.792, 38, 29),
            person("w8", 180, None),
            model("zero-shot", "zero_shot.v1", 0.661, 604, {"positive": 511, "negative": 281, "unknown": 210}),
            model("few-shot", "few_shot.v1", 0.742, 604, {"positive": 516, "negative": 312, "unknown": 174}),
        ],
    },
    "agreement": agreement(0.861, 0.724),
    "intervals": "groups",
    "entropy": {
        "mean_nats": 0.173,
        "mean_dirichlet_nats": 0.512,
        "unanimous_share": 0.742,
        "histogram": [
            {"low": index * 0.109861, "high": (index + 1) * 0.109861, "items": items}
            for index, items in enumerate([566, 0, 0, 0, 14, 96, 63, 0, 3, 21])
        ],
    },
    "by_slice": {
        "food": {
            "items": 296,
            "annotations": 1003,
            "agreement": agreement(0.882, 0.783),
            "entropy": {"mean_nats": 0.151},
        },
        "service": {
            "items": 271,
            "annotations": 911,
            "agreement": agreement(0.874, 0.752),
            "entropy": {"mean_nats": 0.16},
        },
        "ambiance": {
            "items": 235,
            "annotations": 794,
            "agreement": agreement(0.831, 0.661),
            "entropy": {"mean_nats": 0.21},
        },
        "noise": {
            "items": 200,
            "annotations": 675,
            "agreement": agreement(0.849, 0.624),
            "entropy": {"mean_nats": 0.188},
        },
    },
    "consensus": {
        "human": 604,
        "accepted": 0,
        "review": 200,
        "unresolved": 198,
        "reasons": {"no_labels": 239, "too_few_labels": 117, "low_posterior": 22, "tie": 20},
    },
    "slices": {
        "food": slice_row(296, 191, 52, [104, 61, 26]),
        "service": slice_row(271, 168, 55, [81, 62, 25]),
        "ambiance": slice_row(235, 133, 50, [66, 35, 32]),
        "noise": slice_row(200, 112, 43, [38, 36, 38]),
    },
    "confusion": {
        "zero-shot": {"labels": LABELS, "counts": [[221, 28, 40], [49, 118, 27], [38, 23, 60]]},
        "few-shot": {"labels": LABELS, "counts": [[243, 21, 25], [31, 144, 19], [37, 23, 61]]},
    },
    "splits": {"train": 480, "validation": 60, "test": 60},
    "split_labels": {
        "train": {"positive": 231, "negative": 152, "unknown": 97},
        "validation": {"positive": 28, "negative": 20, "unknown": 12},
        "test": {"positive": 28, "negative": 21, "unknown": 11},
    },
    "excluded": {"bridges_splits": 4},
    "certificate": {"statement": None, "reason": "No certificate: models' labels were not accepted without a person."},
    "gate": {"passed": True, "suites": SUITES},
    "cost": {"usd": 0.0, "calls": 2004, "prompt_tokens": 398_214, "completion_tokens": 2004},
    "versions": {
        "assay": "0.1.0",
        "guideline": "a1b2c3d4e5f6",
        "annotators": {"zero-shot": "1c55e0a9b7d2", "few-shot": "9f2c41d07ab3"},
        "prompts": {"zero_shot.v1": "77aa01", "few_shot.v1": "0be4f2"},
    },
    "arrow_bytes": {"train": 400_000},
    "files": [
        {"path": "train.jsonl", "rows": 480, "sha256": "ab12" * 16, "bytes": 312_405},
        {"path": "validation.jsonl", "rows": 60, "sha256": "cd34" * 16, "bytes": 39_112},
        {"path": "test.jsonl", "rows": 60, "sha256": "ef56" * 16, "bytes": 38_870},
        {"path": "data/train.parquet", "rows": 480, "sha256": "0a9b" * 16, "bytes": 188_730},
    ],
}

# One of each way that text has acted in a page: as a tag, an attribute, a script's address, an entity, a template,
# a picture, a link, a comment, a style, a line of YAML, a table's end, and a turn of the writing direction.
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "&lt;script&gt;",
    "{{ 7*7 }}{% raw %}",
    "![x](http://evil.example/x.png)",
    "[click](javascript:alert(1))",
    "--><svg onload=alert(1)>",
    "</style><style>*{background:url(//evil.example)}",
    "x\n---\nlicense: mit\n# heading",
    "a | b\n\n- list `code` **bold** www.evil.example",
    "\u202egnp.exe\u202c",
    "مطعم <b>ممتاز</b>",
    "x" * 400,
    "\x00\x1b[31m\ud800",
    "__proto__",
    "items",
]


def extreme():
    """Return evidence with nothing published, hostile names, thirty slices, a dozen labels and sixty people."""

    def name(index):
        return f"{HOSTILE[index % len(HOSTILE)]}{index}"

    labels = {name(index): HOSTILE[index] for index in range(12)}
    nothing = {
        coefficient: {"value": None, "low": None, "high": None, "reason": HOSTILE[0]} for coefficient in picture.NAMES
    }
    negative = {**agreement(0.4, -0.42), "percent": estimate(0.4, None, None)}
    people = [
        {
            "annotator_id": name(index),
            "annotator_kind": "human",
            "annotations": 10**index % 999_999_937,
            "items": 3,
            "agreement_with_others": None,
            "labels": dict.fromkeys(labels, index + 1),
        }
        for index in range(60)
    ]
    models = [
        {
            "annotator_id": name(index),
            "annotator_kind": "llm",
            "model": HOSTILE[index],
            "prompt": None,
            "accuracy": None,
            "labels": {},
            "annotations": 0,
        }
        for index in range(4)
    ]
    return {
        "curation": HOSTILE[1],
        "release": HOSTILE[0],
        "parent": HOSTILE[6],
        "as_of": HOSTILE[2],
        "content_id": HOSTILE[3],
        "description": HOSTILE[10],
        "license": HOSTILE[10],
        "language": HOSTILE,
        "attribution": HOSTILE[7],
        "limits": HOSTILE,
        "sources": [{"path": name, "format": name, "license": name, "attribution": name} for name in HOSTILE],
        "labels": {"kind": HOSTILE[11], "values": labels},
        "documents": {
            "read": 12_345_678,
            "accepted": 3,
            "duplicate": 1,
            "quarantined": 12_345_000,
            "reasons": {HOSTILE[0]: 12_345_000},
        },
        "items": {"total": 2},
        "annotations": {"by_annotator": people + models, "people": 10, "models": 0},
        "agreement": negative,
        "intervals": "items",
        "entropy": {"mean_nats": math.nan, "histogram": []},
        "by_slice": {
            name(index): {"items": index, "annotations": 0, "agreement": nothing if index % 3 else negative}
            for index in range(30)
        },
        "consensus": {"human": 0, "accepted": 0, "review": 1, "unresolved": 0, "reasons": {HOSTILE[0]: 1}},
        "slices": {
            name(index): {"items": index, "review": index, "labels": dict.fromkeys(labels, index)}
            for index in range(30)
        },
        "confusion": {name(0): {"labels": list(labels), "counts": [[i * j for j in range(12)] for i in range(12)]}},
        "splits": {HOSTILE[0]: 0},
        "split_labels": {HOSTILE[0]: {HOSTILE[1]: 1}},
        "excluded": {HOSTILE[0]: 1},
        "certificate": {"statement": HOSTILE[0] + HOSTILE[10]},
        "gate": {
            "passed": False,
            "suites": [
                {
                    "suite": HOSTILE[0],
                    "checks": [
                        check(
                            HOSTILE[index],
                            HOSTILE[index],
                            {HOSTILE[index]: HOSTILE},
                            HOSTILE[index],
                            success=[True, False, None][index % 3],
                        )
                        for index in range(len(HOSTILE))
                    ],
                }
            ],
        },
        "cost": {"usd": 0.00012},
        "versions": {"assay": None, "annotators": {HOSTILE[0]: HOSTILE[1]}, "prompts": {HOSTILE[6]: None}},
        "files": [{"path": HOSTILE[index], "rows": None, "sha256": None, "bytes": None} for index in range(4)],
    }


class Elements(HTMLParser):
    """Every element of a page as (tag, attributes), and all that is read as text."""

    def __init__(self, page_text):
        super().__init__()
        self.found, self.words = [], []
        self.feed(page_text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


def text_of(html):
    without_style = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return " ".join(" ".join(Elements(without_style).words).split())


SPARSE = {
    "nothing": {},
    "all null": dict.fromkeys(EVIDENCE),
    "empty within": {
        name: type(value)() if isinstance(value, (dict, list)) else None for name, value in EVIDENCE.items()
    },
    "null within": {
        name: dict.fromkeys(value) if isinstance(value, dict) else value for name, value in EVIDENCE.items()
    },
    "extreme": extreme(),
}


@pytest.mark.parametrize("write", [report, card, agreement_picture])
@pytest.mark.parametrize("evidence", [EVIDENCE, *SPARSE.values()], ids=["real", *SPARSE])
def test_the_same_evidence_gives_the_same_bytes_and_is_left_alone(write, evidence):
    before = copy.deepcopy(evidence)
    assert write(evidence).encode() == write(copy.deepcopy(evidence)).encode()
    assert repr(evidence) == repr(before)  # the extreme holds a NaN, which equals nothing


@pytest.mark.parametrize("evidence", [EVIDENCE, extreme()], ids=["real", "extreme"])
def test_nothing_in_the_report_can_act_or_reach_outside(evidence):
    elements = Elements(report(evidence)).found
    tags = {tag for tag, _ in elements}
    assert not tags & {
        "script",
        "iframe",
        "object",
        "embed",
        "link",
        "img",
        "image",
        "form",
        "base",
        "audio",
        "video",
        "use",
        "foreignobject",
    }
    assert [tag for tag, _ in elements].count("style") == 1
    for _, attributes in elements:
        assert not [
            name
            for name in attributes
            if name.startswith("on") or name in {"src", "srcset", "xlink:href", "action", "data"}
        ]
        assert attributes.get("href", "#").startswith("#")
        assert "url(" not in attributes.get("style", "")


def test_the_report_forbids_scripts_and_outside_loads_by_its_own_policy():
    policy = next(attributes for _, attributes in Elements(report(EVIDENCE)).found if attributes.get("http-equiv"))
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
    assert not re.search(r"url\(|@import|https?://", report(EVIDENCE))


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
@pytest.mark.parametrize("write", [report, card, agreement_picture])
def test_a_hostile_name_is_only_ever_text(write, hostile):
    evidence = copy.deepcopy(EVIDENCE)
    evidence["slices"] = {hostile: slice_row(5, 3, 1, [1, 1, 1])}
    evidence["by_slice"] = {hostile: evidence["by_slice"]["food"]}
    evidence["annotations"]["by_annotator"][0]["annotator_id"] = hostile
    evidence["labels"]["values"] = {hostile: hostile}
    text = write(evidence)
    plain = {
        "<script>alert(1)",
        "<img src=x",
        "<svg onload",
        "</style><style>",
        "<b>ممتاز",
        "\u202e",
        "\x1b",
        "\n---\nlicense: mit",
    }
    assert not [piece for piece in plain if piece in text.replace("<style>", "", 1)]
    text.encode()


def test_a_hostile_name_is_still_readable():
    assert text_of(report(extreme())).count("<script>alert(1)</script>") > 10


def test_hostile_markdown_is_no_markup():
    markdown_it = pytest.importorskip("markdown_it")
    body = card(extreme()).split("---\n", 2)[2]
    tokens = markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").parse(body)
    kinds = {token.type for token in tokens} | {child.type for token in tokens for child in token.children or []}
    assert not kinds & {"html_inline", "html_block", "image", "link_open", "hr", "lheading_open", "code_block"}
    headings = [tokens[index + 1].content for index, token in enumerate(tokens) if token.type == "heading_open"]
    assert headings[1:] == [
        "What it is",
        "Where it comes from, and under which licence",
        "How it was labelled, and by whom",
        "How far people agree",
        "Certificate",
        "Files",
        "Splits",
        "Slices",
        "Limits",
        "Cost",
        "How to verify",
    ]


@pytest.mark.parametrize(
    "text, shown",
    [
        ("a | b", "a &#124; b"),
        ("1. first", "1&#46; first"),
        ("0.1.0", "0.1.0"),
        ("- list", "&#45; list"),
        ("few_shot __init__", "few_shot &#95;&#95;init&#95;&#95;"),
        ("see www.evil.example", "see www&#46;evil.example"),
        ("one aspect: food", "one aspect: food"),
        ("http://evil.example", "http&#58;//evil.example"),
    ],
)
def test_markdown_prints_text_as_it_is(text, shown):
    assert wording.md(text) == shown


def test_the_report_shows_the_figures_of_the_evidence():
    text = text_of(report(EVIDENCE))
    for words in [
        "600 examples, each settled by people; every critical check holds.",
        "Krippendorff’s α, people 0.724 95 % interval 0.694–0.752",
        "of 1,002 items",
        "200 in review, 198 unresolved",
        "$0.00 2,004 calls",
        "not valid JSON 2, empty text 1",
        "512 items have a near-duplicate",
        "12 labels from people wait",
        "74.2 % of the items with two labels or more are unanimous",
        "The mean is 0.173 nats",
        "7 people gave 3,383 labels",
        "0.742 0.706–0.776 on 604 items",
        "480 examples, 80.0 %",
        "positive 231 48.1 %",  # 231 of 480
        "11 of 12 checks hold; 1 warning does not hold",
        "near two splits 4",
        "398,214",
        "312.4 kB",
        "4e1f" * 16,
        "No certificate: models' labels were not accepted without a person.",
    ]:
        assert words in text, words


def test_every_count_of_the_evidence_is_in_the_flow():
    nodes, links = page.rows_flow(whole(EVIDENCE))
    assert {node.name: node.count for node in nodes} == {
        "Documents read": 1011,
        "Items": 1002,
        "Duplicate": 6,
        "Quarantined": 3,
        "Settled by people": 604,
        "In review": 200,
        "Unresolved": 198,
        "Train": 480,
        "Validation": 60,
        "Test": 60,
        "Kept out: near two splits": 4,
    }
    for source in {link.source for link in links}:
        assert sum(link.count for link in links if link.source == source) == next(
            node.count for node in nodes if node.key == source
        )


def test_people_and_models_meet_in_one_block_where_both_settle():
    evidence = {**EVIDENCE, "consensus": {"human": 500, "accepted": 104, "review": 200, "unresolved": 198}}
    nodes, links = page.rows_flow(whole(evidence))
    assert [node.count for node in nodes if node.key == "settled"] == [604]
    assert {(link.source, link.count) for link in links if link.target == "settled"} == {
        ("human", 500),
        ("accepted", 104),
    }
    assert "settled by people or accepted from a model under a certificate" in text_of(report(evidence))


def test_rows_that_no_count_explains_are_shown():
    # 10 read, 6 kept, 1 duplicate, 1 quarantined: two are missing
    evidence = {
        "documents": {"read": 10, "accepted": 6, "duplicate": 1, "quarantined": 1},
        "items": {"total": 6},
        "consensus": {"review": 6},
    }
    nodes, _ = page.rows_flow(whole(evidence))
    assert [node.count for node in nodes if node.name == "Not accounted for"] == [2]


@pytest.mark.parametrize("evidence", [EVIDENCE, extreme()], ids=["real", "extreme"])
def test_labels_of_the_flow_never_overlap_and_stay_inside(evidence):
    nodes, links = page.rows_flow(whole(evidence))
    svg = ElementTree.fromstring(picture.flow(nodes, links, "flow"))
    width, height = map(float, svg.get("viewBox").split()[2:])
    names = [text for text in svg.iter("text") if text.get("class") == "name"]
    for x in {name.get("x") for name in names}:
        heights = sorted(float(name.get("y")) for name in names if name.get("x") == x)
        assert all(below - above >= 36 for above, below in pairwise(heights))
        assert heights[-1] + 18 <= height
    # seven pixels a letter, the widest the face gets in 14 pixels
    assert all(float(name.get("x")) + 7 * len(name.text) <= width + 32 for name in names)


def test_a_flow_of_one_row_in_a_million_still_shows():
    nodes = [picture.Node("a", 0, "a", 1_000_000, "x"), picture.Node("b", 1, "b", 1, "x")]
    svg = ElementTree.fromstring(picture.flow(nodes, [picture.Link("a", "b", 1)], "flow"))
    assert min(float(block.get("height")) for block in svg.iter("rect")) >= 2


@pytest.mark.parametrize("value, where", [(0.0, "0.00%"), (0.724, "72.40%"), (1.0, "100.00%"), (1.5, "100.00%")])
def test_a_dot_stands_at_its_value(value, where):
    marks = picture.interval({"value": value, "low": None, "high": None}, (0.0, 1.0))
    assert f'cx="{where}"' in marks[-1]


def test_an_axis_reaches_below_zero_only_where_a_value_does():
    assert picture.axis([estimate(0.2, 0.1, 0.3)]) == (0.0, 1.0)
    assert picture.axis([estimate(0.02, -0.1, 0.1)]) == (-1.0, 1.0)
    assert picture.axis([estimate(None, None, None)]) == (0.0, 1.0)


def test_what_is_missing_is_said_in_words():
    text = text_of(report({}))
    for words in [
        "The gate has not judged this release.",
        "No document has been read.",
        "The items have no slices.",
        "no entropy to show",
        "No person has labelled anything.",
        "No model labels this curation.",
        "nothing to compare",
        "The evidence holds no check.",
    ]:
        assert words in text, words
    assert "None" not in text and "nan" not in text.lower().split()


def test_a_refused_release_says_what_failed():
    refused = copy.deepcopy(EVIDENCE)
    refused["gate"]["passed"] = False
    refused["gate"]["suites"][0]["checks"][1]["success"] = False
    text = text_of(report(refused))
    assert "The gate refused this release: 1 critical check and 1 warning do not hold." in text
    assert "Examples not published 600" in text


def test_sixty_people_fold_away_after_a_dozen():
    html = report(extreme())
    assert "48 more people" in text_of(html) and html.count("<details>") == 1


def test_pictures_are_well_formed_and_have_titles():
    for svg in re.findall(r"<svg.*?</svg>", report(EVIDENCE), flags=re.DOTALL):
        root = ElementTree.fromstring(svg)
        assert root.get("role") != "img" or (root[0].tag == "title" and root[0].text)


@pytest.mark.parametrize("evidence", [EVIDENCE, *SPARSE.values()], ids=["real", *SPARSE])
def test_the_picture_of_agreement_stands_alone(evidence):
    root = ElementTree.fromstring(agreement_picture(evidence))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert int(root.get("width")) == 760 and int(root.get("height")) > 300
    assert "0.724  (0.694 to 0.752)" in agreement_picture(EVIDENCE)


def front(evidence):
    text = card(evidence)
    assert text.startswith("---\n")
    return yaml.safe_load(text.split("---\n", 2)[1])


def test_the_card_tells_a_hub_where_the_splits_are_and_what_they_hold():
    found = front(EVIDENCE)
    info = found.pop("dataset_info")
    assert found == {
        "pretty_name": "Restaurant reviews",
        "license": "cc-by-4.0",
        "language": ["en"],
        "annotations_creators": ["crowdsourced"],
        "task_categories": ["text-classification"],
        "task_ids": ["multi-class-classification"],
        "size_categories": ["n<1K"],
        "tags": ["assay", "inter-annotator-agreement", "data-curation"],
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train.parquet"}]}],
    }
    assert info.pop("features")[:2] == [{"name": "item_id", "dtype": "string"}, {"name": "split", "dtype": "string"}]
    assert info == {
        "splits": [{"name": "train", "num_bytes": 400_000, "num_examples": 480}],
        "download_size": 188_730,
        "dataset_size": 400_000,
    }


def test_a_split_without_rows_is_not_offered_to_readers_that_would_fail_on_it():
    table = EVIDENCE["files"][-1]
    files = [table, table | {"path": "data/test.parquet", "rows": 0}]
    found = front(EVIDENCE | {"files": files})
    assert found["configs"][0]["data_files"] == [{"split": "train", "path": "data/train.parquet"}]
    assert [split["name"] for split in found["dataset_info"]["splits"]] == ["train"]


def test_hostile_text_stays_one_value_of_the_front_matter():
    found = front(extreme())
    assert found["license"] == "other" and found["license_name"] == "x --- license: mit # heading"
    assert found["annotations_creators"] == ["no-annotation"] and "language" not in found


def test_the_card_says_what_the_embedded_model_is_and_how_well_it_does():
    text = card(EVIDENCE)
    assert page.EMBEDDED in text
    assert "few-shot gives the label that people settled on for 74.2 % of 604 items" in text
    assert "| few-shot | embedded | few_shot.v1 | 1,002 | 0.742 (0.706–0.776) | 604 | 0.600 nats | 0.00 USD |" in text
    assert "not a chat model" not in card({**EVIDENCE, "annotations": {"by_annotator": []}})


@pytest.mark.parametrize(
    "rows, name", [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (250_000, "100K<n<1M"), (10**12, "n>1T")]
)
def test_size_categories_are_the_hubs(rows, name):
    assert front_matter.size_category(rows) == name


@pytest.mark.parametrize(
    "write, value, words",
    [
        (wording.count, 1234567, "1,234,567"),
        (wording.count, None, "–"),
        (wording.share, 0.861, "86.1 %"),
        (wording.share, 0.99999, "> 99.9 %"),
        (wording.share, 1.0, "100 %"),
        (wording.share, 0.0001, "< 0.1 %"),
        (wording.usd, 0.0, "$0.00"),
        (wording.usd, None, "not known"),
        (wording.usd, 0.00012, "$0.00012"),
        (wording.usd, 1234.5, "$1,234.50"),
        (wording.coefficient, -0.42, "−0.420"),
        (wording.size, 312_405, "312.4 kB"),
        (wording.observed, {"train": 480, "ok": True}, "train: 480, ok: yes"),
        (wording.observed, 0.0029673, "0.002967"),
    ],
)
def test_figures_have_sensible_digits_and_units(write, value, words):
    assert write(value) == words


def test_an_unknown_price_is_not_free():
    evidence = {**EVIDENCE, "cost": {"usd": None, "calls": 2004}}
    assert "Spent on models not known 2,004 calls" in text_of(report(evidence))
    assert "not known in 2,004 model calls" in card(evidence)


def test_a_reason_that_kept_nothing_out_is_not_named():
    evidence = {**EVIDENCE, "excluded": {"bridges_splits": 0}}
    assert "kept out" not in text_of(report(evidence)).lower() + card(evidence).lower()


def test_a_persons_accuracy_and_what_is_odd_about_their_labels_are_told():
    evidence = copy.deepcopy(EVIDENCE)
    guesser, copier = person("w1", 100, 0.5), person("w2", 100, 0.9)
    guesser |= {"accuracy": estimate(0.51, 0.42, 0.6), "is_spammer": True, "is_drifting": False, "copier_of": None}
    copier |= {"accuracy": estimate(None, None, None), "is_spammer": None, "is_drifting": True, "copier_of": "w1"}
    evidence["annotations"]["by_annotator"] = [guesser, copier]
    page = report(evidence)
    assert "0.510" in page and "0.420–0.600" in page
    assert page.count("guesses") == page.count("changes over time") == page.count("shares mistakes with") == 1


def test_labels_one_by_one_and_models_beside_people_are_shown_where_there_are_figures():
    evidence = copy.deepcopy(EVIDENCE)
    assert "Label by label" not in report(evidence) and "And the models" not in report(evidence)
    evidence["label_agreement"] = {
        "positive": {"specific_agreement": estimate(0.777, 0.7, 0.8), "krippendorff_alpha": estimate(0.6, 0.5, 0.7)}
    }
    evidence["machines_against_people"] = {"percent": estimate(0.666, 0.6, 0.7), "kappa": estimate(0.444, 0.4, 0.5)}
    page = report(evidence)
    assert all(figure in page for figure in ("Label by label", "0.777", "And the models", "0.666", "0.444"))


def test_the_card_names_each_source_and_what_it_brought_and_each_known_limit():
    source = {
        "path": "data/*.csv",
        "format": "csv",
        "license": "cc0-1.0",
        "files": 2,
        "documents": 90,
        "quarantined": 3,
    }
    told = card({"sources": [source, {**source, "path": "own.csv", "license": None}], "limits": ["Only one town."]})
    assert "| data/&#42;.csv | csv | 2 | 90 | 3 | cc0-1.0 | not stated |" in told
    assert "| own.csv | csv | 2 | 90 | 3 | not stated | not stated |" in told
    assert "- Only one town.\n" in told


def test_the_card_shows_examples_where_it_is_given_any_cut_and_escaped():
    told = card({}, [{"text": "a | b\n" + "x" * 400, "context": "{}", "label": "<b>"}])
    row = next(line for line in told.splitlines() if line.startswith("| a "))
    assert row == "| a &#124; b " + "x" * 293 + "… | &#123;&#125; | &#60;b&#62; |"
    assert "training split" not in card({})
