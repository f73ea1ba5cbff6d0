-- clock: what the times of a table are, where all of them are the same.
-- grain:  one row
-- reads:  spoken
select
    count(time) > 0
    and count(time) = count(try_cast(time as timestamptz)) as is_instant,
    count(time) > 0
    and count(time) = count(try_cast(time as double)) as is_number,
    min(try_cast(time as double)) as least,
    max(try_cast(time as double)) as most

from spoken
