-- what:    the final days: from the first day of data to the last final one; always one row
-- unit:    first_day, as_of: UTC day
-- formula: two columns of the view as_of. A view that takes its days from here, and reads none
--          after them, stays as it is while newer records come in
-- source:  as_of
-- kept:    whole
CREATE VIEW definitions.final_span AS
SELECT first_day, as_of FROM results.as_of
