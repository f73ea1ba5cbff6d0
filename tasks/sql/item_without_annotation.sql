-- item_without_annotation: items as of the date that a version of an annotator has not labelled.
-- grain:  one row per item
-- reads:  known_item, annotation
select item_id

from known_item

anti join (

    select item_id

    from annotation

    where
        annotator_id = $annotator
        and annotator_version = $version

) as labelled using (item_id)

order by item_id
