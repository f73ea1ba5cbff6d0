-- text_in_two_splits: texts that examples of two splits have.
-- grain:  one row per text, as its hash and its length
-- reads:  published
select
    hash(text) as text_hash,
    strlen(text) as text_bytes

from published

group by
    text_hash,
    text_bytes

having min(file) <> max(file)
