-- Clients of DNS are not counted, so that its endpoints are judged by records.
ALTER TABLE dim_endpoints ADD COLUMN serves_dns BOOLEAN DEFAULT false;
ALTER TABLE dim_endpoints ALTER COLUMN serves_dns SET NOT NULL;
ALTER TABLE dim_endpoints ALTER COLUMN serves_dns DROP DEFAULT;
COMMENT ON COLUMN dim_endpoints.serves_dns IS 'whether a match for it in apps.toml names a port of DNS (53, 853, 5353), whose clients are not counted';
