-- parquet_whole: columns of a Parquet file that certainly hold no blank cell.
-- grain:  one row per column
-- reads:  the file's footer; file
--
-- Where the least value is known and begins above a space, and no cell is
-- null, nothing is blank, and no row need be read to know it.
select path_in_schema as name

from parquet_metadata(getvariable('file'))

group by path_in_schema

having
    bool_and(
        coalesce(stats_null_count = 0 and stats_min_value >= '!', false)
    )
