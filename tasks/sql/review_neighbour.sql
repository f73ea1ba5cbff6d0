-- review_neighbour: near-duplicates among the candidates, by their rows.
-- grain:  one row per pair
-- reads:  neighbour, review_candidate
select
    one.row,
    other.row as near_row

from neighbour

join review_candidate as one on one.item_id = neighbour.item_id

join review_candidate as other on other.item_id = neighbour.near_item_id
