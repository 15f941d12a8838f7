-- The views in a schema of their own, beside their kept results, and what changed since these were
-- made. Tables of results come with the views, as their columns are those of the views.
CREATE SCHEMA definitions;
CREATE SCHEMA results;
CREATE TABLE private.touched (table_name VARCHAR NOT NULL, day DATE);
COMMENT ON TABLE private.touched IS 'What changed since the results were made: days of tables, whole tables where day is NULL.';
CREATE TABLE private.kept (name VARCHAR NOT NULL);
COMMENT ON TABLE private.kept IS 'The results that were made; what is missing is made anew.';
CREATE TABLE private.unchecked (table_name VARCHAR NOT NULL, day DATE);
COMMENT ON TABLE private.unchecked IS 'What changed since the checks last passed; as in private.touched.';
