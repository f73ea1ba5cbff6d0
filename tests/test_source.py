"""Sources: whatever stands in a file, each record of it is a mapping of fields or has a reason why it is none."""

import gzip
import json
import os
import tracemalloc
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import SourceRefused
from tasks.source import Rejected, find, instant, name
from tasks.source import records as source_records
from tasks.source.records import read

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def records(tmp_path):
    """Return a function: a file's name and bytes → what each record of it became, as `position: text or reason`."""

    def told(name: str, content: bytes) -> list[str]:
        (tmp_path / name).write_bytes(content)
        (file,) = find(tmp_path, name)
        return [f"{one.position}: {one.rejected.reason if one.rejected else one.fields['text']}" for one in read(file)]

    return told


def zst(content: bytes) -> bytes:
    return pa.compress(content, "zstd", asbytes=True)


LINE = b'{"text": "a"}\n'


@pytest.mark.parametrize(
    ("content", "became"),
    [
        (b"", []),
        (b"\n  \n\t\n", []),
        (b"\xef\xbb\xbf" + LINE, ["1: a"]),
        (b"\xef\xbb\xbf", []),
        (b'{"text": "a"}', ["1: a"]),
        (b'{"text": "a"}\r\n\r\n{"text": "b"}\r\n', ["1: a", "3: b"]),
        (b'{"text": "a"}\r{"text": "b"}\n', ["1: bad_json"]),
        ('{"text": "a\u2028b\u2029c\x85d"}\n'.encode(), ["1: a\u2028b\u2029c\x85d"]),
        (LINE + b"{not json}\n" + LINE, ["1: a", "2: bad_json", "3: a"]),
        (LINE + b'{"text": "caf\xe9"}\n' + LINE, ["1: a", "2: bad_encoding", "3: a"]),
        (b'{"text": "\xc0\xaf"}\n{"text": "\xe2\x82"}\n', ["1: bad_encoding", "2: bad_encoding"]),
        (b'{"text": "a\x00b"}\n', ["1: bad_json"]),
        (b'{"text": "a", "text": "b"}\n', ["1: duplicate_key"]),
        (b'{"text": "a", "x": {"y": 1, "y": 2}}\n', ["1: duplicate_key"]),
        (b'{"text": "a", "x": NaN}\n{"x": -Infinity}\n{"x": 1e999}\n', ["1: bad_json", "2: bad_json", "3: bad_json"]),
        (b'{"text": "a", "x": ' + b"9" * 30 + b"}\n", ["1: a"]),
        (b'{"text": "a", "x": ' + b"9" * 5000 + b"}\n", ["1: bad_json"]),
        (b'[{"text": "a"}]\n"a"\n7\nnull\n', [f"{line}: not_object" for line in (1, 2, 3, 4)]),
        (b'{"text": "a", "x": ' + b"[" * 99 + b"]" * 99 + b"}\n", ["1: a"]),  # 99 lists in an object: 100 levels
        (b'{"text": "a", "x": ' + b"[" * 100 + b"]" * 100 + b"}\n", ["1: too_deep"]),
        (b'{"text": "a", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}\n", ["1: too_deep"]),
        (LINE.decode().encode("utf-16"), ["0: bad_encoding"]),
        (b"\x7fELF\x02\x00\x00" + bytes(range(256)), ["0: not_text"]),
    ],
)
def test_a_json_line_is_fields_or_a_reason(records, content, became):
    assert records("a.jsonl", content) == became


@pytest.mark.parametrize(
    ("content", "became"),
    [
        (b"", []),
        (b"id,text\n", []),
        (b"\xef\xbb\xbftext\r\na\r\n\r\nb", ["2: a", "4: b"]),
        (b'id,text\n1,"a\nb"\n2,c\n', ["2: a\nb", "4: c"]),
        (b'id,text\n1,"say ""a"""\n', ['2: say "a"']),
        (b"id,text\n1\n1,a,b\n2,c\n", ["2: ragged_row", "3: ragged_row", "4: c"]),
        (b"id,text\n1,caf\xe9\n2,b\n", ["2: bad_encoding", "3: b"]),
        (b'id,text\n1,"a"x\n2,b\n', ["2: bad_csv", "3: b"]),
        (b"id,text\n1,a\rb\n2,b\n", ["2: bad_csv", "3: b"]),
        # the quote of row 2 is closed nowhere: that row is lost, the rows it would have swallowed are not
        (b'id,text\n1,"a\n2,b\n3,c\n', ["2: bad_csv", "3: b", "4: c"]),
        (b"id,text\n" + b'1,"' + b"a" * 2_000_000 + b'"\n2,b\n', ["2: too_large", "3: b"]),
        (b"id,text\n1," + b"a" * 200_000 + b"\n", ["2: " + "a" * 200_000]),
        (b"text,text\na,b\n", ["0: duplicate_key"]),
        (b"text,caf\xe9\na,b\n", ["0: bad_encoding"]),
        ("id,text\n1,a\n".encode("utf-16"), ["0: bad_encoding"]),
    ],
)
def test_a_csv_row_is_fields_or_a_reason(records, content, became):
    assert records("a.csv", content) == became


def test_a_quote_left_open_costs_its_row_however_long_the_file(records):
    rows = b"".join(b"%d,b\n" % number for number in range(5_000))
    became = records("a.csv", b'id,text\n0,"a\n' + rows)
    assert became[:2] == ["2: bad_csv", "3: b"] and len(became) == 5_001


def test_a_line_of_a_text_file_is_a_text(records):
    assert records("a.txt", b"a\r\n\n caf\xe9\n b \n") == ["1: a", "3: bad_encoding", "4:  b "]


def parquet(**columns) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue().to_pybytes()


def test_a_parquet_row_is_fields_or_a_reason_whatever_its_types(records):
    not_utf8 = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.array([0, 1, 2], pa.int32()).buffers()[1], pa.py_buffer(b"a\xe9")]
    )
    assert records("bytes.parquet", parquet(text=not_utf8)) == ["1: a", "2: bad_type"]
    odd = parquet(
        text=["a", None],
        nested=[{"x": [b"\x00"]}, None],
        year=pa.array([2**40, 1], pa.timestamp("s")),  # the year 36,812: Python has none
        day=pa.array([date(2026, 11, 19), None]),
        share=[float("nan"), 0.5],
        nanos=pa.array([1_700_000_000_000_000_001, None], pa.timestamp("ns", tz="UTC")),
    )
    assert records("odd.parquet", odd) == ["1: bad_type", "2: None"]
    assert records("wrong.parquet", b"PAR1 but no more than that") == ["0: truncated_source"]
    assert records("empty.parquet", b"") == ["0: truncated_source"]
    whole = parquet(text=["a", "b"])
    assert records("cut.parquet", whole[: len(whole) // 2]) == ["0: truncated_source"]
    assert records("long.parquet", parquet(text=["a" * 2_000_000, "b"])) == ["1: too_large", "2: b"]


@pytest.mark.parametrize("compress", [gzip.compress, zst], ids=["gz", "zst"])
def test_compressed_files_are_read_in_every_format(records, compress):
    suffix = {gzip.compress: "gz", zst: "zst"}[compress]
    assert records(f"a.jsonl.{suffix}", compress(LINE)) == ["1: a"]
    assert records(f"a.csv.{suffix}", compress(b"text\na\n")) == ["2: a"]
    assert records(f"a.txt.{suffix}", compress(b"a\n")) == ["1: a"]
    assert records(f"a.parquet.{suffix}", compress(parquet(text=["a"]))) == ["1: a"]
    assert records(f"two.jsonl.{suffix}", compress(LINE) + compress(LINE)) == ["1: a", "2: a"]
    assert records(f"none.jsonl.{suffix}", LINE) == ["0: truncated_source"]


@pytest.mark.parametrize("compress", [gzip.compress, zst], ids=["gz", "zst"])
def test_what_stands_before_the_break_of_a_compressed_file_is_read(records, compress):
    lines = b"".join(json.dumps({"text": os.urandom(40).hex()}).encode() + b"\n" for _ in range(4_000))
    packed = compress(lines)
    became = records(f"a.jsonl.{'gz' if compress is gzip.compress else 'zst'}", packed[: len(packed) // 2])
    # the line on the break may look like bad JSON; the file itself is the last record
    assert became[-1] == "0: truncated_source" and sum("_" not in one for one in became) > 1_000


def test_a_bomb_is_left_where_it_grows_beyond_reason(records, monkeypatch):
    monkeypatch.setattr(source_records, "FREE_BYTES", 1_000_000)
    # 20 MB of one letter pack to 20 kB: a thousand times, where 200 times is the limit
    bomb = gzip.compress(LINE + b"\n" * 20_000_000)
    assert records("a.jsonl.gz", bomb) == ["1: a", "0: decompression_limit"]


def test_a_line_of_a_hundred_million_bytes_is_passed_over_in_little_memory(tmp_path):
    with (tmp_path / "a.jsonl").open("wb") as stream:
        stream.writelines([LINE, *[b"x" * 1_000_000] * 100, b"\n", LINE])
    (file,) = find(tmp_path, "a.jsonl")
    tracemalloc.start()
    reasons = [one.rejected.reason if one.rejected else None for one in read(file)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reasons == [None, "too_large", None] and peak < 10_000_000


def test_only_regular_files_are_found(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(LINE)
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "folder.jsonl").mkdir()
    (tmp_path / "loop.jsonl").symlink_to("loop.jsonl")
    (tmp_path / "gone.jsonl").symlink_to("nowhere")
    (tmp_path / "zero.jsonl").symlink_to("/dev/zero")
    assert [file.path for file in find(tmp_path, "*.jsonl")] == ["a.jsonl"]


@pytest.mark.parametrize("odd", ["a b", "it's", 'a"b', "a\nb", "a;drop table item", "part=..", "ünï", "%20", "[x]"])
def test_odd_names_are_names(tmp_path, odd):
    (tmp_path / f"{odd}.jsonl").write_bytes(LINE)
    assert [file.path for file in find(tmp_path, "*.jsonl")] == [f"{odd}.jsonl"]


def test_a_name_that_is_no_utf8_is_escaped(tmp_path):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.jsonl")).write_bytes(LINE)
    (file,) = find(tmp_path, "*.jsonl")
    assert file.path == "caf\\xe9.jsonl" and len(list(read(file))) == 1


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("{as_of}.jsonl", "2026-11-19.jsonl"),
        ("data/{as_of}/*.jsonl", "data/2026-11-19/a.jsonl"),
        ("**/{as_of}.jsonl", "x/y/2026-11-19.jsonl"),
        ("part-[ab]-{as_of}?.jsonl", "part-b-2026-11-19z.jsonl"),
        ("(a+b) {as_of}.jsonl", "(a+b) 2026-11-19.jsonl"),
    ],
)
def test_a_file_belongs_to_the_date_in_its_name(tmp_path, pattern, path):
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_bytes(LINE)
    assert [file.available_on for file in find(tmp_path, pattern)] == [date(2026, 11, 19)]


def test_a_name_with_an_impossible_date_is_refused(tmp_path):
    (tmp_path / "2026-02-30.jsonl").write_bytes(LINE)
    with pytest.raises(SourceRefused, match=r"2026-02-30.jsonl.*no date"):
        find(tmp_path, "{as_of}.jsonl")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("2026-11-19T08:00:00Z", "2026-11-19T08:00:00+00:00"),
        ("2026-11-19T08:00:00+02:00", "2026-11-19T06:00:00+00:00"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59+00:00"),  # a leap second
        ("2026-11-19T10:60:00Z", "bad_timestamp"),  # minute 60 is none
        ("2026-11-19T08:00:00", "naive_timestamp"),
        ("2026-11-19", "naive_timestamp"),
        ("2026-11-21T11:00:00Z", "2026-11-21T11:00:00+00:00"),  # within a day of now
        ("2026-11-21T13:00:00Z", "bad_timestamp"),
        ("1969-12-31T23:59:59Z", "bad_timestamp"),
        ("0001-01-01T00:00:00+14:00", "bad_timestamp"),
        ("9999-12-31T23:59:59-14:00", "bad_timestamp"),
        ("yesterday", "bad_timestamp"),
        (1_700_000_000, "bad_timestamp"),
        (["2026"], "bad_timestamp"),
        ("", "None"),
        (None, "None"),
    ],
)
def test_an_instant_has_a_zone_and_lies_between_1970_and_tomorrow(value, told):
    try:
        moment = instant(value, "time", NOW)
    except Rejected as rejected:
        assert rejected.reason == told
    else:
        assert (moment.isoformat() if moment else "None") == told


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("a", "a"), (" a ", "a"), ("e\u0301", "\xe9"), (7, "7"), (10**30, "1" + "0" * 30), ("0", "0"),
        (None, "bad_id"), ("", "bad_id"), (" \t", "bad_id"), (1.0, "bad_id"), (True, "bad_id"), (["a"], "bad_id"),
        ("a" * 513, "bad_id"), ("a\x00", "nul_char"), ("\ud800", "lone_surrogate"),
    ],
)  # fmt: skip
def test_an_id_is_a_short_text_or_a_whole_number(value, told):
    try:
        assert name(value, "id") == told
    except Rejected as rejected:
        assert rejected.reason == told
