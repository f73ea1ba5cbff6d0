"""Tables of labels of any shape and format: which rows become votes, what is told of the others, what is refused."""

import json
import tempfile
from itertools import product
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pytest import approx
from tables import TABLE, lines, saved, stored

from flows.measure import measure
from schemas.errors import RequestError, SourceRefused
from tasks.label_table import Columns, opened, read
from tasks.sql import relation

COUNTS = ("rows", "used", "missing", "incomplete", "superseded")
LONG = [{"item_id": item, "annotator_id": who, "label": label} for item, who, label in
        (("X", "A", "yes"), ("X", "B", "yes"), ("Y", "A", "no"), ("Y", "B", "yes"))]  # fmt: skip


def votes(path, columns=Columns(), kind="choice", wanted="item_id, annotator_id, label", labels=None):  # noqa: B008  frozen
    """Return the votes of a file, sorted, and what became of its rows."""
    with opened() as connection:
        counts = read(connection, path, columns, kind, labels)
        return sorted(connection.table("vote").project(wanted).fetchall(), key=str), tuple(counts.values())


def figures(path, **columns):
    """Return what a table says, without how many rows it took to say so."""
    found = measure(path, Columns(**columns))
    return {key: value for key, value in found.items() if key not in COUNTS}


@pytest.mark.parametrize(
    "name",
    ["a.csv", "a.csv.gz", "a.csv.zst", "a.tsv", "a.jsonl", "a.ndjson", "a.jsonl.gz", "a.jsonl.zst",
     "a.parquet", "a.parquet.gz", "odd [1]*'.csv", "odd [1]*'.parquet"],
)  # fmt: skip
def test_every_format_holds_the_same_votes(tmp_path, name):
    rows = LONG if "ndjson" not in name else None
    path = stored(tmp_path, name, LONG) if rows else saved(tmp_path, name, lines(*LONG))
    assert votes(path) == (
        [("X", "A", "yes"), ("X", "B", "yes"), ("Y", "A", "no"), ("Y", "B", "yes")],
        (4, 4, 0, 0, 0),
    )


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_a_csvs_delimiter_is_the_one_that_makes_the_columns(tmp_path, mark):
    assert len(votes(saved(tmp_path, "a.csv", TABLE.replace(",", mark)))[0]) == 4


def test_a_csv_may_begin_with_a_mark_of_its_encoding_and_hold_quotes_and_breaks(tmp_path):
    text = '\ufeffitem_id,annotator_id,label\r\n"X, 1",A,"a ""b"""\r\n\r\nY,A,"a\nb"\r\n'
    assert votes(saved(tmp_path, "a.csv", text))[0] == [("X, 1", "A", 'a "b"'), ("Y", "A", "a\nb")]


def test_labels_stay_the_text_they_are(tmp_path):
    path = saved(tmp_path, "a.csv", "item_id,annotator_id,label\n1,A,01\n1,B,1\n2,A,true\n2,B,1.0\n")
    assert [label for *_, label in votes(path)[0]] == ["01", "1", "true", "1.0"]
    path = saved(
        tmp_path, "a.jsonl", lines(*({"item_id": 1, "annotator_id": who, "label": one} for who, one in ("A1", "B2")))
    )
    assert votes(path)[0] == [("1", "A", "1"), ("1", "B", "2")]


def test_parquet_is_read_where_it_lies(tmp_path):
    path = stored(tmp_path, "a.parquet", LONG)
    with opened() as connection:
        read(connection, path)
        views = {
            name for (name,) in connection.sql("select view_name from duckdb_views() where not internal").fetchall()
        }
        assert {"line", "row", "given_vote", "every_vote", "vote"} <= views
        names = relation(connection, "parquet_whole").fetchall()
    assert sorted(names) == [("annotator_id",), ("item_id",), ("label",)]


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_rows_that_say_nothing_are_counted_and_left_out(tmp_path, form):
    bare = [
        ("Z", "A", None),
        ("Z", "B", ""),
        ("Z", "C", " \t "),
        ("", "D", "yes"),
        (None, "D", "yes"),
        ("Z", " ", "no"),
        (" ", "E", None),
    ]
    rows = LONG + [dict(zip(LONG[0], row, strict=True)) for row in bare]
    found, counts = votes(stored(tmp_path, f"a.{form}", rows))
    assert (len(found), counts) == (4, (11, 4, 4, 3, 0))


# Times


def test_the_latest_label_of_an_annotator_counts(tmp_path):
    text = """item_id,annotator_id,label,time
X,A,no,2026-01-10T09:00:00Z
X,A,yes,2026-01-10T09:30:00+01:00
X,B,yes,2026-01-09
"""
    found, counts = votes(saved(tmp_path, "a.csv", text), wanted="annotator_id, label, labelled_at")
    # 09:30 in +01:00 is 08:30 in UTC, before 09:00; a date is its midnight
    assert found == [("A", "no", 1768035600), ("B", "yes", 1767916800)]
    assert counts == (3, 2, 0, 0, 1)


def test_times_may_be_numbers_words_or_missing(tmp_path):
    def latest(*times):
        rows = [dict(LONG[0], label=label, time=time) for label, time in zip("abc", times, strict=False)]
        return votes(stored(tmp_path, "a.csv", rows))[0][0][2]

    assert latest("9", "10") == "b"  # as numbers
    assert latest("round 9", "round 10") == "a"  # as words
    assert latest("2026-01-01", None) == "a"  # a missing time is the earliest
    assert latest("7", "7") == "b"  # of one time the later in the alphabet


@pytest.mark.parametrize(
    "times, seconds",
    [(["1767916800", "1767916801"], [1767916800, 1767916801]), (["1767916800500"] * 2, [1767916800.5] * 2)],
)
def test_numbers_that_can_only_be_seconds_since_1970_are_instants(tmp_path, times, seconds):
    rows = [dict(row, time=time) for row, time in zip(LONG[::2], times, strict=True)]
    assert [at for (at,) in votes(stored(tmp_path, "a.jsonl", rows), wanted="labelled_at")[0]] == seconds


def test_other_numbers_only_order_labels(tmp_path):
    path = stored(tmp_path, "a.csv", [dict(row, time=n) for n, row in enumerate(LONG)])
    with opened() as connection:
        read(connection, path)
        assert connection.table("vote").columns == ["item_id", "annotator_id", "label"]


def test_parquets_own_times_are_instants(tmp_path):
    times = [pa.scalar(n * 1_000_000, pa.timestamp("us", "Europe/Berlin")) for n in (5, 3)]
    columns = {"item_id": ["X", "X"], "annotator_id": ["A", "A"], "label": ["a", "b"], "time": times}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert votes(tmp_path / "a.parquet", wanted="label, labelled_at")[0] == [("a", 5.0)]


def test_a_time_column_may_be_left_alone(tmp_path):
    path = saved(tmp_path, "a.csv", "item_id,annotator_id,label,time\nX,A,no,1\nX,A,yes,2\n")
    assert len(votes(path, Columns(time=""))[0]) == 2


# Shapes


def test_a_wide_table_has_an_annotator_a_column(tmp_path):
    path = saved(tmp_path, "a.csv", "item_id,anna,ben\nX,yes,yes\nY,no,\n")
    expected = [("X", "anna", "yes"), ("X", "ben", "yes"), ("Y", "anna", "no")]
    assert votes(path, Columns(wide=())) == (expected, (4, 3, 1, 0, 0))  # each cell is a row
    assert votes(path, Columns(wide=("ben",)))[0] == expected[1:2]


def test_a_wide_tables_other_columns_are_no_annotators(tmp_path):
    path = saved(tmp_path, "a.csv", "item_id,part,anna,ben,known\nX,s,yes,yes,yes\nY,t,no,yes,\n")
    with opened() as connection:
        read(connection, path, Columns(wide=(), slice="part", gold="known"))
        assert sorted(connection.sql("select distinct annotator_id, slice from vote").fetchall()) == [
            ("anna", "s"), ("anna", "t"), ("ben", "s"), ("ben", "t"),
        ]  # fmt: skip
        assert connection.table("gold_label").fetchall() == [("X", "yes", 1)]
    with pytest.raises(RequestError, match=r"what part holds no other column does.*--wide anna,ben,known"):
        votes(path, Columns(wide=()))


def test_a_table_of_counts_stands_for_its_votes(tmp_path):
    path = saved(tmp_path, "a.csv", "item_id,label,n\nX,yes,2\nX,no,1\nY,no,0\nY,yes,1\nX,no,1\nZ,,3\nZ,no,\n")
    found, counts = votes(path, Columns(count="n"), wanted="item_id, label")
    assert found == [("X", "no")] * 2 + [("X", "yes")] * 2 + [("Y", "yes")]
    assert counts == (7, 5, 2, 0, 0)


# Optional columns


def test_optional_columns_are_used_where_they_are(tmp_path):
    path = saved(
        tmp_path,
        "a.csv",
        "item_id,annotator_id,label,annotator_kind,seconds\nX,A,yes,Human,2.5\nX,B,yes,,\nX,m,no,LLM,0\n",
    )
    assert votes(path, wanted="annotator_id, annotator_kind, seconds")[0] == [
        ("A", "human", 2.5), ("B", "human", None), ("m", "llm", 0.0),
    ]  # fmt: skip


SHARES = {"yes": 0.75, "no": 0.25}


@pytest.mark.parametrize("form", ["csv", "jsonl", "map.parquet", "struct.parquet", "text.parquet"])
def test_a_distribution_is_read_in_every_form_and_may_stand_for_a_label(tmp_path, form):
    path = tmp_path / f"a.{form}"
    shares = {
        "map.parquet": pa.array([list(SHARES.items())], pa.map_(pa.string(), pa.float64())),
        "struct.parquet": pa.array([SHARES | {"maybe": None}]),
        "text.parquet": pa.array([json.dumps(SHARES)]),
    }
    if form in shares:
        columns = {"item_id": ["X"], "annotator_id": ["m"], "label": [None], "distribution": shares[form]}
        pq.write_table(pa.table(columns), path)
    elif form == "csv":
        saved(
            tmp_path,
            path.name,
            f'item_id,annotator_id,label,distribution\nX,m,,"{json.dumps(SHARES).replace(chr(34), chr(34) * 2)}"\n',
        )
    else:
        saved(tmp_path, path.name, lines({"item_id": "X", "annotator_id": "m", "distribution": SHARES}))
    ((label, kind, distribution),), counts = votes(path, wanted="label, annotator_kind, distribution")
    assert (label, kind, distribution, counts) == ("yes", "model", SHARES, (1, 1, 0, 0, 0))


def test_a_column_that_only_late_rows_of_jsonl_have_is_found(tmp_path):
    rows = [{"item_id": n, "annotator_id": "A", "label": "yes"} for n in range(25_000)]
    path = saved(tmp_path, "a.jsonl", lines(*rows, {**rows[0], "annotator_id": "m", "annotator_kind": "llm"}))
    assert votes(path, wanted="annotator_kind")[0][-1] == ("llm",)


def test_sets_of_labels_are_compared_as_sets(tmp_path):
    csv = saved(tmp_path, "a.csv", 'item_id,annotator_id,label\nX,A,"[""b"", ""a"", ""b""]"\nX,B,b\nX,C,[]\nX,D,\n')
    jsonl = saved(tmp_path, "a.jsonl", lines(*(
        {"item_id": "X", "annotator_id": who, "label": label} for who, label in (("A", ["b", "a", "b"]), ("B", "b"), ("C", []), ("D", None))
    )))  # fmt: skip
    columns = {"item_id": ["X"] * 4, "annotator_id": list("ABCD"), "label": [["b", "a", "b"], ["b"], [], None]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    expected = [("X", "A", '["a","b"]'), ("X", "B", '["b"]'), ("X", "C", "[]")], (4, 3, 1, 0, 0)
    for path in (csv, jsonl, tmp_path / "a.parquet"):
        assert votes(path, kind="choices") == expected
        assert votes(path, kind="choices", labels=("a", "b", "c")) == expected
        with pytest.raises(RequestError, match="1 labels are not among those of --labels: b, c"):
            votes(path, kind="choices", labels=("b", "c"))
    with pytest.raises(RequestError, match="--kind choices"):
        votes(tmp_path / "a.parquet")


def test_gold_is_one_label_an_item(tmp_path):
    text = "item_id,annotator_id,label,known\nX,A,yes,no\nX,B,yes,no\nY,A,no,\nZ,,,yes\n"
    with opened() as connection:
        read(connection, saved(tmp_path, "a.csv", text), Columns(gold="known"))
        gold = connection.table("gold_label").project("item_id, label").order("item_id").fetchall()
    assert gold == [("X", "no"), ("Z", "yes")]
    with pytest.raises(RequestError, match="1 items have two labels or more in the column of --gold"):
        votes(saved(tmp_path, "b.csv", text.replace("B,yes,no", "B,yes,maybe")), Columns(gold="known"))


def test_what_begins_as_a_list_and_is_none_is_told(tmp_path):
    with pytest.raises(
        RequestError, match="in 2 rows the column of --label holds what begins as a JSON list does, and is none"
    ):
        votes(saved(tmp_path, "a.csv", "item_id,annotator_id,label\nX,A,[a]\nX,B,[\nX,C,a\n"), kind="choices")
    with pytest.raises(RequestError, match="in 1 rows"):
        votes(saved(tmp_path, "b.csv", "item_id,anna,ben\nX,[a],a\n"), Columns(wide=()), kind="choices")


# What is refused


def test_a_missing_column_is_named_with_the_nearest(tmp_path):
    path = saved(tmp_path, "a.csv", TABLE.replace("annotator_id", "Annotator").replace("label", "the label"))
    with pytest.raises(RequestError) as refusal:
        votes(path)
    assert "no column annotator_id and no column label; it has: item_id, Annotator, the label." in str(refusal.value)
    assert "Did you mean --annotator Annotator --label 'the label'?" in str(refusal.value)


def test_columns_may_have_any_name(tmp_path):
    path = saved(tmp_path, "a.csv", '"the ""item""",worker.id,"an, answer",part\nX,A,yes,s\n')
    columns = Columns(item='the "item"', annotator="worker.id", label="an, answer", slice="part")
    assert votes(path, columns, wanted="item_id, annotator_id, label, slice")[0] == [("X", "A", "yes", "s")]
    stored(tmp_path, "a.parquet", [{'the "item"': "X", "worker.id": "A", "an, answer": "yes", "part": "s"}])
    assert votes(tmp_path / "a.parquet", columns)[0] == [("X", "A", "yes")]


def test_an_optional_column_matters_only_when_asked_for(tmp_path):
    path = saved(tmp_path, "a.csv", TABLE)
    assert len(votes(path)[0]) == 4
    with pytest.raises(RequestError, match="no column submitted_at"):
        votes(path, Columns(time="submitted_at"))


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_a_wide_table_is_recognised_with_the_flags_to_type(tmp_path, form):
    rows = [
        {"id": "X", "text": "a", "anna": "yes", "the ben": "yes"},
        {"id": "Y", "text": "b", "anna": "no", "the ben": "yes"},
    ]
    with pytest.raises(
        RequestError, match=r"one column per annotator: add --item id --wide 'anna,the ben' to read it so"
    ):
        votes(stored(tmp_path, f"a.{form}", rows))
    rows = [{"item_id": "X", "anna": "yes", "ben": "yes"}, {"item_id": "Y", "anna": "no", "ben": "yes"}]
    with pytest.raises(RequestError, match="add --wide to read it so"):
        votes(stored(tmp_path, f"b.{form}", rows))


def test_a_table_of_counts_is_recognised_with_the_flag_to_type(tmp_path):
    with pytest.raises(RequestError, match="If votes is a number of votes, add --count votes"):
        votes(saved(tmp_path, "a.csv", "item_id,label,text,votes\nX,yes,3 men,2\nX,no,2 men,1\n"))


@pytest.mark.parametrize(
    "text, said",
    [
        ("item_id,annotator_id,label\nX,A,yes\nsecret,A\n", "line 3 has 2 cells, the first line 3"),
        ("item_id,annotator_id,label\nX,A,yes,secret\n", "line 2 has 4 cells, the first line 3"),
        ('item_id,annotator_id,label\nX,A,"secret\n', "a quote is not closed"),
        ("", "is empty"),
    ],
)
def test_a_broken_csv_is_refused_without_quoting_it(tmp_path, text, said):
    with pytest.raises(SourceRefused, match=said) as refusal:
        votes(saved(tmp_path, "a.csv", text))
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    "name, raw, said",
    [
        ("a.csv", "item_id,annotator_id,label\nX,A,sécret\n".encode("latin-1"), "not in UTF-8"),
        ("a.jsonl", b'{"item_id": "X", "annotator_id": "A", "label": "secret\n', "cannot be read as jsonl"),
        ("a.jsonl", b'[\n{"item_id": "X", "annotator_id": "A", "label": "secret"}\n]\n', "one JSON list"),
        ("a.parquet", b"PAR1 secret", "cannot be read as parquet"),
        ("a.csv.gz", b"secret", "cannot be read as csv"),
        ("a.csv.zst", b"secret", "cannot be read as csv"),
        ("a.parquet.gz", b"secret", "cannot be read as parquet"),
    ],
)
def test_what_cannot_be_read_is_refused_without_quoting_it(tmp_path, name, raw, said):
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(SourceRefused, match=said) as refusal:
        votes(tmp_path / name)
    assert "secret" not in str(refusal.value)


def test_two_columns_of_one_name_are_refused(tmp_path):
    with pytest.raises(RequestError, match="two columns called 'label'"):
        votes(saved(tmp_path, "a.csv", "item_id,annotator_id,label,label\nX,A,yes,no\n"))


def test_a_file_that_is_not_there_or_of_no_known_format_is_told(tmp_path):
    with pytest.raises(RequestError, match="no file"):
        votes(tmp_path / "nothing.csv")
    with pytest.raises(RequestError, match="is a folder"):
        votes(tmp_path)
    with pytest.raises(RequestError, match=r"\.jsonl"):
        votes(saved(tmp_path, "labels.xlsx", "x"))


@pytest.mark.parametrize(
    "column, value, said",
    [
        ("seconds", "soon", 'in 1 rows the column of --seconds holds no number from 0; .* --seconds ""'),
        ("seconds", "-1", "--seconds holds no number from 0"),
        ("annotator_kind", "martian", "--annotator-kind holds none of human, llm, function, model"),
        ("distribution", "yes", "--distribution holds no probabilities of labels"),
        ("distribution", '{"yes": -0.5, "no": 1.5}', "--distribution holds no probabilities of labels"),
    ],
)
def test_cells_that_cannot_be_what_they_should_are_told(tmp_path, column, value, said):
    path = stored(tmp_path, "a.csv", [dict(LONG[0], **{column: value})])
    with pytest.raises(RequestError, match=said):
        votes(path)
    assert len(votes(path, Columns(**{column: ""}))[0]) == 1


@pytest.mark.parametrize("count", ["-1", "1.5", "many", "2000000"])
def test_counts_are_whole_numbers(tmp_path, count):
    with pytest.raises(RequestError, match="--count holds no whole number from 0 to 1,000,000"):
        votes(saved(tmp_path, "a.csv", f"item_id,label,n\nX,yes,{count}\n"), Columns(count="n"))


def test_memory_may_be_limited(tmp_path):
    with opened("300MB") as connection:
        assert connection.execute("select current_setting('memory_limit')").fetchone() == ("286.1 MiB",)
        folder = Path(connection.execute("select current_setting('temp_directory')").fetchone()[0])
        assert folder.is_dir()
    assert not folder.exists()
    with pytest.raises(RequestError, match="as 4GB"), opened("a lot"):
        pass


# Laws

WORDS = st.sampled_from(["", " ", "a", "b", "c"])
ROWS = st.lists(st.tuples(WORDS, WORDS, WORDS, st.sampled_from(["", "1", "2", "10"])), min_size=1, max_size=20)


@settings(max_examples=40, deadline=None)
@given(ROWS, st.sampled_from(["csv", "jsonl", "parquet"]), st.booleans())
def test_rows_reconcile(rows, form, is_timed):
    names = ("item_id", "annotator_id", "label", "time")
    with tempfile.TemporaryDirectory() as folder:
        path = stored(Path(folder), f"a.{form}", [dict(zip(names, row, strict=True)) for row in rows])
        found, (total, used, missing, incomplete, superseded) = votes(path, Columns(time="time" if is_timed else ""))
    whole = [row for row in rows if all(cell.strip() for cell in row[:3])]
    assert (total, used) == (len(rows), len(found))
    assert total == used + missing + incomplete + superseded
    assert missing == sum(not row[2].strip() for row in rows)
    assert used == (len({row[:2] for row in whole}) if is_timed else len(whole))


@pytest.mark.slow
@settings(max_examples=3, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(["", "a", "b", "c"]), min_size=3, max_size=3), min_size=1, max_size=8),
    st.randoms(),
)
def test_every_shape_format_and_order_gives_the_same_figures(table, draw):
    if not any(any(row) for row in table):
        table = [["a", "b", ""]]
    cells = [(f"i{n}", who, row[place]) for n, row in enumerate(table) for place, who in enumerate(("p", "q", "r"))]
    given = [dict(zip(("item_id", "annotator_id", "label"), cell, strict=True)) for cell in cells if cell[2]]
    wide = [{"item_id": f"i{n}", **dict(zip("pqr", row, strict=True))} for n, row in enumerate(table)]
    counts = [
        {"item_id": f"i{n}", "label": label, "n": row.count(label)}
        for (n, row), label in product(enumerate(table), "abc")
        if label in row
    ]
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for form in ("csv", "tsv", "jsonl", "parquet"):
            for rows in (given, wide, counts):
                draw.shuffle(rows)
            long = figures(stored(Path(folder), f"long.{form}", given))
            assert figures(stored(Path(folder), f"wide.{form}", wide), wide=("p", "q", "r")) == long
            counted = figures(stored(Path(folder), f"counts.{form}", counts), count="n")
            for key in ("items", "annotations", "labels", "entropy", "by_label"):
                assert counted[key] == long[key], key
            assert counted["agreement"] == {name: long["agreement"][name] for name in counted["agreement"]}
            assert len(counted["agreement"]) == 5  # all but Cohen's kappa, which needs to know who said what
            found.append(long)
    assert all(one == found[0] for one in found)


def test_a_person_reads_a_duckdb_table_written_by_another_tool(tmp_path):
    path = tmp_path / "a.parquet"
    duckdb.sql(f"""
        copy (select 7::bigint as item_id, 'A'::enum('A', 'B') as annotator_id, 2.0::double as label) to '{path}'
    """)
    assert votes(path)[0] == [("7", "A", "2")]  # a column of whole numbers that has gaps is one of floats
    assert measure(path)["entropy"]["mean_nats"] == approx(0)


def test_ratings_are_numbers_however_they_are_spelt(tmp_path):
    text = "item_id,annotator_id,label\n1,A,1\n1,B,1.0\n2,A,2.50\n2,B,2.5\n3,A,good\n3,B, 3 \n"
    path = saved(tmp_path, "a.csv", text)
    assert [label for *_, label in votes(path, kind="rating")[0]] == ["1", "1", "2.5", "2.5", "good", "3"]
    assert [label for *_, label in votes(path)[0]] == ["1", "1.0", "2.50", "2.5", "good", " 3 "]  # a choice's are names


def test_whole_numbers_in_a_column_with_gaps_are_whole(tmp_path):
    # as pandas writes them: the labels are whole numbers, and gold, which has a gap, became floats
    rows = [("X", "A", 1, 1.0), ("X", "B", 0, 1.0), ("Y", "A", 0, None)]
    columns = [pa.array(column) for column in zip(*rows, strict=True)]
    pq.write_table(pa.table(columns, ["item_id", "annotator_id", "label", "gold"]), tmp_path / "a.parquet")
    with opened() as connection:
        read(connection, tmp_path / "a.parquet", Columns(gold="gold"))
        assert connection.table("gold_label").project("item_id, label").fetchall() == [("X", "1")]


@pytest.mark.parametrize("role", ["slice", "group"])
def test_an_item_lies_in_one_slice_and_one_group(tmp_path, role):
    # of which annotators a row is: no part of the data, so figures by it would be of other rows than they say
    text = "item_id,annotator_id,label,part\nX,A,yes,women\nX,B,yes,men\nY,A,no,women\n"
    with pytest.raises(RequestError, match=f"1 items have two values or more in the column of --{role}"):
        votes(saved(tmp_path, "a.csv", text), Columns(**{role: "part"}))


def test_gold_beyond_the_labels_given_is_refused(tmp_path):
    path = saved(tmp_path, "a.csv", "item_id,annotator_id,label,gold\nX,A,yes,perhaps\n")
    with pytest.raises(RequestError, match="1 labels of --gold are not among those of --labels: yes, no"):
        votes(path, Columns(gold="gold"), labels=["yes", "no"])


@pytest.mark.parametrize("text", ["{}\n{}\n", "\n\n", "3\n4\n"])
def test_lines_without_a_record_are_no_table(tmp_path, text):
    with pytest.raises((RequestError, SourceRefused)):
        votes(saved(tmp_path, "a.jsonl", text))


def test_more_votes_than_can_be_written_out_are_refused(tmp_path):
    text = "item_id,label,n\n" + "".join(f"{item},yes,1000000\n" for item in range(21))
    with pytest.raises(RequestError, match="adds up to 21,000,000 votes; 20,000,000 are the most"):
        votes(saved(tmp_path, "a.csv", text), Columns(count="n"))


def test_no_label_at_all_is_no_list_of_labels(tmp_path):
    with pytest.raises(RequestError, match="--labels names no label"):
        votes(saved(tmp_path, "a.csv", TABLE), labels=[""])
