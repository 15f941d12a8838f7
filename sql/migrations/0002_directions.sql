-- Exporters that report both directions are declared as such.
ALTER TABLE dim_exporters ADD COLUMN directions VARCHAR DEFAULT 'one';
ALTER TABLE dim_exporters ALTER COLUMN directions SET NOT NULL;
ALTER TABLE dim_exporters ALTER COLUMN directions DROP DEFAULT;
COMMENT ON COLUMN dim_exporters.directions IS 'one; or both, where it reports a flow on its way in and on its way out';
