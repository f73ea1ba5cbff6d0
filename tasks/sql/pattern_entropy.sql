-- pattern_entropy: how spread the labels of every pattern are.
-- grain:  one row per pattern
-- reads:  pattern_shape, shape_entropy
--
-- Columns as in shape_entropy.
select
    pattern_shape.pattern,
    shape_entropy.* exclude (shape)

from pattern_shape

join shape_entropy using (shape)

order by pattern_shape.pattern
